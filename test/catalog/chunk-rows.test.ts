// Rows of chunks: packed bytes that are pinned, entries that come in commits, and sealing that makes one row of them.

import { describe, expect, test } from "vitest";
import type { Catalog } from "../../src/catalog/catalog.ts";
import {
  decodeChunk,
  encodeChunk,
  listChunks,
  putChunk,
  readChunk,
  removeChunks,
} from "../../src/catalog/chunk-rows.ts";
import type { BatchEntry, ChunkSummary } from "../../src/model/chunk.ts";
import type { Uuid } from "../../src/model/resource.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { openScratch } from "./scratch.ts";

const topic = "44444444-4444-4444-8444-444444444444" as Uuid;
const other = "55555555-5555-4555-8555-555555555555" as Uuid;

const summaryOf = (number: number, entries: number, changes: Partial<ChunkSummary> = {}): ChunkSummary => ({
  number,
  sealed: false,
  bytes: 100 * entries,
  rows: 10 * entries,
  entries,
  range: undefined,
  ...changes,
});
const entryOf = (offset: number): BatchEntry => ({
  kind: "batch",
  offset,
  metadataBytes: 8,
  bodyBytes: 16,
  rows: 10,
  crc32: offset,
  sorted: true,
  range: { startNs: BigInt(offset), endNs: BigInt(offset) + 9n },
});
const entriesOf = (first: number, count: number): BatchEntry[] =>
  Array.from({ length: count }, (_none, index) => entryOf(first + index));

describe("bytes", () => {
  test("the layout of an open chunk", () => {
    const summary = summaryOf(3, 258, { bytes: 1, rows: 2, range: { startNs: -1n, endNs: 2n ** 63n - 1n } });
    expect(Buffer.from(encodeChunk(summary, [])).toString("hex")).toBe(
      `01020000${"02010000"}${"000000000000f03f"}${"0000000000000040"}${"ffffffffffffffff"}${"ffffffffffffff7f"}`,
    );
    expect(decodeChunk(3, encodeChunk(summary, []))).toEqual(summary);
  });

  test("a sealed chunk has its entries behind", () => {
    const summary = summaryOf(0, 2, { sealed: true });
    const bytes = encodeChunk(summary, entriesOf(1, 2));
    expect(bytes[1]).toBe(1);
    expect(bytes.byteLength).toBe(40 + 2 * 48);
    expect(decodeChunk(0, bytes)).toEqual(summary);
  });

  test.each([
    ["nothing", new Uint8Array(0), "0 bytes of version undefined"],
    ["too little", new Uint8Array(39).fill(1), "39 bytes of version 1"],
    ["a version of tomorrow", new Uint8Array(40).fill(2), "40 bytes of version 2"],
  ])("%s is corrupt", (_title, bytes, found) => {
    expect(() => decodeChunk(7, bytes)).toThrow(
      expect.objectContaining({
        code: "corrupt",
        message: `Cannot read the row of chunk 7: ${found}, expected at least 40 of version 1`,
      }),
    );
  });
});

describe("an open chunk", () => {
  test("has the entries of all its commits", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() =>
      putChunk(catalog, topic, { summary: summaryOf(0, 2), first: 0, batches: entriesOf(0, 2) }),
    );
    await catalog.transaction(() =>
      putChunk(catalog, topic, { summary: summaryOf(0, 5), first: 2, batches: entriesOf(2, 3) }),
    );
    await catalog.transaction(() =>
      putChunk(catalog, topic, { summary: summaryOf(0, 5, { bytes: 9 }), first: 5, batches: [] }),
    );
    expect(readChunk(catalog, topic, 0)).toEqual({ ...summaryOf(0, 5, { bytes: 9 }), batches: entriesOf(0, 5) });
    expect(catalog.batches.count()).toBe(2);
  });

  test("with entries missing is corrupt", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() =>
      putChunk(catalog, topic, { summary: summaryOf(4, 3), first: 0, batches: entriesOf(0, 2) }),
    );
    expect(() => readChunk(catalog, topic, 4)).toThrow(
      expect.objectContaining({
        code: "corrupt",
        message: "Cannot read chunk 4 of a topic: the catalog has 2 of its 3 batches",
      }),
    );
  });

  test("that is sealed becomes one row", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    const sealed = summaryOf(0, 4, { sealed: true, range: { startNs: 0n, endNs: 12n } });
    await catalog.transaction(() => {
      putChunk(catalog, topic, { summary: summaryOf(0, 2), first: 0, batches: entriesOf(0, 2) });
      putChunk(catalog, topic, { summary: summaryOf(1, 1), first: 0, batches: entriesOf(7, 1) });
    });
    await catalog.transaction(() => putChunk(catalog, topic, { summary: sealed, first: 0, batches: entriesOf(0, 4) }));
    expect(readChunk(catalog, topic, 0)).toEqual({ ...sealed, batches: entriesOf(0, 4) });
    expect(readChunk(catalog, topic, 1)?.batches).toEqual(entriesOf(7, 1));
    expect(catalog.batches.count()).toBe(1);
  });
});

test("a chunk that is not there is undefined", async () => {
  await using scratch = await openScratch();
  expect(readChunk(scratch.catalog, topic, 0)).toBeUndefined();
  expect([...listChunks(scratch.catalog, topic)]).toEqual([]);
});

test("chunks are listed in the order of their numbers, and removed with their entries, topic by topic", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  await catalog.transaction(() => {
    for (const number of [11, 2, 300, 0])
      putChunk(catalog, topic, { summary: summaryOf(number, 1), first: 0, batches: entriesOf(number, 1) });
    putChunk(catalog, other, { summary: summaryOf(1, 1), first: 0, batches: entriesOf(9, 1) });
  });
  expect([...listChunks(catalog, topic)].map(({ number }) => number)).toEqual([0, 2, 11, 300]);
  await catalog.transaction(() => removeChunks(catalog, topic));
  expect([...listChunks(catalog, topic)]).toEqual([]);
  expect(readChunk(catalog, other, 1)?.batches).toEqual(entriesOf(9, 1));
  expect([catalog.chunks.count(), catalog.batches.count()]).toEqual([1, 1]);
});

/** What should be in the catalog, kept in plain arrays. */
class Model {
  readonly chunks = new Map<number, { summary: ChunkSummary; entries: BatchEntry[] }>();

  expectIn(catalog: Catalog): void {
    const listed = [...this.chunks.values()].map(({ summary }) => summary).sort((a, b) => a.number - b.number);
    expect([...listChunks(catalog, topic)]).toEqual(listed);
    for (const [number, { summary, entries }] of this.chunks) {
      expect(readChunk(catalog, topic, number)).toEqual({ ...summary, batches: entries });
    }
  }
}

test("random commits leave what a plain list has, also after closing and opening", async () => {
  const random = new Random("chunk rows: commits");
  const coverage = new Coverage("chunk rows: commits", [
    "grown",
    "sealed",
    "sealed with new entries",
    "begun",
    "removed",
  ]);
  await using scratch = await openScratch();
  let { catalog } = scratch;
  const model = new Model();
  for (let step = 0; step < 200; step += 1) {
    const open = [...model.chunks.values()].find(({ summary }) => !summary.sealed);
    const number = open?.summary.number ?? model.chunks.size;
    const before = open?.entries ?? [];
    const added = entriesOf(1_000 * number + before.length, random.below(5));
    const entries = [...before, ...added];
    const sealed = random.chance(0.2);
    const summary = summaryOf(number, entries.length, {
      sealed,
      bytes: random.below(2 ** 48),
      range: entries.length === 0 ? undefined : { startNs: random.int64(), endNs: random.int64() },
    });
    const first = sealed ? 0 : before.length;
    await catalog.transaction(() => putChunk(catalog, topic, { summary, first, batches: entries.slice(first) }));
    model.chunks.set(number, { summary, entries });
    coverage.hit(
      open === undefined ? "begun" : sealed ? (added.length > 0 ? "sealed with new entries" : "sealed") : "grown",
    );
    if (random.chance(0.03)) {
      await catalog.transaction(() => removeChunks(catalog, topic));
      model.chunks.clear();
      expect([catalog.chunks.count(), catalog.batches.count()]).toEqual([0, 0]);
      coverage.hit("removed");
    }
    model.expectIn(catalog);
    if (step % 50 === 49) {
      catalog = await scratch.reopen();
      model.expectIn(catalog);
    }
  }
  coverage.check();
});
