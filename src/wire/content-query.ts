/**
 * The part of a query on the contents of topics, key `ontology`: conditions by tag and field, groups of them (`$or`, `$not`), and
 * what else the answer is to tell. All that is said of one tag is said of the same row.
 */

import { z } from "zod";
import { Fault } from "../model/fault.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../model/json.ts";
import { contentConditionsMax, contentGroupsDepthMax, listItemsMax, timeRanges } from "../model/limits.ts";
import {
  type CatalogQuery,
  type Condition,
  type ContentFilter,
  type FieldPath,
  type ListCondition,
  orderOf,
  type RowPredicate,
  type TimeRangesRequest,
} from "../model/predicate.ts";
import { parseArea } from "./area.ts";
import { type MatchStyle, onlyOperator, parseCondition, parseScalar } from "./condition.ts";
import { parseContentKey } from "./content-key.ts";
import { checkLimit, malformed, refusal, unknownOperator, unsupportedOperation } from "./refusal.ts";
import { integerWithin, parseWith, uint64 } from "./shape.ts";

type Entry = readonly [key: string, value: JsonValue];

/** What is said of the rows of one tag. */
interface Part {
  readonly tag: string;
  readonly rows: RowPredicate;
}

interface Scope {
  readonly style: MatchStyle;
  /** Groups around it. */
  readonly depth: number;
}

/** Keys of `ontology` that are no conditions. */
const options = new Set(["include_timestamp_range", "include_time_ranges", "explain", "use_skip_index"]);

/** The part of a query that is about contents. */
export type ContentPart = Omit<CatalogQuery, "sequence" | "topic">;

export const noContentQuery: ContentPart = {
  contents: undefined,
  timeRanges: undefined,
  includeTimestampRange: false,
  explain: false,
  usesSkipIndex: true,
};

/** @throws Fault invalid naming the path */
export function parseContentQuery(ontology: JsonObject, style: MatchStyle): ContentPart {
  const conditions = Object.entries(ontology).filter(([key]) => !options.has(key));
  const parts = parseParts(conditions, "ontology", { style, depth: 0 });
  const byTag = Map.groupBy(parts, ({ tag }) => tag);
  return {
    contents: [...byTag].map(([ontologyTag, those]) => ({ ontologyTag, rows: allOf(those) })),
    timeRanges: parseTimeRanges(ontology["include_time_ranges"] ?? null),
    includeTimestampRange: parseFlag(ontology, "include_timestamp_range") ?? false,
    explain: parseFlag(ontology, "explain") ?? false,
    usesSkipIndex: parseFlag(ontology, "use_skip_index") ?? true,
  };
}

function parseFlag(ontology: JsonObject, name: string): boolean | undefined {
  const value = ontology[name] ?? null;
  if (value === null) return undefined;
  if (typeof value !== "boolean") throw malformed(`ontology.${name}`, "expected true or false", value);
  return value;
}

/** Conditions on the rows of one topic, and so of one tag; undefined when there are none. @throws Fault invalid */
export function parseContentFilter(ontology: JsonObject, at: string): ContentFilter | undefined {
  const parts = parseParts(Object.entries(ontology), at, { style: "glob", depth: 0 });
  const tag = onlyTag(parts, at);
  return tag === undefined ? undefined : { ontologyTag: tag, rows: allOf(parts) };
}

const timeRangesShape = z.object({
  gap_ns: uint64,
  limit: integerWithin(`an integer from 1 to ${timeRanges.most}`, {
    least: 1n,
    most: BigInt(timeRanges.most),
  }).nullish(),
});

function parseTimeRanges(value: JsonValue): TimeRangesRequest | undefined {
  if (value === null) return undefined;
  if (!isJsonObject(value)) throw malformed("ontology.include_time_ranges", "expected an object", value);
  const { gap_ns: gapNs, limit } = parseWith(timeRangesShape, value, "ontology.include_time_ranges");
  return { gapNs, limit: Number(limit ?? timeRanges.normal) };
}

function parseParts(conditions: readonly Entry[], at: string, scope: Scope): Part[] {
  if (scope.depth === 0) {
    checkLimit(at, { what: "conditions", found: countConditions(conditions), max: contentConditionsMax });
  }
  return conditions.map(([key, value]) => parsePart(key, value, at, scope));
}

/** Those in groups are counted too. JSON is not so deep that a stack would not hold it. */
function countConditions(conditions: readonly Entry[]): number {
  return conditions.reduce((count, [key, value]) => {
    if (key !== "$or" && key !== "$not") return count + 1;
    const members = Array.isArray(value) ? (value as readonly JsonValue[]) : [value];
    return (
      count +
      members.reduce((sum: number, one) => sum + (isJsonObject(one) ? countConditions(Object.entries(one)) : 0), 0)
    );
  }, 0);
}

function parsePart(key: string, value: JsonValue, at: string, scope: Scope): Part {
  const where = `${at}.${key.slice(0, 200)}`;
  if (key === "$or") return parseAny(value, where, inGroup(scope, where));
  if (key === "$not") {
    const { tag, rows } = parseGroup(value, where, inGroup(scope, where));
    return { tag, rows: { kind: "not", of: rows } };
  }
  if (key.startsWith("$") && !key.includes(".")) throw unknownOperator(at, key);
  const { tag, path } = parseContentKey(key, where);
  if (isJsonObject(value) && Object.hasOwn(value, "$within")) return { tag, rows: parseWithin(value, path, where) };
  if (isJsonObject(value) && Object.hasOwn(value, "$norm")) return { tag, rows: parseNorm(value, path, where) };
  if (path === undefined) throw refusal(where, "expected <tag>.<field>, found no field");
  return { tag, rows: { kind: "field", path, condition: parseFieldCondition(value, path, where, scope.style) } };
}

function inGroup({ style, depth }: Scope, at: string): Scope {
  if (depth === contentGroupsDepthMax) {
    throw refusal(at, `groups are nested more than ${contentGroupsDepthMax} levels deep`);
  }
  return { style, depth: depth + 1 };
}

/** `$or`: one of several groups. */
function parseAny(value: JsonValue, at: string, scope: Scope): Part {
  if (!Array.isArray(value)) throw malformed(at, "expected an array of groups of conditions", value);
  const groups = value.map((group: JsonValue, index) => parseGroup(group, `${at}.${index}`, scope));
  const tag = onlyTag(groups, at);
  if (tag === undefined) throw refusal(at, "expected at least one group of conditions, found none");
  return { tag, rows: { kind: "any", of: groups.map(({ rows }) => rows) } };
}

/** Conditions that hold together. An empty group would say something of no tag. */
function parseGroup(value: JsonValue, at: string, scope: Scope): Part {
  if (!isJsonObject(value)) throw malformed(at, "expected an object of conditions", value);
  const parts = parseParts(Object.entries(value), at, scope);
  const tag = onlyTag(parts, at);
  if (tag === undefined) throw refusal(at, "expected at least one condition, found none");
  return { tag, rows: allOf(parts) };
}

/** A row belongs to one tag, so what is asked of one row is asked of one tag. */
function onlyTag(parts: readonly Part[], at: string): string | undefined {
  const tag = parts[0]?.tag;
  const other = parts.find((part) => part.tag !== tag);
  if (tag === undefined || other === undefined) return tag;
  const [one, another] = [tag, other.tag].map((name) => JSON.stringify(name.slice(0, 100)));
  throw new Fault(
    "invalid",
    `Bad request: ${at}: expected conditions of one ontology tag, found ${one} and ${another}.`,
  );
}

function allOf(parts: readonly Part[]): RowPredicate {
  const [first, ...others] = parts.map(({ rows }) => rows);
  return first !== undefined && others.length === 0 ? first : { kind: "all", of: parts.map(({ rows }) => rows) };
}

function parseWithin(value: JsonObject, path: FieldPath | undefined, at: string): RowPredicate {
  const [, operand] = onlyOperator(value, at);
  if (path?.items !== undefined) throw unsupportedOperation(at, "$within on the items of a list");
  return { kind: "within", field: path?.field ?? "", area: parseArea(operand, `${at}.$within`) };
}

/** `{"$norm": {"$gt": 20}}`: a condition on the length of a vector. */
function parseNorm(value: JsonObject, path: FieldPath | undefined, at: string): RowPredicate {
  const [, operand] = onlyOperator(value, at);
  if (path?.items !== undefined) throw unsupportedOperation(at, "$norm on the items of a list");
  return {
    kind: "norm",
    field: path?.field ?? "",
    condition: parseCondition(operand, "number", `${at}.$norm`, "glob"),
  };
}

const listOperators: Readonly<Record<string, ListCondition["kind"]>> = { $eq: "list eq", $neq: "list neq" };

/** `$eq` and `$neq` with an array mean the whole list. */
function parseFieldCondition(
  value: JsonValue,
  path: FieldPath,
  at: string,
  style: MatchStyle,
): Condition | ListCondition {
  if (isJsonObject(value)) {
    const [operator, operand] = onlyOperator(value, at);
    const kind = Object.hasOwn(listOperators, operator) ? listOperators[operator] : undefined;
    if (kind !== undefined && Array.isArray(operand)) {
      if (path.items !== undefined) throw unsupportedOperation(at, `${operator} with an array on the items of a list`);
      return parseList(kind, operand, `${at}.${operator}`);
    }
  }
  return parseCondition(value, "any", at, style);
}

function parseList(kind: ListCondition["kind"], operand: readonly JsonValue[], at: string): ListCondition {
  checkLimit(at, { what: "items", found: operand.length, max: listItemsMax });
  const items = operand.map((item, index) => parseScalar(item, "any", `${at}.${index}`));
  if (new Set(items.map(orderOf)).size > 1) throw malformed(at, "expected items of one kind", operand);
  return { kind, items };
}
