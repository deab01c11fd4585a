// A clock that stood still while one batch overlaps the others: rows of one time cannot be told apart by windows, and are still
// read in a memory that does not depend on how many they are.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { timeNsMax, timeNsMin } from "../../src/model/time.ts";
import { TopicReader } from "../../src/query/topic-reader.ts";
import { decodeRows, payloadBytes, type Row, store } from "./stored.ts";

test("rows of one time are merged within the budget", async () => {
  const mergeBytes = 4 * 2 ** 20;
  const batchRows = 2_048;
  const batches: Row[][] = Array.from({ length: 40 }, (_none, batch) =>
    Array.from({ length: batchRows }, (_none, row) => ({ timeNs: 0n, id: batch * batchRows + row })),
  );
  // The clock stands at 0 but for one row in the first batch.
  const last = batches[0]?.at(-1);
  if (last !== undefined) batches[0]?.splice(-1, 1, { ...last, timeNs: 100n });
  await using stored = await store([batches], { mergeBytes, sendBytes: 8 * 2 ** 20 });
  await using reader = new TopicReader(stored.parts, stored.topic, stored.schemaHeader);
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let rows = 0;
  for await (const message of reader.messages({ startNs: timeNsMin, endNs: timeNsMax }, AbortSignal.timeout(15_000))) {
    rows += (await decodeRows(message, () => Number.POSITIVE_INFINITY)).length;
    collect();
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(rows).toBe(40 * batchRows);
  expect(most, `bytes of buffers, of ${40 * batchRows * payloadBytes} in the topic`).toBeLessThan(6 * mergeBytes);
});
