/**
 * Least and most of numbers, exactly and fast: values are taken in blocks that stay in the nearest cache, brought into one of three
 * forms (float64, int32, halves of int64), rid of what does not count, and compared.
 * Bodies lie anywhere in memory, and copying a block costs less than reading it value by value through a DataView.
 */

import { byteValuesMax } from "../model/limits.ts";
import type { ValueRange } from "../model/statistics.ts";
import { getBit } from "./bits.ts";
import { columnBytes, type Place, take } from "./column-bytes.ts";
import { arrayOf, type NumberArray, type NumberType } from "./number-type.ts";
import type { Slots } from "./slots.ts";

export interface NumberFacts {
  readonly range: ValueRange | undefined;
  readonly nans: number;
}

/** Values that are looked at together. */
export const blockValues = 2_048;
/** As they lie in the body, then in the form in which they are compared. Nothing stays here between calls. */
const raw = new Uint8Array(8 * blockValues);
const floats = new Float64Array(blockValues);
const integers = new Int32Array(blockValues);
/** Halves of int64, low ones first. */
const lows = new Uint32Array(raw.buffer);
const highs = new Int32Array(raw.buffer);

/**
 * @param place behind the validity
 * @throws Fault corrupt, overloaded
 */
export function numberFacts(place: Place, type: NumberType, slots: Slots): NumberFacts {
  const { start, end, live } = slots;
  const bytesEach = type.bits / 8;
  if (live === 0) return { range: undefined, nans: 0 };
  if (type.kind === "int" && type.bits === 8 && live > byteValuesMax) {
    return { range: type.signed ? rangeOf(-128, 127) : rangeOf(0, 255), nans: 0 };
  }
  const bytes = columnBytes(place, 0, "values", end * bytesEach);
  take(place.room, (end - start) * bytesEach, place.path);
  const source: Source = { bytes, type, slots };
  if (type.kind === "float") return floatFacts(source);
  if (type.bits === 64) return { range: longRange(source), nans: 0 };
  // Only integers of 32 bits without a sign do not fit into int32.
  if (type.kind === "int" && type.bits === 32 && !type.signed) return floatFacts(source);
  return { range: integerRange(source), nans: 0 };
}

interface Source {
  readonly bytes: Uint8Array;
  readonly type: NumberType;
  readonly slots: Slots;
}

function rangeOf(least: bigint | number, most: bigint | number): ValueRange {
  return { kind: "number", least, most };
}

/** Puts a block into `raw`; returns how many values it has. */
function takeBlock({ bytes, slots: { end } }: Source, at: number, bytesEach: number): number {
  const count = Math.min(blockValues, end - at);
  raw.set(bytes.subarray(at * bytesEach, (at + count) * bytesEach));
  return count;
}

/** Moves what counts to the front of a block whose first value is number `at` of the column; returns how many do. */
export function keepLive(values: Float64Array | Int32Array, count: number, mask: Uint8Array, at: number): number {
  let kept = 0;
  for (let index = 0; index < count; index += 1) {
    values[kept] = values[index] ?? 0;
    kept += getBit(mask, at + index);
  }
  return kept;
}

function keepLiveHalves(count: number, mask: Uint8Array, at: number): number {
  let kept = 0;
  for (let index = 0; index < count; index += 1) {
    highs[2 * kept] = highs[2 * index] ?? 0;
    highs[2 * kept + 1] = highs[2 * index + 1] ?? 0;
    kept += getBit(mask, at + index);
  }
  return kept;
}

export interface FloatExtremes {
  least: number;
  most: number;
  nans: number;
}

function floatFacts(source: Source): NumberFacts {
  const { type, slots } = source;
  const { start, end, mask } = slots;
  const found: FloatExtremes = { least: Number.POSITIVE_INFINITY, most: Number.NEGATIVE_INFINITY, nans: 0 };
  const stored = new (arrayOf(type))(raw.buffer, 0, blockValues);
  const values = stored instanceof Float64Array ? stored : floats;
  for (let at = start; at < end; at += blockValues) {
    let count = takeBlock(source, at, type.bits / 8);
    if (values !== stored) values.set(firstOf(stored, count));
    if (mask !== undefined) count = keepLive(values, count, mask, at);
    addFloats(values, count, found);
  }
  const { least, most, nans } = found;
  // -0 equals 0 and is written as 0.
  return { range: least <= most ? rangeOf(least + 0, most + 0) : undefined, nans };
}

/** The values of a block, of a type without bigints. */
function firstOf(stored: NumberArray, count: number): ArrayLike<number> {
  return (count === blockValues ? stored : stored.subarray(0, count)) as ArrayLike<number>;
}

/**
 * Without a branch that depends on the values: of random ones half would be predicted wrong, which costs three times the comparison.
 * Four at once, each with extremes of its own, so that none waits for the one before.
 */
export function addFloats(values: Float64Array, count: number, found: FloatExtremes): void {
  let least0 = Number.POSITIVE_INFINITY;
  let least1 = least0;
  let least2 = least0;
  let least3 = least0;
  let most0 = Number.NEGATIVE_INFINITY;
  let most1 = most0;
  let most2 = most0;
  let most3 = most0;
  let index = 0;
  for (; index + 3 < count; index += 4) {
    const value0 = values[index] as number;
    const value1 = values[index + 1] as number;
    const value2 = values[index + 2] as number;
    const value3 = values[index + 3] as number;
    least0 = Math.min(least0, value0);
    most0 = Math.max(most0, value0);
    least1 = Math.min(least1, value1);
    most1 = Math.max(most1, value1);
    least2 = Math.min(least2, value2);
    most2 = Math.max(most2, value2);
    least3 = Math.min(least3, value3);
    most3 = Math.max(most3, value3);
  }
  const least = Math.min(least0, least1, least2, least3);
  const most = Math.max(most0, most1, most2, most3);
  // A NaN makes both NaN.
  if (Number.isNaN(least)) {
    addOddFloats(values, count, found);
    return;
  }
  if (least < found.least) found.least = least;
  if (most > found.most) found.most = most;
  if (index < count) addOddFloats(values.subarray(index, count), count - index, found);
}

/** The same for blocks with NaN among the values, and for the rest of a block. */
function addOddFloats(values: Float64Array, count: number, found: FloatExtremes): void {
  let { least, most, nans } = found;
  for (let index = 0; index < count; index += 1) {
    const value = values[index] as number;
    if (value < least) least = value;
    if (value > most) most = value;
    if (Number.isNaN(value)) nans += 1;
  }
  found.least = least;
  found.most = most;
  found.nans = nans;
}

function integerRange(source: Source): ValueRange {
  const { type, slots } = source;
  const { start, end, mask } = slots;
  const stored = new (arrayOf(type))(raw.buffer, 0, blockValues);
  let least = 0x7fffffff;
  let most = -0x80000000;
  for (let at = start; at < end; at += blockValues) {
    let count = takeBlock(source, at, type.bits / 8);
    integers.set(firstOf(stored, count));
    if (mask !== undefined) count = keepLive(integers, count, mask, at);
    // The last one has no other: it is its own.
    if (count % 2 === 1) integers[count] = integers[count - 1] as number;
    for (let index = 0; index < count; index += 2) {
      const one = integers[index] as number;
      const other = integers[index + 1] as number;
      if (one < other) {
        if (one < least) least = one;
        if (other > most) most = other;
      } else {
        if (other < least) least = other;
        if (one > most) most = one;
      }
    }
  }
  return rangeOf(least, most);
}

/** Two halves per value: a bigint per value costs twice as much. */
function longRange(source: Source): ValueRange {
  const { type, slots } = source;
  const { start, end, mask } = slots;
  // Without a sign the high halves are moved so that they are in order all the same.
  const flip = type.kind === "int" && !type.signed ? -0x80000000 : 0;
  let leastHigh = 0x7fffffff;
  let leastLow = 0xffffffff;
  let mostHigh = -0x80000000;
  let mostLow = 0;
  for (let at = start; at < end; at += blockValues) {
    let count = takeBlock(source, at, 8);
    if (mask !== undefined) count = keepLiveHalves(count, mask, at);
    for (let index = 0; index < 2 * count; index += 2) {
      const low = lows[index] as number;
      const high = (highs[index + 1] as number) ^ flip;
      if (high > mostHigh || (high === mostHigh && low > mostLow)) {
        mostHigh = high;
        mostLow = low;
      }
      if (high < leastHigh || (high === leastHigh && low < leastLow)) {
        leastHigh = high;
        leastLow = low;
      }
    }
  }
  const joined = (high: number, low: number): bigint => {
    const value = (BigInt(high ^ flip) << 32n) | BigInt(low);
    return flip === 0 ? value : BigInt.asUintN(64, value);
  };
  return rangeOf(joined(leastHigh, leastLow), joined(mostHigh, mostLow));
}
