// Texts kept as they were written: order, equal keys and spellings stay, white space between values goes.

import { describe, expect, test } from "vitest";
import { jsonInteger, parseJson } from "../../src/model/json.ts";
import { composeJson, EmbeddedJson, memberText } from "../../src/model/json-text.ts";
import type { JsonText } from "../../src/model/resource.ts";
import { Coverage } from "./coverage.ts";
import { Random } from "./random.ts";

describe("a member's text", () => {
  test.each([
    ["keys like integers keep their place", '{"m":{"z":1,"2":2,"1":3}}', '{"z":1,"2":2,"1":3}'],
    ["equal keys all stay", '{"m":{"a":1,"a":2,"b":0,"a":1}}', '{"a":1,"a":2,"b":0,"a":1}'],
    ["numbers and escapes keep their spelling", '{"m":[1.50,1E+3,-0,"\\u00e9\\/é"]}', '[1.50,1E+3,-0,"\\u00e9\\/é"]'],
    ["white space goes, but not inside texts", ' { "m" :\t[ 1 ,\r\n " a \\" b " , { } ] } ', '[1," a \\" b ",{}]'],
    ["the last of several counts", '{"m":1,"x":{"m":2},"m":3,"n":4}', "3"],
    ["a name may be escaped", '{"\\u006d":true}', "true"],
    ["brackets and quotes in texts are none", '{"x":"}]\\"","m":"{[\\\\"}', '"{[\\\\"'],
    ["a word before a bracket", '{"m":null}', "null"],
    ["a number before white space", '{"m":5 ,"n":6}', "5"],
    ["a text alone", '{"m":"" }', '""'],
    ["a key __proto__ is a key like any other", '{"m":{"__proto__":1}}', '{"__proto__":1}'],
  ])("%s", (_title, text, expected) => {
    parseJson(text, "a text");
    expect(memberText(text, "m")).toBe(expected);
  });

  test.each(["{}", " { } ", '{"n":{"m":1}}', '{"n":"m"}'])("%s has none", (text) =>
    expect(memberText(text, "m")).toBeUndefined(),
  );

  test("random ones, with white space strewn in, come back without it", () => {
    const random = new Random("json-text: members");
    const coverage = new Coverage("json-text: values", ["scalar", "array", "object"]);
    const scalars = ["0", "-1.5e3", "null", "true", '"a b"', '"\\\\"', '"\\" {"', '"]"', '""'];
    const make = (depth: number): string[] => {
      const kind = random.below(depth > 3 ? 1 : 3);
      const items = Array.from({ length: kind === 0 ? 0 : random.below(4) }, () => make(depth + 1));
      if (kind === 0) {
        coverage.hit("scalar");
        return [random.pick(scalars)];
      }
      if (kind === 1) {
        coverage.hit("array");
        return ["[", ...items.flatMap((item, index) => (index === 0 ? item : [",", ...item])), "]"];
      }
      coverage.hit("object");
      const members = items.map((item) => [random.pick(['"1"', '"k"', '"k "']), ":", ...item]);
      return ["{", ...members.flatMap((item, index) => (index === 0 ? item : [",", ...item])), "}"];
    };
    for (let round = 0; round < 2_000; round += 1) {
      const tokens = make(0);
      const spread = ["{", '"a"', ":", "[1]", ",", '"m"', ":", ...tokens, "}"].flatMap((token) => [
        token,
        random.pick(["", " ", "\n\t", "\r "]),
      ]);
      expect(memberText(spread.join(""), "m")).toBe(tokens.join(""));
    }
    coverage.check();
  });

  test("the largest bodies take no long time, also of nothing but white space and brackets", () => {
    const startedMs = performance.now();
    expect(memberText(`{"m":[${" 1 ,".repeat(2 ** 20)}1]}`, "m")).toHaveLength(2 ** 21 + 3);
    expect(memberText(`{"m":"${"\\n ".repeat(2 ** 20)}"}`, "m")).toHaveLength(3 * 2 ** 20 + 2);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });
});

test("an embedded text is written as it is, whatever is around it", () => {
  const text = '{"b":1,"1":2,"b":3}' as JsonText;
  const value = { at: jsonInteger(5n), none: undefined, list: [new EmbeddedJson(text), null, "é\n"], "1": { "": [] } };
  expect(composeJson(value)).toBe(`{"1":{"":[]},"at":5,"list":[${text},null,"é\\n"]}`);
});
