/**
 * The checksum of a row, CRC-32 over table, key and value: what is flipped on the disk is never taken for a fact, nor a row that
 * came under another key or into another table.
 *
 *   text tables:  8 hex digits, then the value
 *   byte tables:  u32 little-endian, then the value
 */

import { crc32 } from "../host/checksum.ts";
import type { Key } from "./catalog.ts";

export interface RowSeal<Value> {
  close(table: string, key: Key, value: Value): Value;
  /** The value; undefined when the row is not as it was written. Borrows from `stored`. */
  open(table: string, key: Key, stored: Value): Value | undefined;
}

const hexDigits = 8;
const sealBytes = 4;

export const textSeal: RowSeal<string> = {
  close: (table, key, value) => textChecksum(table, key, value) + value,
  open(table, key, stored) {
    const value = stored.slice(hexDigits);
    return stored.slice(0, hexDigits) === textChecksum(table, key, value) ? value : undefined;
  },
};

export const bytesSeal: RowSeal<Uint8Array> = {
  close(table, key, value) {
    const stored = Buffer.allocUnsafe(sealBytes + value.byteLength);
    stored.writeUInt32LE(checksum(table, key, value));
    stored.set(value, sealBytes);
    return stored;
  },
  open(table, key, stored) {
    if (stored.byteLength < sealBytes) return undefined;
    const value = stored.subarray(sealBytes);
    const expected = new DataView(stored.buffer, stored.byteOffset, sealBytes).getUint32(0, true);
    return checksum(table, key, value) === expected ? value : undefined;
  },
};

function textChecksum(table: string, key: Key, value: string): string {
  return checksum(table, key, Buffer.from(value)).toString(16).padStart(hexDigits, "0");
}

function checksum(table: string, key: Key, value: Uint8Array): number {
  return crc32([Buffer.from(`${table}\n${keyText(key)}\n`), value]);
}

/** Damaged keys decode to anything, also to what JSON cannot write. */
export function keyText(key: unknown): string {
  return JSON.stringify(key, (_name, value: unknown) =>
    typeof value === "bigint" || typeof value === "symbol" ? String(value) : value,
  );
}
