// JSON whose numbers keep their spelling: what a robot wrote is what it reads back.

import { describe, expect, test } from "vitest";
import {
  integerOf,
  isJsonNumber,
  isJsonObject,
  type JsonValue,
  jsonInteger,
  parseJson,
  writeJson,
} from "../../src/model/json.ts";
import { jsonDepthMax } from "../../src/model/limits.ts";
import { Coverage } from "./coverage.ts";
import { Random } from "./random.ts";

const roundTrip = (text: string): string => writeJson(parseJson(text, "a text"));

describe("numbers keep their spelling", () => {
  test.each([
    "0",
    "-0",
    "-0.0",
    "1",
    "1.0",
    "1.50",
    "1e3",
    "1E+3",
    "1e-400",
    "1e400",
    "0.1",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "123456789012345678901234567890",
    "0.1234567890123456789012345678901234567890",
  ])("%s", (spelling) => {
    expect(roundTrip(spelling)).toBe(spelling);
    expect(roundTrip(`{"a":[${spelling}]}`)).toBe(`{"a":[${spelling}]}`);
  });
});

test.each<[string, bigint | undefined]>([
  ["0", 0n],
  ["-0", 0n],
  ["7", 7n],
  ["9223372036854775807", 2n ** 63n - 1n],
  ["-9223372036854775808", -(2n ** 63n)],
  ["18446744073709551615", 2n ** 64n - 1n],
  ["1.0", undefined],
  ["1e3", undefined],
  ["0.5", undefined],
])("%s as an integer is %s", (spelling, integer) => {
  const value = parseJson(spelling, "a number");
  expect(isJsonNumber(value) ? integerOf(value) : "no number").toBe(integer);
});

test("an integer is written as a bare number", () => {
  expect(writeJson({ at: jsonInteger(2n ** 63n - 1n), count: jsonInteger(3) })).toBe(
    '{"at":9223372036854775807,"count":3}',
  );
});

describe("everything but numbers and white space comes back as it was", () => {
  test.each([
    "null",
    "true",
    '""',
    '"Zürich 東京 🚗"',
    '"\\u0000\\"\\\\"',
    "[]",
    "{}",
    "[[],{},[null]]",
    '{"b":1,"a":{"c":[1.0,"1.0",true]}}',
    '{"__proto__":{"x":1},"constructor":2,"toString":3}',
  ])("%s", (text) => expect(roundTrip(text)).toBe(text));

  test("white space goes", () => expect(roundTrip(' { "a" : [ 1.0 ,\n2 ] } ')).toBe('{"a":[1.0,2]}'));
  test("a key __proto__ is a key like any other", () => {
    const value = parseJson('{"__proto__":{"hasX":1}}', "a text");
    expect(isJsonObject(value) && Object.keys(value)).toEqual(["__proto__"]);
    expect((value as { hasX?: unknown }).hasX).toBeUndefined();
  });
  test("an escape of half a surrogate pair stays one", () => expect(roundTrip('"\\ud800"')).toBe('"\\ud800"'));
});

describe("what is no JSON is refused, and named", () => {
  test.each([
    "",
    " ",
    "NaN",
    "Infinity",
    "-Infinity",
    "undefined",
    "{",
    "[1,]",
    "{'a':1}",
    "{a:1}",
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "0x10",
    '"\t"',
    '"\\x"',
    "[1] 2",
    "1n",
    "\ufeff1",
  ])("%j", (text) => {
    expect(() => parseJson(text, "the body of x")).toThrow(/^Bad request: the body of x is not JSON: ./);
    expect(() => parseJson(text, "the body of x")).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("a text nested without end is refused, not a crash", () => {
    const text = "[".repeat(1_000_000);
    expect(() => parseJson(text, "the body of x")).toThrow(expect.objectContaining({ code: "invalid" }));
    const closed = `${text}${"]".repeat(1_000_000)}`;
    expect(() => parseJson(closed, "the body of x")).toThrow(
      `Bad request: the body of x is nested 1000000 levels deep, at most ${jsonDepthMax} are allowed.`,
    );
  });

  test("as deep as is allowed, and one level more", () => {
    const nested = (depth: number): string => `${'{"a":['.repeat(depth / 2)}1${"]}".repeat(depth / 2)}`;
    expect(roundTrip(nested(jsonDepthMax))).toBe(nested(jsonDepthMax));
    expect(() => parseJson(nested(jsonDepthMax + 2), "x")).toThrow(expect.objectContaining({ code: "invalid" }));
    // Side by side is not deep, and brackets in a text are none.
    const wide = `[${"[],".repeat(1_000)}{}]`;
    expect(roundTrip(wide)).toBe(wide);
    const quoted = JSON.stringify(`\\"${"[{".repeat(1_000)}`);
    expect(roundTrip(quoted)).toBe(quoted);
  });
});

test("a number, an array and null are no objects; an object is", () => {
  const kinds = ["1", "[]", "null", '"a"', "true", "{}"].map((text) => isJsonObject(parseJson(text, "a text")));
  expect(kinds).toEqual([false, false, false, false, false, true]);
  expect(isJsonObject(undefined)).toBe(false);
});

test("random values come back with the same text", () => {
  const random = new Random("json: round trips");
  const coverage = new Coverage("json: values", ["integer", "float", "text", "word", "array", "object"]);
  const make = (depth: number): string => {
    const kind = random.below(depth > 4 ? 4 : 6);
    switch (kind) {
      case 0:
        coverage.hit("integer");
        return random.int64().toString();
      case 1:
        coverage.hit("float");
        return `${random.pick(["", "-"])}${random.below(1000)}.${random.below(1000)}${random.pick(["", "e5", "E-7", "e+300"])}`;
      case 2:
        coverage.hit("text");
        return JSON.stringify(
          String.fromCodePoint(...Array.from({ length: random.below(5) }, () => random.below(0xd800))),
        );
      case 3:
        coverage.hit("word");
        return random.pick(["null", "true", "false"]);
      case 4:
        coverage.hit("array");
        return `[${Array.from({ length: random.below(5) }, () => make(depth + 1)).join(",")}]`;
      default:
        coverage.hit("object");
        return `{${Array.from({ length: random.below(5) }, (_none, index) => `"k${index}":${make(depth + 1)}`).join(",")}}`;
    }
  };
  for (let round = 0; round < 500; round += 1) {
    const text = make(0);
    const value: JsonValue = parseJson(text, "a text");
    expect(writeJson(value)).toBe(text);
  }
  coverage.check();
});
