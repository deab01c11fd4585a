/** The command `key`: creates, lists and revokes API keys, also while the server runs. */

import { checkCatalogFormat, checkIsStore, checkOurs } from "../care/identity.ts";
import { createApiKey, type KeyRequest } from "../care/keys.ts";
import { findApiKey, listApiKeys, removeApiKey } from "../catalog/api-keys.ts";
import { type Catalog, openCatalog } from "../catalog/catalog.ts";
import { machineClock } from "../host/clock.ts";
import { type Disk, findDisk, openDisk } from "../host/disk.ts";
import { printOut } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { permissionWords } from "../model/permission.ts";
import { catalogDirectory } from "../store/layout.ts";

/** Of a directory that has one: a mistyped name must not become an empty store. @throws Fault absent, wrong_state, corrupt */
async function withCatalog<T>(dataDirectory: string, act: (catalog: Catalog) => Promise<T>): Promise<T> {
  const disk = await findDisk(dataDirectory);
  await checkIsStore(disk);
  return await withCatalogOn(disk, "refuse", act);
}

/** Keys are made before the first start, so the directory may be new. */
async function withNewCatalog<T>(dataDirectory: string, act: (catalog: Catalog) => Promise<T>): Promise<T> {
  const disk = await openDisk(dataDirectory);
  await checkOurs(disk);
  return await withCatalogOn(disk, "make", act);
}

async function withCatalogOn<T>(
  disk: Disk,
  whenMissing: "make" | "refuse",
  act: (catalog: Catalog) => Promise<T>,
): Promise<T> {
  await using catalog = await openCatalog({
    disk,
    directory: catalogDirectory,
    whenMissing,
    onFailure: () => undefined,
  });
  checkCatalogFormat(catalog);
  return await act(catalog);
}

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
