// Reading a topic in the order of its times, out of chunk files on a real disk, against a plain sort: whatever the order of the
// upload, the window, the memory, and the client's pace.

import { describe, expect, test } from "vitest";
import { readMessage } from "../../src/arrow/message.ts";
import { listChunks, readChunk, removeChunks } from "../../src/catalog/chunk-rows.ts";
import { Fault } from "../../src/model/fault.ts";
import { includesTime, type TimeWindow, timeNsMax, timeNsMin, unionRange } from "../../src/model/time.ts";
import { countWindow } from "../../src/query/count-window.ts";
import { type OutgoingMessage, TopicReader } from "../../src/query/topic-reader.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { encodeBatch, encodeSchema, timestamps } from "../serve/malformed/columns.ts";
import { decodeRows, type Row, type Stored, store, storeBatches } from "./stored.ts";

const never = new AbortController().signal;
const everything: TimeWindow = { startNs: timeNsMin, endNs: timeNsMax };
const MiB = 2 ** 20;
const memory = { mergeBytes: 8 * MiB, sendBytes: 8 * MiB };

const byTime = (rows: readonly Row[]): Row[] =>
  rows.toSorted((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : a.id - b.id));
const rowsAt = (...times: readonly number[]): Row[] => times.map((time, id) => ({ timeNs: BigInt(time), id }));

/** All rows of the messages, and how many messages there were. */
async function readAll(
  stored: Stored,
  window: TimeWindow,
  options: { pieceBytes?: () => number; between?: () => Promise<void> } = {},
): Promise<{ rows: Row[]; messages: number }> {
  await using reader = new TopicReader(stored.parts, stored.topic, stored.schemaHeader);
  const rows: Row[] = [];
  let messages = 0;
  for await (const message of reader.messages(window, never)) {
    const found = await decodeRows(message, options.pieceBytes ?? (() => Number.POSITIVE_INFINITY));
    expect(found.length, "a message without rows ends the stream for every SDK").toBeGreaterThan(0);
    rows.push(...found);
    messages += 1;
    await options.between?.();
  }
  return { rows, messages };
}

function expectSorted(rows: readonly Row[], wanted: readonly Row[]): void {
  for (const [index, { timeNs }] of rows.entries()) {
    const before = rows[index - 1];
    if (before !== undefined && before.timeNs > timeNs) throw new Error(`row ${index} is earlier than the one before`);
  }
  expect(byTime(rows)).toEqual(byTime(wanted));
}

describe("what passes as it lies on disk", () => {
  test("sorted and disjoint batches, one message each, in the order of their times", async () => {
    const rows = rowsAt(5, 6, 7, 1, 2, 3, 9);
    await using stored = await store([[rows.slice(0, 3), rows.slice(3, 6)], [rows.slice(6)]], memory);
    const read = await readAll(stored, everything);
    expect(read.rows.map(({ id }) => id)).toEqual([3, 4, 5, 0, 1, 2, 6]);
    expect(read.messages).toBe(3);
    expect(stored.parts.mergeBudget.use()).toMatchObject({ heldBytes: 0, waitsTotal: 0 });
  });

  test("needs no memory for merges, however little there is", async () => {
    await using stored = await store([[rowsAt(1, 2, 3)]], memory);
    using _all = await stored.parts.mergeBudget.take(memory.mergeBytes, never);
    expect((await readAll(stored, everything)).rows).toHaveLength(3);
  });

  test("bytes that changed on disk are found out", async () => {
    await using stored = await store([[rowsAt(1, 2, 3)]], memory);
    const file = await stored.parts.disk.openWritable("sessions/01A/0/00000.arrow");
    // Inside the payload of the only batch: its file ends with the footer.
    await file.write([Uint8Array.of(255)], 824);
    await file.close();
    await expect(readAll(stored, everything)).rejects.toMatchObject({ code: "corrupt" });
  });
});

describe("what does not lie on disk as it was written is corrupt, and never the reader's fault", () => {
  const windows: readonly TimeWindow[] = [everything, { startNs: 2n, endNs: 3n }];
  const chunkPath = "sessions/01A/0/00000.arrow";
  const oneBatch = [[rowsAt(1, 2, 3)]];

  test.each(windows)("a chunk file that is missing, unless its topic was deleted: %o", async (window) => {
    await using stored = await store(oneBatch, memory);
    await stored.parts.disk.remove(chunkPath);
    const expected = { code: "corrupt", message: "Cannot read chunk 0 of `s/t`: its file is missing" };
    await expect(readAll(stored, window)).rejects.toMatchObject(expected);
    // The rows go first, then the files; a reader may have met the rows just before.
    const { catalog } = stored.parts;
    await using reader = new TopicReader(stored.parts, stored.topic, stored.schemaHeader);
    const groups = await Array.fromAsync(reader.groups(window));
    await catalog.transaction(() => removeChunks(catalog, stored.topic.uuid));
    const [[placed] = []] = groups;
    if (placed === undefined) throw new Error("the window has a batch");
    await expect(reader.load(placed)).rejects.toMatchObject({ code: "absent" });
  });

  test("a header that is none", async () => {
    await using stored = await store(oneBatch, memory);
    const file = await stored.parts.disk.openWritable(chunkPath);
    const [chunk] = [...listChunks(stored.parts.catalog, stored.topic.uuid)];
    const entry = readChunk(stored.parts.catalog, stored.topic.uuid, chunk?.number ?? 0)?.batches[0];
    // Behind the prefix of the frame, which stays as it is.
    await file.write([new Uint8Array((entry?.metadataBytes ?? 8) - 8).fill(255)], (entry?.offset ?? 0) + 8);
    await file.close();
    for (const window of windows) await expect(readAll(stored, window)).rejects.toMatchObject({ code: "corrupt" });
  });

  test.each(["content", "length"] as const)("a compressed time column whose %s is garbage", async (what) => {
    const { header, body } = encodeBatch([timestamps], 3, { compression: "zstd", random: () => 0.5 });
    const message = readMessage(header);
    if (message.kind !== "batch") throw new Error("a batch was encoded");
    const [at = 0, length = 0] = [message.lists.bufferOffsets.at(-1), message.lists.bufferLengths.at(-1)];
    if (what === "content") body.fill(255, at + 8, at + length);
    else body.fill(127, at, at + 7);
    const facts = { kind: "batch", rows: 3, sorted: false, range: { startNs: 1n, endNs: 3n } } as const;
    await using stored = await storeBatches(encodeSchema([timestamps]), [[{ header, body, facts }]], memory);
    const [, window = everything] = windows;
    await expect(countWindow(stored.parts, stored.topic, window, never)).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringMatching(/^Cannot read chunk 0 of `s\/t` at \d+: A (compressed )?buffer /),
    });
    // A whole batch may be too large to be cut, so what an absurd length means there nobody knows.
    await expect(readAll(stored, window)).rejects.toMatchObject({
      code: what === "content" ? "corrupt" : "overloaded",
    });
  });
});

describe("windows", () => {
  const rows = rowsAt(10, 20, 30, 40, 40, 50);
  test.each<[string, TimeWindow, number[]]>([
    ["start is in, end is out", { startNs: 20n, endNs: 40n }, [1, 2]],
    ["between rows", { startNs: 21n, endNs: 29n }, []],
    ["empty", { startNs: 20n, endNs: 20n }, []],
    ["inverted", { startNs: 40n, endNs: 20n }, []],
    ["one nanosecond", { startNs: 40n, endNs: 41n }, [3, 4]],
    ["before all", { startNs: timeNsMin, endNs: 10n }, []],
    ["behind all", { startNs: 51n, endNs: timeNsMax }, []],
    ["from the last row on", { startNs: 50n, endNs: timeNsMax }, [5]],
    ["everything", everything, [0, 1, 2, 3, 4, 5]],
  ])("%s", async (_title, window, ids) => {
    await using stored = await store([[rows.slice(0, 4), rows.slice(4)]], memory);
    const read = await readAll(stored, window);
    expect(read.rows.map(({ id }) => id)).toEqual(ids);
    const counted = await countWindow(stored.parts, stored.topic, window, never);
    expect(counted.rows).toBe(ids.length);
  });

  test("a last row at 2^63-1 is in a window without end, merged or not", async () => {
    const last = { timeNs: timeNsMax, id: 9 };
    for (const chunks of [[[[...rows, last]]], [[[last, ...rows]]], [[rows], [[rows[0] ?? last, last]]]]) {
      await using stored = await store(chunks, memory);
      for (const startNs of [timeNsMin, 50n, timeNsMax]) {
        const read = await readAll(stored, { startNs, endNs: timeNsMax });
        expect(read.rows.at(-1)).toEqual(last);
      }
      expect((await readAll(stored, { startNs: timeNsMax, endNs: timeNsMax })).rows).toEqual([last]);
    }
  });
});

test("random uploads come back sorted and whole: any order, window, memory and pace", async () => {
  const random = new Random("topic reader: uploads");
  const coverage = new Coverage("topic reader: uploads", [
    "sorted upload",
    "shuffled upload",
    "many equal times",
    "times from end to end of int64",
    "times far apart",
    "window cuts",
    "window of everything",
    "several messages",
    "memory taken back while the client read",
    "no memory to send with",
    "no rows",
  ]);
  for (let round = 0; round < 40; round += 1) {
    const count = random.pick([0, 1, 50, 400, 3_000, 3_000]);
    const spread = random.pick(["ties", "int64", "exponential", "even"] as const);
    const timeOf = (index: number): bigint => {
      if (spread === "ties") return BigInt(random.below(7));
      if (spread === "int64") return random.int64();
      if (spread === "exponential") return 2n ** BigInt(random.below(60));
      return BigInt(index) * 1_000_000n;
    };
    let rows = Array.from({ length: count }, (_none, id): Row => ({ timeNs: timeOf(id), id }));
    const shuffled = random.chance(0.6);
    rows = shuffled ? rows.toSorted(() => random.next() - 0.5) : byTime(rows);
    const batches: Row[][] = [];
    for (let at = 0; at < rows.length; ) {
      const length = 1 + random.below(Math.max(1, count / 4));
      batches.push(rows.slice(at, at + length));
      at += length;
    }
    const chunks =
      batches.length < 2 ? [batches] : [batches.slice(0, 2), batches.slice(2)].filter(({ length }) => length > 0);
    const starved = random.chance(0.3);
    await using stored = await store(chunks, { mergeBytes: 2 * MiB, sendBytes: starved ? 1 : 8 * MiB });
    const bounds = [...rows.map(({ timeNs }) => timeNs), 0n];
    const ends = [random.pick(bounds), random.pick([...bounds, timeNsMax])] as const;
    const inOrder = ends[0] <= ends[1] || random.chance(0.1);
    const window = random.chance(0.5) ? everything : { startNs: ends[inOrder ? 0 : 1], endNs: ends[inOrder ? 1 : 0] };
    const wanted = rows.filter(
      ({ timeNs }) => includesTime(window, timeNs) && !(window.startNs >= window.endNs && window.endNs !== timeNsMax),
    );
    const { mergeBudget } = stored.parts;
    const read = await readAll(stored, window, {
      pieceBytes: () => random.pick([1_000, 70_000, Number.POSITIVE_INFINITY]),
      async between() {
        if (!random.chance(0.2)) return;
        const before = mergeBudget.use().heldBytes;
        // Somebody else wants all of the memory while the client has not asked for more.
        using _all = await mergeBudget.take(mergeBudget.limitBytes, AbortSignal.timeout(5_000));
        if (before > 0) coverage.hit("memory taken back while the client read");
      },
    });
    const what = `round ${round}: ${count} rows, ${spread}, ${shuffled ? "shuffled" : "sorted"}, window ${window.startNs}..${window.endNs}`;
    try {
      expectSorted(read.rows, wanted);
      const counted = await countWindow(stored.parts, stored.topic, window, never);
      let range: { startNs: bigint; endNs: bigint } | undefined;
      for (const { timeNs } of wanted) range = unionRange(range, { startNs: timeNs, endNs: timeNs });
      expect(counted).toEqual({ rows: wanted.length, range });
    } catch (error) {
      throw new Error(`${what}: ${error}`, { cause: error });
    }
    expect(mergeBudget.use()).toMatchObject({ heldBytes: 0, waiting: 0 });
    expect(stored.parts.sendBudget.use()).toMatchObject({ heldBytes: 0, waiting: 0 });
    coverage.hit(shuffled ? "shuffled upload" : "sorted upload");
    if (spread === "ties") coverage.hit("many equal times");
    if (spread === "int64") coverage.hit("times from end to end of int64");
    if (spread === "exponential") coverage.hit("times far apart");
    coverage.hit(window === everything ? "window of everything" : "window cuts");
    if (read.messages > 1) coverage.hit("several messages");
    if (wanted.length === 0) coverage.hit("no rows");
    if (starved && read.messages > 1) coverage.hit("no memory to send with");
  }
  coverage.check();
}, 30_000);

describe("a reader that goes away", () => {
  // Interleaved: both batches are merged, in several messages.
  const chunks = [0, 1].map((odd) => [
    Array.from({ length: 2_000 }, (_none, index) => ({ timeNs: BigInt(2 * index + odd), id: 2 * index + odd })),
  ]);

  test("gives back what it held", async () => {
    await using stored = await store(chunks, { mergeBytes: 8 * MiB, sendBytes: 128 * 1024 });
    const reader = new TopicReader(stored.parts, stored.topic, stored.schemaHeader);
    const messages = reader.messages(everything, never);
    const first = (await messages.next()).value as OutgoingMessage | undefined;
    expect(first?.bodyBytes).toBeGreaterThan(0);
    expect(stored.parts.mergeBudget.use().heldBytes).toBeGreaterThan(0);
    await messages.return(undefined);
    await reader[Symbol.asyncDispose]();
    expect(stored.parts.mergeBudget.use().heldBytes).toBe(0);
    expect(stored.parts.sendBudget.use().heldBytes).toBe(0);
  });

  test("while it waits for memory is cancelled", async () => {
    await using stored = await store(chunks, memory);
    await using reader = new TopicReader(stored.parts, stored.topic, stored.schemaHeader);
    using _all = await stored.parts.mergeBudget.take(memory.mergeBytes, never);
    const abort = new AbortController();
    const next = reader.messages(everything, abort.signal).next();
    setImmediate(() => abort.abort(new Fault("cancelled", "The client is gone.")));
    await expect(next).rejects.toMatchObject({ code: "cancelled" });
    expect(stored.parts.mergeBudget.use()).toMatchObject({ heldBytes: memory.mergeBytes, waiting: 0 });
  });
});
