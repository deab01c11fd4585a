// Conditions on contents: every operator on every form of field in every dialect with every kind of operand, by a table of its
// own (shared/protocol: mosaico-0.4.md 9.2, mosaico-delta.md 6), keys, groups, areas, options, and what is refused by which words.

import { describe, expect, test } from "vitest";
import { type JsonObject, parseJson } from "../../src/model/json.ts";
import {
  type CatalogQuery,
  type Condition,
  type FieldPath,
  type ListCondition,
  type RowPredicate,
  scalarSet,
} from "../../src/model/predicate.ts";
import { parseQuery } from "../../src/wire/query.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { expectOutcome } from "./outcome.ts";

const parse = (text: string): CatalogQuery => parseQuery(parseJson(text, "the query") as JsonObject);
const contentsOf = (ontology: string) => parse(`{"ontology":${ontology}}`).contents;

/** What is asked of the rows of the one tag. */
function rowsOf(ontology: string): RowPredicate | undefined {
  const contents = contentsOf(ontology);
  expect(contents).toHaveLength(1);
  return contents?.[0]?.rows;
}

function conditionOf(operator: string): Condition | ListCondition | undefined {
  const rows = rowsOf(`{"IMU.a":${operator}}`);
  return rows?.kind === "field" ? rows.condition : undefined;
}

const forms = {
  value: "IMU.a.b",
  "item at": "IMU.a[2]",
  "any item": "IMU.a[?].b",
  "all items": "IMU.a[!]",
} as const;

const dialects = {
  "old by locator": '{"topic":{"locator":{"$match":"x"}},"ontology":ONTOLOGY}',
  "old by range": '{"ontology":ONTOLOGY}',
  "new by name": '{"sequence":{"name":{"$match":"x"}},"ontology":ONTOLOGY}',
  unproven: '{"topic":{"ontology_tag":{"$eq":"IMU"}},"ontology":ONTOLOGY}',
} as const;
const names = <Table extends object>(table: Table) => Object.keys(table) as (keyof Table & string)[];

const operators = [
  ...(["$ex", "$nex", "$eq", "$neq", "$lt", "$leq", "$gt", "$geq", "$between", "$outside", "$in"] as const),
  ...(["$match", "$regex"] as const),
] as const;

/** Each with the kinds of its items, or of itself: the test's own word, not the parser's. */
const operands: readonly (readonly [text: string, is: string])[] = [
  ["5", "number"],
  ["5.0", "number"],
  ["-9007199254740993", "number"],
  ['"x"', "text"],
  ["true", "boolean"],
  ["null", "null"],
  ["{}", "object"],
  ["[]", ""],
  ["[1]", "number"],
  ["[1,2]", "number number rising"],
  ["[2,1]", "number number falling"],
  ["[1,1]", "number number rising"],
  ["[1.5,2]", "number number rising"],
  ["[2,1.5]", "number number falling"],
  ['["a","b"]', "text text rising"],
  ['["b","a"]', "text text falling"],
  ["[false,true]", "boolean boolean rising"],
  ["[true,false]", "boolean boolean falling"],
  ['[1,"a"]', "number text"],
  ['["5",true]', "text boolean"],
  ["[null,1]", "null number"],
  ["[[],{}]", "array object"],
  ["[1,2,3]", "number number number"],
];

type Outcome = "taken" | "malformed" | "empty range" | "unknown operator" | "unsupported";

function expectedOutcome(form: keyof typeof forms, operator: (typeof operators)[number], operand: string): Outcome {
  const is = operands.find(([text]) => text === operand)?.[1] ?? "";
  const isList = operand.startsWith("[");
  const kinds = is.split(" ").filter((kind) => !["", "rising", "falling"].includes(kind));
  const areScalars = kinds.every((kind) => ["number", "text", "boolean"].includes(kind));
  switch (operator) {
    case "$ex":
    case "$nex":
      return "taken";
    case "$regex":
      return "unknown operator";
    case "$eq":
    case "$neq":
      if (!isList) return areScalars ? "taken" : "malformed";
      if (form !== "value") return "unsupported";
      return areScalars && new Set(kinds).size <= 1 ? "taken" : "malformed";
    case "$lt":
    case "$leq":
    case "$gt":
    case "$geq":
      return !isList && areScalars ? "taken" : "malformed";
    case "$between":
    case "$outside":
      if (!isList || kinds.length !== 2 || !areScalars || kinds[0] !== kinds[1]) return "malformed";
      return is.endsWith("falling") ? "empty range" : "taken";
    case "$in":
      return isList && areScalars ? "taken" : "malformed";
    case "$match":
      return is === "text" && !isList ? "taken" : "malformed";
  }
}

const sentences: Readonly<Record<Exclude<Outcome, "taken">, RegExp>> = {
  malformed: /: expected .*, found /,
  unsupported: /has unsupported operation \$n?eq with an array on the items of a list/,
  "empty range": /operation error :: field `.*` has empty range: .* is above /,
  "unknown operator": /there is no operator "\$regex"/,
};

test("every operator x form of field x dialect x operand is taken or refused as the table says", () => {
  const refusesNothing = new Set(["$ex", "$nex"]);
  const coverage = new Coverage(
    "contents: operators",
    combinations({ form: names(forms), operator: operators, dialect: names(dialects) }).flatMap(
      ({ form, operator, dialect }) => [
        ...(operator === "$regex" ? [] : [`${dialect}, ${form} ${operator} taken`]),
        ...(refusesNothing.has(operator) ? [] : [`${dialect}, ${form} ${operator} refused`]),
      ],
    ),
  );
  for (const { dialect, form, operator, operand } of combinations({
    dialect: names(dialects),
    form: names(forms),
    operator: operators,
    operand: operands.map(([text]) => text),
  })) {
    const range = dialect === "old by range" ? ',"include_timestamp_range":true' : "";
    const ontology = `{${JSON.stringify(forms[form])}:{"${operator}":${operand}}${range}}`;
    const text = dialects[dialect].replace("ONTOLOGY", () => ontology);
    const expected = expectedOutcome(form, operator, operand);
    coverage.hit(`${dialect}, ${form} ${operator} ${expected === "taken" ? "taken" : "refused"}`);
    const path = `ontology.${forms[form]}`;
    expectOutcome(parse, text, expected === "taken" ? undefined : { sentence: sentences[expected], path });
  }
  coverage.check();
});

test.each<[string, Condition | ListCondition]>([
  ['"$ex"', { kind: "exists" }],
  ['"$nex"', { kind: "missing" }],
  ['{"$ex":null}', { kind: "exists" }],
  ['{"$nex":null}', { kind: "missing" }],
  ['{"$eq":9007199254740993}', { kind: "eq", operand: 9_007_199_254_740_993n }],
  ['{"$neq":-9223372036854775808}', { kind: "neq", operand: -(2n ** 63n) }],
  ['{"$lt":18446744073709551615}', { kind: "lt", operand: 2n ** 64n - 1n }],
  ['{"$leq":5.0}', { kind: "leq", operand: 5 }],
  ['{"$gt":-0.5}', { kind: "gt", operand: -0.5 }],
  ['{"$geq":"2026-04-20"}', { kind: "geq", operand: "2026-04-20" }],
  ['{"$lt":true}', { kind: "lt", operand: true }],
  [
    '{"$between":[1700000000000000000,1700000001000000001]}',
    { kind: "between", least: 1_700_000_000_000_000_000n, most: 1_700_000_001_000_000_001n },
  ],
  ['{"$outside":[-2.0,2]}', { kind: "outside", least: -2, most: 2n }],
  ['{"$in":[1,"a",2.5,false]}', { kind: "in", operands: scalarSet([1n, "a", 2.5, false]) }],
  ['{"$in":[]}', { kind: "in", operands: scalarSet([]) }],
  ['{"$match":"a*"}', { kind: "match", pattern: [{ kind: "literal", character: "a" }, { kind: "run" }] }],
  ['{"$eq":[]}', { kind: "list eq", items: [] }],
  ['{"$eq":[9007199254740993,2.5]}', { kind: "list eq", items: [9_007_199_254_740_993n, 2.5] }],
  ['{"$neq":["a","b","a"]}', { kind: "list neq", items: ["a", "b", "a"] }],
  ['{"$eq":[true]}', { kind: "list eq", items: [true] }],
])("%s comes out exactly", (operator, condition) => expect(conditionOf(operator)).toEqual(condition));

describe("keys", () => {
  test.each<[string, string, FieldPath]>([
    ["IMU.a", "IMU", { field: "a" }],
    ["IMU.timestamp_ns", "IMU", { field: "timestamp_ns" }],
    ["IMU.a.b.c", "IMU", { field: "a.b.c" }],
    ["IMU.Größe in m.$x", "IMU", { field: "Größe in m.$x" }],
    ["$or.a", "$or", { field: "a" }],
    ["__proto__.__proto__", "__proto__", { field: "__proto__" }],
    ["a/b c.d", "a/b c", { field: "d" }],
    ["IMU.a[0]", "IMU", { field: "a", items: { kind: "at", index: 0 } }],
    ["IMU.a.b[2147483647]", "IMU", { field: "a.b", items: { kind: "at", index: 2 ** 31 - 1 } }],
    ["IMU.a[?]", "IMU", { field: "a", items: { kind: "any" } }],
    ["IMU.a[!]", "IMU", { field: "a", items: { kind: "all" } }],
    ["IMU.a[10].b", "IMU", { field: "a", items: { kind: "at", index: 10 }, itemField: "b" }],
    ["IMU.a[?].b.c", "IMU", { field: "a", items: { kind: "any" }, itemField: "b.c" }],
    ["IMU.x.a[!].b", "IMU", { field: "x.a", items: { kind: "all" }, itemField: "b" }],
  ])("%j", (key, ontologyTag, path) => {
    expect(contentsOf(`{${JSON.stringify(key)}:"$ex"}`)).toEqual([
      { ontologyTag, rows: { kind: "field", path, condition: { kind: "exists" } } },
    ]);
  });

  const specifier = "expected the list specifier [i], [?] or [!], found";
  test.each([
    ["IMU", "ontology.IMU: expected <tag>.<field>, found no field"],
    ["5", "ontology.5: expected <tag>.<field>, found no field"],
    ["", "ontology.: a path has no empty step"],
    [".a", "ontology..a: a path has no empty step"],
    ["IMU.", "ontology.IMU.: a path has no empty step"],
    ["IMU..a", "ontology.IMU..a: a path has no empty step"],
    ["IMU.a.", "ontology.IMU.a.: a path has no empty step"],
    ["IMU.[0]", "ontology.IMU.[0]: a path has no empty step"],
    ["IMU.a.[?]", "ontology.IMU.a.[?]: a path has no empty step"],
    ["IMU.a[0].", "ontology.IMU.a[0].: a path has no empty step"],
    ["IMU.a[0][1]", "ontology.IMU.a[0][1]: a path has one list specifier at most"],
    ["IMU.a[?].b[!]", "ontology.IMU.a[?].b[!]: a path has one list specifier at most"],
    ["IMU.a[[0]]", "ontology.IMU.a[[0]]: a path has one list specifier at most"],
    ["IMU.a[0]b", "ontology.IMU.a[0]b: a list specifier stands at the end of a step"],
    ["IMU.a[]", `ontology.IMU.a[]: ${specifier} "[]"`],
    ["IMU.a[*]", `ontology.IMU.a[*]: ${specifier} "[*]"`],
    ["IMU.a[-1]", `ontology.IMU.a[-1]: ${specifier} "[-1]"`],
    ["IMU.a[01]", `ontology.IMU.a[01]: ${specifier} "[01]"`],
    ["IMU.a[1.5]", `ontology.IMU.a[1.5]: ${specifier} "[1.5]"`],
    ["IMU.a[2147483648]", `ontology.IMU.a[2147483648]: ${specifier} "[2147483648]"`],
    ["IMU.a[99999999999]", `ontology.IMU.a[99999999999]: ${specifier} "[99999999999]"`],
    ["IMU.a[0", `ontology.IMU.a[0: ${specifier} "[0"`],
    ["IMU.a]", `ontology.IMU.a]: ${specifier} "]"`],
    ["$and", 'ontology: there is no operator "$and"'],
    ["$eq", 'ontology: there is no operator "$eq"'],
  ])("%j is none", (key, reason) => {
    expect(() => contentsOf(`{${JSON.stringify(key)}:"$ex"}`)).toThrow(
      expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }),
    );
  });
});

describe("conditions that are none", () => {
  const at = "ontology.IMU.a";
  test.each([
    ['"x"', `${at}: expected an object with one operator, found the string "x"`],
    ["5", `${at}: expected an object with one operator, found the number 5`],
    ["null", `${at}: expected an object with one operator, found null`],
    ['["$ex"]', `${at}: expected an object with one operator, found an array of 1`],
    ["{}", `${at}: expected exactly one operator, found 0`],
    ['{"$gt":1,"$lt":2}', `${at}: expected exactly one operator, found 2`],
    ['{"$eq":[1],"$neq":[2]}', `${at}: expected exactly one operator, found 2`],
    ['{"toString":1}', `${at}: there is no operator "toString"`],
    ['{"__proto__":1}', `${at}: there is no operator "__proto__"`],
    ['{"$gt":null}', `${at}.$gt: expected a number, string or boolean, found null`],
    ['{"$eq":{}}', `${at}.$eq: expected a number, string or boolean, found an object`],
    ['{"$lt":[1]}', `${at}.$lt: expected a number, string or boolean, found an array of 1`],
    ['{"$between":[1]}', `${at}.$between: expected an array of two, found an array of 1`],
    ['{"$between":5}', `${at}.$between: expected an array of two, found the number 5`],
    ['{"$outside":[1,"a"]}', `${at}.$outside: expected two values of one kind, found an array of 2`],
    ['{"$between":[null,1]}', `${at}.$between.0: expected a number, string or boolean, found null`],
    ['{"$between":[2,1.5]}', `operation error :: field \`${at}.$between\` has empty range: 2 is above 1.5`],
    ['{"$outside":["b","a"]}', `operation error :: field \`${at}.$outside\` has empty range: b is above a`],
    ['{"$in":"a"}', `${at}.$in: expected an array, found the string "a"`],
    ['{"$in":[1,[]]}', `${at}.$in.1: expected a number, string or boolean, found an array of 0`],
    ['{"$match":5}', `${at}.$match: expected a string, found the number 5`],
    ['{"$match":"[a"}', `${at}.$match: the set that starts at character 0 of "[a" has no end`],
    ['{"$eq":[1,null]}', `${at}.$eq.1: expected a number, string or boolean, found null`],
    ['{"$neq":[[1]]}', `${at}.$neq.0: expected a number, string or boolean, found an array of 1`],
    ['{"$eq":[1,"a"]}', `${at}.$eq: expected items of one kind, found an array of 2`],
  ])("%s", (operator, reason) => {
    expect(() => contentsOf(`{"IMU.a":${operator}}`)).toThrow(
      expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }),
    );
  });

  test("a whole list behind a list specifier", () => {
    expect(() => contentsOf('{"IMU.a[?]":{"$eq":[1]}}')).toThrow(
      expect.objectContaining({
        code: "invalid",
        message:
          "Bad request: operation error :: field `ontology.IMU.a[?]` has unsupported operation $eq with an array on the items of a list.",
      }),
    );
  });
});

describe("a text matches by the language that is given, and by glob where none is", () => {
  const ask = (text: string, style?: "like" | "glob") =>
    parseQuery(parseJson(text, "the query") as JsonObject, style).contents?.[0]?.rows;
  const ontology = '"ontology":{"String.data":{"$match":"a"}}';
  const ranged = '"ontology":{"include_timestamp_range":true,"String.data":{"$match":"a"}}';
  test.each([
    [`{"topic":{"locator":{"$eq":"/t"}},${ontology}}`, 1],
    [`{"topic":{"name":{"$eq":"/t"}},${ontology}}`, 1],
    [`{${ranged}}`, 1],
    [`{${ontology}}`, 1],
  ])("%s", (text, elements) => {
    expect(ask(text)).toMatchObject({ condition: { kind: "match", pattern: { length: elements } } });
    expect(ask(text, "like")).toMatchObject({ condition: { kind: "match", pattern: { length: elements + 2 } } });
  });

  test("in groups too", () => {
    const text = '{"ontology":{"$or":[{"$not":{"String.data":{"$match":"_"}}}]}}';
    expect(ask(text, "like")).toEqual({
      kind: "any",
      of: [
        {
          kind: "not",
          of: {
            kind: "field",
            path: { field: "data" },
            condition: { kind: "match", pattern: [{ kind: "run" }, { kind: "one" }, { kind: "run" }] },
          },
        },
      ],
    });
  });
});

const field = (name: string): RowPredicate => ({
  kind: "field",
  path: { field: name },
  condition: { kind: "exists" },
});

describe("groups", () => {
  test.each<[string, object]>([
    ['{"A.x":"$ex","B.x":"$ex","A.y":"$ex"}', { A: { kind: "all", of: [field("x"), field("y")] }, B: field("x") }],
    ['{"$or":[{"A.x":"$ex"}]}', { A: { kind: "any", of: [field("x")] } }],
    [
      '{"$or":[{"A.x":"$ex","A.y":"$ex"},{"A.z":"$ex"}]}',
      { A: { kind: "any", of: [{ kind: "all", of: [field("x"), field("y")] }, field("z")] } },
    ],
    ['{"$not":{"A.x":"$ex"}}', { A: { kind: "not", of: field("x") } }],
    ['{"$not":{"A.x":"$ex","A.y":"$ex"}}', { A: { kind: "not", of: { kind: "all", of: [field("x"), field("y")] } } }],
    [
      '{"A.z":"$ex","$or":[{"A.x":"$ex"},{"A.y":"$ex"}],"$not":{"A.x":"$ex"}}',
      {
        A: {
          kind: "all",
          of: [field("z"), { kind: "any", of: [field("x"), field("y")] }, { kind: "not", of: field("x") }],
        },
      },
    ],
    // Groups of several tags beside each other.
    [
      '{"$or":[{"A.x":"$ex"},{"A.y":"$ex"}],"$not":{"B.x":"$ex"},"B.y":"$ex"}',
      {
        A: { kind: "any", of: [field("x"), field("y")] },
        B: { kind: "all", of: [{ kind: "not", of: field("x") }, field("y")] },
      },
    ],
    [
      '{"$not":{"$not":{"$or":[{"A.x":"$ex"},{"$or":[{"A.y":"$ex"}]}]}}}',
      {
        A: {
          kind: "not",
          of: { kind: "not", of: { kind: "any", of: [field("x"), { kind: "any", of: [field("y")] }] } },
        },
      },
    ],
  ])("%s", (ontology, byTag) => {
    expect(contentsOf(ontology)).toEqual(
      Object.entries(byTag).map(([ontologyTag, rows]) => ({ ontologyTag, rows: rows as unknown })),
    );
  });

  const mixed = 'expected conditions of one ontology tag, found "A" and "B"';
  test.each([
    ['{"$or":[{"A.x":"$ex"},{"B.x":"$ex"}]}', `ontology.$or: ${mixed}`],
    ['{"$or":[{"A.x":"$ex","B.x":"$ex"}]}', `ontology.$or.0: ${mixed}`],
    ['{"$or":[{"A.x":"$ex"},{"A.x":"$ex","$not":{"B.x":"$ex"}}]}', `ontology.$or.1: ${mixed}`],
    ['{"$not":{"A.x":"$ex","B.x":"$ex"}}', `ontology.$not: ${mixed}`],
    ['{"$not":{"A.x":"$ex","$or":[{"B.x":"$ex"}]}}', `ontology.$not: ${mixed}`],
    ['{"$or":{"A.x":"$ex"}}', "ontology.$or: expected an array of groups of conditions, found an object"],
    ['{"$or":null}', "ontology.$or: expected an array of groups of conditions, found null"],
    ['{"$or":[]}', "ontology.$or: expected at least one group of conditions, found none"],
    ['{"$or":[5]}', "ontology.$or.0: expected an object of conditions, found the number 5"],
    ['{"$or":[{"A.x":"$ex"},[]]}', "ontology.$or.1: expected an object of conditions, found an array of 0"],
    ['{"$or":[{"A.x":"$ex"},{}]}', "ontology.$or.1: expected at least one condition, found none"],
    ['{"$not":[{"A.x":"$ex"}]}', "ontology.$not: expected an object of conditions, found an array of 1"],
    ['{"$not":{}}', "ontology.$not: expected at least one condition, found none"],
    ['{"$not":"$ex"}', 'ontology.$not: expected an object of conditions, found the string "$ex"'],
    [
      '{"$not":{"$or":[{"A.x":{"$gt":null}}]}}',
      "ontology.$not.$or.0.A.x.$gt: expected a number, string or boolean, found null",
    ],
    ['{"$not":{"$and":[]}}', 'ontology.$not: there is no operator "$and"'],
    [
      '{"$not":{"include_timestamp_range":true}}',
      "ontology.$not.include_timestamp_range: expected <tag>.<field>, found no field",
    ],
  ])("%s is refused", (ontology, reason) => {
    expect(() => contentsOf(ontology)).toThrow(
      expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }),
    );
  });

  test("long names of tags are not repeated whole", () => {
    const [one, another] = ["a".repeat(4_000), "b".repeat(4_000)];
    expect(() => contentsOf(`{"$not":{"${one}.x":"$ex","${another}.x":"$ex"}}`)).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringMatching(/^.{1,400}$/) }),
    );
  });
});

describe("areas", () => {
  const area = (text: string) => rowsOf(`{"GPS":{"$within":${text}}}`);
  test.each<[string, object]>([
    ['{"box":[-90,-180,90,180]}', { kind: "box", south: -90, west: -180, north: 90, east: 180 }],
    ['{"box":[44.5,11.25,44.5,11.25]}', { kind: "box", south: 44.5, west: 11.25, north: 44.5, east: 11.25 }],
    ['{"box":[-1,170,1.5,-170.0]}', { kind: "box", south: -1, west: 170, north: 1.5, east: -170 }],
    ['{"circle":[90,-180,0]}', { kind: "circle", latitude: 90, longitude: -180, radiusM: 0 }],
    ['{"circle":[-44.5,11.5,2.5e3]}', { kind: "circle", latitude: -44.5, longitude: 11.5, radiusM: 2_500 }],
  ])("%s", (text, expected) => expect(area(text)).toEqual({ kind: "within", field: "", area: expected }));

  test.each([
    ["GPS.position", "position"],
    ["MotionState.pose.position", "pose.position"],
  ])("of a field: %s", (key, name) => {
    expect(rowsOf(`{"${key}":{"$within":{"circle":[0,0,1]}}}`)).toMatchObject({ kind: "within", field: name });
  });

  test("in a group, beside conditions", () => {
    const circle = { kind: "circle", latitude: 0, longitude: 0, radiusM: 1 };
    expect(rowsOf('{"GPS.a":"$ex","$not":{"GPS":{"$within":{"circle":[0,0,1]}}}}')).toEqual({
      kind: "all",
      of: [field("a"), { kind: "not", of: { kind: "within", field: "", area: circle } }],
    });
  });

  const at = "ontology.GPS.$within";
  const latitude = "expected a latitude from -90 to 90";
  const longitude = "expected a longitude from -180 to 180";
  test.each([
    ["null", `${at}: expected an object with box or circle, found null`],
    ["[0,0,1]", `${at}: expected an object with box or circle, found an array of 3`],
    ["{}", `${at}: expected exactly one area, found 0`],
    ['{"box":[0,0,0,0],"circle":[0,0,1]}', `${at}: expected exactly one area, found 2`],
    ['{"polygon":[]}', `${at}: expected box or circle, found "polygon"`],
    ['{"box":{}}', `${at}.box: expected an array of 4 numbers, found an object`],
    ['{"box":[0,0,1]}', `${at}.box: expected an array of 4 numbers, found an array of 3`],
    ['{"circle":[0,0,1,2]}', `${at}.circle: expected an array of 3 numbers, found an array of 4`],
    ['{"box":["0",0,1,1]}', `${at}.box.0: ${latitude}, found the string "0"`],
    ['{"box":[-90.5,0,1,1]}', `${at}.box.0: ${latitude}, found the number -90.5`],
    ['{"box":[0,-180.5,1,1]}', `${at}.box.1: ${longitude}, found the number -180.5`],
    ['{"box":[0,0,90.5,1]}', `${at}.box.2: ${latitude}, found the number 90.5`],
    ['{"box":[0,0,1,180.5]}', `${at}.box.3: ${longitude}, found the number 180.5`],
    ['{"box":[0,0,1,null]}', `${at}.box.3: ${longitude}, found null`],
    ['{"box":[1,0,0.5,1]}', `operation error :: field \`${at}.box\` has empty range: 1 is above 0.5`],
    ['{"circle":[91,0,1]}', `${at}.circle.0: ${latitude}, found the number 91`],
    ['{"circle":[0,-181,1]}', `${at}.circle.1: ${longitude}, found the number -181`],
    ['{"circle":[0,0,-1]}', `${at}.circle.2: expected a radius of 0 metres or more, found the number -1`],
    ['{"circle":[0,0,1e999]}', `${at}.circle.2: expected a radius of 0 metres or more, found the number 1e999`],
    ['{"circle":[0,0,true]}', `${at}.circle.2: expected a radius of 0 metres or more, found the boolean true`],
  ])("%s is refused", (text, reason) => {
    expect(() => area(text)).toThrow(expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }));
  });

  test.each([
    ['{"GPS":{"$within":{"circle":[0,0,1]},"$eq":1}}', "ontology.GPS: expected exactly one operator, found 2"],
    [
      '{"GPS.a[?]":{"$within":{"circle":[0,0,1]}}}',
      "operation error :: field `ontology.GPS.a[?]` has unsupported operation $within on the items of a list",
    ],
    ['{"$x":{"$within":{"circle":[0,0,1]}}}', 'ontology: there is no operator "$x"'],
  ])("%s is refused", (ontology, reason) => {
    expect(() => contentsOf(ontology)).toThrow(
      expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }),
    );
  });
});

describe("lengths", () => {
  test.each<[string, object]>([
    ['{"IMU.acceleration":{"$norm":{"$gt":20}}}', { field: "acceleration", condition: { kind: "gt", operand: 20n } }],
    [
      '{"Vector3d":{"$norm":{"$between":[0,0.5]}}}',
      { field: "", condition: { kind: "between", least: 0n, most: 0.5 } },
    ],
    ['{"a.b.c":{"$norm":"$nex"}}', { field: "b.c", condition: { kind: "missing" } }],
  ])("%s", (text, expected) => expect(rowsOf(text)).toEqual({ kind: "norm", ...expected }));

  test.each([
    ['{"IMU.a":{"$norm":20}}', "ontology.IMU.a.$norm: expected an object with one operator, found the number 20"],
    [
      '{"IMU.a":{"$norm":{"$gt":"20"}}}',
      '`ontology.IMU.a.$norm.$gt` has wrong type: expected a number, found the string "20"',
    ],
    [
      '{"IMU.a":{"$norm":{"$eq":true}}}',
      "`ontology.IMU.a.$norm.$eq` has wrong type: expected a number, found the boolean true",
    ],
    [
      '{"IMU.a":{"$norm":{"$match":"2*"}}}',
      "operation error :: field `ontology.IMU.a.$norm` has unsupported operation $match",
    ],
    [
      '{"IMU.a[?]":{"$norm":{"$gt":1}}}',
      "operation error :: field `ontology.IMU.a[?]` has unsupported operation $norm on the items of a list",
    ],
    ['{"IMU.a":{"$norm":{"$gt":1},"$lt":2}}', "ontology.IMU.a: expected exactly one operator, found 2"],
  ])("%s is refused", (text, reason) => {
    expect(() => contentsOf(text)).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(reason) }),
    );
  });
});

describe("what else the answer is to tell", () => {
  const ranges = (text: string) => parse(`{"ontology":{"A.x":"$ex","include_time_ranges":${text}}}`).timeRanges;
  test.each<[string, object | undefined]>([
    ["null", undefined],
    ['{"gap_ns":0}', { gapNs: 0n, limit: 1_000 }],
    ['{"gap_ns":5,"limit":null,"unknown":1}', { gapNs: 5n, limit: 1_000 }],
    ['{"gap_ns":9007199254740993,"limit":1}', { gapNs: 9_007_199_254_740_993n, limit: 1 }],
    ['{"gap_ns":18446744073709551615,"limit":10000}', { gapNs: 2n ** 64n - 1n, limit: 10_000 }],
  ])("time ranges %s", (text, expected) => expect(ranges(text)).toEqual(expected));

  const limit = "limit: expected an integer from 1 to 10000";
  test.each([
    ["true", "ontology.include_time_ranges: expected an object, found the boolean true"],
    ["5", "ontology.include_time_ranges: expected an object, found the number 5"],
    ["[]", "ontology.include_time_ranges: expected an object, found an array of 0"],
    ["{}", "ontology.include_time_ranges: gap_ns: expected a uint64, found nothing"],
    ['{"gap_ns":null}', "ontology.include_time_ranges: gap_ns: expected a uint64, found null"],
    ['{"gap_ns":-1}', "ontology.include_time_ranges: gap_ns: expected a uint64, found the number -1"],
    ['{"gap_ns":1.0}', "ontology.include_time_ranges: gap_ns: expected a uint64, found the number 1.0"],
    [
      '{"gap_ns":18446744073709551616}',
      "ontology.include_time_ranges: gap_ns: expected a uint64, found the number 18446744073709551616",
    ],
    ['{"gap_ns":1,"limit":0}', `ontology.include_time_ranges: ${limit}, found the number 0`],
    ['{"gap_ns":1,"limit":10001}', `ontology.include_time_ranges: ${limit}, found the number 10001`],
    ['{"gap_ns":1,"limit":1.5}', `ontology.include_time_ranges: ${limit}, found the number 1.5`],
    ['{"gap_ns":1,"limit":"5"}', `ontology.include_time_ranges: ${limit}, found the string "5"`],
  ])("time ranges %s are refused", (text, reason) => {
    expect(() => ranges(text)).toThrow(
      expect.objectContaining({ code: "invalid", message: `Bad request: ${reason}.` }),
    );
  });

  test("the range of what matches", () => {
    for (const [text, expected] of [
      ["true", true],
      ["false", false],
      ["null", false],
    ] as const) {
      const query = parse(`{"ontology":{"include_timestamp_range":${text},"A.x":"$ex"}}`);
      expect(query).toMatchObject({ includeTimestampRange: expected, contents: [{ ontologyTag: "A" }] });
    }
  });

  test.each([
    ["include_timestamp_range", "includeTimestampRange", false],
    ["explain", "explain", false],
    ["use_skip_index", "usesSkipIndex", true],
  ] as const)("%s is true or false, and %s", (key, name, normal) => {
    const asked = (value: string) => parse(`{"ontology":{"${key}":${value},"A.x":"$ex"}}`);
    expect([asked("true")[name], asked("false")[name], asked("null")[name]]).toEqual([true, false, normal]);
    for (const value of ['"yes"', "1", "[]", "{}"])
      expect(() => asked(value)).toThrow(`Bad request: ontology.${key}: expected true or false, found`);
  });
});

describe("what makes conditions costly has a limit, and more is refused by name", () => {
  const times = (count: number, text: (index: number) => string) =>
    Array.from({ length: count }, (_none, at) => text(at)).join(",");
  const nested = (depth: number) => `${'{"$not":'.repeat(depth)}{"A.x":"$ex"}${"}".repeat(depth)}`;
  const either = (depth: number) => `${'{"$or":['.repeat(depth)}{"A.x":"$ex"}${"]}".repeat(depth)}`;
  test.each<[string, (size: number) => string, number, string]>([
    [
      "conditions",
      (size) => `{${times(size, (at) => `"A.x${at}":"$ex"`)}}`,
      256,
      "ontology has 257 conditions, at most 256 are allowed",
    ],
    [
      "conditions of all tags together",
      (size) => `{${times(size, (at) => `"A${at}.x":"$ex"`)}}`,
      256,
      "ontology has 257 conditions, at most 256 are allowed",
    ],
    [
      "conditions in groups",
      (size) => `{"A.y":"$ex","$not":{"A.z":"$ex"},"$or":[${times(size - 2, () => '{"A.x":"$ex"}')}]}`,
      256,
      "ontology has 257 conditions, at most 256 are allowed",
    ],
    ["levels of $not", nested, 16, "groups are nested more than 16 levels deep"],
    ["levels of $or", either, 16, "groups are nested more than 16 levels deep"],
    [
      "items of a list",
      (size) => `{"A.x":{"$eq":[${times(size, String)}]}}`,
      1_024,
      "ontology.A.x.$eq has 1025 items, at most 1024 are allowed",
    ],
    [
      "operands",
      (size) => `{"A.x":{"$in":[${times(size, String)}]}}`,
      65_536,
      "ontology.A.x.$in has 65537 operands, at most 65536 are allowed",
    ],
    [
      "characters of a pattern",
      (size) => `{"A.x":{"$match":"${"a".repeat(size)}"}}`,
      2_048,
      "ontology.A.x.$match has 2049 characters, at most 2048 are allowed",
    ],
    [
      "characters of a key",
      (size) => `{"A.${"x".repeat(size - 2)}":"$ex"}`,
      8_192,
      "has 8193 characters in its path, at most 8192",
    ],
    [
      "steps of a key",
      (size) => `{"A${".x".repeat(size - 1)}":"$ex"}`,
      128,
      "has 129 steps in its path, at most 128 are allowed",
    ],
  ])("%s", (_title, text, size, reason) => {
    expect(() => contentsOf(text(size))).not.toThrow();
    expect(() => contentsOf(text(size + 1))).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(reason) }),
    );
  });

  test("a key of megabytes is refused quickly, and not repeated whole", () => {
    const startedMs = performance.now();
    expect(() => contentsOf(`{"${"x.".repeat(2_000_000)}":"$ex"}`)).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringMatching(/^.{1,400}$/) }),
    );
    expect(performance.now() - startedMs).toBeLessThan(1_500);
  });
});
