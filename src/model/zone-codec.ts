/**
 * Statistics of a chunk and of its zones. A zone is a run of entries that are read together or not at all: a large batch, or as
 * many small ones as are worth a read of their own. Packed, little-endian:
 *
 *   u8 version = 1, 3 x u8 0, u32 zones, then per zone u32 entries and u32 where its statistics start, then these
 *   (statistics-codec.ts). The zones follow each other: the first begins with the chunk's first entry.
 */

import { Fault } from "./fault.ts";
import type { RowStatistics } from "./statistics.ts";
import { encodeStatistics } from "./statistics-codec.ts";

/** Entries of a chunk, dictionaries among them, with what is known of the rows of its batches. */
export interface Zone {
  readonly entries: number;
  /** As `encodeStatistics` writes them. */
  readonly statistics: Uint8Array;
}

/** What is known of a chunk; both as they lie in catalog and footer. */
export interface ChunkSkips {
  /** Of all rows together. */
  readonly chunk: Uint8Array;
  readonly zones: Uint8Array;
}

const version = 1;
const headBytes = 8;
const placeBytes = 8;

export function encodeZones(zones: readonly Zone[]): Uint8Array {
  const head = headBytes + placeBytes * zones.length;
  const bytes = new Uint8Array(zones.reduce((sum, { statistics }) => sum + statistics.byteLength, head));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, version);
  view.setUint32(4, zones.length, true);
  let at = head;
  for (const [index, { entries, statistics }] of zones.entries()) {
    view.setUint32(headBytes + placeBytes * index, entries, true);
    view.setUint32(headBytes + placeBytes * index + 4, at, true);
    bytes.set(statistics, at);
    at += statistics.byteLength;
  }
  return bytes;
}

/** @throws Fault corrupt */
export function decodeZones(bytes: Uint8Array): Zone[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const zones = bytes.byteLength < headBytes || bytes[0] !== version ? undefined : view.getUint32(4, true);
  if (zones === undefined || headBytes + placeBytes * zones > bytes.byteLength) {
    throw new Fault(
      "corrupt",
      `Cannot read zones: ${bytes.byteLength} bytes of version ${bytes[0]} for ${zones ?? "unknown"} zones, expected version ${version}`,
    );
  }
  const starts = Array.from({ length: zones }, (_none, index) =>
    view.getUint32(headBytes + placeBytes * index + 4, true),
  );
  return starts.map((start, index) => ({
    entries: view.getUint32(headBytes + placeBytes * index, true),
    statistics: bytes.subarray(start, starts[index + 1] ?? bytes.byteLength),
  }));
}

/** Where nothing is known: one zone of all entries. */
export function unknownSkips(entries: number): ChunkSkips {
  const nothing: RowStatistics = [];
  const chunk = encodeStatistics(nothing);
  return { chunk, zones: encodeZones([{ entries, statistics: chunk }]) };
}
