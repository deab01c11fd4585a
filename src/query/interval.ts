/**
 * Conditions that order numbers, as values of a column from one bound to another. Exact: an operand that the column's type does
 * not have becomes the nearest value that it has, on the right side.
 */

import type { Condition, Scalar } from "../model/predicate.ts";

export interface Interval {
  /** Both are among the values; bigint or infinite for integers, number for floats. There is none when not `least <= most`. */
  readonly least: bigint | number;
  readonly most: bigint | number;
  /** Whether the values are those that are not between the bounds. */
  readonly outside: boolean;
  /** Whether NaN is one of them. */
  readonly nan: boolean;
}

/** The index of the first of several, disjoint and in order, that does not lie below a value. */
export function firstNotBelow(intervals: readonly Interval[], value: bigint | number): number {
  let [low, high] = [0, intervals.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((intervals[middle] as Interval).most < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export type OrderCondition = Extract<
  Condition,
  { kind: "eq" | "neq" | "lt" | "leq" | "gt" | "geq" | "between" | "outside" }
>;

/** What a column's values are, and how an operand becomes one of them. */
export interface Domain {
  readonly kind: "integer" | "float";
  /** The operand as a number of the column's unit: exactly, or what it is cut to and whether something was cut; undefined when it is none. */
  read(operand: Scalar): Fraction | undefined;
}

/** `floor` and, unless `whole`, a little more. */
export interface Fraction {
  readonly floor: bigint | number;
  readonly whole: boolean;
}

/** Undefined when an operand has no place among the values: nothing matches then. */
export function intervalOf(condition: OrderCondition, domain: Domain): Interval | undefined {
  if ("least" in condition) {
    const least = domain.read(condition.least);
    const most = domain.read(condition.most);
    if (least === undefined || most === undefined) return undefined;
    const outside = condition.kind === "outside";
    return { least: atLeast(least, domain), most: atMost(most, domain), outside, nan: false };
  }
  const operand = domain.read(condition.operand);
  if (operand === undefined) return undefined;
  const inside = { outside: false, nan: false };
  switch (condition.kind) {
    case "eq":
      return { least: atLeast(operand, domain), most: atMost(operand, domain), ...inside };
    case "neq":
      return { least: atLeast(operand, domain), most: atMost(operand, domain), outside: true, nan: true };
    case "lt":
      return { least: -Infinity, most: below(operand, domain), ...inside };
    case "leq":
      return { least: -Infinity, most: atMost(operand, domain), ...inside };
    case "gt":
      return { least: above(operand, domain), most: Infinity, ...inside };
    case "geq":
      return { least: atLeast(operand, domain), most: Infinity, ...inside };
  }
}

function atMost({ floor }: Fraction, { kind }: Domain): bigint | number {
  return kind === "float" ? floatAtMost(floor) : floor;
}

function atLeast(fraction: Fraction, domain: Domain): bigint | number {
  if (!fraction.whole) return above(fraction, domain);
  return domain.kind === "float" ? floatAtLeast(fraction.floor) : fraction.floor;
}

function below({ floor, whole }: Fraction, domain: Domain): bigint | number {
  if (!whole) return atMost({ floor, whole }, domain);
  if (domain.kind === "integer") return typeof floor === "bigint" ? floor - 1n : floor;
  const float = floatAtMost(floor);
  return float < floor ? float : neighbour(float, -1);
}

function above({ floor }: Fraction, domain: Domain): bigint | number {
  if (domain.kind === "integer") return typeof floor === "bigint" ? floor + 1n : floor;
  const float = floatAtLeast(floor);
  return float > floor ? float : neighbour(float, 1);
}

/** The greatest double that is not above. JavaScript compares bigint and number exactly. */
function floatAtMost(value: bigint | number): number {
  const near = Number(value);
  return near > value ? neighbour(near, -1) : near;
}

function floatAtLeast(value: bigint | number): number {
  const near = Number(value);
  return near < value ? neighbour(near, 1) : near;
}

const float = new Float64Array(1);
const bits = new BigInt64Array(float.buffer);

/** The next double below or above; NaN, which bounds nothing in, when there is none. */
function neighbour(value: number, direction: -1 | 1): number {
  if (value === direction * Infinity) return Number.NaN;
  if (value === 0) return direction * Number.MIN_VALUE;
  float[0] = value;
  const away = value > 0 === direction > 0;
  bits[0] = (bits[0] ?? 0n) + (away ? 1n : -1n);
  return float[0];
}

/** Numbers as they are: of integer and float columns. */
export function numbers(kind: Domain["kind"]): Domain {
  return {
    kind,
    read(operand) {
      if (typeof operand === "bigint") return { floor: operand, whole: true };
      if (typeof operand !== "number") return undefined;
      if (kind === "float") return { floor: operand, whole: true };
      // JSON has numbers that overflow: 1e999.
      if (!Number.isFinite(operand)) return { floor: operand, whole: false };
      const floor = Math.floor(operand);
      return { floor: BigInt(floor), whole: floor === operand };
    },
  };
}

/** false and true as 0 and 1. */
export const booleans: Domain = {
  kind: "integer",
  read: (operand) => (typeof operand === "boolean" ? { floor: operand ? 1n : 0n, whole: true } : undefined),
};
