// The query language: every operator on every kind of field with every kind of operand, by a table of its own
// (shared/protocol: mosaico-0.4.md 9.2, mosaico-delta.md 6), and what comes out of the parser.

import { describe, expect, test } from "vitest";
import { type JsonObject, parseJson } from "../../src/model/json.ts";
import { type CatalogQuery, type Condition, scalarSet } from "../../src/model/predicate.ts";
import { parseQuery, queryProof } from "../../src/wire/query.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { expectOutcome } from "./outcome.ts";

const bodyOf = (text: string): JsonObject => parseJson(text, "the query") as JsonObject;
const parse = (text: string): CatalogQuery => parseQuery(bodyOf(text));

const fields = [
  { kind: "text", body: '{"sequence":{"name":OP}}', path: "sequence.name" },
  { kind: "text", body: '{"sequence":{"locator":OP}}', path: "sequence.locator" },
  { kind: "text", body: '{"topic":{"name":OP}}', path: "topic.name" },
  { kind: "text", body: '{"topic":{"locator":OP}}', path: "topic.locator" },
  { kind: "text", body: '{"topic":{"ontology_tag":OP}}', path: "topic.ontology_tag" },
  { kind: "text", body: '{"topic":{"serialization_format":OP}}', path: "topic.serialization_format" },
  { kind: "time", body: '{"sequence":{"created_at_ns":OP}}', path: "sequence.created_at_ns" },
  { kind: "time", body: '{"topic":{"created_at":OP}}', path: "topic.created_at_ns" },
  { kind: "metadata", body: '{"sequence":{"user_metadata":{"a.b":OP}}}', path: "sequence.user_metadata.a.b" },
  { kind: "metadata", body: '{"topic":{"user_metadata":{"a":OP}}}', path: "topic.user_metadata.a" },
] as const;
type Kind = (typeof fields)[number]["kind"];

const operators = [
  "$ex",
  "$nex",
  "$eq",
  "$neq",
  "$lt",
  "$leq",
  "$gt",
  "$geq",
  "$between",
  "$outside",
  "$in",
  "$match",
  "$regex",
] as const;
type Operator = (typeof operators)[number];

const scalars = ["5", "5.0", '"x"', "true"] as const;
const operands = [
  ...scalars,
  "null",
  "{}",
  "[]",
  "[1]",
  "[1,2]",
  "[2,1]",
  "[1,1]",
  "[1.5,2]",
  "[2,1.5]",
  '["a","b"]',
  '["b","a"]',
  "[false,true]",
  '[1,"a"]',
  '["5",true]',
  '[false,"x"]',
  "[null,1]",
  "[[],{}]",
  "[1,2,3]",
];

type Outcome = "taken" | "malformed" | "wrong type" | "unsupported" | "empty range" | "unknown operator";

/** What a scalar operand comes to on a field of this kind. */
function scalarOutcome(kind: Kind, operand: unknown, text: string): Outcome {
  const isInteger = /^-?[0-9]+$/.test(text);
  if (kind === "text") return typeof operand === "string" ? "taken" : "wrong type";
  if (kind === "time") return isInteger ? "taken" : "wrong type";
  return operand !== null && typeof operand !== "object" ? "taken" : "malformed";
}

function expectedOutcome(kind: Kind, operator: Operator, text: string): Outcome {
  const operand: unknown = JSON.parse(text);
  const items = Array.isArray(operand) ? operand : undefined;
  const texts = items === undefined ? [] : text.slice(1, -1).split(",");
  switch (operator) {
    case "$ex":
    case "$nex":
      return "taken";
    case "$regex":
      return "unknown operator";
    case "$eq":
    case "$neq":
      return scalarOutcome(kind, operand, text);
    case "$lt":
    case "$leq":
    case "$gt":
    case "$geq":
      return kind === "text" ? "unsupported" : scalarOutcome(kind, operand, text);
    case "$between":
    case "$outside": {
      if (kind === "text") return "unsupported";
      if (items?.length !== 2) return "malformed";
      const outcomes = items.map((item, index) => scalarOutcome(kind, item, texts[index] ?? ""));
      const bad = outcomes.find((outcome) => outcome !== "taken");
      if (bad !== undefined) return bad;
      if (typeof items[0] !== typeof items[1]) return "malformed";
      return items[0] > items[1] ? "empty range" : "taken";
    }
    case "$in":
      return items === undefined
        ? "malformed"
        : (items
            .map((item, index) => scalarOutcome(kind, item, texts[index] ?? ""))
            .find((found) => found !== "taken") ?? "taken");
    case "$match":
      return kind === "time" ? "unsupported" : typeof operand === "string" ? "taken" : "malformed";
  }
}

const sentences: Readonly<Record<Exclude<Outcome, "taken">, RegExp>> = {
  malformed: /: expected .*, found /,
  "wrong type": /operation error :: field `.*` has wrong type: expected .*, found /,
  unsupported: /operation error :: field `.*` has unsupported operation \$/,
  "empty range": /operation error :: field `.*` has empty range: .* is above /,
  "unknown operator": /there is no operator "\$regex"/,
};

test("every operator x kind of field x operand is taken or refused as the table says", () => {
  const kinds: readonly Kind[] = ["text", "time", "metadata"];
  const never = new Set([
    ...["$lt", "$leq", "$gt", "$geq", "$between", "$outside"].map((name) => `text ${name}`),
    "time $match",
  ]);
  const refusesNothing = new Set(["$ex", "$nex"]);
  const coverage = new Coverage(
    "query: operators",
    combinations({ kind: kinds, operator: operators }).flatMap(({ kind, operator }) => [
      ...(never.has(`${kind} ${operator}`) || operator === "$regex" ? [] : [`${kind} ${operator} taken`]),
      ...(refusesNothing.has(operator) ? [] : [`${kind} ${operator} refused`]),
    ]),
  );
  for (const { field, operator, operand } of combinations({ field: fields, operator: operators, operand: operands })) {
    const text = field.body.replace("OP", () => `{"${operator}":${operand}}`);
    const expected = expectedOutcome(field.kind, operator, operand);
    coverage.hit(`${field.kind} ${operator} ${expected === "taken" ? "taken" : "refused"}`);
    expectOutcome(parse, text, expected === "taken" ? undefined : { sentence: sentences[expected], path: field.path });
  }
  coverage.check();
});

describe("conditions come out with exact operands", () => {
  const metadata = (operator: string): Condition | undefined =>
    parse(`{"topic":{"user_metadata":{"a":${operator}}}}`).topic.userMetadata[0]?.condition;
  test.each<[string, Condition]>([
    ['"$ex"', { kind: "exists" }],
    ['"$nex"', { kind: "missing" }],
    ['{"$ex":null}', { kind: "exists" }],
    ['{"$nex":null}', { kind: "missing" }],
    ['{"$eq":9007199254740993}', { kind: "eq", operand: 9_007_199_254_740_993n }],
    ['{"$eq":18446744073709551615}', { kind: "eq", operand: 2n ** 64n - 1n }],
    ['{"$neq":1.0}', { kind: "neq", operand: 1 }],
    ['{"$lt":-0.5}', { kind: "lt", operand: -0.5 }],
    ['{"$leq":"x"}', { kind: "leq", operand: "x" }],
    ['{"$gt":true}', { kind: "gt", operand: true }],
    ['{"$geq":-7}', { kind: "geq", operand: -7n }],
    ['{"$between":[1,2.5]}', { kind: "between", least: 1n, most: 2.5 }],
    ['{"$between":[-2.0,2]}', { kind: "between", least: -2, most: 2n }],
    ['{"$outside":["a","b"]}', { kind: "outside", least: "a", most: "b" }],
    ['{"$between":["\uffff","\u{1f6de}"]}', { kind: "between", least: "\uffff", most: "\u{1f6de}" }],
    ['{"$in":[1,"a",2.5,false]}', { kind: "in", operands: scalarSet([1n, "a", 2.5, false]) }],
    ['{"$in":[]}', { kind: "in", operands: scalarSet([]) }],
  ])("%s", (operator, condition) => expect(metadata(operator)).toEqual(condition));
});

test.each([
  ["a", ["a"]],
  ["a.b.0", ["a", "b", "0"]],
  ["a.*.c", ["a", "*", "c"]],
  ["**.c", ["**", "c"]],
  ["a[*].b", ["a", "[*]", "b"]],
  ["a[*][*]", ["a", "[*]", "[*]"]],
  ["[*].b", ["[*]", "b"]],
  ["with space.x-y_z", ["with space", "x-y_z"]],
])("the path %j has the steps %j", (key, steps) => {
  const query = parse(`{"sequence":{"user_metadata":{${JSON.stringify(key)}:"$ex"}}}`);
  expect(query.sequence.userMetadata[0]?.path).toEqual(steps);
});

test.each(["a[*]b", "[*]a", "a.b[*]c[*]"])("the path %j has [*] in front of something", (key) => {
  expect(() => parse(`{"topic":{"user_metadata":{${JSON.stringify(key)}:"$ex"}}}`)).toThrow(
    expect.objectContaining({ code: "invalid", message: expect.stringContaining("[*] stands behind a step") }),
  );
});

test.each(["", ".", "a.", ".a", "a..b"])("the path %j has an empty step", (key) => {
  expect(() => parse(`{"topic":{"user_metadata":{${JSON.stringify(key)}:"$ex"}}}`)).toThrow(
    expect.objectContaining({
      code: "invalid",
      message: `Bad request: topic.user_metadata.${key}: a path has no empty step.`,
    }),
  );
});

test("an integer of megabytes is read or refused quickly", () => {
  const digits = "9".repeat(4_000_000);
  const startedMs = performance.now();
  try {
    parse(`{"topic":{"user_metadata":{"a":{"$between":[0,${digits}]}}}}`);
  } catch (error) {
    expect(error).toMatchObject({ code: "invalid" });
  }
  expect(performance.now() - startedMs).toBeLessThan(500);
});

describe("what makes a query costly has a limit, and more is refused by name", () => {
  const list = (length: number): string => JSON.stringify(Array.from({ length }, (_none, index) => index));
  const conditions = (count: number): string =>
    Array.from({ length: count }, (_none, at) => `"k${at}":"$ex"`).join(",");
  const atMost: [string, (size: number) => string, number, string][] = [
    [
      "a pattern",
      (size) => `{"topic":{"name":{"$match":"${"a".repeat(size)}"}}}`,
      2_048,
      "topic.name.$match has 2049 characters, at most 2048 are allowed",
    ],
    [
      "a pattern of locators",
      (size) => `{"sequence":{"locator":{"$match":"${"a".repeat(size)}"}}}`,
      2_048,
      "sequence.locator.$match has 2049 characters",
    ],
    [
      "operands",
      (size) => `{"topic":{"user_metadata":{"k":{"$in":${list(size)}}}}}`,
      65_536,
      "topic.user_metadata.k.$in has 65537 operands, at most 65536 are allowed",
    ],
    [
      "steps",
      (size) => `{"topic":{"user_metadata":{"${"**.".repeat(size - 1)}x":"$ex"}}}`,
      128,
      "has 129 steps in its path, at most 128 are allowed",
    ],
    [
      "characters of a path",
      (size) => `{"topic":{"user_metadata":{"${"x".repeat(size)}":"$ex"}}}`,
      8_192,
      "has 8193 characters in its path, at most 8192 are allowed",
    ],
    [
      "conditions",
      (size) => `{"sequence":{"user_metadata":{${conditions(size)}}}}`,
      256,
      "sequence.user_metadata has 257 conditions, at most 256 are allowed",
    ],
  ];
  test.each(atMost)("%s", (_title, text, size, reason) => {
    expect(() => parse(text(size))).not.toThrow();
    expect(() => parse(text(size + 1))).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(reason) }),
    );
  });

  test("a path of megabytes is refused quickly, and not repeated whole", () => {
    const startedMs = performance.now();
    expect(() => parse(`{"topic":{"user_metadata":{"${"x".repeat(4_000_000)}":"$ex"}}}`)).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringMatching(/^.{1,400}$/) }),
    );
    expect(performance.now() - startedMs).toBeLessThan(500);
  });
});

describe("a name matches by the language of its key", () => {
  const kinds = (text: string): string[] | undefined => {
    const { name } = parse(text).topic;
    return name?.kind === "match" ? name.pattern.map(({ kind }) => kind) : undefined;
  };
  test("locator: anywhere", () =>
    expect(kinds('{"topic":{"locator":{"$match":"*"}}}')).toEqual(["run", "literal", "run"]));
  test("name: glob over the whole", () => expect(kinds('{"topic":{"name":{"$match":"*"}}}')).toEqual(["run"]));
  test("tags follow the key beside them", () => {
    const tag = (text: string): number => {
      const { ontologyTag } = parse(text).topic;
      return ontologyTag?.kind === "match" ? ontologyTag.pattern.length : -1;
    };
    expect(tag('{"topic":{"ontology_tag":{"$match":"a"}}}')).toBe(1);
    expect(tag('{"topic":{"name":"$ex","ontology_tag":{"$match":"a"}}}')).toBe(1);
    expect(tag('{"topic":{"locator":"$ex","ontology_tag":{"$match":"a"}}}')).toBe(3);
  });
  test("both keys at once are refused", () => {
    for (const filter of ["sequence", "topic"]) {
      expect(() => parse(`{"${filter}":{"name":{"$eq":"a"},"locator":{"$eq":"a"}}}`)).toThrow(
        `Bad request: ${filter} has both name and locator, expected one of them.`,
      );
    }
  });
});

describe("filters", () => {
  const empty: CatalogQuery = {
    sequence: { name: undefined, createdAtNs: undefined, userMetadata: [] },
    topic: {
      name: undefined,
      createdAtNs: undefined,
      userMetadata: [],
      ontologyTag: undefined,
      serializationFormat: undefined,
    },
    contents: undefined,
    timeRanges: undefined,
    includeTimestampRange: false,
    explain: false,
    usesSkipIndex: true,
  };
  test.each([
    "{}",
    '{"sequence":null,"topic":null,"ontology":null}',
    '{"sequence":{},"topic":{"user_metadata":{}}}',
    '{"sequence":{"user_metadata":null}}',
  ])("%s has no conditions", (text) => expect(parse(text)).toEqual(empty));

  test.each([
    ['{"ontolgy":{}}', 'the query: expected sequence, topic, ontology, found "ontolgy"'],
    [
      '{"sequence":{"nme":5}}',
      'sequence: expected name, locator, created_at_ns, created_at, user_metadata, found "nme"',
    ],
    [
      '{"topic":{"tag":{"$eq":"x"}}}',
      'topic: expected name, locator, created_at_ns, created_at, user_metadata, ontology_tag, serialization_format, found "tag"',
    ],
  ])("%s asks for what there is not", (text, reason) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }));
  });

  test.each([
    ['{"ontology":{}}', {}],
    ['{"ontology":{"include_timestamp_range":false}}', {}],
    ['{"ontology":{"include_timestamp_range":null}}', {}],
    ['{"ontology":{"include_time_ranges":null}}', {}],
    ['{"ontology":{"include_timestamp_range":true}}', { includeTimestampRange: true }],
    ['{"ontology":{"include_time_ranges":{"gap_ns":0}}}', { timeRanges: { gapNs: 0n, limit: 1_000 } }],
  ])("%s asks for contents by no condition", (text, asked) =>
    expect(parse(text)).toEqual({ ...empty, contents: [], ...asked }),
  );

  test("the range is asked for beside the conditions", () => {
    expect(parse('{"ontology":{"include_timestamp_range":true}}').includeTimestampRange).toBe(true);
  });

  test.each([
    ['{"sequence":5}', "sequence: expected an object, found the number 5"],
    ['{"topic":[]}', "topic: expected an object, found an array of 0"],
    ['{"ontology":"x"}', 'ontology: expected an object, found the string "x"'],
    ['{"topic":{"user_metadata":true}}', "user_metadata: expected an object, found the boolean true"],
    [
      '{"ontology":{"include_timestamp_range":1}}',
      "ontology.include_timestamp_range: expected true or false, found the number 1",
    ],
    ['{"topic":{"name":null}}', "topic.name: expected an object with one operator, found null"],
    ['{"topic":{"name":"imu"}}', 'topic.name: expected an object with one operator, found the string "imu"'],
    ['{"topic":{"name":["$ex"]}}', "topic.name: expected an object with one operator, found an array of 1"],
    ['{"topic":{"name":{}}}', "topic.name: expected exactly one operator, found 0"],
    ['{"topic":{"name":{"$eq":"a","$neq":"b"}}}', "topic.name: expected exactly one operator, found 2"],
    ['{"topic":{"name":{"toString":1}}}', 'topic.name: there is no operator "toString"'],
    ['{"topic":{"name":{"__proto__":1}}}', 'topic.name: there is no operator "__proto__"'],
  ])("%s is refused", (text, reason) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }));
  });
});

test.each([
  ['{"topic":{"name":{"$eq":"a"}}}', "new"],
  ['{"sequence":{"name":{"$eq":"a"}}}', "new"],
  ['{"topic":{"locator":{"$eq":"a"}}}', "old"],
  ['{"sequence":{"locator":{"$eq":"a"}},"topic":{}}', "old"],
  ['{"ontology":{"include_timestamp_range":true}}', "old"],
  ['{"ontology":{"include_timestamp_range":true,"include_time_ranges":{"gap_ns":1}}}', undefined],
  ['{"topic":{"locator":{"$eq":"a"}},"ontology":{"include_time_ranges":{"gap_ns":1}}}', "old"],
  ['{"topic":{"name":{"$eq":"a"}},"ontology":{"include_timestamp_range":true}}', "new"],
  ['{"topic":{"created_at_ns":{"$eq":1}}}', undefined],
  ['{"topic":5,"sequence":null,"ontology":[]}', undefined],
  ["{}", undefined],
])("%s proves %s", (text, proof) => expect(queryProof(bodyOf(text))).toBe(proof));
