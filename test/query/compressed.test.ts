// Compressed batches that have to be cut: what they unfold to is taken from the memory of merges before it is there, however few
// bytes they are, and other calls go on meanwhile. Whole ones pass as they are.

import { expect, test } from "vitest";
import type { Budget } from "../../src/flow/budget.ts";
import { everything } from "../../src/model/time.ts";
import { countWindow } from "../../src/query/count-window.ts";
import { TopicReader } from "../../src/query/topic-reader.ts";
import { decodeRows, payloadBytes, type Row, type Stored, store } from "./stored.ts";

const MiB = 2 ** 20;
const batchRows = 32_768;
const unfoldedBytes = batchRows * (payloadBytes + 8);
const rowsOf = (batch: number, step = 1): Row[] =>
  Array.from({ length: batchRows }, (_none, row) => ({
    timeNs: BigInt((batch * batchRows + row) * step),
    id: batch * batchRows + row,
  }));
const never = AbortSignal.timeout(60_000);

/** Numbers of the rows in the order in which they come. */
async function readIds(stored: Stored, window: { startNs: bigint; endNs: bigint }): Promise<number[]> {
  await using reader = new TopicReader(stored.parts, stored.topic, stored.schemaHeader);
  const ids: number[] = [];
  for await (const message of reader.messages(window, never)) {
    for (const { id } of await decodeRows(message, () => Number.POSITIVE_INFINITY)) ids.push(id);
  }
  return ids;
}

test("a batch that unfolds to more than merges may hold is refused when it is cut, with both numbers", async () => {
  const mergeBytes = 8 * MiB;
  await using stored = await store([[rowsOf(0)]], { mergeBytes, sendBytes: 8 * MiB }, "zstd");
  const before = process.memoryUsage().arrayBuffers;
  await expect(readIds(stored, { startNs: 5n, endNs: 50n })).rejects.toMatchObject({
    code: "overloaded",
    message: expect.stringMatching(
      new RegExp(`${mergeBytes} bytes that there are for merges.*unfolds to ${batchRows * payloadBytes} bytes`),
    ),
  });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MiB);
  expect(stored.parts.mergeBudget.use().heldBytes).toBe(0);
  // Counting takes the times alone, and whole batches pass.
  expect((await countWindow(stored.parts, stored.topic, { startNs: 5n, endNs: 50n }, never)).rows).toBe(45);
  await using reader = new TopicReader(stored.parts, stored.topic, stored.schemaHeader);
  let messages = 0;
  for await (const { bodyBytes } of reader.messages(everything, never)) {
    expect(bodyBytes).toBeLessThan(MiB);
    messages += 1;
  }
  expect(messages).toBe(1);
});

test("readers that cut at once take turns, and each gets its rows", async () => {
  const mergeBytes = 32 * MiB;
  await using stored = await store([[rowsOf(0), rowsOf(1)]], { mergeBytes, sendBytes: 64 * MiB }, "zstd");
  const { mergeBudget } = stored.parts;
  const watched = watch(mergeBudget);
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const window = { startNs: BigInt(batchRows - 1_000), endNs: BigInt(batchRows + 1_000) };
  const found = await Promise.all(Array.from({ length: 6 }, () => readIds(stored, window)));
  clearInterval(timer);
  const expected = Array.from({ length: 2_000 }, (_none, index) => batchRows - 1_000 + index);
  for (const ids of found) expect(ids).toEqual(expected);
  expect(watched.mostTaken).toBeGreaterThan(unfoldedBytes);
  expect(turns).toBeGreaterThan(20);
});

test("compressed batches that overlap are merged in slices of what they unfold to", async () => {
  const batches = Array.from({ length: 3 }, (_none, batch) =>
    rowsOf(0).map(({ timeNs, id }) => ({ timeNs: 3n * timeNs + BigInt(batch), id: 3 * id + batch })),
  );
  await using stored = await store([batches], { mergeBytes: 40 * MiB, sendBytes: 64 * MiB }, "zstd");
  const ids = await readIds(stored, everything);
  expect(ids).toHaveLength(3 * batchRows);
  expect(ids.every((id, index) => id === index)).toBe(true);
}, 60_000);

/** The most that was taken at once. */
function watch(budget: Budget): { mostTaken: number } {
  const seen = { mostTaken: 0 };
  const take = budget.take.bind(budget);
  budget.take = async (bytes, signal, wanted) => {
    seen.mostTaken = Math.max(seen.mostTaken, bytes);
    return await take(bytes, signal, wanted);
  };
  return seen;
}
