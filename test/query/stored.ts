// A topic on a real disk and catalog, made of batches in any order, for tests that read it back.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { zstdCompressSync } from "node:zlib";
import * as arrow from "apache-arrow";
import { readBatch } from "../../src/arrow/batch.ts";
import { encodeBatchHeader } from "../../src/arrow/batch-header.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { readSchema, type Schema } from "../../src/arrow/schema.ts";
import { timeColumn } from "../../src/arrow/timestamps.ts";
import { openCatalog } from "../../src/catalog/catalog.ts";
import { putChunk } from "../../src/catalog/chunk-rows.ts";
import { Budget } from "../../src/flow/budget.ts";
import { openDisk } from "../../src/host/disk.ts";
import { parseTopicLocator } from "../../src/model/locator.ts";
import { type Extent, emptyExtent, type JsonText, type Topic, type Ulid, type Uuid } from "../../src/model/resource.ts";
import { type TimeRange, unionRange } from "../../src/model/time.ts";
import type { OutgoingMessage, ReadParts } from "../../src/query/topic-reader.ts";
import { ChunkWriter, type MessageFacts } from "../../src/store/chunk-writer.ts";
import { chunkFile, topicDirectory } from "../../src/store/layout.ts";
import { encodeZstdHeader, partsOf } from "../arrow/made.ts";
import { splitStream } from "../load/messages.ts";

/** A row: its time, and a number that tells it from all others. */
export interface Row {
  readonly timeNs: bigint;
  readonly id: number;
}

/** Bytes of a row beside its time; they begin with its number. */
export const payloadBytes = 512;

const schemaHeader = ((): Uint8Array => {
  const fields = [
    new arrow.Field("timestamp_ns", new arrow.Int64(), false),
    new arrow.Field("payload", new arrow.FixedSizeBinary(payloadBytes), false),
  ];
  const table = new arrow.Table(new arrow.Schema(fields));
  const [message] = splitStream(arrow.tableToIPC(table, "stream"));
  if (message === undefined) throw new Error("a stream begins with its schema");
  return message.header;
})();
export const schema: Schema = readSchema(schemaHeader);

function encodeRows(rows: readonly Row[]): { header: Uint8Array; body: Uint8Array } {
  const node = { length: rows.length, nulls: 0 };
  const parts = partsOf(rows.length, [node, node], [0, 8 * rows.length, 0, payloadBytes * rows.length]);
  const body = new Uint8Array(parts.bodyBytes);
  const view = new DataView(body.buffer);
  rows.forEach(({ timeNs, id }, row) => {
    view.setBigInt64((parts.buffers[1]?.offset ?? 0) + 8 * row, timeNs, true);
    view.setUint32((parts.buffers[3]?.offset ?? 0) + payloadBytes * row, id, true);
  });
  return { header: encodeBatchHeader(parts), body };
}

/** The same batch with each buffer compressed. */
function encodeCompressed(rows: readonly Row[]): { header: Uint8Array; body: Uint8Array } {
  const { header, body } = encodeRows(rows);
  const batch = readBatch(schema, readMessage(header), body);
  const buffers = Array.from(batch.bufferLengths, (length, index) => {
    if (length === 0) return new Uint8Array(0);
    const offset = batch.bufferOffsets[index] ?? 0;
    const prefix = new Uint8Array(8);
    new DataView(prefix.buffer).setBigInt64(0, BigInt(length), true);
    return Buffer.concat([prefix, zstdCompressSync(body.subarray(offset, offset + length))]);
  });
  const node = { length: rows.length, nulls: 0 };
  const parts = partsOf(
    rows.length,
    [node, node],
    buffers.map(({ byteLength }) => byteLength),
  );
  const compressed = new Uint8Array(parts.bodyBytes);
  buffers.forEach((bytes, index) => {
    compressed.set(bytes, parts.buffers[index]?.offset ?? 0);
  });
  return { header: encodeZstdHeader(parts), body: compressed };
}

/** The rows of a message, its body fetched in pieces of these sizes. */
export async function decodeRows(message: OutgoingMessage, pieceBytes: () => number): Promise<Row[]> {
  const body = new Uint8Array(message.bodyBytes);
  for (let at = 0; at < body.byteLength; ) {
    const next = Math.min(body.byteLength, at + pieceBytes());
    await message.readBody(body.subarray(at, next));
    at = next;
  }
  const batch = readBatch(schema, readMessage(message.header, body.byteLength), body);
  const payload = batch.bufferOffsets[3] ?? 0;
  const view = new DataView(body.buffer);
  return Array.from(timeColumn(schema, batch), (timeNs, row) => ({
    timeNs,
    id: view.getUint32(payload + payloadBytes * row, true),
  }));
}

export interface Stored extends AsyncDisposable {
  readonly parts: ReadParts;
  readonly topic: Topic;
  readonly schemaHeader: Uint8Array;
}

interface Memory {
  readonly mergeBytes: number;
  readonly sendBytes: number;
}

/** A message as it is to lie on disk, and what the catalog says of it. */
export interface StoredBatch {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  readonly facts: MessageFacts;
}

/** Stores chunks of batches of rows. */
export function store(
  chunks: readonly (readonly (readonly Row[])[])[],
  memory: Memory,
  encoding: "plain" | "zstd" = "plain",
): Promise<Stored> {
  const encode = encoding === "plain" ? encodeRows : encodeCompressed;
  const toBatch = (rows: readonly Row[]): StoredBatch => {
    let range: TimeRange | undefined;
    for (const { timeNs } of rows) range = unionRange(range, { startNs: timeNs, endNs: timeNs });
    const sorted = rows.every(({ timeNs }, row) => row === 0 || timeNs >= (rows[row - 1]?.timeNs ?? 0n));
    return { ...encode(rows), facts: { kind: "batch", rows: rows.length, sorted, range } };
  };
  return storeBatches(
    schemaHeader,
    chunks.map((batches) => batches.map(toBatch)),
    memory,
  );
}

/** Stores chunks of messages, whatever is in them. */
export async function storeBatches(
  schemaHeader: Uint8Array,
  chunks: readonly (readonly StoredBatch[])[],
  memory: Memory,
): Promise<Stored> {
  const directory = mkdtempSync(path.join(tmpdir(), "mosaico-edge-stored-"));
  const disk = await openDisk(directory);
  const catalog = await openCatalog({ disk, directory: "catalog", onFailure: () => undefined });
  const session = "01A" as Ulid;
  const uuid = "44444444-4444-4444-8444-444444444444" as Uuid;
  await disk.makeDirectory(topicDirectory(session, 0));
  let extent: Extent = emptyExtent;
  for (const [number, batches] of chunks.entries()) {
    const writer = await ChunkWriter.create(disk, chunkFile(session, 0, number), number, schemaHeader);
    for (const { header, body, facts } of batches) await writer.append(header, body, facts);
    await writer.seal();
    const summary = writer.summary();
    await catalog.transaction(() => putChunk(catalog, uuid, { summary, first: 0, batches: writer.entries }));
    extent = {
      rows: extent.rows + summary.rows,
      bytes: extent.bytes + summary.bytes,
      chunks: extent.chunks + 1,
      range: unionRange(extent.range, summary.range),
    };
    await writer.close();
  }
  await catalog.transaction(() => catalog.schemas.put(uuid, schemaHeader));
  const topic: Topic = {
    uuid,
    locator: parseTopicLocator("s/t"),
    session,
    number: 0,
    ontologyTag: "t",
    serializationFormat: "default",
    userMetadata: "{}" as JsonText,
    createdAtNs: 0n,
    extent,
  };
  return {
    parts: {
      disk,
      catalog,
      loanLeastMs: 0,
      mergeBudget: new Budget(memory.mergeBytes),
      sendBudget: new Budget(memory.sendBytes),
    },
    topic,
    schemaHeader,
    async [Symbol.asyncDispose]() {
      await catalog[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
