/** Whose directory this is, and of which format: what every command looks at before it opens, or makes, anything. */

import type { Catalog } from "../catalog/catalog.ts";
import { readStoreFacts } from "../catalog/store-facts.ts";
import type { Disk } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import { isUlid } from "../model/resource.ts";
import { readStoreFormat, storeFormatVersion } from "../store/documents.ts";
import {
  bundlesDirectory,
  catalogDirectory,
  catalogFile,
  sessionsDirectory,
  storeFile,
  tailDirectory,
  tailNumberOf,
} from "../store/layout.ts";
import { listDirectory } from "./directory.ts";

/**
 * For commands that look after a store that is there.
 * @throws Fault absent (no store), wrong_state (of a newer format)
 */
export async function checkIsStore(disk: Disk): Promise<void> {
  const isOurs = (await isThere(disk, storeFile)) || (await isThere(disk, catalogDirectory));
  if (!isOurs && (await listData(disk)).length === 0)
    throw new Fault(
      "absent",
      `${disk.root} is no data directory of mosaico-edge: it has no ${storeFile}, no catalog and no sessions`,
    );
  await checkFormat(disk);
}

/**
 * For commands that make a store where there is none: what is not empty and has neither `store.json` nor a catalog belongs to
 * somebody else, and a new catalog in place of a lost one would know nothing of what is there.
 * @throws Fault wrong_state, corrupt (sessions without a catalog)
 */
export async function checkOurs(disk: Disk): Promise<void> {
  await checkFormat(disk);
  const found = await disk.stateOf(catalogFile);
  const data = await listData(disk);
  if ((found === undefined || found.bytes === 0) && data.length > 0) {
    const what = found === undefined ? "missing" : "empty";
    throw new Fault(
      "corrupt",
      `The catalog of ${disk.root} is ${what}, but there are ${data.length} sessions and tail logs on disk: mosaico-edge rebuild makes another catalog of them. Nothing was touched.`,
    );
  }
  // One look for all names: another command may be making the store at this moment.
  const all = await disk.list(".");
  if (all.includes(storeFile) || all.includes(catalogDirectory)) return;
  // A disk of its own has this from the day it was made; bundles may come before anything else.
  const names = all.filter((name) => name !== "lost+found" && name !== bundlesDirectory);
  if (names.length === 0) return;
  const shown = names.slice(0, 5).join(", ");
  throw new Fault(
    "wrong_state",
    `${disk.root} is no data directory: it has no ${storeFile} and no ${catalogDirectory}, but ${shown}. Expected an empty directory or one of mosaico-edge. Nothing was touched.`,
  );
}

async function isThere(disk: Disk, path: string): Promise<boolean> {
  return (await disk.stateOf(path)) !== undefined;
}

/** Paths of what a store without a catalog and a document is known by. */
async function listData(disk: Disk): Promise<string[]> {
  const sessions = await listDirectory(disk, sessionsDirectory);
  const logs = await listDirectory(disk, tailDirectory);
  return [
    ...sessions.filter(isUlid).map((name) => `${sessionsDirectory}/${name}`),
    ...logs.filter((name) => tailNumberOf(name) !== undefined).map((name) => `${tailDirectory}/${name}`),
  ];
}

/** A document that is not as it was written says nothing: that is damage, and not for here. */
async function checkFormat(disk: Disk): Promise<void> {
  if ((await disk.stateOf(storeFile))?.kind !== "file") return;
  const format = readStoreFormat(await disk.readText(storeFile), storeFile);
  if (format !== undefined && format > storeFormatVersion) throw newerFormat(format);
}

/** @throws Fault wrong_state when a newer program has made the catalog */
export function checkCatalogFormat(catalog: Catalog): void {
  let format: number | undefined;
  try {
    format = readStoreFacts(catalog)?.format;
  } catch (error) {
    // A damaged row is a finding.
    if (!(error instanceof Fault)) throw error;
  }
  if (format !== undefined && format > storeFormatVersion) throw newerFormat(format);
}

export function newerFormat(found: number): Fault {
  return new Fault(
    "wrong_state",
    `The data directory has format ${found}, this program reads up to ${storeFormatVersion}. Use the newer program. Nothing was touched.`,
  );
}
