/**
 * A predicate as it reads for one schema: names have become columns, operands values of their types. What a schema does not have,
 * and what has no place among a column's values, matches no row.
 */

import { type Leaves, leafAt, resolvePath } from "../arrow/leaf.ts";
import { numberTypeOf } from "../arrow/number-type.ts";
import type { Field, Schema } from "../arrow/schema.ts";
import { type ArrowType, isListType } from "../arrow/type.ts";
import type { Area, Condition, ItemChoice, RowPredicate, Scalar } from "../model/predicate.ts";
import { booleans, type Domain, type Interval, intervalOf, numbers, type OrderCondition } from "./interval.ts";
import type { FindRoles } from "./roles.ts";
import { durations, nsPerDay, nsPerUnit, points, timesOfDay } from "./times.ts";

export type BoundPredicate =
  | { readonly kind: "all" | "any"; readonly of: readonly BoundPredicate[] }
  | { readonly kind: "not"; readonly of: BoundPredicate }
  | { readonly kind: "never" }
  | {
      readonly kind: "value";
      readonly column: BoundColumn;
      readonly items: ItemChoice | undefined;
      readonly test: ValueTest;
    }
  | {
      readonly kind: "list";
      readonly column: BoundColumn;
      readonly items: readonly ValueTest[];
      readonly equal: boolean;
    }
  | { readonly kind: "within"; readonly latitude: BoundColumn; readonly longitude: BoundColumn; readonly area: Area }
  | { readonly kind: "norm"; readonly components: readonly BoundColumn[]; readonly test: ValueTest };

export interface BoundColumn {
  /** Leads to the column, and on to items where they are asked for. */
  readonly chain: readonly number[];
  /** Index of the leaf that has its statistics; undefined when none has. */
  readonly leaf: number | undefined;
}

/** What a value is asked for. */
export type ValueTest =
  | { readonly kind: "exists" | "missing" }
  /** Numbers, times, and booleans as 0 and 1: in one of them. Several are disjoint, in order, and none is `outside`. */
  | { readonly kind: "intervals"; readonly of: readonly Interval[] }
  | { readonly kind: "text"; readonly condition: Condition }
  | { readonly kind: "never" };

export interface Binding {
  readonly schema: Schema;
  readonly leaves: Leaves;
  readonly roles: FindRoles;
}

export function bindPredicate(predicate: RowPredicate, binding: Binding): BoundPredicate {
  switch (predicate.kind) {
    case "all":
    case "any":
      return { kind: predicate.kind, of: predicate.of.map((part) => bindPredicate(part, binding)) };
    case "not":
      return { kind: "not", of: bindPredicate(predicate.of, binding) };
    case "within":
      return bindArea(predicate.field, predicate.area, binding);
    case "norm":
      return bindNorm(predicate.field, predicate.condition, binding);
    case "field":
      return bindField(predicate, binding);
  }
}

function bindArea(field: string, area: Area, binding: Binding): BoundPredicate {
  const names = binding.roles.position(field);
  if (names === undefined) return { kind: "never" };
  const [latitude, longitude] = [names.latitude, names.longitude].map((name) => numberColumn(name, binding));
  if (latitude === undefined || longitude === undefined) return { kind: "never" };
  return { kind: "within", latitude, longitude, area };
}

/** A column whose values are numbers. */
function numberColumn(field: string, binding: Binding): BoundColumn | undefined {
  const found = resolvePath(binding.schema, { field });
  return found !== undefined && numberTypeOf(valuesOf(found.field).type) !== undefined
    ? boundColumn(binding, found.chain)
    : undefined;
}

function bindNorm(field: string, condition: Condition, binding: Binding): BoundPredicate {
  const components = binding.roles.vector(field)?.map((path) => numberColumn(path, binding)) ?? [];
  const known = components.filter((column) => column !== undefined);
  const test = isExistence(condition) ? condition : bindOrder(condition, numbers("float"));
  if (known.length === 0 || known.length < components.length || test.kind === "never") return { kind: "never" };
  return { kind: "norm", components: known, test };
}

function bindField({ path, condition }: Extract<RowPredicate, { kind: "field" }>, binding: Binding): BoundPredicate {
  const found = resolvePath(binding.schema, path);
  if (found === undefined) return { kind: "never" };
  if ("items" in condition) {
    const [item] = isListType(found.field.type) && path.items === undefined ? found.field.children : [];
    if (item === undefined || !condition.items.every((operand) => isComparable(operand, item)))
      return { kind: "never" };
    const byOperand = new Map<Scalar, ValueTest>();
    for (const operand of condition.items) byOperand.set(operand, bindTest({ kind: "eq", operand }, item));
    const items = condition.items.map((operand) => byOperand.get(operand) ?? { kind: "never" as const });
    const column = boundColumn(binding, [...found.chain, 0]);
    return { kind: "list", column, items, equal: condition.kind === "list eq" };
  }
  const { chain, field } = found.items ?? { chain: [], field: found.field };
  const test = bindTest(condition, field);
  if (test.kind === "never") return { kind: "never" };
  return { kind: "value", column: boundColumn(binding, [...found.chain, ...chain]), items: path.items, test };
}

function boundColumn({ leaves }: Binding, chain: readonly number[]): BoundColumn {
  return { chain, leaf: leafAt(leaves, chain) };
}

function bindTest(condition: Condition, field: Field): ValueTest {
  const { type } = valuesOf(field);
  if (isExistence(condition)) return condition;
  if (isText(type)) return { kind: "text", condition };
  const domain = domainOf(type);
  return domain === undefined ? { kind: "never" } : bindOrder(condition, domain);
}

function bindOrder(condition: Exclude<Condition, Existence>, domain: Domain): ValueTest {
  if ("pattern" in condition) return { kind: "never" };
  const asked: readonly OrderCondition[] =
    "operands" in condition
      ? [...condition.operands.values].map((operand: Scalar) => ({ kind: "eq", operand }))
      : [condition];
  const intervals = asked.flatMap((one) => intervalOf(one, domain) ?? []);
  return intervals.length === 0 ? { kind: "never" } : { kind: "intervals", of: disjoint(intervals) };
}

/** Several, as `$in` makes them, in order and without overlap, so that one is found among many. */
function disjoint(intervals: readonly Interval[]): readonly Interval[] {
  if (intervals.length === 1) return intervals;
  const sorted = intervals
    .filter(({ least, most }) => least <= most)
    .toSorted((a, b) => (a.least < b.least ? -1 : a.least > b.least ? 1 : 0));
  return sorted.filter(({ least }, index) => index === 0 || least > (sorted[index - 1] as Interval).most);
}

/** Whether values of the field are equal or unequal to the operand, and not of another kind. */
function isComparable(operand: Scalar, field: Field): boolean {
  const { type } = valuesOf(field);
  return isText(type) ? typeof operand === "string" : domainOf(type)?.read(operand) !== undefined;
}

type Existence = Extract<Condition, { kind: "exists" | "missing" }>;

function isExistence(condition: Condition): condition is Existence {
  return condition.kind === "exists" || condition.kind === "missing";
}

/** What lies behind run ends, which the rows only share. */
function valuesOf(field: Field): Field {
  return field.type.kind === "runEnd" ? (field.children[1] ?? field) : field;
}

function isText(type: ArrowType): boolean {
  return type.kind === "utf8" || type.kind === "utf8View";
}

function domainOf(type: ArrowType): Domain | undefined {
  switch (type.kind) {
    case "bool":
      return booleans;
    case "int":
      return numbers("integer");
    case "float":
      return numbers("float");
    case "date":
      return points(type.bits === 32 ? nsPerDay : 1_000_000n);
    case "timestamp":
      return points(unitNs(type.unit));
    case "time":
      return timesOfDay(unitNs(type.unit));
    case "duration":
      return durations(unitNs(type.unit));
    default:
      return undefined;
  }
}

function unitNs(unit: number): bigint {
  return nsPerUnit[unit] ?? 1n;
}
