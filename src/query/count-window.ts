/** Counts the rows of a topic in a window: from the catalog where a batch lies wholly inside, else from its time column. */

import { unfoldedTimeBytes } from "../arrow/timestamps.ts";
import type { Budget } from "../flow/budget.ts";
import type { Topic } from "../model/resource.ts";
import { includesTime, type TimeRange, type TimeWindow, unionRange, windowCovers } from "../model/time.ts";
import { readStoredBatch, storedTimes } from "./stored-batch.ts";
import { type PlacedBatch, type ReadParts, TopicReader } from "./topic-reader.ts";

export async function countWindow(
  parts: ReadParts,
  topic: Topic,
  window: TimeWindow,
  signal: AbortSignal,
): Promise<{ rows: number; range: TimeRange | undefined }> {
  const { range: whole, rows: allRows } = topic.extent;
  if (whole !== undefined && windowCovers(window, whole)) return { rows: allRows, range: whole };
  const schemaHeader = parts.catalog.schemas.get(topic.uuid);
  if (schemaHeader === undefined) return { rows: 0, range: undefined };
  const { mergeBudget } = parts;
  await using reader = new TopicReader(parts, topic, schemaHeader);
  let rows = 0;
  let range: TimeRange | undefined;
  for await (const group of reader.groups(window)) {
    for (const placed of group) {
      if (windowCovers(window, placed.range)) {
        rows += placed.entry.rows;
        range = unionRange(range, placed.range);
        continue;
      }
      for (const timeNs of await loadTimes(reader, placed, mergeBudget, signal)) {
        if (!includesTime(window, timeNs)) continue;
        rows += 1;
        range = unionRange(range, { startNs: timeNs, endNs: timeNs });
      }
    }
  }
  return { rows, range };
}

/** The times of a batch. How long a compressed column is shows only when the batch is there; then it is loaded once more. */
async function loadTimes(
  reader: TopicReader,
  placed: PlacedBatch,
  budget: Budget,
  signal: AbortSignal,
): Promise<BigInt64Array> {
  const { limitBytes } = budget;
  const place = reader.placeOf(placed);
  for (let bytes = placed.entry.bodyBytes; ; ) {
    using held = await budget.take(Math.min(bytes, limitBytes), signal);
    const batch = readStoredBatch(place, reader.schema, await reader.load(placed));
    const unfolded = unfoldedTimeBytes(reader.schema, batch, limitBytes);
    bytes = batch.body.byteLength + unfolded;
    if (unfolded === 0 || Math.min(bytes, limitBytes) <= held.bytes) return storedTimes(place, reader.schema, batch);
  }
}
