// Reads every row of a catalog, in a process that may die of it.

import { openCatalog } from "../../src/catalog/catalog.ts";
import { listSequences } from "../../src/catalog/resources.ts";
import { openDisk } from "../../src/host/disk.ts";

const [directory = ""] = process.argv.slice(2);
const disk = await openDisk(directory);
try {
  await using catalog = await openCatalog({ disk, directory: "catalog", onFailure: () => undefined });
  console.log([...listSequences(catalog)].length);
} catch (error) {
  console.log(String(error));
}
