/** Who calls, and what they may: API keys checked at each call, against the whole token, in constant time. */

import type { LatestTime } from "../care/latest-time.ts";
import { type ApiKey, findApiKey } from "../catalog/api-keys.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Clock } from "../host/clock.ts";
import { equalHashes, saltedHash } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";
import { allows, allPermissions, type Permission, type PermissionBits, permissionWords } from "../model/permission.ts";
import { parseApiToken } from "../wire/token.ts";

/** Who makes a call. With keys switched off everybody may everything and nobody has a name. */
export interface Caller {
  readonly permissions: PermissionBits;
  readonly key: ApiKey | undefined;
}

export interface Authorizer {
  readonly catalog: Catalog;
  readonly clock: Clock;
  /** What keys expire by. */
  readonly latestTime: LatestTime;
  /** Whether keys are asked for at all. */
  readonly keysRequired: boolean;
}

const everybody: Caller = { permissions: allPermissions, key: undefined };

/**
 * @param missingCode what a missing key is answered with: SDK 0.4 and 0.5 know UNAUTHENTICATED, 0.6 and 0.7 PERMISSION_DENIED
 * @throws Fault unauthenticated (or denied) for a missing, unknown, forged, revoked or expired key, invalid for a malformed one
 */
export function authenticate(
  { catalog, latestTime, keysRequired }: Authorizer,
  token: string | undefined,
  missingCode: "unauthenticated" | "denied",
): Caller {
  if (!keysRequired) return everybody;
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw new Fault(missingCode, "Missing API key in request header.");
  }
  const { text, fingerprint } = parseApiToken(token);
  // Keys are created and revoked by other processes too.
  catalog.refresh();
  const key = findApiKey(catalog, fingerprint);
  // A forged token has the fingerprint of a key, which is public, and a payload of its own.
  if (key === undefined || !equalHashes(saltedHash(key.salt, text), key.hash)) {
    throw new Fault("unauthenticated", `Unauthenticated: the API key ${fingerprint} is not valid here.`);
  }
  const nowNs = latestTime.ns();
  if (key.expiresAtNs !== undefined && key.expiresAtNs <= nowNs) {
    void latestTime.passed(key.expiresAtNs);
    throw new Fault("unauthenticated", `Unauthenticated: the API key ${fingerprint} has expired.`);
  }
  return { permissions: key.permissions, key };
}

/** @throws Fault denied */
export function demand(caller: Caller, permission: Permission | undefined, what: string): void {
  if (permission === undefined || allows(caller.permissions, permission)) return;
  throw new Fault(
    "denied",
    `Unauthorized: ${what} needs the permission ${permission}, this key has ${permissionWords(caller.permissions)}.`,
  );
}
