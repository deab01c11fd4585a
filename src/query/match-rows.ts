/**
 * Which rows of a batch satisfy a predicate: one byte each, 0 or 1. Only the columns asked for are read. A condition is a pass over
 * the rows, after which others may go first: a batch of a million rows may meet as many conditions as a request has room for.
 */

import { setBits } from "../arrow/bits.ts";
import { deriveNorm } from "../arrow/norm.ts";
import { isNull, type ListVector, type Vector } from "../arrow/vector.ts";
import type { ItemChoice } from "../model/predicate.ts";
import { isWithin } from "./area.ts";
import type { BoundPredicate, ValueTest } from "./bind.ts";
import type { Columns } from "./columns.ts";
import type { Effort } from "./effort.ts";
import { matchValues } from "./match-values.ts";

/** @throws Fault corrupt, invalid, overloaded, the signal's reason when it has fired */
export async function matchRows(predicate: BoundPredicate, columns: Columns, effort: Effort): Promise<Uint8Array> {
  const { rows } = columns;
  switch (predicate.kind) {
    case "all": {
      const found = new Uint8Array(rows).fill(1);
      for (const part of predicate.of) {
        // Nothing is left to be asked.
        if (!found.includes(1)) break;
        const mask = await matchRows(part, columns, effort);
        for (let row = 0; row < rows; row += 1) found[row] = (found[row] ?? 0) & (mask[row] ?? 0);
      }
      return found;
    }
    case "any": {
      const found = new Uint8Array(rows);
      for (const part of predicate.of) {
        if (!found.includes(0)) break;
        const mask = await matchRows(part, columns, effort);
        for (let row = 0; row < rows; row += 1) found[row] = (found[row] ?? 0) | (mask[row] ?? 0);
      }
      return found;
    }
    case "not":
      return (await matchRows(predicate.of, columns, effort)).map((one) => 1 - one);
    case "never":
      return new Uint8Array(rows);
    default:
      effort.scan(rows);
      await effort.pause();
      return await matchCondition(predicate, columns, effort);
  }
}

type BoundCondition = Extract<BoundPredicate, { kind: "value" | "list" | "within" | "norm" }>;

async function matchCondition(condition: BoundCondition, columns: Columns, effort: Effort): Promise<Uint8Array> {
  switch (condition.kind) {
    case "value": {
      const vector = columns.read(condition.column);
      return condition.items === undefined
        ? await matchValues(vector, condition.test, effort)
        : await matchItems(vector, condition.items, condition.test, effort);
    }
    case "list":
      return await matchLists(columns.read(condition.column), condition, effort);
    case "within":
      return matchArea(condition, columns);
    case "norm":
      return await matchNorm(condition, columns, effort);
  }
}

async function matchItems(vector: Vector, choice: ItemChoice, test: ValueTest, effort: Effort): Promise<Uint8Array> {
  const found = new Uint8Array(vector.length);
  if (vector.kind !== "list" || vector.items === undefined) return found;
  const items = await matchValues(vector.items, test, effort);
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
async function matchLists(
  vector: Vector,
  { items: tests, equal }: Extract<BoundPredicate, { kind: "list" }>,
  effort: Effort,
): Promise<Uint8Array> {
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
    if (known?.test !== test) known = { test, mask: await matchValues(items, test, effort) };
    const { mask } = known;
    effort.scan(same.length);
    if (effort.isDue) await effort.pause();
    same = same.filter((row) => mask[itemsAt(vector, row).start + index] === 1);
  }
  for (const row of equal ? same : all) found[row] = 1;
  if (!equal) for (const row of same) found[row] = 0;
  return found;
}

function matchArea(
  { latitude, longitude, area }: Extract<BoundPredicate, { kind: "within" }>,
  columns: Columns,
): Uint8Array {
  const found = new Uint8Array(columns.rows);
  const [north, east] = [latitude, longitude].map((column) => columns.readFloats(column));
  if (north === undefined || east === undefined) return found;
  for (let row = 0; row < found.length; row += 1) {
    if (north.isNull(row) || east.isNull(row)) continue;
    found[row] = isWithin(area, north.values[row] ?? Number.NaN, east.values[row] ?? Number.NaN) ? 1 : 0;
  }
  return found;
}

async function matchNorm(
  { components, test }: Extract<BoundPredicate, { kind: "norm" }>,
  source: Columns,
  effort: Effort,
): Promise<Uint8Array> {
  const length = source.rows;
  const columns = components.map((column) => source.readFloats(column)).filter((column) => column !== undefined);
  if (columns.length < components.length) return new Uint8Array(length);
  const validity = new Uint8Array(Math.ceil(length / 8));
  for (let row = 0; row < length; row += 1)
    if (!columns.some((column) => column.isNull(row))) setBits(validity, row, 1);
  const values = new Float64Array(length);
  deriveNorm(
    columns.map((column) => column.values),
    length,
    values,
  );
  return await matchValues({ kind: "number", length, validity, values }, test, effort);
}
