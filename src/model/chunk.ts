/** A chunk is the part of one topic that lies in one Arrow IPC file; its batches are listed by place and content. */

import { type TimeRange, unionRange } from "./time.ts";
import type { ChunkSkips } from "./zone-codec.ts";

/** One message in a chunk file: a record batch, or the dictionary that the batches behind it refer to. */
export interface BatchEntry {
  readonly kind: "batch" | "dictionary";
  /** Byte at which the message's prefix starts in the file. */
  readonly offset: number;
  /** Bytes of prefix, header and padding. */
  readonly metadataBytes: number;
  /** Bytes of the body with its padding. */
  readonly bodyBytes: number;
  readonly rows: number;
  /** CRC-32 over all bytes of the message in the file, padding included. */
  readonly crc32: number;
  /** Whether `timestamp_ns` never falls inside the batch. */
  readonly sorted: boolean;
  /** Undefined for a dictionary and for a batch without rows. */
  readonly range?: TimeRange | undefined;
}

export interface ChunkSummary {
  /** Number of the file in its topic's directory, from 0. */
  readonly number: number;
  /** Sealed: the footer is written and the file never changes again. */
  readonly sealed: boolean;
  /** Bytes of the file, footer included when sealed; what lies beyond was never acknowledged. */
  readonly bytes: number;
  readonly rows: number;
  /** Messages in the file, dictionaries included. */
  readonly entries: number;
  readonly range?: TimeRange | undefined;
}

export interface Chunk extends ChunkSummary {
  readonly batches: readonly BatchEntry[];
  /** Of a sealed chunk that was read whole; chunks of before there were any have none. */
  readonly skips?: ChunkSkips | undefined;
}

export function endOfEntry(entry: BatchEntry): number {
  return entry.offset + entry.metadataBytes + entry.bodyBytes;
}

/** Bytes of prefix, header, body and padding. */
export function messageBytesOf(entry: BatchEntry): number {
  return entry.metadataBytes + entry.bodyBytes;
}

/** What entries add up to. Dictionaries have no rows of the topic. */
export function sumEntries(entries: readonly BatchEntry[]): { rows: number; range: TimeRange | undefined } {
  let rows = 0;
  let range: TimeRange | undefined;
  for (const entry of entries) {
    if (entry.kind === "dictionary") continue;
    rows += entry.rows;
    range = unionRange(range, entry.range);
  }
  return { rows, range };
}
