// The two pattern languages of names, as elements. How elements match texts is tested in test/query/match.test.ts.

import { describe, expect, test } from "vitest";
import type { Pattern, PatternElement } from "../../src/model/predicate.ts";
import { globPattern, likePattern } from "../../src/wire/pattern.ts";

const run: PatternElement = { kind: "run" };
const one: PatternElement = { kind: "one" };
const literal = (character: string): PatternElement => ({ kind: "literal", character });
const literals = (text: string): PatternElement[] => [...text].map(literal);
const set = (ranges: readonly string[], negated: "in" | "not in" = "in"): PatternElement => ({
  kind: "set",
  ranges: ranges.map((range) => {
    const codes = [...range].map((character) => character.codePointAt(0) ?? 0);
    return [codes[0] ?? 0, codes.at(-1) ?? 0] as const;
  }),
  negated: negated === "not in",
});

describe("LIKE, anywhere in the text", () => {
  test.each<[string, Pattern]>([
    ["", []],
    ["imu", literals("imu")],
    ["a%b_c", [literal("a"), run, literal("b"), one, literal("c")]],
    ["\\%\\_\\\\\\a", literals("%_\\a")],
    ["a\\", literals("a\\")],
    ["*?[a]#", literals("*?[a]#")],
    ["東🚗", literals("東🚗")],
  ])("%j", (text, elements) => expect(likePattern(text)).toEqual([run, ...elements, run]));
});

describe("glob, over the whole text", () => {
  test.each<[string, Pattern]>([
    ["", []],
    ["*", [run]],
    ["/imu*", [...literals("/imu"), run]],
    ["a?b", [literal("a"), one, literal("b")]],
    ["cam#", [...literals("cam"), set(["09"])]],
    ["[abc]", [set(["ac"])]],
    ["[a-z0-9_]", [set(["09", "_", "az"])]],
    ["[!a-z]", [set(["az"], "not in")]],
    ["[^a]", [set(["a"], "not in")]],
    ["[]]", [set(["]"])]],
    ["[-a]", [set(["-", "a"])]],
    ["[a-]", [set(["-", "a"])]],
    ["[cab-dz-yx]", [set(["ad", "x"])]],
    ["[🚗-🚙]", [set(["🚗🚙"])]],
    ["a]b", literals("a]b")],
    ["\\*\\?\\#\\[\\\\", literals("*?#[\\")],
    ["a\\", literals("a\\")],
    ["%_", literals("%_")],
  ])("%j", (text, elements) => expect(globPattern(text, "topic.name.$match")).toEqual(elements));

  test.each([
    ["[", 0],
    ["ab[", 2],
    ["[abc", 0],
    ["[]", 0],
    ["x[a][b", 4],
  ])("%j has a set without end", (text, at) => {
    expect(() => globPattern(text, "topic.name.$match")).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `Bad request: topic.name.$match: the set that starts at character ${at} of ${JSON.stringify(text)} has no end.`,
      }),
    );
  });
});
