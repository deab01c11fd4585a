/** One condition of a query: an operator with its operand, on a field of a kind. */

import { integerOf, isJsonNumber, isJsonObject, type JsonValue } from "../model/json.ts";
import { operandsMax, patternCharactersMax } from "../model/limits.ts";
import { type Condition, isBelow, orderOf, type Scalar, scalarSet } from "../model/predicate.ts";
import { globPattern, likePattern } from "./pattern.ts";
import {
  checkLimit,
  emptyRange,
  malformed,
  refusal,
  unknownOperator,
  unsupportedOperation,
  wrongType,
} from "./refusal.ts";

/** What operands are: times are integers, and `any` may be of any kind. */
export type FieldKind = "text" | "time" | "number" | "any";

/** The language of `$match`. */
export type MatchStyle = "like" | "glob";

const bareOperators = { $ex: "exists", $nex: "missing" } as const;
const scalarOperators = { $eq: "eq", $neq: "neq", $lt: "lt", $leq: "leq", $gt: "gt", $geq: "geq" } as const;
const pairOperators = { $between: "between", $outside: "outside" } as const;
const orders = new Set(["$lt", "$leq", "$gt", "$geq", "$between", "$outside"]);

function isKeyOf<Table extends object>(table: Table, key: string): key is Extract<keyof Table, string> {
  return Object.hasOwn(table, key);
}

/** @throws Fault invalid naming the path, what was expected and what was found */
export function parseCondition(value: JsonValue, kind: FieldKind, at: string, style: MatchStyle): Condition {
  if (typeof value === "string" && isKeyOf(bareOperators, value)) return { kind: bareOperators[value] };
  const [operator, operand] = onlyOperator(value, at);
  if (isKeyOf(bareOperators, operator)) return { kind: bareOperators[operator] };
  if (kind === "text" && orders.has(operator)) throw unsupportedOperation(at, operator);
  if (isKeyOf(scalarOperators, operator)) {
    return { kind: scalarOperators[operator], operand: parseScalar(operand, kind, `${at}.${operator}`) };
  }
  if (isKeyOf(pairOperators, operator)) return parsePair(pairOperators[operator], operand, kind, `${at}.${operator}`);
  if (operator === "$in") {
    if (!Array.isArray(operand)) throw malformed(`${at}.$in`, "expected an array", operand);
    checkLimit(`${at}.$in`, { what: "operands", found: operand.length, max: operandsMax });
    const operands = operand.map((item: JsonValue, index) => parseScalar(item, kind, `${at}.$in.${index}`));
    return { kind: "in", operands: scalarSet(operands) };
  }
  if (operator === "$match") {
    if (kind === "time" || kind === "number") throw unsupportedOperation(at, operator);
    if (typeof operand !== "string") throw malformed(`${at}.$match`, "expected a string", operand);
    checkLimit(`${at}.$match`, { what: "characters", found: operand.length, max: patternCharactersMax });
    return { kind: "match", pattern: style === "like" ? likePattern(operand) : globPattern(operand, `${at}.$match`) };
  }
  throw unknownOperator(at, operator);
}

/** The one member that a condition has. @throws Fault invalid */
export function onlyOperator(value: JsonValue, at: string): [operator: string, operand: JsonValue] {
  if (!isJsonObject(value)) throw malformed(at, "expected an object with one operator", value);
  const entries = Object.entries(value);
  const [entry] = entries;
  if (entry === undefined || entries.length > 1) {
    throw refusal(at, `expected exactly one operator, found ${entries.length}`);
  }
  return entry;
}

function parsePair(kind: "between" | "outside", operand: JsonValue, field: FieldKind, at: string): Condition {
  const pair = Array.isArray(operand) ? (operand as readonly JsonValue[]) : [];
  const [first, second] = pair;
  if (pair.length !== 2 || first === undefined || second === undefined)
    throw malformed(at, "expected an array of two", operand);
  const least = parseScalar(first, field, `${at}.0`);
  const most = parseScalar(second, field, `${at}.1`);
  if (orderOf(least) !== orderOf(most)) throw malformed(at, "expected two values of one kind", operand);
  if (isBelow(most, least)) throw emptyRange(at, { least, most });
  return { kind, least, most };
}

/** @throws Fault invalid */
export function parseScalar(value: JsonValue, kind: FieldKind, at: string): Scalar {
  const scalar = isJsonNumber(value) ? (integerOf(value) ?? Number(value.rawJSON)) : value;
  if (kind === "time") {
    if (typeof scalar !== "bigint") throw wrongType(at, "an integer number of nanoseconds", value);
    return scalar;
  }
  if (kind === "number") {
    if (orderOf(scalar as Scalar) !== "number") throw wrongType(at, "a number", value);
    return scalar as Scalar;
  }
  if (kind === "text") {
    if (typeof scalar !== "string") throw wrongType(at, "a string", value);
    return scalar;
  }
  if (typeof scalar === "object") throw malformed(at, "expected a number, string or boolean", value);
  return scalar;
}
