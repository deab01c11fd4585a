/** API keys at rest: a salted hash, never the token. Functions named put and remove are to be called inside a transaction. */

import type { PermissionBits } from "../model/permission.ts";
import type { TimeNs } from "../model/time.ts";
import type { Catalog } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";

export interface ApiKey {
  /** The token's last part, public: CRC-32 of its payload as 8 hex digits. */
  readonly fingerprint: string;
  readonly salt: string;
  /** SHA-256 over salt and token, hex. */
  readonly hash: string;
  readonly permissions: PermissionBits;
  readonly description: string;
  readonly createdAtNs: TimeNs;
  readonly expiresAtNs?: TimeNs | undefined;
  /** For which SDK generation a client with this key is taken that gives no other sign. */
  readonly legacySdk?: "0.4" | "0.5" | undefined;
}

export function findApiKey(catalog: Catalog, fingerprint: string): ApiKey | undefined {
  const row = catalog.keys.get(fingerprint);
  return row === undefined ? undefined : decodeRow<ApiKey>(row);
}

export function listApiKeys(catalog: Catalog): ApiKey[] {
  return [...catalog.keys.range("\u0001", "\u007f")].map(({ value }) => decodeRow<ApiKey>(value));
}

export function putApiKey(catalog: Catalog, key: ApiKey): void {
  catalog.keys.put(key.fingerprint, encodeRow(key));
}

export function removeApiKey(catalog: Catalog, fingerprint: string): void {
  catalog.keys.remove(fingerprint);
}
