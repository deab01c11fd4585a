/** Which rows of a batch satisfy a predicate: one byte each, 0 or 1. Only the columns asked for are read. */

import { setBits } from "../arrow/bits.ts";
import { deriveNorm } from "../arrow/norm.ts";
import { isNull, type ListVector, readVector, type Vector, type VectorSource } from "../arrow/vector.ts";
import type { ItemChoice } from "../model/predicate.ts";
import { isWithin } from "./area.ts";
import type { BoundColumn, BoundPredicate, ValueTest } from "./bind.ts";
import type { Effort } from "./effort.ts";
import { matchValues } from "./match-values.ts";

/** @throws Fault corrupt, invalid, overloaded */
export function matchRows(predicate: BoundPredicate, source: VectorSource, effort: Effort): Uint8Array {
  const { rows } = source.batch;
  switch (predicate.kind) {
    case "all": {
      const found = new Uint8Array(rows).fill(1);
      for (const part of predicate.of) {
        const mask = matchRows(part, source, effort);
        for (let row = 0; row < rows; row += 1) found[row] = (found[row] ?? 0) & (mask[row] ?? 0);
      }
      return found;
    }
    case "any": {
      const found = new Uint8Array(rows);
      for (const part of predicate.of) {
        const mask = matchRows(part, source, effort);
        for (let row = 0; row < rows; row += 1) found[row] = (found[row] ?? 0) | (mask[row] ?? 0);
      }
      return found;
    }
    case "not":
      return matchRows(predicate.of, source, effort).map((one) => 1 - one);
    case "never":
      return new Uint8Array(rows);
    case "value": {
      const vector = readVector(source, predicate.column.chain);
      return predicate.items === undefined
        ? matchValues(vector, predicate.test, effort)
        : matchItems(vector, predicate.items, predicate.test, effort);
    }
    case "list":
      return matchLists(readVector(source, predicate.column.chain), predicate, effort);
    case "within":
      return matchArea(predicate, source, effort);
    case "norm":
      return matchNorm(predicate, source, effort);
  }
}

function matchItems(vector: Vector, choice: ItemChoice, test: ValueTest, effort: Effort): Uint8Array {
  const found = new Uint8Array(vector.length);
  if (vector.kind !== "list" || vector.items === undefined) return found;
  const items = matchValues(vector.items, test, effort);
  const absent = test.kind === "missing" ? 1 : 0;
  for (let row = 0; row < found.length; row += 1) {
    const { start, end } = isNull(vector, row) ? { start: 0, end: 0 } : itemsAt(vector, row);
    if (choice.kind === "at") {
      // What is not there is null.
      found[row] = choice.index < end - start ? (items[start + choice.index] ?? 0) : absent;
      continue;
    }
    let matching = 0;
    for (let item = start; item < end; item += 1) matching += items[item] ?? 0;
    found[row] = matching > 0 && (choice.kind === "any" || matching === end - start) ? 1 : 0;
  }
  return found;
}

function itemsAt({ starts, ends }: ListVector, row: number): { start: number; end: number } {
  return { start: starts[row] ?? 0, end: ends[row] ?? 0 };
}

/** Operand by operand, of the rows that have as many items: as long as one may still match. */
function matchLists(
  vector: Vector,
  { items: tests, equal }: Extract<BoundPredicate, { kind: "list" }>,
  effort: Effort,
): Uint8Array {
  const found = new Uint8Array(vector.length);
  if (vector.kind !== "list" || vector.items === undefined) return found;
  const { items } = vector;
  let same: number[] = [];
  for (let row = 0; row < found.length; row += 1) {
    if (isNull(vector, row)) continue;
    const { start, end } = itemsAt(vector, row);
    if (end - start === tests.length) same.push(row);
    else if (!equal) found[row] = 1;
  }
  const all = same;
  let known: { test: ValueTest; mask: Uint8Array } | undefined;
  for (const [index, test] of tests.entries()) {
    if (same.length === 0) break;
    // Lists of one value over and over are asked of each item once.
    if (known?.test !== test) known = { test, mask: matchValues(items, test, effort) };
    const { mask } = known;
    effort.spend(same.length);
    same = same.filter((row) => mask[itemsAt(vector, row).start + index] === 1);
  }
  for (const row of equal ? same : all) found[row] = 1;
  if (!equal) for (const row of same) found[row] = 0;
  return found;
}

function matchArea(
  { latitude, longitude, area }: Extract<BoundPredicate, { kind: "within" }>,
  source: VectorSource,
  effort: Effort,
): Uint8Array {
  const found = new Uint8Array(source.batch.rows);
  const [north, east] = [latitude, longitude].map((column) => readFloats(source, column));
  if (north === undefined || east === undefined) return found;
  effort.spend(found.length);
  for (let row = 0; row < found.length; row += 1) {
    if (north.isNull(row) || east.isNull(row)) continue;
    found[row] = isWithin(area, north.values[row] ?? Number.NaN, east.values[row] ?? Number.NaN) ? 1 : 0;
  }
  return found;
}

function matchNorm(
  { components, test }: Extract<BoundPredicate, { kind: "norm" }>,
  source: VectorSource,
  effort: Effort,
): Uint8Array {
  const length = source.batch.rows;
  const columns = components.map((column) => readFloats(source, column)).filter((column) => column !== undefined);
  if (columns.length < components.length) return new Uint8Array(length);
  effort.spend(length * columns.length);
  const validity = new Uint8Array(Math.ceil(length / 8));
  for (let row = 0; row < length; row += 1)
    if (!columns.some((column) => column.isNull(row))) setBits(validity, row, 1);
  const values = new Float64Array(length);
  deriveNorm(
    columns.map((column) => column.values),
    length,
    values,
  );
  return matchValues({ kind: "number", length, validity, values }, test, effort);
}

interface Floats {
  readonly values: Float64Array;
  isNull(row: number): boolean;
}

/** A column as float64, however it is encoded; undefined when it has no numbers. */
function readFloats(source: VectorSource, { chain }: BoundColumn): Floats | undefined {
  const vector = readVector(source, chain);
  const values = floatsOf(vector);
  return values === undefined ? undefined : { values, isNull: (row) => isNull(vector, row) };
}

function floatsOf(vector: Vector): Float64Array | undefined {
  if (vector.kind === "number") {
    const { values } = vector;
    return values instanceof Float64Array ? values : Float64Array.from(values as ArrayLike<bigint | number>, Number);
  }
  if (vector.kind !== "indexed") return undefined;
  const values = floatsOf(vector.values);
  return values === undefined
    ? undefined
    : Float64Array.from({ length: vector.length }, (_none, row) => values[vector.indices[row] ?? 0] ?? Number.NaN);
}
