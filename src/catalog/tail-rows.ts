/**
 * Rows of batches that lie in tail logs, one per topic and commit, packed, little-endian.
 *
 *   u8 version = 1, 3 x u8 0, u32 number of the log, then batch entries (model/batch-codec.ts) whose offsets are in the log
 *
 * The key is [topic UUID, number of the first batch in its topic]: what is in a log comes behind all that is in chunk files.
 */

import { batchEntryBytes, decodeBatches, writeBatches } from "../model/batch-codec.ts";
import type { BatchEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import type { Uuid } from "../model/resource.ts";
import type { Catalog } from "./catalog.ts";

const rowVersion = 1;
const headerBytes = 8;

/** Batches of one topic, one behind the other in one log. */
export interface TailRun {
  /** Number of the first batch in its topic. */
  readonly first: number;
  readonly log: number;
  readonly batches: readonly BatchEntry[];
}

/** To be called inside a transaction. */
export function putTailRun(catalog: Catalog, topic: Uuid, { first, log, batches }: TailRun): void {
  const bytes = new Uint8Array(headerBytes + batches.length * batchEntryBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, rowVersion);
  view.setUint32(4, log, true);
  writeBatches(view, headerBytes, batches);
  catalog.tails.put([topic, first], bytes);
}

/** In the order of the topic. @throws Fault corrupt */
export function* listTailRuns(catalog: Catalog, topic: Uuid): Generator<TailRun> {
  for (const { key, value } of catalog.tails.range([topic, 0], [topic, Number.MAX_SAFE_INTEGER])) {
    yield decodeRun(Number(key[1]), value);
  }
}

/** Runs of all topics. @throws Fault corrupt */
export function* listAllTailRuns(catalog: Catalog): Generator<TailRun & { readonly topic: Uuid }> {
  for (const { key, value } of catalog.tails.range(["", 0], ["\u007f", 0])) {
    yield { topic: String(key[0]) as Uuid, ...decodeRun(Number(key[1]), value) };
  }
}

/** Removes rows of batches that lie in a chunk file now, or are deleted; to be called inside a transaction. */
export function removeTailRuns(catalog: Catalog, topic: Uuid): void {
  const keys = catalog.tails.keys([topic, 0], [topic, Number.MAX_SAFE_INTEGER]);
  for (const key of keys) catalog.tails.remove(key);
}

function decodeRun(first: number, bytes: Uint8Array): TailRun {
  if (bytes.byteLength < headerBytes || bytes[0] !== rowVersion) {
    throw new Fault(
      "corrupt",
      `Cannot read a row of tail batches: ${bytes.byteLength} bytes of version ${bytes[0]}, expected version ${rowVersion}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { first, log: view.getUint32(4, true), batches: decodeBatches(bytes.subarray(headerBytes)) };
}
