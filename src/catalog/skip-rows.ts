/**
 * What is known of the contents of sealed chunks without reading them. Rows of a chunk are as in its footer; that of a topic is
 *
 *   u32 chunks (little-endian), 4 x u8 0, then the statistics of these, the topic's first (model/statistics-codec.ts)
 */

import type { Uuid } from "../model/resource.ts";
import { decodeStatistics, encodeStatistics } from "../model/statistics-codec.ts";
import { mergeStatistics } from "../model/statistics-merge.ts";
import type { ChunkSkips } from "../model/zone-codec.ts";
import type { Catalog, Key } from "./catalog.ts";

const topicRow = -1;
const topicHeadBytes = 8;

/**
 * Puts the rows of a sealed chunk, and the topic's with it; to be called inside a transaction, for the chunks of a topic in their
 * order. When one has none the topic's has no more to say.
 */
export function putSkips(catalog: Catalog, topic: Uuid, number: number, skips: ChunkSkips): void {
  catalog.statistics.put([topic, number], skips.chunk);
  catalog.zones.put([topic, number], skips.zones);
  const before = readTopicStatistics(catalog, topic);
  if ((before?.chunks ?? 0) !== number) return;
  const chunk = decodeStatistics(skips.chunk);
  const all = encodeStatistics(
    before === undefined ? chunk : mergeStatistics(decodeStatistics(before.statistics), chunk),
  );
  const row = new Uint8Array(topicHeadBytes + all.byteLength);
  new DataView(row.buffer).setUint32(0, number + 1, true);
  row.set(all, topicHeadBytes);
  catalog.statistics.put([topic, topicRow], row);
}

export function readSkips(catalog: Catalog, topic: Uuid, number: number): ChunkSkips | undefined {
  const chunk = readChunkStatistics(catalog, topic, number);
  const zones = catalog.zones.get([topic, number]);
  return chunk === undefined || zones === undefined ? undefined : { chunk, zones };
}

/** As `encodeStatistics` writes them. */
export function readChunkStatistics(catalog: Catalog, topic: Uuid, number: number): Uint8Array | undefined {
  return catalog.statistics.get([topic, number]);
}

/** Of the topic's first so many chunks together. */
export function readTopicStatistics(
  catalog: Catalog,
  topic: Uuid,
): { chunks: number; statistics: Uint8Array } | undefined {
  const row = catalog.statistics.get([topic, topicRow]);
  if (row === undefined || row.byteLength < topicHeadBytes) return undefined;
  const chunks = new DataView(row.buffer, row.byteOffset).getUint32(0, true);
  return { chunks, statistics: row.subarray(topicHeadBytes) };
}

/** Whether a row of the table is a topic's and not a chunk's. */
export function isTopicStatistics(key: Key): boolean {
  return typeof key !== "string" && key[1] === topicRow;
}

/** Removes those of a chunk, before others take their place: nothing is known of the topic as a whole any more. */
export function removeSkips(catalog: Catalog, topic: Uuid, number: number): void {
  if (readChunkStatistics(catalog, topic, number) === undefined) return;
  catalog.statistics.remove([topic, number]);
  catalog.zones.remove([topic, number]);
  catalog.statistics.remove([topic, topicRow]);
}
