/** The command `key`: creates, lists and revokes API keys, also while the server runs. */

import { createApiKey, type KeyRequest } from "../care/keys.ts";
import { findApiKey, listApiKeys, removeApiKey } from "../catalog/api-keys.ts";
import { machineClock } from "../host/clock.ts";
import { printOut } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { permissionWords } from "../model/permission.ts";
import { withCatalog, withNewCatalog } from "./with-catalog.ts";

/** Prints the token, and nothing else. */
export async function createKey(dataDirectory: string, request: KeyRequest): Promise<void> {
  await withNewCatalog(dataDirectory, async (catalog) => {
    printOut(`${await createApiKey({ catalog, clock: machineClock() }, request)}\n`);
  });
}

/** Prints a line of JSON per key; tokens are not kept and cannot be shown. @throws Fault absent */
export async function listKeys(dataDirectory: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    for (const key of listApiKeys(catalog)) {
      const { fingerprint, permissions, description, createdAtNs, expiresAtNs, legacySdk } = key;
      const line = {
        fingerprint,
        permissions: permissionWords(permissions),
        description,
        created: isoTime(createdAtNs),
        expires: expiresAtNs === undefined ? null : isoTime(expiresAtNs),
        legacySdk: legacySdk ?? null,
      };
      printOut(`${JSON.stringify(line)}\n`);
    }
  });
}

/** @throws Fault absent */
export async function revokeKey(dataDirectory: string, fingerprint: string): Promise<void> {
  await withCatalog(dataDirectory, async (catalog) => {
    await catalog.transaction(() => {
      if (findApiKey(catalog, fingerprint) === undefined)
        throw new Fault("absent", `There is no API key ${fingerprint}`);
      removeApiKey(catalog, fingerprint);
    });
  });
}

function isoTime(timeNs: bigint): string {
  return new Date(Number(timeNs / 1_000_000n)).toISOString();
}
