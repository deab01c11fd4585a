// Conditions as intervals: for every value the interval says what the condition says, also between neighbouring doubles and beyond 2^53.

import { expect, test } from "vitest";
import type { Scalar } from "../../src/model/predicate.ts";
import { booleans, type Domain, intervalOf, numbers, type OrderCondition } from "../../src/query/interval.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const kinds = ["eq", "neq", "lt", "leq", "gt", "geq", "between", "outside"] as const;

/** What the language says, with JavaScript's exact comparison of bigint and number. */
function holds(condition: OrderCondition, value: bigint | number): boolean {
  if ("least" in condition) {
    const [least, most] = [condition.least, condition.most] as (bigint | number)[];
    if (least === undefined || most === undefined) throw new TypeError("a pair has two");
    return condition.kind === "between" ? value >= least && value <= most : value < least || value > most;
  }
  const operand = condition.operand as bigint | number;
  switch (condition.kind) {
    case "eq":
      return value >= operand && value <= operand;
    case "neq":
      return !(value >= operand && value <= operand);
    case "lt":
      return value < operand;
    case "leq":
      return value <= operand;
    case "gt":
      return value > operand;
    case "geq":
      return value >= operand;
  }
}

function isIn(condition: OrderCondition, domain: Domain, value: bigint | number): boolean {
  const interval = intervalOf(condition, domain);
  if (interval === undefined) return false;
  if (Number.isNaN(value)) return interval.nan;
  return (value >= interval.least && value <= interval.most) !== interval.outside;
}

const corners: readonly (bigint | number)[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  Infinity,
  -Infinity,
  5e-324,
  2 ** 53,
  2 ** 53 + 2,
  1.7976931348623157e308,
  9.5e18,
  -9.3e18,
  0n,
  1n,
  -1n,
  2n ** 53n,
  2n ** 53n + 1n,
  -(2n ** 53n) - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  2n ** 64n - 1n,
  10n ** 30n,
];

test.each(["integer", "float"] as const)("a column of %ss", (kind) => {
  const random = new Random(`intervals of ${kind}s`);
  const cells = combinations({ condition: kinds, operand: ["bigint", "number"], holds: [true, false] });
  const cellOf = (cell: (typeof cells)[number]): string => `${cell.condition} ${cell.operand} ${cell.holds}`;
  const coverage = new Coverage(`values of ${kind}s`, cells.map(cellOf));
  const anything = (): bigint | number =>
    random.pick([
      ...corners,
      random.int64(),
      Number(random.int64()),
      1e19 * (random.next() - 0.5),
      random.below(4) / 2,
    ]);
  const values = (): (bigint | number)[] =>
    [...corners, random.int64(), anything(), Number.NaN].flatMap((value): (bigint | number)[] => {
      if (kind === "float") return [Number(value)];
      if (typeof value === "bigint") return value < 2n ** 64n && value >= -(2n ** 63n) ? [value] : [];
      return Number.isSafeInteger(value) ? [value] : [];
    });
  for (let round = 0; round < 2_000; round += 1) {
    const [a, b] = [anything(), anything()];
    const condition = random.pick(kinds);
    const [least, most]: [Scalar, Scalar] = a < b ? [a, b] : [b, a];
    const asked: OrderCondition =
      condition === "between" || condition === "outside"
        ? { kind: condition, least, most }
        : { kind: condition, operand: a };
    for (const value of values()) {
      const expected = holds(asked, value);
      const operand = "least" in asked ? typeof asked.least : typeof asked.operand;
      coverage.hit(cellOf({ condition, operand: operand as "bigint" | "number", holds: expected }));
      expect(
        isIn(asked, numbers(kind), value),
        `${value} ${condition} ${"least" in asked ? `${least} ${most}` : a}`,
      ).toBe(expected);
    }
  }
  coverage.check();
});

test("booleans are compared with booleans only", () => {
  for (const value of [0, 1]) {
    for (const operand of [false, true]) {
      for (const kind of ["eq", "neq", "lt", "geq"] as const)
        expect(isIn({ kind, operand }, booleans, value)).toBe(holds({ kind, operand: Number(operand) }, value));
    }
    expect(isIn({ kind: "eq", operand: 1n }, booleans, value)).toBe(false);
    expect(isIn({ kind: "neq", operand: "true" }, booleans, value)).toBe(false);
  }
});

test("texts have no place among numbers", () => {
  for (const kind of kinds.slice(0, 6))
    expect(intervalOf({ kind, operand: "5" } as OrderCondition, numbers("integer"))).toBeUndefined();
});
