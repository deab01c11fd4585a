/**
 * Rows of chunks, packed, little-endian.
 *
 *   u8 version = 1, u8 flags (1 sealed, 2 has range), u16 0, u32 entries, f64 bytes, f64 rows, i64 start, i64 end,
 *   then, when sealed, all its batch entries (model/batch-codec.ts)
 *
 * An open chunk has its entries in rows of their own, one per commit, keyed by the index of their first entry.
 */

import { batchEntryBytes, decodeBatches, encodeBatches, writeBatches } from "../model/batch-codec.ts";
import type { BatchEntry, Chunk, ChunkSummary } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import type { Uuid } from "../model/resource.ts";
import type { ChunkSkips } from "../model/zone-codec.ts";
import type { Catalog } from "./catalog.ts";
import { putSkips, readSkips, removeSkips } from "./skip-rows.ts";

const rowVersion = 1;
const chunkRowBytes = 40;
const chunkFlag = { sealed: 1, range: 2 } as const;

export function encodeChunk(chunk: ChunkSummary, batches: readonly BatchEntry[]): Uint8Array {
  const bytes = new Uint8Array(chunkRowBytes + batches.length * batchEntryBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, rowVersion);
  view.setUint8(1, (chunk.sealed ? chunkFlag.sealed : 0) | (chunk.range === undefined ? 0 : chunkFlag.range));
  view.setUint32(4, chunk.entries, true);
  view.setFloat64(8, chunk.bytes, true);
  view.setFloat64(16, chunk.rows, true);
  view.setBigInt64(24, chunk.range?.startNs ?? 0n, true);
  view.setBigInt64(32, chunk.range?.endNs ?? 0n, true);
  writeBatches(view, chunkRowBytes, batches);
  return bytes;
}

/** @throws Fault corrupt */
export function decodeChunk(number: number, bytes: Uint8Array): ChunkSummary {
  if (bytes.byteLength < chunkRowBytes || bytes[0] !== rowVersion) {
    throw new Fault(
      "corrupt",
      `Cannot read the row of chunk ${number}: ${bytes.byteLength} bytes of version ${bytes[0]}, expected at least ${chunkRowBytes} of version ${rowVersion}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint8(1);
  return {
    number,
    sealed: (flags & chunkFlag.sealed) !== 0,
    entries: view.getUint32(4, true),
    bytes: view.getFloat64(8, true),
    rows: view.getFloat64(16, true),
    range:
      (flags & chunkFlag.range) === 0
        ? undefined
        : { startNs: view.getBigInt64(24, true), endNs: view.getBigInt64(32, true) },
  };
}

/** Chunks of a topic in order, without their batches. */
export function* listChunks(catalog: Catalog, topic: Uuid): Generator<ChunkSummary> {
  for (const { key, value } of catalog.chunks.range([topic, 0], [topic, Number.MAX_SAFE_INTEGER])) {
    yield decodeChunk(Number(key[1]), value);
  }
}

/** A chunk with its batches, and what is known of their contents. @throws Fault corrupt when entries are missing */
export function readWholeChunk(catalog: Catalog, topic: Uuid, number: number): Chunk | undefined {
  const chunk = readChunk(catalog, topic, number);
  return chunk?.sealed === true ? { ...chunk, skips: readSkips(catalog, topic, number) } : chunk;
}

/** A chunk with its batches. @throws Fault corrupt when entries are missing */
export function readChunk(catalog: Catalog, topic: Uuid, number: number): Chunk | undefined {
  const row = catalog.chunks.get([topic, number]);
  if (row === undefined) return undefined;
  const summary = decodeChunk(number, row);
  const batches = summary.sealed ? decodeBatches(row.subarray(chunkRowBytes)) : readOpenBatches(catalog, topic, number);
  if (batches.length !== summary.entries) {
    throw new Fault(
      "corrupt",
      `Cannot read chunk ${number} of a topic: the catalog has ${batches.length} of its ${summary.entries} batches`,
    );
  }
  return { ...summary, batches };
}

function readOpenBatches(catalog: Catalog, topic: Uuid, number: number): BatchEntry[] {
  const batches: BatchEntry[] = [];
  for (const { value } of catalog.batches.range([topic, number, 0], [topic, number, Number.MAX_SAFE_INTEGER])) {
    batches.push(...decodeBatches(value));
  }
  return batches;
}

/** What a commit adds to one chunk. */
export interface ChunkCommit {
  /** The chunk as it is durable now. */
  readonly summary: ChunkSummary;
  /** Index of the first of `batches` in the chunk: 0 when it is sealed. */
  readonly first: number;
  /** All entries of a sealed chunk; of an open one those that this commit adds. */
  readonly batches: readonly BatchEntry[];
  /** What is known of the contents of a sealed one. */
  readonly skips?: ChunkSkips | undefined;
}

/** Puts a chunk's rows; to be called inside a transaction. Sealing replaces the rows of the single commits by one. */
export function putChunk(catalog: Catalog, topic: Uuid, commit: ChunkCommit): void {
  const { summary, first, batches, skips } = commit;
  if (summary.sealed) {
    removeOpenBatches(catalog, topic, summary.number);
    catalog.chunks.put([topic, summary.number], encodeChunk(summary, batches));
    if (skips !== undefined) putSkips(catalog, topic, summary.number, skips);
  } else {
    if (batches.length > 0) catalog.batches.put([topic, summary.number, first], encodeBatches(batches));
    catalog.chunks.put([topic, summary.number], encodeChunk(summary, []));
  }
}

/** Puts a chunk in place of what the rows said of it before; to be called inside a transaction. */
export function replaceChunk(catalog: Catalog, topic: Uuid, { batches, skips, ...summary }: Chunk): void {
  removeOpenBatches(catalog, topic, summary.number);
  removeSkips(catalog, topic, summary.number);
  putChunk(catalog, topic, { summary, first: 0, batches, skips });
}

function removeOpenBatches(catalog: Catalog, topic: Uuid, number: number): void {
  const keys = catalog.batches.keys([topic, number, 0], [topic, number, Number.MAX_SAFE_INTEGER]);
  for (const key of keys) catalog.batches.remove(key);
}

/** Removes all rows of a topic's chunks; to be called inside a transaction. */
export function removeChunks(catalog: Catalog, topic: Uuid): void {
  const keys = catalog.chunks.keys([topic, 0], [topic, Number.MAX_SAFE_INTEGER]);
  for (const key of keys) {
    removeOpenBatches(catalog, topic, Number(key[1]));
    removeSkips(catalog, topic, Number(key[1]));
    catalog.chunks.remove(key);
  }
}
