/** Record batches of a topic, wherever they lie. */

import type { Uuid } from "../model/resource.ts";
import type { Catalog } from "./catalog.ts";
import { listChunks, readChunk } from "./chunk-rows.ts";
import { listTailRuns } from "./tail-rows.ts";

/** How many the catalog names. @throws Fault corrupt */
export function countBatches(catalog: Catalog, topic: Uuid): number {
  let batches = 0;
  for (const { number } of [...listChunks(catalog, topic)]) {
    for (const { kind } of readChunk(catalog, topic, number)?.batches ?? []) if (kind === "batch") batches += 1;
  }
  for (const run of listTailRuns(catalog, topic)) batches += run.batches.length;
  return batches;
}
