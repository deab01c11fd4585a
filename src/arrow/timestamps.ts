/** The column `timestamp_ns` of a batch, exact beyond 2^53. Every row has a time: a null has no place in a stream. */

import { Fault } from "../model/fault.ts";
import type { TimeNs } from "../model/time.ts";
import type { Batch } from "./batch.ts";
import { bufferBytes, readBuffer } from "./compression.ts";
import { type Schema, timestampField } from "./schema.ts";

export interface Times {
  /** Meaningless when the batch has no rows. */
  readonly minNs: TimeNs;
  readonly maxNs: TimeNs;
  /** Whether no row is earlier than the one before it. */
  readonly sorted: boolean;
}

/** @throws Fault invalid (a null), overloaded (a compressed column that unfolds too far) */
export function timesOf(schema: Schema, batch: Batch): Times {
  const bytes = timeBytes(schema, batch);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = 8 * batch.rows;
  // Two halves per value: a bigint per row would cost more than all else that is done with a batch.
  let minHigh = 0x7fffffff;
  let minLow = 0xffffffff;
  let maxHigh = -0x80000000;
  let maxLow = 0;
  let lastHigh = -0x80000000;
  let lastLow = 0;
  let sorted = true;
  for (let at = 0; at < end; at += 8) {
    const low = view.getUint32(at, true);
    const high = view.getInt32(at + 4, true);
    if (high > lastHigh || (high === lastHigh && low >= lastLow)) {
      if (high > maxHigh || (high === maxHigh && low >= maxLow)) {
        maxHigh = high;
        maxLow = low;
      }
    } else sorted = false;
    if (high < minHigh || (high === minHigh && low < minLow)) {
      minHigh = high;
      minLow = low;
    }
    lastHigh = high;
    lastLow = low;
  }
  return { minNs: joined(minHigh, minLow), maxNs: joined(maxHigh, maxLow), sorted };
}

function joined(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

/** All times, copied. @throws Fault as `timesOf` */
export function timeColumn(schema: Schema, batch: Batch): BigInt64Array {
  const bytes = timeBytes(schema, batch);
  return new BigInt64Array(Uint8Array.from(bytes.subarray(0, 8 * batch.rows)).buffer);
}

/** The most that `timesOf` and `timeColumn` unfold of a compressed batch. @throws Fault overloaded when that is above `bytesMax` */
export function unfoldedTimeBytes(schema: Schema, batch: Batch, bytesMax: number): number {
  if (batch.compression === "none") return 0;
  // What announces more than its rows take is refused before it is unfolded.
  const most = timeBytesMax(batch);
  return most <= bytesMax ? most : bufferBytes(batch, timeBuffer(schema, batch) + 1, bytesMax);
}

/** Rows in the order of their times; rows of equal time keep theirs. */
export function sortOrder(times: BigInt64Array): Uint32Array {
  const order = Uint32Array.from({ length: times.length }, (_none, row) => row);
  return order.sort((a, b) => {
    const left = times[a] ?? 0n;
    const right = times[b] ?? 0n;
    return left < right ? -1 : left > right ? 1 : a - b;
  });
}

/** Buffers may be padded, compressed ones too; writers pad to 8 or 64. */
const alignmentMax = 64;

/** Index of the first buffer of the column, its validity; the times follow. */
function timeBuffer(schema: Schema, batch: Batch): number {
  return batch.columns[timestampField(schema)]?.buffer ?? 0;
}

function timeBytesMax({ rows }: Batch): number {
  return 8 * rows + alignmentMax;
}

function timeBytes(schema: Schema, batch: Batch): Uint8Array {
  const buffer = timeBuffer(schema, batch);
  const nulls = batch.nodeNulls[batch.columns[timestampField(schema)]?.node ?? 0] ?? 0;
  if (nulls > 0) {
    throw new Fault(
      "invalid",
      `timestamp_ns is null in ${nulls} of ${batch.rows} rows (the first is row ${firstNull(batch, buffer)}), expected a time in each.`,
    );
  }
  const bytes = readBuffer(batch, buffer + 1, timeBytesMax(batch));
  if (bytes.byteLength < 8 * batch.rows) {
    throw new Fault(
      "invalid",
      `timestamp_ns has ${bytes.byteLength} bytes, expected ${8 * batch.rows} for ${batch.rows} rows.`,
    );
  }
  return bytes;
}

function firstNull(batch: Batch, buffer: number): number {
  const bits = readBuffer(batch, buffer, Math.ceil(batch.rows / 8) + alignmentMax);
  for (let row = 0; row < batch.rows; row += 1) {
    if ((((bits[row >>> 3] ?? 0) >>> (row & 7)) & 1) === 0) return row;
  }
  return batch.rows;
}
