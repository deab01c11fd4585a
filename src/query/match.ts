/** Tests values against conditions. Numbers compare by value across types; what has no order with the operand does not match. */

import { isJsonObject, type JsonValue } from "../model/json.ts";
import { booleanIn, numberIn, textIn } from "../model/metadata-value.ts";
import {
  type Condition,
  isBelow,
  isIn,
  type MetadataCondition,
  orderOf,
  type Scalar,
  type ScalarSet,
} from "../model/predicate.ts";
import type { Effort } from "./effort.ts";
import { matchesPattern } from "./glob.ts";

/** Tests a value that exists: a name, a tag, a time. @throws Fault overloaded */
export function matchesScalar(condition: Condition, value: Scalar, effort: Effort): boolean {
  if (typeof value === "string") effort.spend(value.length);
  switch (condition.kind) {
    case "exists":
      return true;
    case "missing":
      return false;
    case "eq":
      return isEqual(value, condition.operand);
    case "neq":
      return comparable(value, condition.operand) && !isEqual(value, condition.operand);
    case "lt":
      return comparable(value, condition.operand) && isBelow(value, condition.operand);
    case "leq":
      return comparable(value, condition.operand) && !isBelow(condition.operand, value);
    case "gt":
      return comparable(value, condition.operand) && isBelow(condition.operand, value);
    case "geq":
      return comparable(value, condition.operand) && !isBelow(value, condition.operand);
    case "between":
      return comparable(value, condition.least) && isBetween(value, condition);
    case "outside":
      return comparable(value, condition.least) && !isBetween(value, condition);
    case "in":
      return isIn(condition.operands, value);
    case "match":
      return typeof value === "string" && matchesPattern(condition.pattern, value, effort);
  }
}

// JavaScript orders bigint and number by their mathematical values, exactly.
function isEqual(a: Scalar, b: Scalar): boolean {
  return comparable(a, b) && !(a < b) && !(a > b);
}

function isBetween(value: Scalar, { least, most }: { least: Scalar; most: Scalar }): boolean {
  return !isBelow(value, least) && !isBelow(most, value);
}

function comparable(a: Scalar, b: Scalar): boolean {
  return orderOf(a) === orderOf(b);
}

/**
 * Tests user metadata: one value at the path that satisfies the condition is enough; `missing` wants that there is none.
 * @throws Fault overloaded
 */
export function matchesMetadata({ path, condition }: MetadataCondition, metadata: JsonValue, effort: Effort): boolean {
  const found = valuesAt(metadata, path, effort);
  if (condition.kind === "missing") return found.length === 0;
  if (condition.kind === "exists") return found.length > 0;
  return found.some((value) => matchesValue(condition, value, effort));
}

/** All values other than null that a path leads to. Each step looks at each value once, however many ways lead there. */
function valuesAt(root: JsonValue, path: readonly string[], effort: Effort): JsonValue[] {
  let values: readonly JsonValue[] = [root];
  let before: string | undefined;
  for (const step of path) {
    // Any depth below any depth is any depth.
    if (step === "**" && before !== "**") values = descendantsOf(values, effort);
    else if (step !== "**") values = stepIntoAll(values, step, effort);
    before = step;
  }
  return values.filter((value) => value !== null);
}

function stepIntoAll(values: readonly JsonValue[], step: string, effort: Effort): readonly JsonValue[] {
  const found = new Set<JsonValue>();
  for (const value of values) {
    const next = stepInto(value, step);
    effort.spend(1 + next.length);
    for (const item of next) found.add(item);
  }
  return [...found];
}

function stepInto(value: JsonValue, step: string): readonly JsonValue[] {
  if (step === "*") return childrenOf(value);
  if (Array.isArray(value)) {
    if (step === "[*]") return value as JsonValue[];
    return /^[0-9]+$/.test(step) ? [(value as JsonValue[])[Number(step)] ?? null] : [];
  }
  if (!isJsonObject(value)) return [];
  return Object.hasOwn(value, step) ? [value[step] ?? null] : [];
}

/** The values and all below them, each once, however often it can be reached. */
function descendantsOf(values: readonly JsonValue[], effort: Effort): JsonValue[] {
  const found = new Set<JsonValue>();
  const add = (value: JsonValue): void => {
    if (found.has(value)) return;
    found.add(value);
    const children = childrenOf(value);
    effort.spend(1 + children.length);
    for (const child of children) add(child);
  };
  for (const value of values) add(value);
  return [...found];
}

function childrenOf(value: JsonValue): readonly JsonValue[] {
  if (Array.isArray(value)) return value as JsonValue[];
  return isJsonObject(value) ? Object.values(value) : [];
}

function matchesValue(condition: Condition, value: JsonValue, effort: Effort): boolean {
  effort.spend(1);
  switch (condition.kind) {
    case "exists":
    case "missing":
      return true;
    case "match":
      return matchesScalar(condition, textOf(value, effort), effort);
    case "in":
      return isAmong(condition.operands, value, effort);
    case "between":
    case "outside":
      return matchesAs(condition, condition.least, value, effort);
    default:
      return matchesAs(condition, condition.operand, value, effort);
  }
}

/** Whether a value, read as one of the kinds that the operands have, is one of them. */
function isAmong(operands: ScalarSet, value: JsonValue, effort: Effort): boolean {
  const isRead = (read: Scalar | undefined): boolean => read !== undefined && isIn(operands, read);
  const { kinds } = operands;
  return (
    (kinds.number && isRead(readAs(0, value, effort))) ||
    (kinds.text && isRead(readAs("", value, effort))) ||
    (kinds.boolean && isRead(readAs(true, value, effort)))
  );
}

function matchesAs(condition: Condition, operand: Scalar, value: JsonValue, effort: Effort): boolean {
  const read = readAs(operand, value, effort);
  return read !== undefined && matchesScalar(condition, read, effort);
}

/** The value as the kind that `operand` is of. */
function readAs(operand: Scalar, value: JsonValue, effort: Effort): Scalar | undefined {
  if (typeof operand === "string") return textOf(value, effort);
  if (typeof operand === "boolean") return booleanIn(value);
  if (typeof value === "string") effort.spend(value.length);
  return numberIn(value);
}

/** Steps that a character costs that is written as JSON. */
const stepsPerWritten = 4;

function textOf(value: JsonValue, effort: Effort): string {
  const text = textIn(value);
  if (typeof value !== "string") effort.spend(stepsPerWritten * text.length);
  return text;
}
