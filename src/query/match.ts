/** Tests values against conditions. Numbers compare by value across types; what has no order with the operand does not match. */

import { integerOf, isJsonNumber, isJsonObject, type JsonValue, writeJson } from "../model/json.ts";
import { integerCharactersMax } from "../model/limits.ts";
import type { Condition, MetadataCondition, Pattern, PatternElement, Scalar } from "../model/predicate.ts";

/** Tests a value that exists: a name, a tag, a time. */
export function matchesScalar(condition: Condition, value: Scalar): boolean {
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
      return comparable(value, condition.operand) && value < condition.operand;
    case "leq":
      return comparable(value, condition.operand) && value <= condition.operand;
    case "gt":
      return comparable(value, condition.operand) && value > condition.operand;
    case "geq":
      return comparable(value, condition.operand) && value >= condition.operand;
    case "between":
      return comparable(value, condition.least) && value >= condition.least && value <= condition.most;
    case "outside":
      return comparable(value, condition.least) && (value < condition.least || value > condition.most);
    case "in":
      return condition.operands.some((operand) => isEqual(value, operand));
    case "match":
      return typeof value === "string" && matchesPattern(condition.pattern, value);
  }
}

// JavaScript orders bigint and number by their mathematical values, exactly.
function isEqual(a: Scalar, b: Scalar): boolean {
  return comparable(a, b) && !(a < b) && !(a > b);
}

function comparable(a: Scalar, b: Scalar): boolean {
  return kindOf(a) === kindOf(b);
}

function kindOf(value: Scalar): string {
  return typeof value === "bigint" ? "number" : typeof value;
}

/** Matches the whole text. Goes back only to the last run, so the time is at most pattern x text. */
export function matchesPattern(pattern: Pattern, text: string): boolean {
  const characters = [...text];
  let at = 0;
  let element = 0;
  let runElement = -1;
  let runAt = 0;
  while (at < characters.length) {
    const wanted = pattern[element];
    if (wanted?.kind === "run") {
      runElement = element;
      runAt = at;
      element += 1;
    } else if (wanted !== undefined && matchesElement(wanted, characters[at] ?? "")) {
      at += 1;
      element += 1;
    } else if (runElement >= 0) {
      runAt += 1;
      at = runAt;
      element = runElement + 1;
    } else return false;
  }
  return pattern.slice(element).every(({ kind }) => kind === "run");
}

function matchesElement(element: PatternElement, character: string): boolean {
  switch (element.kind) {
    case "run":
    case "one":
      return true;
    case "literal":
      return element.character === character;
    case "set": {
      const code = character.codePointAt(0) ?? 0;
      return element.ranges.some(([first, last]) => code >= first && code <= last) !== element.negated;
    }
  }
}

/** Tests user metadata: one value at the path that satisfies the condition is enough; `missing` wants that there is none. */
export function matchesMetadata({ path, condition }: MetadataCondition, metadata: JsonValue): boolean {
  const found = valuesAt(metadata, path);
  if (condition.kind === "missing") return found.length === 0;
  if (condition.kind === "exists") return found.length > 0;
  return found.some((value) => matchesValue(condition, value));
}

/** All values other than null that a path leads to. */
function valuesAt(root: JsonValue, path: readonly string[]): JsonValue[] {
  let values: readonly JsonValue[] = [root];
  for (const step of path) {
    values = step === "**" ? descendantsOf(values) : [...new Set(values.flatMap((value) => stepInto(value, step)))];
  }
  return values.filter((value) => value !== null);
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
function descendantsOf(values: readonly JsonValue[]): JsonValue[] {
  const found = new Set<JsonValue>();
  const add = (value: JsonValue): void => {
    if (found.has(value)) return;
    found.add(value);
    for (const child of childrenOf(value)) add(child);
  };
  for (const value of values) add(value);
  return [...found];
}

function childrenOf(value: JsonValue): readonly JsonValue[] {
  if (Array.isArray(value)) return value as JsonValue[];
  return isJsonObject(value) ? Object.values(value) : [];
}

/**
 * The operand's type says how the value is read, as upstream does it: a text operand compares with the value's text, a number
 * with the value as a number, a boolean with the value as a boolean. What cannot be read so does not match.
 */
function matchesValue(condition: Condition, value: JsonValue): boolean {
  switch (condition.kind) {
    case "exists":
    case "missing":
      return true;
    case "match":
      return matchesScalar(condition, textOf(value));
    case "in":
      return condition.operands.some((operand) => matchesValue({ kind: "eq", operand }, value));
    case "between":
    case "outside":
      return matchesAs(condition, condition.least, value);
    default:
      return matchesAs(condition, condition.operand, value);
  }
}

function matchesAs(condition: Condition, operand: Scalar, value: JsonValue): boolean {
  const read = readAs(operand, value);
  return read !== undefined && matchesScalar(condition, read);
}

function readAs(operand: Scalar, value: JsonValue): Scalar | undefined {
  if (typeof operand === "string") return textOf(value);
  if (typeof operand === "boolean") {
    const text = textOf(value);
    return text === "true" ? true : text === "false" ? false : undefined;
  }
  if (isJsonNumber(value)) return integerOf(value) ?? Number(value.rawJSON);
  if (typeof value !== "string" || !/^\s*-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\s*$/.test(value)) return undefined;
  const isInteger = value.length <= integerCharactersMax && /^\s*-?[0-9]+\s*$/.test(value);
  return isInteger ? BigInt(value.trim()) : Number(value);
}

function textOf(value: JsonValue): string {
  return typeof value === "string" ? value : writeJson(value);
}
