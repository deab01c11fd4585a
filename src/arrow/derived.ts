/**
 * Statistics of values that no column has but that rows have by several: one file per kind makes the values, what is done with them is
 * here. Nothing is known of them where a column is compressed, lies in a list or is broken.
 */

import { assert } from "../model/assert.ts";
import type { Derivation, LeafStatistics } from "../model/statistics.ts";
import { countBits } from "./bits.ts";
import { columnBytes, commonBits, type Place, take } from "./column-bytes.ts";
import { deriveEast } from "./east.ts";
import { deriveNorm } from "./norm.ts";
import { addFloats, blockValues, type FloatExtremes, keepLive } from "./number-range.ts";
import { arrayOf, type NumberType } from "./number-type.ts";
import type { Slots } from "./slots.ts";

/** Makes so many values out of as many of each component. */
type Derive = (components: readonly Float64Array[], count: number, into: Float64Array) => void;

const derivers = { norm: deriveNorm, east: deriveEast } satisfies Record<Derivation["kind"], Derive>;

/** A component: a leaf whose values are numbers. */
export interface NumberColumn {
  /** Behind the validity. */
  readonly place: Place;
  readonly type: NumberType;
  readonly slots: Slots;
}

const raw = new Uint8Array(8 * blockValues);
const derived = new Float64Array(blockValues);
/** Of vectors of three dimensions. */
const components = Array.from({ length: 3 }, () => new Float64Array(blockValues));

/** @throws Fault corrupt, overloaded */
export function derivedStatistics(
  derivation: Derivation,
  columns: readonly NumberColumn[],
  rows: number,
): LeafStatistics | undefined {
  const [first] = columns;
  assert(first !== undefined && columns.length <= components.length, "what is derived has a few components");
  // Items of lists have slots of their own.
  if (!columns.every(({ slots: { live, nulls } }) => live + nulls === rows)) return undefined;
  const none: LeafStatistics = { values: rows, nulls: rows, nans: 0, derivation };
  if (columns.some(({ slots }) => slots.live === 0)) return none;
  const mask = commonMask(columns);
  const live = mask === undefined ? rows : countBits(mask, 0, rows);
  if (live === 0) return none;
  const sources = columns.map(({ place, type }) => {
    const bytes = columnBytes(place, 0, "values", (rows * type.bits) / 8);
    take(place.room, 2 * bytes.byteLength, place.path);
    return { bytes, type };
  });
  const derive = derivers[derivation.kind];
  const found: FloatExtremes = { least: Number.POSITIVE_INFINITY, most: Number.NEGATIVE_INFINITY, nans: 0 };
  for (let at = 0; at < rows; at += blockValues) {
    let count = Math.min(blockValues, rows - at);
    for (const [index, source] of sources.entries()) readFloats(source, at, count, components[index] as Float64Array);
    derive(components.slice(0, sources.length), count, derived);
    if (mask !== undefined) count = keepLive(derived, count, mask, at);
    addFloats(derived, count, found);
  }
  const { least, most, nans } = found;
  const range = least <= most ? ({ kind: "number", least: least + 0, most: most + 0 } as const) : undefined;
  return { values: rows, nulls: rows - live, nans, range, derivation };
}

function commonMask(columns: readonly NumberColumn[]): Uint8Array | undefined {
  let common: Uint8Array | undefined;
  for (const { place, slots } of columns) {
    if (slots.mask !== undefined) common = common === undefined ? slots.mask : commonBits(common, slots.mask, place);
  }
  return common;
}

function readFloats(
  { bytes, type }: { bytes: Uint8Array; type: NumberType },
  at: number,
  count: number,
  into: Float64Array,
): void {
  const bytesEach = type.bits / 8;
  raw.set(bytes.subarray(at * bytesEach, (at + count) * bytesEach));
  const values = new (arrayOf(type))(raw.buffer, 0, count);
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    for (let index = 0; index < count; index += 1) into[index] = Number(values[index]);
  } else into.set(values);
}
