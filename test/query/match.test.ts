// Conditions on names, times and user metadata: every operator on every kind of value, paths, and patterns against regular
// expressions. The rules: shared/protocol/mosaico-0.4.md 9.3, mosaico-delta.md 6, and design.md section 6 where they were open.

import { describe, expect, test } from "vitest";
import { type JsonObject, type JsonValue, parseJson } from "../../src/model/json.ts";
import { type Condition, type Scalar, scalarSet } from "../../src/model/predicate.ts";
import { Effort } from "../../src/query/effort.ts";
import { matchesPattern } from "../../src/query/glob.ts";
import { matchesMetadata, matchesScalar } from "../../src/query/match.ts";
import { globPattern, likePattern } from "../../src/wire/pattern.ts";
import { parseQuery } from "../../src/wire/query.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

/** Values of growing order within each kind; equal ones stand together. */
const ordered: readonly (readonly Scalar[])[] = [
  [-Infinity],
  [-(2n ** 64n), -(2 ** 64)],
  [-1n, -1],
  [0n, 0, -0],
  [0.5],
  [1n, 1],
  [2n ** 53n, 2 ** 53],
  [2n ** 53n + 1n],
  [2n ** 64n, 2 ** 64],
  [Infinity],
];
const effort = (): Effort => new Effort(new AbortController().signal);
const texts = ["", "A", "a", "a ", "b", "ä"];
const kindOf = (value: Scalar): string => (typeof value === "bigint" ? "number" : typeof value);

/** Where a value stands among those of its kind. */
function rankOf(value: Scalar): number {
  if (typeof value === "string") return texts.indexOf(value);
  if (typeof value === "boolean") return Number(value);
  return ordered.findIndex((equal) => equal.some((one) => Object.is(one, value)));
}

const values: readonly Scalar[] = [...ordered.flat(), ...texts, true, false];

test("every operator on every pair of values: by value across number types, never across kinds", () => {
  const operators = ["eq", "neq", "lt", "leq", "gt", "geq"] as const;
  const coverage = new Coverage(
    "match: scalars",
    combinations({ operator: operators, outcome: ["matches", "does not", "other kind"] }).map(
      ({ operator, outcome }) => `${operator} ${outcome}`,
    ),
  );
  for (const { value, operand, kind } of combinations({ value: values, operand: values, kind: operators })) {
    const comparable = kindOf(value) === kindOf(operand);
    const difference = rankOf(value) - rankOf(operand);
    const expected =
      comparable &&
      {
        eq: difference === 0,
        neq: difference !== 0,
        lt: difference < 0,
        leq: difference <= 0,
        gt: difference > 0,
        geq: difference >= 0,
      }[kind];
    expect(matchesScalar({ kind, operand }, value, effort()), `${typeof value} ${value} ${kind} ${operand}`).toBe(
      expected,
    );
    coverage.hit(`${kind} ${comparable ? (expected ? "matches" : "does not") : "other kind"}`);
  }
  coverage.check();
});

test("between has both ends, outside is all the rest of the kind", () => {
  for (const { value, least, most } of combinations({ value: values, least: values, most: values })) {
    if (kindOf(least) !== kindOf(most) || rankOf(least) > rankOf(most)) continue;
    const comparable = kindOf(value) === kindOf(least);
    const inside = rankOf(value) >= rankOf(least) && rankOf(value) <= rankOf(most);
    expect(matchesScalar({ kind: "between", least, most }, value, effort())).toBe(comparable && inside);
    expect(matchesScalar({ kind: "outside", least, most }, value, effort())).toBe(comparable && !inside);
  }
});

test.each<[string, Condition, Scalar, boolean]>([
  ["in: one of several", { kind: "in", operands: scalarSet([1n, "a", 2.5]) }, "a", true],
  ["in: by value", { kind: "in", operands: scalarSet([1]) }, 1n, true],
  ["in: none of several", { kind: "in", operands: scalarSet([1n, "a"]) }, "1", false],
  ["in: nothing", { kind: "in", operands: scalarSet([]) }, "a", false],
  ["exists", { kind: "exists" }, "", true],
  ["missing", { kind: "missing" }, "", false],
  ["a pattern on a number", { kind: "match", pattern: [{ kind: "run" }] }, 5n, false],
])("%s", (_title, condition, value, expected) => expect(matchesScalar(condition, value, effort())).toBe(expected));

describe("patterns", () => {
  const asRegExp = (text: string, language: "like" | "glob"): RegExp => {
    const quoted = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    const special: Readonly<Record<string, string>> =
      language === "like" ? { "%": "[^]*", _: "[^]" } : { "*": "[^]*", "?": "[^]", "#": "[0-9]" };
    const body = [...text.matchAll(/\\(.)|\[([!^]?)([^\]]+)\]|./gsu)]
      .map(([whole, escaped, negation, members]) => {
        if (escaped !== undefined) return quoted(escaped);
        if (members !== undefined && language === "glob") {
          const set = members.replace(/[\\\]^]/g, "\\$&");
          return `[${negation ? "^" : ""}${set}]`;
        }
        return [...whole].map((character) => special[character] ?? quoted(character)).join("");
      })
      .join("");
    return language === "like" ? new RegExp(body, "u") : new RegExp(`^(?:${body})$`, "u");
  };

  test("random ones agree with regular expressions", () => {
    const random = new Random("match: patterns");
    const languages = ["like", "glob"] as const;
    const coverage = new Coverage(
      "match: patterns",
      languages.flatMap((language) => [`${language} matches`, `${language} does not`]),
    );
    const piecesOf = {
      like: ["a", "b", "7", "%", "_", "/", "🚗", "\\%", "\\_", "*"],
      glob: ["a", "b", "7", "*", "?", "#", "/", "🚗", "\\*", "[ab]", "[!ab]", "[0-9]", "[^a-b/]", "%"],
    };
    const text = (): string =>
      Array.from({ length: random.below(7) }, () => random.pick(["a", "b", "7", "/", "🚗", "%", "*", "_"])).join("");
    for (let round = 0; round < 20_000; round += 1) {
      const language = random.pick(languages);
      const written = Array.from({ length: random.below(6) }, () => random.pick(piecesOf[language])).join("");
      const pattern = language === "like" ? likePattern(written) : globPattern(written, "name");
      const given = text();
      const expected = asRegExp(written, language).test(given);
      expect(matchesPattern(pattern, given, effort()), `${language} ${written} on ${given}`).toBe(expected);
      coverage.hit(`${language} ${expected ? "matches" : "does not"}`);
    }
    coverage.check();
  });

  test.each([
    ["glob", "*", "/front/imu", true],
    ["glob", "/front/*", "/front/imu", true],
    ["glob", "front", "/front/imu", false],
    ["glob", "/cam#/*", "/cam7/left", true],
    ["glob", "", "", true],
    ["glob", "", "a", false],
    ["like", "front", "/front/imu", true],
    ["like", "Front", "/front/imu", false],
    ["like", "test_run", "testXrun-1", true],
    ["like", "test\\_run", "testXrun", false],
    ["like", "", "", true],
  ] as const)("%s %j on %j", (language, written, text, expected) => {
    expect(
      matchesPattern(language === "like" ? likePattern(written) : globPattern(written, "name"), text, effort()),
    ).toBe(expected);
  });

  test.each([
    ["many runs", `${"*a".repeat(500)}b`, "a".repeat(20_000)],
    ["one long text between two runs", `*${"a".repeat(2_000)}b*`, "a".repeat(2 ** 22)],
    ["one long text behind a run", `*${"a".repeat(2_000)}b`, "a".repeat(2 ** 22)],
    ["a text that goes back far", `*${"ab".repeat(1_000)}b*`, "ab".repeat(2 ** 21)],
    ["a set of many characters", `*[${"acegikmoqsuwy".repeat(150)}]b*`, "a".repeat(2 ** 20)],
  ])("a pattern made to be slow is not: %s", (_title, written, text) => {
    const startedMs = performance.now();
    expect(matchesPattern(globPattern(written, "name"), text, effort())).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
  });

  test("one that cannot be made fast is refused", () => {
    const pattern = globPattern(`*${"?".repeat(1_000)}${"a".repeat(1_000)}b*`, "name");
    const startedMs = performance.now();
    expect(() => matchesPattern(pattern, "a".repeat(2 ** 22), effort())).toThrow(
      expect.objectContaining({ code: "overloaded", message: expect.stringMatching(/^The query takes more than /) }),
    );
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

const metadata = parseJson(
  `{"driver": {"id": "drv_17", "age": 31, "certified": true}, "tags": ["rain", "night"], "km": 12.50, "one": 1.0,
    "big": 9007199254740993, "huge": 18446744073709551615, "nothing": null, "word": "5", "yes": "true", "list": [1, [2, 3], {"x": 4}],
    "deep": {"a": {"x": 1}, "b": {"x": 2, "c": {"x": 3}}}, "empty": {}, "none": [], "0": "zero", "__proto__": {"own": 1}}`,
  "metadata",
);

/** Whether metadata matches conditions in the query language, so that parser and matcher are tested together. */
function matches(conditions: string, value: JsonValue = metadata): boolean {
  const query = parseQuery(parseJson(`{"topic":{"user_metadata":${conditions}}}`, "a query") as JsonObject);
  return query.topic.userMetadata.every((condition) => matchesMetadata(condition, value, effort()));
}

describe("user metadata", () => {
  test.each([
    ["text", '{"driver.id":{"$eq":"drv_17"}}', true],
    ["another text", '{"driver.id":{"$neq":"drv_18"}}', true],
    ["a number by value", '{"km":{"$eq":12.5}}', true],
    ["a float and an integer", '{"one":{"$eq":1}}', true],
    ["an integer beyond 2^53, exactly", '{"big":{"$eq":9007199254740993}}', true],
    ["and not its neighbour", '{"big":{"$eq":9007199254740992}}', false],
    ["an integer to 2^64-1", '{"huge":{"$gt":18446744073709551614}}', true],
    ["a boolean", '{"driver.certified":{"$eq":true}}', true],
    ["and not the other one", '{"driver.certified":{"$eq":false}}', false],
    ["a range", '{"driver.age":{"$between":[30,31]}}', true],
    ["outside a range", '{"driver.age":{"$outside":[30,31]}}', false],
    ["several conditions", '{"driver.age":{"$lt":40},"km":{"$geq":12.5}}', true],
    ["one of which fails", '{"driver.age":{"$lt":40},"km":{"$lt":12.5}}', false],
    ["one of a list", '{"driver.id":{"$in":["a","drv_17"]}}', true],
    ["a pattern over the whole text", '{"driver.id":{"$match":"drv_##"}}', true],
    ["a pattern for a part of it", '{"driver.id":{"$match":"drv"}}', false],
    ["a pattern on a number's text", '{"km":{"$match":"12.*"}}', true],
  ])("%s", (_title, conditions, expected) => expect(matches(conditions)).toBe(expected));

  test.each([
    ["a text operand reads a number's text", '{"driver.age":{"$eq":"31"}}', true],
    ["in its spelling", '{"km":{"$eq":"12.50"}}', true],
    ["a text operand reads a boolean's text", '{"driver.certified":{"$eq":"true"}}', true],
    ["a number operand reads a text that is one", '{"word":{"$gt":4.5}}', true],
    ["and leaves other texts alone", '{"driver.id":{"$lt":5}}', false],
    ["whatever the operator", '{"driver.id":{"$neq":5}}', false],
    ["a boolean operand reads the words", '{"yes":{"$eq":true}}', true],
    ["and nothing else", '{"driver.age":{"$neq":true}}', false],
    ["a number operand leaves booleans alone", '{"driver.certified":{"$geq":0}}', false],
    ["a number operand leaves objects alone", '{"driver":{"$neq":0}}', false],
    ["a text operand reads an object's text", '{"empty":{"$eq":"{}"}}', true],
  ])("types: %s", (_title, conditions, expected) => expect(matches(conditions)).toBe(expected));

  test.each([
    ["a key that is there", '{"km":"$ex"}', true],
    ["a key that is not", '{"miles":"$ex"}', false],
    ["a key with null counts as not there", '{"nothing":{"$ex":null}}', false],
    ["missing: a key that is not there", '{"miles":{"$nex":null}}', true],
    ["missing: a key with null", '{"nothing":"$nex"}', true],
    ["missing: a key that is there", '{"km":"$nex"}', false],
    ["null is not equal", '{"nothing":{"$eq":"null"}}', false],
    ["nor unequal", '{"nothing":{"$neq":1}}', false],
    ["a missing key is not unequal", '{"miles":{"$neq":1}}', false],
    ["nor below, nor in, nor matching", '{"miles":{"$match":"*"}}', false],
    ["an empty object is there", '{"empty":"$ex"}', true],
    ["a key of every object is not there", '{"toString":"$ex"}', false],
    ["a key __proto__ is a key like any other", '{"__proto__.own":{"$eq":1}}', true],
  ])("existence: %s", (_title, conditions, expected) => expect(matches(conditions)).toBe(expected));

  test.each([
    ["an index", '{"tags.1":{"$eq":"night"}}', true],
    ["an index behind the end", '{"tags.2":"$ex"}', false],
    ["a negative index", '{"tags.-1":"$ex"}', false],
    ["a number as a key", '{"0":{"$eq":"zero"}}', true],
    ["items of an array", '{"tags[*]":{"$eq":"rain"}}', true],
    ["items of items", '{"list[*][*]":{"$eq":3}}', true],
    ["objects among items", '{"list[*].x":{"$eq":4}}', true],
    ["no items of an object", '{"driver[*]":"$ex"}', false],
    ["no items of an empty array", '{"none[*]":"$ex"}', false],
    ["one level", '{"deep.*.x":{"$eq":2}}', true],
    ["one level, not two", '{"deep.*.x":{"$eq":3}}', false],
    ["one level of an array", '{"tags.*":{"$eq":"night"}}', true],
    ["any depth", '{"**.x":{"$eq":3}}', true],
    ["any depth, also none", '{"**.km":"$ex"}', true],
    ["any depth below a key", '{"deep.**.x":{"$eq":4}}', false],
    ["any depth in the middle", '{"deep.**.c.x":{"$eq":3}}', true],
    ["any depth twice", '{"**.b.**.x":{"$eq":3}}', true],
    ["into a text", '{"word.length":"$ex"}', false],
    ["into a number", '{"km.rawJSON":"$ex"}', false],
    ["into a text by index", '{"word.0":"$ex"}', false],
  ])("paths: %s", (_title, conditions, expected) => expect(matches(conditions)).toBe(expected));

  test.each([2, 4])("a path with %i ** costs the size of the metadata, not its depth times", (runs) => {
    const chain = `${"[".repeat(120)}1${"]".repeat(120)}`;
    const value = parseJson(`[${Array.from({ length: 100 }, () => chain).join(",")}]`, "user metadata");
    const startedMs = performance.now();
    expect(matches(`{"${"**.".repeat(runs)}x":"$ex"}`, value)).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(500);
  });

  test.each([
    ["any depth, very often", `${"**.".repeat(100)}x`],
    ["any depth and one level, very often", `${"**.*.".repeat(60)}x`],
  ])("a path with %s is walked or refused quickly", (_title, path) => {
    const value = parseJson(`{"k":[${"[1,2],".repeat(50_000)}1]}`, "user metadata");
    const startedMs = performance.now();
    try {
      expect(matches(`{${JSON.stringify(path)}:"$ex"}`, value)).toBe(false);
    } catch (error) {
      expect(error).toMatchObject({ code: "overloaded" });
    }
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  test("many values against many operands cost their sum", () => {
    const value = parseJson(JSON.stringify(Array.from({ length: 60_000 }, (_none, index) => index)), "user metadata");
    const operands = JSON.stringify(Array.from({ length: 60_000 }, (_none, index) => -1 - index));
    const startedMs = performance.now();
    expect(matches(`{"**":{"$in":${operands}}}`, value)).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
  });

  test.each([
    ["a number by value", '{"km":{"$in":[1,12.5]}}', true],
    ["a number's text", '{"km":{"$in":["12.50"]}}', true],
    ["a text that is a number", '{"word":{"$in":[5.0]}}', true],
    ["an integer beyond 2^53, exactly", '{"big":{"$in":[9007199254740992]}}', false],
    ["a word that is a boolean", '{"yes":{"$in":[true]}}', true],
    ["an object's text", '{"empty":{"$in":["{}"]}}', true],
    ["nothing", '{"km":{"$in":[]}}', false],
  ])("one of a list: %s", (_title, conditions, expected) => expect(matches(conditions)).toBe(expected));

  test.each(["null", "5", '"text"', "[]", "true"])("metadata that is %s has no keys", (text) => {
    const value = parseJson(text, "metadata");
    expect(matches('{"a":"$nex"}', value)).toBe(true);
    expect(matches('{"a":"$ex"}', value)).toBe(false);
    expect(matches('{"**.a":"$ex"}', value)).toBe(false);
  });
});
