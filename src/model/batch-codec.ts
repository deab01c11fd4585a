/**
 * Entries of batches, packed, little-endian: in rows of the catalog and in the footers of chunk files.
 *
 *   u8 flags (1 dictionary, 2 sorted, 4 has range), 3 x u8 0, u32 crc32, f64 offset, u32 metadata bytes, u32 rows,
 *   f64 body bytes, i64 start, i64 end
 */

import type { BatchEntry } from "./chunk.ts";
import { Fault } from "./fault.ts";

export const batchEntryBytes = 48;
const batchFlag = { dictionary: 1, sorted: 2, range: 4 } as const;

export function encodeBatches(batches: readonly BatchEntry[]): Uint8Array {
  const bytes = new Uint8Array(batches.length * batchEntryBytes);
  writeBatches(new DataView(bytes.buffer), 0, batches);
  return bytes;
}

export function writeBatches(view: DataView, start: number, batches: readonly BatchEntry[]): void {
  let at = start;
  for (const batch of batches) {
    const flags =
      (batch.kind === "dictionary" ? batchFlag.dictionary : 0) |
      (batch.sorted ? batchFlag.sorted : 0) |
      (batch.range === undefined ? 0 : batchFlag.range);
    view.setUint8(at, flags);
    view.setUint32(at + 4, batch.crc32, true);
    view.setFloat64(at + 8, batch.offset, true);
    view.setUint32(at + 16, batch.metadataBytes, true);
    view.setUint32(at + 20, batch.rows, true);
    view.setFloat64(at + 24, batch.bodyBytes, true);
    view.setBigInt64(at + 32, batch.range?.startNs ?? 0n, true);
    view.setBigInt64(at + 40, batch.range?.endNs ?? 0n, true);
    at += batchEntryBytes;
  }
}

/** @throws Fault corrupt */
export function decodeBatches(bytes: Uint8Array): BatchEntry[] {
  if (bytes.byteLength % batchEntryBytes !== 0) {
    throw new Fault(
      "corrupt",
      `Cannot read batch entries: ${bytes.byteLength} bytes are no multiple of ${batchEntryBytes}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const batches: BatchEntry[] = [];
  for (let at = 0; at < bytes.byteLength; at += batchEntryBytes) {
    const flags = view.getUint8(at);
    batches.push({
      kind: (flags & batchFlag.dictionary) === 0 ? "batch" : "dictionary",
      sorted: (flags & batchFlag.sorted) !== 0,
      crc32: view.getUint32(at + 4, true),
      offset: view.getFloat64(at + 8, true),
      metadataBytes: view.getUint32(at + 16, true),
      rows: view.getUint32(at + 20, true),
      bodyBytes: view.getFloat64(at + 24, true),
      range:
        (flags & batchFlag.range) === 0
          ? undefined
          : { startNs: view.getBigInt64(at + 32, true), endNs: view.getBigInt64(at + 40, true) },
    });
  }
  return batches;
}
