/** Counts the rows of a topic in a window: from the catalog where a batch lies wholly inside, else from its time column. */

import type { Topic } from "../model/resource.ts";
import { includesTime, type TimeRange, type TimeWindow, unionRange, windowCovers } from "../model/time.ts";
import { readStoredBatch, storedTimes } from "./stored-batch.ts";
import { type ReadParts, TopicReader } from "./topic-reader.ts";

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
      using _held = await mergeBudget.take(Math.min(placed.entry.bodyBytes, mergeBudget.limitBytes), signal);
      const place = reader.placeOf(placed);
      const batch = readStoredBatch(place, reader.schema, await reader.load(placed));
      for (const timeNs of storedTimes(place, reader.schema, batch)) {
        if (!includesTime(window, timeNs)) continue;
        rows += 1;
        range = unionRange(range, { startNs: timeNs, endNs: timeNs });
      }
    }
  }
  return { rows, range };
}
