// Statistics the slow way: out of plain values, and what it means that they hold.

import type * as arrow from "apache-arrow";
import { expect } from "vitest";
import type { LeafStatistics } from "../../src/model/statistics.ts";
import type { Plain } from "./random-columns.ts";

/** The values of each leaf, in schema order, out of those of whole rows. Lists as `true` where they are not null. */
export function leafValues(values: readonly Plain[], type: arrow.DataType): Plain[][] {
  const children = type.children ?? [];
  const [item] = children;
  if (item === undefined) return [[...values]];
  if (values.some(Array.isArray) || children.length === 1) {
    const lists = values as readonly (readonly Plain[] | null)[];
    const items = lists.flatMap((list): readonly Plain[] => list ?? [null]);
    return [lists.map((list) => (list === null ? null : true)), ...leafValues(items, item.type)];
  }
  const structs = values as readonly ({ readonly [name: string]: Plain } | null)[];
  return children.flatMap((child) =>
    leafValues(
      structs.map((struct) => struct?.[child.name] ?? null),
      child.type,
    ),
  );
}

/** Values that are neither null nor NaN. */
export function ordered(values: readonly Plain[]): Plain[] {
  return values.filter((value) => value !== null && !(typeof value === "number" && Number.isNaN(value)));
}

const numberOf = (value: Plain): number | bigint =>
  typeof value === "boolean" ? Number(value) : (value as number | bigint);

/** Statistics of values, exact wherever statistics may be loose. */
export function exactly(values: readonly Plain[], isList: boolean): LeafStatistics {
  const nulls = values.filter((value) => value === null).length;
  const left = ordered(values);
  const counts = { values: values.length, nulls, nans: values.length - nulls - left.length };
  const [first] = left;
  if (first === undefined || isList) return counts;
  if (typeof first === "string") {
    const texts = left.map((value) => Buffer.from(value as string)).sort(Buffer.compare);
    return {
      ...counts,
      range: { kind: "text", least: texts[0] ?? Buffer.alloc(0), most: texts.at(-1) },
      distinct: [...new Set(left as string[])],
    };
  }
  const numbers = left.map(numberOf);
  const least = numbers.reduce((a, b) => (b < a ? b : a));
  const most = numbers.reduce((a, b) => (b > a ? b : a));
  return { ...counts, range: { kind: "number", least, most } };
}

/** Fails unless statistics are those of the values: numbers exactly, texts as closely as bounds of 64 bytes can. */
export function expectExact(found: LeafStatistics | undefined, wanted: LeafStatistics, title: string): void {
  expect(found, title).toBeDefined();
  if (found === undefined) return;
  expect({ values: found.values, nulls: found.nulls, nans: found.nans }, title).toEqual({
    values: wanted.values,
    nulls: wanted.nulls,
    nans: wanted.nans,
  });
  if (wanted.range?.kind !== "text") {
    // -0 is written as 0.
    const { range } = wanted;
    const plain =
      range === undefined ? undefined : { ...range, least: unsigned(range.least), most: unsigned(range.most) };
    expect(found.range, title).toEqual(plain);
    return;
  }
  const { least, most } = wanted.range;
  const bounds = found.range;
  if (bounds?.kind !== "text" || most === undefined) throw new Error(`${title}: a range of texts is expected`);
  expect(Buffer.from(bounds.least), title).toEqual(Buffer.from(least.subarray(0, 64)));
  if (most.byteLength <= 64) expect(Buffer.from(bounds.most ?? []), title).toEqual(Buffer.from(most));
  else expectRaised(bounds.most, most, title);
  const few =
    (wanted.distinct ?? []).length <= 16 &&
    (wanted.distinct ?? []).every((text) => Buffer.byteLength(String(text)) <= 64);
  expect(found.distinct === undefined ? undefined : [...found.distinct].sort(), title).toEqual(
    few ? [...(wanted.distinct ?? [])].sort() : undefined,
  );
}

/** Above all that begins like the text, and below all that begins otherwise and is above it. */
function expectRaised(bound: Uint8Array | undefined, text: Uint8Array, title: string): void {
  expect(bound, title).toBeDefined();
  const last = (bound?.byteLength ?? 0) - 1;
  const lowered = Uint8Array.from(bound ?? []);
  lowered[last] = (lowered[last] ?? 0) - 1;
  expect(Buffer.from(lowered), title).toEqual(Buffer.from(text.subarray(0, last + 1)));
  expect(
    text.subarray(last + 1, 64).every((byte) => byte === 0xff),
    title,
  ).toBe(true);
}

const unsigned = <T extends number | bigint | Uint8Array | undefined>(value: T): T => (value === 0 ? (0 as T) : value);

/** Fails unless everything that statistics claim is true of the values. */
export function expectTrue(found: LeafStatistics, values: readonly Plain[], title: string): void {
  const left = ordered(values);
  const nulls = values.filter((value) => value === null).length;
  expect(found, title).toMatchObject({ values: values.length, nulls, nans: values.length - nulls - left.length });
  const { range, distinct } = found;
  for (const value of left) {
    if (range?.kind === "number") {
      const number = numberOf(value);
      expect(
        number >= range.least && number <= range.most,
        `${title}: ${number} in ${range.least} to ${range.most}`,
      ).toBe(true);
    } else if (range?.kind === "text") {
      const bytes = Buffer.from(value as string);
      expect(Buffer.compare(bytes, range.least) >= 0, `${title}: ${value} is not below`).toBe(true);
      if (range.most !== undefined)
        expect(Buffer.compare(bytes, range.most) <= 0, `${title}: ${value} is not above`).toBe(true);
    }
    if (distinct !== undefined) expect(distinct, title).toContain(value);
  }
}
