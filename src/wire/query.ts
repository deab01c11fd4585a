/** The JSON query language of 0.4 to 0.7 into one internal query. All dialects at once: the keys tell them apart. */

import { Fault } from "../model/fault.ts";
import { integerOf, isJsonNumber, isJsonObject, type JsonObject, type JsonValue } from "../model/json.ts";
import { metadataConditionsMax, metadataPathMax, operandsMax, patternCharactersMax } from "../model/limits.ts";
import {
  type CatalogQuery,
  type Condition,
  type MetadataCondition,
  type Scalar,
  type SequenceFilter,
  scalarSet,
  type TopicFilter,
} from "../model/predicate.ts";
import { globPattern, likePattern } from "./pattern.ts";
import { kindOf } from "./shape.ts";

type FieldKind = "text" | "time" | "any";

/** @throws Fault invalid naming the path, unsupported for conditions on the contents of topics */
export function parseQuery(body: JsonObject): CatalogQuery {
  const ontology = filterObject(body, "ontology") ?? {};
  const conditions = Object.keys(ontology).filter((key) => key !== "include_timestamp_range");
  if (conditions.length > 0) {
    throw new Fault(
      "unsupported",
      `Conditions on the contents of topics are not implemented yet: ontology.${conditions[0]}`,
    );
  }
  const range = ontology["include_timestamp_range"] ?? null;
  if (range !== null && typeof range !== "boolean") {
    throw malformed("ontology.include_timestamp_range", "expected true or false", range);
  }
  return {
    sequence: parseSequenceFilter(filterObject(body, "sequence") ?? {}),
    topic: parseTopicFilter(filterObject(body, "topic") ?? {}),
    contents: undefined,
    timeRanges: undefined,
    includeTimestampRange: range === true,
  };
}

/** Which dialect the keys of a query prove: `name` is 0.6 or later, `locator` is 0.4 or 0.5. */
export function queryProof(body: JsonObject): "new" | "old" | undefined {
  for (const key of ["sequence", "topic"]) {
    const filter = body[key];
    if (!isJsonObject(filter)) continue;
    if (filter["name"] !== undefined) return "new";
    if (filter["locator"] !== undefined) return "old";
  }
  const ontology = body["ontology"];
  return isJsonObject(ontology) && ontology["include_timestamp_range"] !== undefined ? "old" : undefined;
}

function filterObject(body: JsonObject, key: string): JsonObject | undefined {
  const filter = body[key] ?? null;
  if (filter === null) return undefined;
  if (!isJsonObject(filter)) throw malformed(key, "expected an object", filter);
  return filter;
}

function parseSequenceFilter(filter: JsonObject, at = "sequence"): SequenceFilter {
  const name = filter["name"];
  const locator = filter["locator"];
  if (name !== undefined && locator !== undefined) {
    throw new Fault("invalid", `Bad request: ${at} has both name and locator, expected one of them.`);
  }
  const created = filter["created_at_ns"] ?? filter["created_at"];
  return {
    name:
      name !== undefined
        ? parseCondition(name, "text", `${at}.name`, "glob")
        : locator !== undefined
          ? parseCondition(locator, "text", `${at}.locator`, "like")
          : undefined,
    createdAtNs: created === undefined ? undefined : parseCondition(created, "time", `${at}.created_at_ns`, "glob"),
    userMetadata: parseMetadata(filter, at),
  };
}

function parseTopicFilter(filter: JsonObject): TopicFilter {
  const tag = filter["ontology_tag"];
  const format = filter["serialization_format"];
  return {
    ...parseSequenceFilter(filter, "topic"),
    ontologyTag: tag === undefined ? undefined : parseCondition(tag, "text", "topic.ontology_tag", styleOf(filter)),
    serializationFormat:
      format === undefined ? undefined : parseCondition(format, "text", "topic.serialization_format", styleOf(filter)),
  };
}

type MatchStyle = "like" | "glob";

function styleOf(filter: JsonObject): MatchStyle {
  return filter["name"] === undefined && filter["locator"] !== undefined ? "like" : "glob";
}

function parseMetadata(filter: JsonObject, at: string): MetadataCondition[] {
  const metadata = filterObject(filter, "user_metadata");
  if (metadata === undefined) return [];
  const entries = Object.entries(metadata);
  checkLimit(`${at}.user_metadata`, { what: "conditions", found: entries.length, max: metadataConditionsMax });
  return entries.map(([key, value]) => {
    const where = `${at}.user_metadata.${key.slice(0, 200)}`;
    return { path: parsePath(key, where), condition: parseCondition(value, "any", where, "glob") };
  });
}

/** `a.b.0`, `a.*.c`, `**.c`, `a[*].b`: steps between dots, `[*]` a step of its own. */
function parsePath(key: string, where: string): string[] {
  checkLimit(where, { what: "characters in its path", found: key.length, max: metadataPathMax.characters });
  const steps = key.split(".").flatMap((part) => {
    const [, bare = part, stars = ""] = /^((?:(?!\[\*\]).)*)((?:\[\*\])*)$/s.exec(part) ?? [];
    if (bare.includes("[*]")) {
      throw new Fault(
        "invalid",
        `Bad request: ${where}: [*] stands behind a step, found ${JSON.stringify(part.slice(0, 100))}.`,
      );
    }
    const items = Array.from({ length: stars.length / 3 }, () => "[*]");
    return bare === "" && items.length > 0 ? items : [bare, ...items];
  });
  if (steps.some((step) => step === "")) {
    throw new Fault("invalid", `Bad request: ${where}: a path has no empty step.`);
  }
  checkLimit(where, { what: "steps in its path", found: steps.length, max: metadataPathMax.steps });
  return steps;
}

const bareOperators = { $ex: "exists", $nex: "missing" } as const;
const scalarOperators = { $eq: "eq", $neq: "neq", $lt: "lt", $leq: "leq", $gt: "gt", $geq: "geq" } as const;
const pairOperators = { $between: "between", $outside: "outside" } as const;
const orders = new Set(["$lt", "$leq", "$gt", "$geq", "$between", "$outside"]);

function isKeyOf<Table extends object>(table: Table, key: string): key is Extract<keyof Table, string> {
  return Object.hasOwn(table, key);
}

function parseCondition(value: JsonValue, kind: FieldKind, at: string, style: MatchStyle): Condition {
  if (typeof value === "string" && isKeyOf(bareOperators, value)) return { kind: bareOperators[value] };
  if (!isJsonObject(value)) throw malformed(at, "expected an object with one operator", value);
  const entries = Object.entries(value);
  const [entry] = entries;
  if (entry === undefined || entries.length > 1) {
    throw new Fault("invalid", `Bad request: ${at}: expected exactly one operator, found ${entries.length}.`);
  }
  const [operator, operand] = entry;
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
    if (kind === "time") throw unsupportedOperation(at, operator);
    if (typeof operand !== "string") throw malformed(`${at}.$match`, "expected a string", operand);
    checkLimit(`${at}.$match`, { what: "characters", found: operand.length, max: patternCharactersMax });
    return { kind: "match", pattern: style === "like" ? likePattern(operand) : globPattern(operand, `${at}.$match`) };
  }
  throw new Fault("invalid", `Bad request: ${at}: there is no operator ${JSON.stringify(operator.slice(0, 40))}.`);
}

function parsePair(kind: "between" | "outside", operand: JsonValue, field: FieldKind, at: string): Condition {
  const pair = Array.isArray(operand) ? (operand as readonly JsonValue[]) : [];
  const [first, second] = pair;
  if (pair.length !== 2 || first === undefined || second === undefined)
    throw malformed(at, "expected an array of two", operand);
  const least = parseScalar(first, field, `${at}.0`);
  const most = parseScalar(second, field, `${at}.1`);
  if (orderOf(least) !== orderOf(most)) throw malformed(at, "expected two values of one kind", operand);
  if (least > most) {
    throw new Fault(
      "invalid",
      `Bad request: operation error :: field \`${at}\` has empty range: ${least} is above ${most}.`,
    );
  }
  return { kind, least, most };
}

/** What a value can be compared with. */
function orderOf(value: Scalar): string {
  return typeof value === "bigint" ? "number" : typeof value;
}

function parseScalar(value: JsonValue, kind: FieldKind, at: string): Scalar {
  const scalar = isJsonNumber(value) ? (integerOf(value) ?? Number(value.rawJSON)) : value;
  if (kind === "time") {
    if (typeof scalar !== "bigint") throw wrongType(at, "an integer number of nanoseconds", value);
    return scalar;
  }
  if (kind === "text") {
    if (typeof scalar !== "string") throw wrongType(at, "a string", value);
    return scalar;
  }
  if (typeof scalar === "object") throw malformed(at, "expected a number, string or boolean", value);
  return scalar;
}

function checkLimit(at: string, { what, found, max }: { what: string; found: number; max: number }): void {
  if (found <= max) return;
  throw new Fault("invalid", `Bad request: ${at} has ${found} ${what}, at most ${max} are allowed.`);
}

function unsupportedOperation(at: string, operator: string): Fault {
  return new Fault("invalid", `Bad request: operation error :: field \`${at}\` has unsupported operation ${operator}.`);
}

function wrongType(at: string, expected: string, found: JsonValue): Fault {
  return new Fault(
    "invalid",
    `Bad request: operation error :: field \`${at}\` has wrong type: expected ${expected}, found ${kindOf(found)}.`,
  );
}

function malformed(at: string, expected: string, found: JsonValue): Fault {
  return new Fault("invalid", `Bad request: ${at}: ${expected}, found ${kindOf(found)}.`);
}
