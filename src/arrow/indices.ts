/** Dictionary indices: how many values their type can tell apart, and moving them to where the values went. */

import { Fault } from "../model/fault.ts";
import { getBit } from "./bits.ts";
import type { DictionaryEncoding } from "./schema.ts";

/** For each dictionary by its id: the place of each of its values in the dictionary that takes its place. */
export type Places = ReadonlyMap<bigint, Uint32Array>;

/** Values that a dictionary may have for all its indices to fit. */
export function valuesMax({ indexType: { bits, signed } }: DictionaryEncoding): number {
  return 2 ** Math.min(32, signed ? bits - 1 : bits);
}

/**
 * Moves indices where they lie.
 * @param validity bits of the rows that are not null, none when all are valid
 * @throws Fault invalid naming the column, for an index behind the last value
 */
export function moveIndices(
  indices: Uint8Array,
  { indexType: { bits, signed } }: DictionaryEncoding,
  { places, validity, path }: { places: Uint32Array; validity: Uint8Array; path: string },
): void {
  const values = viewOf(indices, bits, signed);
  for (let row = 0; row < values.length; row += 1) {
    const index = Number(values[row]);
    const place = places[index];
    if (place === undefined && (validity.byteLength === 0 || getBit(validity, row) === 1)) {
      const what = `has the index ${index} in row ${row}, its dictionary has ${places.length} values`;
      throw new Fault(
        "invalid",
        `The batch does not fit its dictionary: column ${JSON.stringify(path.slice(0, 200))} ${what}.`,
      );
    }
    // What an index says where the row is null means nothing.
    if (values instanceof BigInt64Array || values instanceof BigUint64Array) values[row] = BigInt(place ?? 0);
    else values[row] = place ?? 0;
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array, bits: 8 | 16 | 32 | 64, signed: boolean) {
  const length = (8 * byteLength) / bits;
  switch (bits) {
    case 8:
      return signed ? new Int8Array(buffer, byteOffset, length) : new Uint8Array(buffer, byteOffset, length);
    case 16:
      return signed ? new Int16Array(buffer, byteOffset, length) : new Uint16Array(buffer, byteOffset, length);
    case 32:
      return signed ? new Int32Array(buffer, byteOffset, length) : new Uint32Array(buffer, byteOffset, length);
    case 64:
      return signed ? new BigInt64Array(buffer, byteOffset, length) : new BigUint64Array(buffer, byteOffset, length);
  }
}
