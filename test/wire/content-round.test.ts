// Random queries on contents, written as JSON by a writer of the test's own, come back as the values they were.

import { expect, test } from "vitest";
import { type JsonObject, parseJson } from "../../src/model/json.ts";
import {
  type Area,
  type CatalogQuery,
  type Condition,
  type FieldPath,
  type ListCondition,
  type PatternElement,
  type RowPredicate,
  type Scalar,
  scalarSet,
} from "../../src/model/predicate.ts";
import { parseQuery } from "../../src/wire/query.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const rounds = 3_000;

const coverage = new Coverage("contents: rounds", [
  ...["eq", "neq", "lt", "leq", "gt", "geq", "between", "outside", "in", "exists", "missing"],
  ...["exists bare", "missing bare", "list eq", "list neq", "list of none", "match glob", "match like"],
  ...["integer", "float", "text", "boolean", "beyond 2^53"],
  ...["value", "at", "any item", "all items", "field of items"],
  ...["box", "box over the meridian", "circle", "within a field", "within the model"],
  ...["any", "not", "all", "groups three deep", "one tag", "several tags", "no tag"],
  ...["time ranges", "time ranges without a limit", "timestamp range", "old", "new"],
]);

interface Written<T> {
  readonly value: T;
  readonly text: string;
}

type Style = "like" | "glob";
type Kind = "integer" | "float" | "text" | "boolean";

const random = new Random("contents: rounds");

function aScalar(kind: Kind): Written<Scalar> {
  coverage.hit(kind);
  switch (kind) {
    case "integer": {
      const value = random.int64();
      if (value > 2n ** 53n) coverage.hit("beyond 2^53");
      return { value, text: String(value) };
    }
    case "float": {
      const value = random.pick([0, 1, 5, 0.5, 1e-9, 1e21]) + random.below(100) / 8;
      return { value, text: Number.isInteger(value) && value < 1e21 ? `${value}.0` : String(value) };
    }
    case "text": {
      const value = random.pick(["", "a", 'b"\\', "Größe", "$eq", "5", "\n"]);
      return { value, text: JSON.stringify(value) };
    }
    case "boolean": {
      const value = random.chance(0.5);
      return { value, text: String(value) };
    }
  }
}

const aKind = (): Kind => random.pick(["integer", "float", "text", "boolean"]);
const several = <T>(most: number, make: () => T): T[] => Array.from({ length: random.below(most + 1) }, make);
const listText = (items: readonly { text: string }[]): string => `[${items.map(({ text }) => text).join(", ")}]`;

function aPattern(style: Style): Written<Condition> {
  coverage.hit(`match ${style}`);
  const run: PatternElement = { kind: "run" };
  const elements: readonly (readonly [string, PatternElement])[] =
    style === "like"
      ? [
          ["%", run],
          ["_", { kind: "one" }],
          ["*", { kind: "literal", character: "*" }],
          ["\\_", { kind: "literal", character: "_" }],
        ]
      : [
          ["*", run],
          ["?", { kind: "one" }],
          ["#", { kind: "set", ranges: [[48, 57]], negated: false }],
          ["[!a-f]", { kind: "set", ranges: [[97, 102]], negated: true }],
          ["\\*", { kind: "literal", character: "*" }],
          ["%", { kind: "literal", character: "%" }],
        ];
  const chosen = several(5, () => random.pick([...elements, ["ß", { kind: "literal", character: "ß" }] as const]));
  const inner = chosen.map(([, element]) => element);
  return {
    value: { kind: "match", pattern: style === "like" ? [run, ...inner, run] : inner },
    text: `{"$match": ${JSON.stringify(chosen.map(([text]) => text).join(""))}}`,
  };
}

function aCondition(style: Style, isWhole: boolean): Written<Condition | ListCondition> {
  const kind = random.pick([
    ...(["eq", "neq", "lt", "leq", "gt", "geq"] as const),
    ...(["between", "outside", "in", "exists", "missing", "match", "match"] as const),
    ...(isWhole ? (["list eq", "list neq"] as const) : []),
  ]);
  if (kind !== "match") coverage.hit(kind);
  switch (kind) {
    case "match":
      return aPattern(style);
    case "exists":
    case "missing": {
      const operator = kind === "exists" ? '"$ex"' : '"$nex"';
      const isBare = random.chance(0.5);
      if (isBare) coverage.hit(`${kind} bare`);
      return { value: { kind }, text: isBare ? operator : `{${operator}: null}` };
    }
    case "between":
    case "outside": {
      const scalarKind = aKind();
      const [one, another] = [aScalar(scalarKind), aScalar(scalarKind)];
      const [least, most] = one.value <= another.value ? [one, another] : [another, one];
      return {
        value: { kind, least: least.value, most: most.value },
        text: `{"$${kind}": ${listText([least, most])}}`,
      };
    }
    case "in": {
      const operands = several(4, () => aScalar(aKind()));
      return {
        value: { kind, operands: scalarSet(operands.map(({ value }) => value)) },
        text: `{"$in": ${listText(operands)}}`,
      };
    }
    case "list eq":
    case "list neq": {
      const scalarKind = aKind();
      const items = several(3, () => aScalar(scalarKind));
      if (items.length === 0) coverage.hit("list of none");
      return {
        value: { kind, items: items.map(({ value }) => value) },
        text: `{"$${kind.slice("list ".length)}": ${listText(items)}}`,
      };
    }
    default: {
      const { value, text } = aScalar(aKind());
      return { value: { kind, operand: value }, text: `{"$${kind}": ${text}}` };
    }
  }
}

const aName = (): string =>
  Array.from({ length: 1 + random.below(3) }, () =>
    random.pick(["a", "b1", "Größe", "x y", "$or", "__proto__", '"']),
  ).join(".");

function aPath(): Written<FieldPath> {
  const field = aName();
  if (random.chance(0.5)) {
    coverage.hit("value");
    return { value: { field }, text: field };
  }
  const index = random.pick([0, 7, 2 ** 31 - 1]);
  const items = random.pick([{ kind: "at", index }, { kind: "any" }, { kind: "all" }] as const);
  coverage.hit(items.kind === "at" ? "at" : `${items.kind} item${items.kind === "all" ? "s" : ""}`);
  const specifier = { at: `[${index}]`, any: "[?]", all: "[!]" }[items.kind];
  if (random.chance(0.5)) return { value: { field, items }, text: `${field}${specifier}` };
  coverage.hit("field of items");
  const itemField = aName();
  return { value: { field, items, itemField }, text: `${field}${specifier}.${itemField}` };
}

function anArea(): Written<Area> {
  const degrees = (most: number): number => (random.below(8 * most + 1) - 4 * most) / 4;
  if (random.chance(0.5)) {
    const [latitude, longitude, radiusM] = [degrees(90), degrees(180), random.below(100_000) / 8];
    coverage.hit("circle");
    return {
      value: { kind: "circle", latitude, longitude, radiusM },
      text: `{"circle": [${latitude}, ${longitude}, ${radiusM}]}`,
    };
  }
  const [south = 0, north = 0] = [degrees(90), degrees(90)].sort((a, b) => a - b);
  const [west, east] = [degrees(180), degrees(180)];
  coverage.hit("box");
  if (west > east) coverage.hit("box over the meridian");
  return {
    value: { kind: "box", south, west, north, east },
    text: `{"box": [${south}, ${west}, ${north}, ${east}]}`,
  };
}

interface Entry extends Written<RowPredicate> {
  readonly key: string;
}

function aLeaf(tag: string, style: Style): Entry {
  if (random.chance(0.15)) {
    // A tag that is called like an operator is none without a field.
    const field = tag.startsWith("$") || random.chance(0.5) ? aName() : "";
    coverage.hit(field === "" ? "within the model" : "within a field");
    const { value, text } = anArea();
    const key = field === "" ? tag : `${tag}.${field}`;
    return { key, value: { kind: "within", field, area: value }, text: `{"$within": ${text}}` };
  }
  const path = aPath();
  const condition = aCondition(style, path.value.items === undefined);
  return {
    key: `${tag}.${path.text}`,
    value: { kind: "field", path: path.value, condition: condition.value },
    text: condition.text,
  };
}

/** Conditions of one tag that hold together: no key comes twice. */
function someEntries(tag: string, style: Style, depth: number): Entry[] {
  const leaves = [aLeaf(tag, style), ...several(2, () => aLeaf(tag, style))];
  const groups: Entry[] = [];
  if (depth < 4 && random.chance(0.3)) {
    const of = [aGroup(tag, style, depth + 1), ...several(2, () => aGroup(tag, style, depth + 1))];
    coverage.hit("any");
    groups.push({ key: "$or", value: { kind: "any", of: of.map(({ value }) => value) }, text: listText(of) });
  }
  if (depth < 4 && random.chance(0.3)) {
    const { value, text } = aGroup(tag, style, depth + 1);
    coverage.hit("not");
    groups.push({ key: "$not", value: { kind: "not", of: value }, text });
  }
  const chosen = groups.length > 0 && random.chance(0.3) ? groups : [...leaves, ...groups];
  return shuffled([...new Map(chosen.map((entry) => [entry.key, entry])).values()]);
}

function aGroup(tag: string, style: Style, depth: number): Written<RowPredicate> {
  if (depth === 3) coverage.hit("groups three deep");
  const entries = someEntries(tag, style, depth);
  return { value: together(entries.map(({ value }) => value)), text: objectText(entries) };
}

/** One condition is itself, several are all of them. */
function together(of: readonly RowPredicate[]): RowPredicate {
  const [first] = of;
  if (first !== undefined && of.length === 1) return first;
  coverage.hit("all");
  return { kind: "all", of };
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

function objectText(members: readonly { key: string; text: string }[]): string {
  return `{${members.map(({ key, text }) => `${JSON.stringify(key)}: ${text}`).join(", ")}}`;
}

function aQuery(): Written<Pick<CatalogQuery, "contents" | "timeRanges" | "includeTimestampRange">> & {
  readonly style: Style;
} {
  const style = random.pick(["like", "glob"] as const);
  coverage.hit(style === "like" ? "old" : "new");
  const tags = shuffled(["IMU", "GPS", "a b", "__proto__", "$or"]).slice(0, random.below(4));
  coverage.hit(tags.length === 0 ? "no tag" : tags.length === 1 ? "one tag" : "several tags");
  // A key comes once in an object, so a group of each kind belongs to one tag.
  const entries = new Map<string, Entry & { tag: string }>();
  for (const tag of tags) {
    for (const entry of someEntries(tag, style, 0))
      if (!entries.has(entry.key)) entries.set(entry.key, { ...entry, tag });
  }
  const inOrder = shuffled([...entries.values()]);
  const options: { key: string; text: string }[] = [];
  let timeRanges: CatalogQuery["timeRanges"];
  if (random.chance(0.3)) {
    const hasLimit = random.chance(0.5);
    const limit = hasLimit ? 1 + random.below(10_000) : 1_000;
    const gapNs = BigInt.asUintN(64, random.int64());
    coverage.hit(hasLimit ? "time ranges" : "time ranges without a limit");
    timeRanges = { gapNs, limit };
    options.push({ key: "include_time_ranges", text: `{"gap_ns": ${gapNs}${hasLimit ? `, "limit": ${limit}` : ""}}` });
  }
  const includeTimestampRange = random.chance(0.3);
  if (includeTimestampRange) {
    coverage.hit("timestamp range");
    options.push({ key: "include_timestamp_range", text: "true" });
  }
  const byTag = new Map<string, RowPredicate[]>();
  for (const { tag, value } of inOrder) byTag.set(tag, [...(byTag.get(tag) ?? []), value]);
  const proof = style === "like" ? '"locator"' : '"name"';
  return {
    style,
    value: {
      contents: [...byTag].map(([ontologyTag, of]) => ({ ontologyTag, rows: together(of) })),
      timeRanges,
      includeTimestampRange,
    },
    text: `{"topic": {${proof}: {"$match": "x"}}, "ontology": ${objectText([...inOrder, ...options])}}`,
  };
}

test("what is written is read back as it was", () => {
  for (let round = 0; round < rounds; round += 1) {
    const { value, text, style } = aQuery();
    const body = parseJson(text, "the query") as JsonObject;
    const { contents, timeRanges, includeTimestampRange } = parseQuery(body, style);
    expect({ contents, timeRanges, includeTimestampRange }, text).toEqual(value);
  }
  coverage.check();
});
