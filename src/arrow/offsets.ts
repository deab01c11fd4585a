/** Offset buffers of 32 or 64 bits, read with checks and written with checks. */

import { Fault } from "../model/fault.ts";

export type OffsetBits = 32 | 64;

/** Reads the offset `index`; undefined when it is negative, beyond 2^53 or outside the buffer. */
export function offsetReader(bytes: Uint8Array, bits: OffsetBits): (index: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bits === 32) return (index) => (4 * index + 4 <= bytes.byteLength ? view.getInt32(4 * index, true) : Number.NaN);
  return (index) =>
    8 * index + 8 <= bytes.byteLength
      ? view.getInt32(8 * index + 4, true) * 2 ** 32 + view.getUint32(8 * index, true)
      : Number.NaN;
}

export interface OffsetWriter {
  readonly bytes: Uint8Array;
  /** @throws Fault overloaded when the value does not fit the type */
  write(index: number, value: number, path: string): void;
}

export function offsetWriter(count: number, bits: OffsetBits): OffsetWriter {
  const bytes = new Uint8Array((count * bits) / 8);
  const view = new DataView(bytes.buffer);
  return {
    bytes,
    write(index, value, path) {
      if (bits === 64) {
        view.setUint32(8 * index, value % 2 ** 32, true);
        view.setInt32(8 * index + 4, Math.floor(value / 2 ** 32), true);
        return;
      }
      if (value > 0x7fffffff)
        throw new Fault(
          "overloaded",
          `Column ${JSON.stringify(path.slice(0, 200))} needs the offset ${value}, its type ends at 2147483647.`,
        );
      view.setInt32(4 * index, value, true);
    },
  };
}
