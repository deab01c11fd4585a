// Makes the golden data directories of this version, `node scripts/node24.mjs test/golden/make.ts`: to be run once when the format
// of the store changes, and never to be made again for a format that has been released.

import { execFileSync } from "node:child_process";
import { readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openCatalogToRead } from "../../src/catalog/catalog.ts";
import { findDisk } from "../../src/host/disk.ts";
import { storeFormatVersion } from "../../src/store/documents.ts";
import { makeCorpus } from "../care/corpus.ts";
import { archiveOf, digestsOf, goldenStates, writtenFile } from "./golden.ts";

using corpus = await makeCorpus(1);
for (const state of goldenStates) {
  const dataDir = corpus.copy(state);
  for (const name of readdirSync(dataDir)) if (/^(LOCK|(control|flight)-.*)$/.test(name)) rmSync(path.join(dataDir, name));
  rmSync(path.join(dataDir, "catalog/lock.mdb"));
  await dropRoom(dataDir);
  execFileSync("tar", ["--create", "--gzip", "--file", archiveOf(storeFormatVersion, state), "--directory", dataDir, "."]);
}
writeFileSync(writtenFile(storeFormatVersion), `${JSON.stringify(digestsOf(corpus.stored), undefined, 2)}\n`);

/** Room in the catalog's file says nothing, and would be most of the archive. */
async function dropRoom(dataDir: string): Promise<void> {
  const file = path.join(dataDir, "catalog/data.mdb");
  await using catalog = await openCatalogToRead(await findDisk(dataDir), "catalog");
  truncateSync(file, statSync(file).size - catalog.roomBytes());
}
