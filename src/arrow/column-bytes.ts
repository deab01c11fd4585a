/**
 * The buffers of a column of a checked batch, as reading by row wants them: decompressed, aligned, long enough, and within a limit.
 * Whatever a buffer says is checked before it is followed.
 */

import { Fault } from "../model/fault.ts";
import { hasValidity } from "./batch.ts";
import { readBuffer } from "./compression.ts";
import { bufferOf, type Cursor, storedType } from "./gather-job.ts";
import type { OffsetBits } from "./offsets.ts";
import type { Field } from "./schema.ts";

/** Bytes that may still be made, or looked at. */
export interface Room {
  bytes: number;
}

/** A column of a batch, or the part of it whose rows are those of a column above. */
export interface Place {
  readonly field: Field;
  /** Its node, and the buffer that is meant. */
  readonly cursor: Cursor;
  /** Rows that are read: not more than the column has. */
  readonly rows: number;
  /** Names, for messages. */
  readonly path: string;
  readonly room: Room;
}

/** @throws Fault overloaded */
export function take(room: Room, bytes: number, path: string): void {
  room.bytes -= bytes;
  if (room.bytes >= 0) return;
  throw new Fault("overloaded", `Column ${shown(path)} cannot be read: it takes more memory than is allowed here.`);
}

export function cannotRead(path: string, problem: string): Fault {
  return new Fault("corrupt", `Column ${shown(path)} cannot be read: ${problem}.`);
}

function shown(path: string): string {
  return JSON.stringify(path.slice(0, 200));
}

/** The buffer `index` places behind the cursor. It borrows from the body unless it was compressed. @throws Fault corrupt, invalid, overloaded */
export function columnBytes({ cursor, path, room }: Place, index: number, what: string, needed: number): Uint8Array {
  const { batch, buffer } = cursor;
  let bytes = bufferOf(cursor, index);
  if (batch.compression !== "none") {
    bytes = readBuffer(batch, buffer + index, Math.max(0, room.bytes));
    take(room, bytes.byteLength, path);
  }
  if (bytes.byteLength < needed)
    throw cannotRead(path, `it has ${bytes.byteLength} bytes of ${what}, expected ${needed}`);
  return bytes;
}

/** The bytes where elements of a typed array may begin: copied unless they lie so. */
export function aligned(bytes: Uint8Array, elementBytes: number, { path, room }: Place): Uint8Array {
  if (bytes.byteOffset % elementBytes === 0) return bytes;
  take(room, bytes.byteLength, path);
  return new Uint8Array(bytes);
}

/**
 * Bits of the rows that are not null, nor below a null; undefined when all are. Bits behind the last row mean nothing.
 * @param above the bits of the column whose rows these are
 */
export function maskedValidity(place: Place, above: Uint8Array | undefined): Uint8Array | undefined {
  const { field, cursor, rows, path, room } = place;
  const type = storedType(field);
  const bytes = Math.ceil(rows / 8);
  if (type.kind === "null") {
    take(room, bytes, path);
    return new Uint8Array(bytes);
  }
  // Where the header says that there are no nulls, nobody looks at the bits.
  if (!hasValidity(type) || (cursor.batch.nodeNulls[cursor.node] ?? 0) === 0) return above;
  const own = columnBytes(place, 0, "validity", bytes).subarray(0, bytes);
  return above === undefined ? own : commonBits(own, above, place);
}

/** Bits that are set in both, which are long enough for the rows. */
export function commonBits(a: Uint8Array, b: Uint8Array, { rows, path, room }: Place): Uint8Array {
  const bytes = Math.ceil(rows / 8);
  take(room, bytes, path);
  const both = new Uint8Array(bytes);
  for (let index = 0; index < bytes; index += 1) both[index] = (a[index] ?? 0) & (b[index] ?? 0);
  return both;
}

/** Positions in bytes or items; those of 64 bits as numbers. */
export type Positions = Int32Array | Float64Array;

/** So many integers of an offset buffer, not checked: negative or not safe ones stay what they are. */
export function positionsOf(bytes: Uint8Array, bits: OffsetBits, count: number, place: Place): Positions {
  if (bits === 32) {
    const { buffer, byteOffset } = aligned(bytes.subarray(0, 4 * count), 4, place);
    return new Int32Array(buffer, byteOffset, count);
  }
  take(place.room, 8 * count, place.path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const positions = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    positions[index] = view.getInt32(8 * index + 4, true) * 2 ** 32 + view.getUint32(8 * index, true);
  }
  return positions;
}

/** Where each row starts and ends in what the offsets count. @throws Fault corrupt when they descend or point outside */
export function readOffsets(
  place: Place,
  { bits, most, what }: { bits: OffsetBits; most: number; what: "bytes" | "items" },
): { starts: Positions; ends: Positions } {
  const { rows, path } = place;
  if (rows === 0) return { starts: new Int32Array(0), ends: new Int32Array(0) };
  const bytes = columnBytes(place, 0, "offsets", ((rows + 1) * bits) / 8);
  const offsets = positionsOf(bytes, bits, rows + 1, place);
  let last = offsets[0] ?? 0;
  if (last < 0) throw cannotRead(path, `row 0 starts at ${last}`);
  for (let index = 1; index <= rows; index += 1) {
    const next = offsets[index] ?? 0;
    if (next < last) throw cannotRead(path, `row ${index - 1} goes from ${last} to ${next} of ${most} ${what}`);
    last = next;
  }
  if (last > most) throw cannotRead(path, `its last row ends at ${last} of ${most} ${what}`);
  return { starts: offsets.subarray(0, rows), ends: offsets.subarray(1) };
}
