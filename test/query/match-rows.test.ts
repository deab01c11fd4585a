// Rows that match and what statistics say of them, against conditions tested value by value on what apache-arrow's getters give.

import { expect, test } from "vitest";
import { leavesOf } from "../../src/arrow/leaf.ts";
import { batchStatistics } from "../../src/arrow/statistics.ts";
import { Fault } from "../../src/model/fault.ts";
import type { Condition, ItemChoice, RowPredicate, Scalar } from "../../src/model/predicate.ts";
import { orderOf, scalarSet } from "../../src/model/predicate.ts";
import { decodeLeaf, encodeStatistics } from "../../src/model/statistics-codec.ts";
import { bindPredicate } from "../../src/query/bind.ts";
import { Columns } from "../../src/query/columns.ts";
import { Effort } from "../../src/query/effort.ts";
import { matchRows } from "../../src/query/match-rows.ts";
import { verdictOf } from "../../src/query/prune.ts";
import {
  type Column,
  columnOf,
  makers,
  type Nesting,
  type Plain,
  randomColumn,
  randomText,
} from "../arrow/random-columns.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const roles = { position: () => undefined, vector: () => undefined };
const operators = ["eq", "neq", "lt", "leq", "gt", "geq", "between", "outside", "in", "exists", "missing"] as const;
const kinds = ["number", "text", "boolean"] as const;
const choices = ["value", "at", "any", "all"] as const;
/** Types whose values a condition can be compared with, but for times, whose operands may be texts too. */
const names = Object.keys(makers).filter((name) => kindOf(name) !== undefined);
const nestings: readonly Nesting[] = ["top", "struct", "struct in struct", "list", "large list", "fixed list"];

function kindOf(name: string): (typeof kinds)[number] | undefined {
  if (/^u?int|^float/.test(name)) return "number";
  if (/utf8/i.test(name)) return "text";
  return name === "bool" ? "boolean" : undefined;
}

const order = (a: Scalar, b: Scalar): number => {
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
};

/** What the language says of one value. */
function holds(condition: Condition, value: Plain): boolean {
  if (condition.kind === "missing") return value === null;
  if (condition.kind === "exists") return value !== null;
  if (value === null || typeof value === "object" || condition.kind === "match") return false;
  const isLike = (operand: Scalar): boolean =>
    (typeof operand === "bigint" ? "number" : typeof operand) === (typeof value === "bigint" ? "number" : typeof value);
  const isNan = Number.isNaN(value);
  if (condition.kind === "in")
    return !isNan && [...condition.operands.values].some((one) => isLike(one) && order(value, one) === 0);
  if ("least" in condition) {
    if (!isLike(condition.least) || isNan) return false;
    const inside = order(value, condition.least) >= 0 && order(value, condition.most) <= 0;
    return condition.kind === "between" ? inside : !inside;
  }
  if (!("operand" in condition) || !isLike(condition.operand)) return false;
  if (isNan) return condition.kind === "neq";
  const sign = order(value, condition.operand);
  switch (condition.kind) {
    case "eq":
      return sign === 0;
    case "neq":
      return sign !== 0;
    case "lt":
      return sign < 0;
    case "leq":
      return sign <= 0;
    case "gt":
      return sign > 0;
    case "geq":
      return sign >= 0;
  }
}

function holdsFor(condition: Condition, choice: ItemChoice | undefined, value: Plain): boolean {
  if (choice === undefined) return holds(condition, value);
  const items = Array.isArray(value) ? (value as readonly Plain[]) : [];
  if (choice.kind === "at") return holds(condition, items[choice.index] ?? null);
  return choice.kind === "any"
    ? items.some((item) => holds(condition, item))
    : items.length > 0 && items.every((item) => holds(condition, item));
}

function isScalar(value: Plain): value is Scalar {
  return value !== null && typeof value !== "object" && !Number.isNaN(value);
}

/** One that is there, one that is near, or any other. */
function randomOperand(random: Random, values: readonly Plain[]): Scalar {
  const scalars = values.flat(3).filter(isScalar);
  if (scalars.length > 0 && random.chance(0.7)) return random.pick(scalars);
  return random.pick<Scalar>([
    random.int64(),
    100 * random.next() - 50,
    1.5,
    randomText(random, true),
    true,
    false,
    2n ** 64n,
    Infinity,
  ]);
}

function randomCondition(random: Random, values: readonly Plain[]): Condition {
  const kind = random.pick(operators);
  if (kind === "exists" || kind === "missing") return { kind };
  if (kind === "in")
    return {
      kind,
      operands: scalarSet(Array.from({ length: 1 + random.below(4) }, () => randomOperand(random, values))),
    };
  if (kind !== "between" && kind !== "outside") return { kind, operand: randomOperand(random, values) };
  for (;;) {
    const [a, b] = [randomOperand(random, values), randomOperand(random, values)];
    if ((typeof a === "bigint" ? "number" : typeof a) !== (typeof b === "bigint" ? "number" : typeof b)) continue;
    return order(a, b) <= 0 ? { kind, least: a, most: b } : { kind, least: b, most: a };
  }
}

/** The leaf of the column that conditions are for: the value itself, or the items. */
function valuesOfLeaf({ values }: Column, path: string): readonly Plain[] {
  const steps = path.replace("[]", "").split(".").slice(1);
  return values.map((value) =>
    steps.reduce<Plain>(
      (at, step) => (at === null ? null : ((at as Readonly<Record<string, Plain>>)[step] ?? null)),
      value,
    ),
  );
}

test("every operator on every kind of value and list, and never against what statistics say", async () => {
  const random = new Random("match rows");
  const cells = operators.flatMap((operator) => kinds.map((kind) => `${operator} ${kind}`));
  const coverage = new Coverage("conditions", [
    ...cells.flatMap((cell) => [`${cell} some`, `${cell} none`]),
    ...choices.map((choice) => `items ${choice}`),
    ...["no", "maybe", "all"].map((verdict) => `verdict ${verdict}`),
    "negated",
  ]);
  const effort = new Effort(new AbortController().signal);
  for (let round = 0; round < 6_000; round += 1) {
    const name = random.pick(names);
    const nesting = random.pick(nestings);
    const column = columnOf(
      random,
      randomColumn(random, name, nesting, { nulls: random.chance(0.5), rows: 1 + random.below(12) }),
    );
    const leaves = leavesOf(column.schema);
    const leaf = leaves.list.at(-1);
    if (leaf === undefined) throw new RangeError("there is a leaf");
    const values = valuesOfLeaf(column, leaf.path);
    const isList = leaf.path.endsWith("[]");
    const items: ItemChoice | undefined = isList
      ? random.pick([{ kind: "any" }, { kind: "all" }, { kind: "at", index: random.below(3) }])
      : undefined;
    const condition = randomCondition(random, values);
    const field = leaf.path.replace("[]", "");
    const asked: RowPredicate = { kind: "field", path: { field, items }, condition };
    const negated = random.chance(0.2);
    const bound = bindPredicate(negated ? { kind: "not", of: asked } : asked, {
      schema: column.schema,
      leaves,
      roles,
    });
    const expected = values.map((value) => holdsFor(condition, items, value) !== negated);
    const title = `${name} ${nesting} ${JSON.stringify(asked, (_key, value) => (typeof value === "bigint" ? `${value}n` : value instanceof Set ? [...value] : value))}`;
    const source = { schema: column.schema, batch: column.batch, dictionaries: new Map(), bytesMax: 2 ** 24 };
    const found = [...(await matchRows(bound, new Columns(source, effort), effort))].map((one) => one === 1);
    expect(found, title).toEqual(expected);

    const statistics = encodeStatistics(batchStatistics(leaves, column.batch));
    const verdict = verdictOf(bound, (of) => (typeof of === "number" ? decodeLeaf(statistics, of) : undefined), effort);
    if (verdict === "no") expect(expected.includes(true), `${title}: ${verdict}`).toBe(false);
    if (verdict === "all") expect(expected.includes(false), `${title}: ${verdict}`).toBe(false);

    coverage.hit(`${condition.kind} ${kindOf(name)} ${expected.includes(!negated) ? "some" : "none"}`);
    coverage.hit(`items ${items?.kind ?? "value"}`);
    coverage.hit(`verdict ${verdict}`);
    if (negated) coverage.hit("negated");
  }
  coverage.check();
});

test("a whole list is equal or unequal to what its items can be compared with, and to nothing else", async () => {
  const random = new Random("whole lists");
  const kindsOfCase = ["comparable", "incomparable"].flatMap((one) =>
    ["list eq", "list neq"].map((kind) => `${one} ${kind}`),
  );
  const coverage = new Coverage(
    "whole lists",
    kindsOfCase.flatMap((one) => [`${one} some`, `${one} none`]).filter(isPossible),
  );
  const effort = new Effort(new AbortController().signal);
  for (let round = 0; round < 1_500; round += 1) {
    const name = random.pick(names);
    const nesting = random.pick(["list", "large list", "fixed list"] as const);
    const made = randomColumn(random, name, nesting, { nulls: random.chance(0.5), rows: 1 + random.below(12) });
    const column = columnOf(random, made);
    const leaves = leavesOf(column.schema);
    const leaf = leaves.list.at(-1);
    if (leaf === undefined) throw new RangeError("there is a leaf");
    const values = valuesOfLeaf(column, leaf.path);
    const lists = values.filter((value) => Array.isArray(value)).map((list) => (list as Plain[]).filter(isScalar));
    const items: readonly Scalar[] =
      lists.length > 0 && random.chance(0.7)
        ? random.pick(lists)
        : Array.from({ length: 1 + random.below(2) }, () => randomOperand(random, values));
    const kind = random.pick(["list eq", "list neq"] as const);
    const bound = bindPredicate(
      { kind: "field", path: { field: leaf.path.replace("[]", "") }, condition: { kind, items } },
      { schema: column.schema, leaves, roles },
    );
    const isComparable = items.every((item) => orderOf(item) === (kindOf(name) === "text" ? "string" : kindOf(name)));
    const expected = values.map((list) => {
      if (!Array.isArray(list) || !isComparable) return false;
      const same =
        list.length === items.length &&
        items.every((operand, index) => holds({ kind: "eq", operand }, (list as readonly Plain[])[index] ?? null));
      return same === (kind === "list eq");
    });
    const source = { schema: column.schema, batch: column.batch, dictionaries: new Map(), bytesMax: 2 ** 24 };
    const found = [...(await matchRows(bound, new Columns(source, effort), effort))].map((one) => one === 1);
    expect(found, `${name} ${nesting} ${kind} ${items.join(", ")}`).toEqual(expected);
    const cell = `${isComparable ? "comparable" : "incomparable"} ${kind}`;
    coverage.hit(`${cell} ${expected.includes(true) ? "some" : "none"}`);
  }
  coverage.check();
});

function isPossible(cell: string): boolean {
  return !(cell.startsWith("incomparable") && cell.endsWith("some"));
}

test("however many conditions a batch meets, others go first between them, and one who no longer waits ends it", async () => {
  const random = new Random("match rows: many conditions");
  const column = columnOf(random, randomColumn(random, "int32", "top", { nulls: true, rows: 2 ** 16 }));
  const leaves = leavesOf(column.schema);
  const field = leaves.list.at(-1)?.path ?? "";
  // Of integers none is a half.
  const of = Array.from(
    { length: 200 },
    (_none, index): RowPredicate => ({
      kind: "field",
      path: { field, items: undefined },
      condition: { kind: "eq", operand: index + 0.5 },
    }),
  );
  of.push({ kind: "field", path: { field, items: undefined }, condition: { kind: "missing" } });
  const bound = bindPredicate({ kind: "any", of }, { schema: column.schema, leaves, roles });
  const source = { schema: column.schema, batch: column.batch, dictionaries: new Map(), bytesMax: 2 ** 24 };
  const aborted = new AbortController();
  const effort = new Effort(aborted.signal);
  let turns = 0;
  let waiting = true;
  const count = (): void => {
    turns += 1;
    if (waiting) setImmediate(count);
  };
  setImmediate(count);
  const found = await matchRows(bound, new Columns(source, effort), effort);
  waiting = false;
  expect(found.includes(1)).toBe(true);
  expect(turns).toBeGreaterThan(20);

  const reason = new Fault("cancelled", "Nobody waits any more.");
  aborted.abort(reason);
  await expect(matchRows(bound, new Columns(source, effort), effort)).rejects.toBe(reason);
});
