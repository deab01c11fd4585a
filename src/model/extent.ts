/** What a topic holds, summed up from its chunks and from the batches that are in no chunk file yet. */

import { type BatchEntry, type ChunkSummary, messageBytesOf } from "./chunk.ts";
import type { Extent } from "./resource.ts";
import { unionRange } from "./time.ts";

export function addExtent(a: Extent, b: Extent): Extent {
  return {
    rows: a.rows + b.rows,
    bytes: a.bytes + b.bytes,
    chunks: a.chunks + b.chunks,
    range: unionRange(a.range, b.range),
  };
}

/** Bytes of the chunk files of topics. */
export function bytesOfTopics(topics: readonly { readonly extent: Extent }[]): number {
  return topics.reduce((sum, { extent }) => sum + extent.bytes, 0);
}

/** A chunk without rows holds nothing, though its file has bytes. */
export function addChunk(extent: Extent, chunk: ChunkSummary): Extent {
  return chunk.rows === 0 ? extent : addExtent(extent, { ...chunk, chunks: 1 });
}

/** Adds a batch that lies in a tail log. */
export function addBatch(extent: Extent, batch: BatchEntry): Extent {
  return addExtent(extent, { rows: batch.rows, bytes: messageBytesOf(batch), chunks: 0, range: batch.range });
}
