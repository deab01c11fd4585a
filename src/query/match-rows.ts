/** Which rows of a batch satisfy a predicate: one byte each, 0 or 1. Only the columns asked for are read. */

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

function matchLists(
  vector: Vector,
  { items: tests, equal }: Extract<BoundPredicate, { kind: "list" }>,
  effort: Effort,
): Uint8Array {
  const found = new Uint8Array(vector.length);
  if (vector.kind !== "list" || vector.items === undefined) return found;
  const { items } = vector;
  const masks = new Map<number, Uint8Array>();
  const matches = (index: number, item: number): boolean => {
    let mask = masks.get(index);
    if (mask === undefined) {
      const test = tests[index];
      mask = test === undefined ? new Uint8Array(items.length) : matchValues(items, test, effort);
      masks.set(index, mask);
    }
    return mask[item] === 1;
  };
  for (let row = 0; row < found.length; row += 1) {
    if (isNull(vector, row)) continue;
    const { start, end } = itemsAt(vector, row);
    const same = end - start === tests.length && tests.every((_test, index) => matches(index, start + index));
    found[row] = same === equal ? 1 : 0;
  }
  return found;
}

function matchArea(
  { latitude, longitude, area }: Extract<BoundPredicate, { kind: "within" }>,
  source: VectorSource,
  effort: Effort,
): Uint8Array {
  const found = new Uint8Array(source.batch.rows);
  const [north, east] = [latitude, longitude].map((column: BoundColumn) => readVector(source, column.chain));
  if (north?.kind !== "number" || east?.kind !== "number") return found;
  effort.spend(found.length);
  for (let row = 0; row < found.length; row += 1) {
    if (isNull(north, row) || isNull(east, row)) continue;
    found[row] = isWithin(area, Number(north.values[row]), Number(east.values[row])) ? 1 : 0;
  }
  return found;
}
