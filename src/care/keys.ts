/** Creates API keys. The token is shown once and never kept. */

import { type ApiKey, findApiKey, putApiKey } from "../catalog/api-keys.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Clock } from "../host/clock.ts";
import { newSalt, saltedHash } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";
import { apiKeysMax } from "../model/limits.ts";
import type { PermissionBits } from "../model/permission.ts";
import type { TimeNs } from "../model/time.ts";
import { newApiToken } from "../wire/token.ts";

export interface KeyRequest {
  readonly permissions: PermissionBits;
  readonly description: string;
  readonly expiresAtNs?: TimeNs | undefined;
  readonly legacySdk?: "0.4" | "0.5" | undefined;
}

/** Returns the token. @throws Fault overloaded when there are too many keys */
export async function createApiKey(
  { catalog, clock }: { catalog: Catalog; clock: Clock },
  request: KeyRequest,
): Promise<string> {
  const createdAtNs = clock.wallNs();
  return await catalog.transaction(() => {
    if (catalog.keys.count() >= apiKeysMax) {
      throw new Fault("overloaded", `There are ${apiKeysMax} API keys already; revoke some first.`);
    }
    let token = newApiToken();
    // Keys are found by their 32-bit fingerprint, so it has to be free.
    while (findApiKey(catalog, token.fingerprint) !== undefined) token = newApiToken();
    const salt = newSalt();
    const key: ApiKey = {
      ...request,
      fingerprint: token.fingerprint,
      salt,
      hash: saltedHash(salt, token.text),
      createdAtNs,
    };
    putApiKey(catalog, key);
    return token.text;
  });
}
