// A catalog in a folder of its own that goes away with the test.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Catalog, openCatalog } from "../../src/catalog/catalog.ts";

export interface Scratch extends AsyncDisposable {
  readonly directory: string;
  readonly catalog: Catalog;
  /** What the catalog reported as failed commits. */
  readonly failures: readonly unknown[];
  /** Closes the catalog and opens it again. */
  reopen(): Promise<Catalog>;
}

export function openScratch(): Scratch {
  const directory = mkdtempSync(path.join(tmpdir(), "mosaico-edge-catalog-"));
  const failures: unknown[] = [];
  const open = (): Catalog => openCatalog(directory, (error) => failures.push(error));
  let catalog = open();
  return {
    directory,
    get catalog() {
      return catalog;
    },
    failures,
    async reopen() {
      await catalog[Symbol.asyncDispose]();
      catalog = open();
      return catalog;
    },
    async [Symbol.asyncDispose]() {
      await catalog[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
