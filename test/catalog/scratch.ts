// A catalog in a folder of its own that goes away with the test.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Space } from "../../src/care/space.ts";
import { type Catalog, openCatalog } from "../../src/catalog/catalog.ts";
import { machineClock } from "../../src/host/clock.ts";
import { openDisk } from "../../src/host/disk.ts";
import { openLog } from "../../src/host/log.ts";

export interface Scratch extends AsyncDisposable {
  /** The data directory; the catalog lies below. */
  readonly directory: string;
  readonly catalog: Catalog;
  /** What the catalog reported as failed commits. */
  readonly failures: readonly unknown[];
  /** Closes the catalog and opens it again. */
  reopen(): Promise<Catalog>;
}

export async function openScratch(parent: string = tmpdir()): Promise<Scratch> {
  const directory = mkdtempSync(path.join(parent, "mosaico-edge-catalog-"));
  const failures: unknown[] = [];
  const open = async (): Promise<Catalog> =>
    await openCatalog({
      disk: await openDisk(directory),
      directory: "catalog",
      onFailure: (error) => failures.push(error),
    });
  let catalog = await open();
  return {
    directory,
    get catalog() {
      return catalog;
    },
    failures,
    async reopen() {
      await catalog[Symbol.asyncDispose]();
      catalog = await open();
      return catalog;
    },
    async [Symbol.asyncDispose]() {
      await catalog[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What lets rows in on this machine's disk, however little is free. */
export async function openSpace({ directory, catalog }: Scratch): Promise<Space> {
  const disk = await openDisk(directory);
  return new Space({
    disk,
    clock: machineClock(),
    log: openLog("error"),
    catalog,
    floorBytes: 1,
    quotaBytes: undefined,
    unstoredBytes: () => 0,
  });
}
