// A stored topic as an upload, from any row on and for remotes that take more or less at once: the rows are those that were stored,
// each once and in order, and no message is larger than the remote takes.

import { expect, test } from "vitest";
import { readBatch } from "../../src/arrow/batch.ts";
import { decompressBatch } from "../../src/arrow/compression.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { countMessages, type StreamLimits, type StreamParts, topicStream } from "../../src/sync/topic-stream.ts";
import { readFlightData } from "../../src/wire/flight-data.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { payloadBytes, type Row, type Stored, schema, store } from "../query/stored.ts";

const never = AbortSignal.timeout(60_000);
const memory = { mergeBytes: 2 ** 24, sendBytes: 2 ** 24 };
/** Bytes that are kept free around a body. */
const frameBytes = 65_536;

function idsOf(header: Uint8Array, body: Uint8Array): number[] {
  const batch = decompressBatch(readBatch(schema, readMessage(header), body), memory.mergeBytes);
  const view = new DataView(batch.body.buffer, batch.body.byteOffset);
  const at = batch.bufferOffsets[3] ?? 0;
  return Array.from({ length: batch.rows }, (_none, row) => view.getUint32(at + payloadBytes * row, true));
}

interface Sent {
  readonly ids: number[];
  readonly messages: { readonly bytes: number; readonly rows: number; readonly compression: string }[];
}

function partsOf({ parts: { disk, catalog, mergeBudget: budget } }: Stored): StreamParts {
  return { disk, catalog, budget, admit: async () => undefined };
}

async function send(stored: Stored, fromRow: number, limits: StreamLimits): Promise<Sent> {
  const parts = partsOf(stored);
  const sent: Sent = { ids: [], messages: [] };
  for await (const { flightData, rows } of topicStream(parts, stored.topic, { fromRow, limits, signal: never })) {
    const { header, body } = readFlightData(flightData);
    if (rows === 0) continue;
    const found = idsOf(header, body);
    expect(found.length).toBe(rows);
    sent.ids.push(...found);
    // What is sent, and where it was unfolded from.
    const { compression } = readBatch(schema, readMessage(header), body);
    const held = parts.budget.use().heldBytes;
    expect(held).toBeGreaterThanOrEqual(
      Math.min(rows * payloadBytes * (compression === "none" ? 2 : 0), memory.mergeBytes),
    );
    expect(held).toBeGreaterThanOrEqual(body.byteLength);
    sent.messages.push({ bytes: flightData.byteLength, rows, compression });
  }
  expect(parts.budget.use().heldBytes).toBe(0);
  return sent;
}

test("random topics from random rows on, whole, gathered and cut", { timeout: 60_000 }, async () => {
  const random = new Random("topic stream");
  const coverage = new Coverage("topic stream", [
    "plain",
    "zstd",
    "from the start",
    "from inside a batch",
    "from between batches",
    "from the end",
    "passed whole",
    "gathered",
    "cut",
    "row by row",
    "kept compressed",
    "unfolded to be cut",
    "unfolded as is wanted",
    "paced",
  ]);
  for (let round = 0; round < 60; round += 1) {
    let id = 0;
    const batch = (): Row[] =>
      Array.from({ length: 1 + random.below(40) }, () => {
        id += 1;
        return { timeNs: BigInt(random.below(1_000)), id: id - 1 };
      });
    const chunks = Array.from({ length: 1 + random.below(3) }, () =>
      Array.from({ length: 1 + random.below(6) }, batch),
    );
    const encoding = random.pick(["plain", "zstd"] as const);
    await using stored = await store(chunks, memory, encoding);
    coverage.hit(encoding);
    let end = 0;
    const ends = chunks.flat().map(({ length }) => {
      end += length;
      return end;
    });
    for (let time = 0; time < 4; time += 1) {
      const fromRow = random.pick([0, random.below(id + 1), id, random.pick(ends)]);
      const cutBytes = payloadBytes + 400 + random.below(20_000);
      const wideRowBytes = random.pick([1, 1e9, 1e9, 1e9]);
      const limits = {
        messageBytesMax: frameBytes + cutBytes,
        targetBytes: random.pick([0, 2_000, 30_000]),
        wideRowBytes,
        keepsCompression: random.below(2) === 1,
        pacedBytes: random.pick([1e9, 1e9, 1_000 + random.below(4_000)]),
      };
      const { ids, messages } = await send(stored, fromRow, limits);
      expect(ids).toEqual(Array.from({ length: id - fromRow }, (_none, index) => fromRow + index));
      if (wideRowBytes === 1) {
        expect(messages.every(({ rows }) => rows === 1)).toBe(true);
        coverage.hit("row by row");
      }
      if (fromRow === 0)
        expect(await countMessages(partsOf(stored), stored.topic, { limits, signal: never })).toBe(messages.length);
      for (const { bytes } of messages) expect(bytes).toBeLessThanOrEqual(limits.messageBytesMax);
      if (encoding === "plain" && limits.pacedBytes < 1e9) {
        const most = limits.targetBytes + limits.pacedBytes + payloadBytes + 1_000;
        for (const { rows } of messages) expect(rows * payloadBytes).toBeLessThanOrEqual(most);
        coverage.hit("paced");
      }
      const plain = messages.filter(({ compression }) => compression === "none").length;
      if (encoding === "zstd" && limits.keepsCompression && wideRowBytes !== 1) {
        // Unfolded is only the batch that is begun inside.
        if (fromRow === 0 && limits.pacedBytes === 1e9) expect(plain).toBe(0);
        if (plain < messages.length) coverage.hit("kept compressed");
        if (plain > 0) coverage.hit("unfolded to be cut");
      } else {
        expect(plain).toBe(messages.length);
        if (encoding === "zstd" && plain > 0) coverage.hit("unfolded as is wanted");
      }
      const kind =
        fromRow === 0
          ? "from the start"
          : fromRow === id
            ? "from the end"
            : ends.includes(fromRow)
              ? "from between batches"
              : "from inside a batch";
      coverage.hit(kind);
      const lengths = new Set(chunks.flat().map(({ length }) => length));
      if (messages.some(({ rows }) => lengths.has(rows))) coverage.hit("passed whole");
      if (messages.length < ends.filter((end) => end > fromRow).length) coverage.hit("gathered");
      if (messages.length > ends.filter((end) => end > fromRow).length) coverage.hit("cut");
    }
  }
  coverage.check();
});

test("a row that is larger than the remote takes is refused, naming topic and bytes", async () => {
  await using stored = await store([[[{ timeNs: 1n, id: 1 }]]], memory);
  const limits = {
    messageBytesMax: frameBytes + 100,
    targetBytes: 0,
    wideRowBytes: 1e9,
    keepsCompression: true,
    pacedBytes: 1e9,
  };
  await expect(send(stored, 0, limits)).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining(`A row of \`s/t\` is larger than ${limits.messageBytesMax} bytes`) as string,
  });
});
