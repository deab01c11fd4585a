// The second process of catalog.test.ts: counts up in a catalog that somebody else has open, once told to on stdin.

import { once } from "node:events";
import { openCatalog } from "../../src/catalog/catalog.ts";
import { openDisk } from "../../src/host/disk.ts";

const [directory = "", times = "0"] = process.argv.slice(2);
await using catalog = await openCatalog({
  disk: await openDisk(directory),
  directory: "catalog",
  onFailure: (error) => console.error(error),
});
console.log("open");
await once(process.stdin, "data");
process.stdin.destroy();
const counted: Promise<unknown>[] = [];
for (let time = 0; time < Number(times); time += 1) {
  counted.push(
    catalog.transaction(() => catalog.facts.put("count", String(Number(catalog.facts.get("count") ?? 0) + 1))),
  );
}
await Promise.all(counted);
console.log(`counted, the parent wrote ${catalog.facts.get("parent")}`);
