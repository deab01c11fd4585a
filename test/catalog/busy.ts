// The busy neighbour of lmdb-file.test.ts: commits again and again into a catalog, in all corners of two tables, until it is killed.

import { openCatalog } from "../../src/catalog/catalog.ts";
import { openDisk } from "../../src/host/disk.ts";

const [directory = ""] = process.argv.slice(2);
await using catalog = await openCatalog({
  disk: await openDisk(directory),
  directory: "catalog",
  onFailure: (error) => console.error(error),
});
// Whoever is to kill it may be gone.
setTimeout(() => process.exit(1), 120_000);
for (let round = 0; ; round += 1) {
  await catalog.transaction(() => {
    for (let row = 0; row < 40; row += 1) {
      const key = `key-${(round * 7_919 + row * 104_729) % 5_000}`;
      catalog.facts.put(key, "x".repeat(100 + (round % 300)));
      catalog.dialects.put([key, ""], "y".repeat(round % 200));
    }
  });
  if (round === 200) console.log("busy");
}
