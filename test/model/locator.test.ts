// Locators as section 4.1 of the 0.4 protocol sanitises them, with empty segments and control characters refused on top.

import { describe, expect, test } from "vitest";
import { locatorCharactersMax } from "../../src/model/limits.ts";
import {
  parseLocator,
  parseSequenceName,
  parseSessionLocator,
  parseTopicLocator,
  pathOfTopic,
  sequenceOfTopic,
} from "../../src/model/locator.ts";
import { Coverage } from "./coverage.ts";

const refused = expect.objectContaining({
  code: "invalid",
  message: expect.stringMatching(/^Locator contains unsupported characters: .*\.$/),
});

const longSession = `${"x".repeat(locatorCharactersMax.session - 2)}:1`;
const longTopic = `${"x".repeat(locatorCharactersMax.topic - 2)}/t`;

test.each([
  ["drive-07", "sequence", "drive-07"],
  ["/drive-07", "sequence", "drive-07"],
  ["  ///drive-07\t\n", "sequence", "drive-07"],
  ["\u00a0\u2003drive-07\u3000", "sequence", "drive-07"],
  ["A_b-9", "sequence", "A_b-9"],
  ["a\\b#?@~()[]{}|^+=,;<>`", "sequence", "a\\b#?@~()[]{}|^+=,;<>`"],
  ["drive-07/imu", "topic", "drive-07/imu"],
  ["/drive-07/front/imu", "topic", "drive-07/front/imu"],
  ["drive-07:01J", "session", "drive-07:01J"],
  ["/drive-07:01J ", "session", "drive-07:01J"],
  ["x".repeat(locatorCharactersMax.sequence), "sequence", "x".repeat(locatorCharactersMax.sequence)],
  [longSession, "session", longSession],
  [longTopic, "topic", longTopic],
])("%j is a %s", (given, kind, text) => expect(parseLocator(given)).toEqual({ kind, text }));

describe("no locators", () => {
  test.each([
    ["", "is empty"],
    ["   ", "is empty"],
    ["///", "is empty"],
    ["/ a", 'has the character " "'],
    ["drive/", "ends with a slash"],
    ["drive/imu/", "ends with a slash"],
    ["drive//imu", "has an empty path segment"],
    ["a\u0000b", "has a control character"],
    ["a\tb", "has a control character"],
    ["a\u007fb", "has the character U+007f, only ASCII is allowed"],
    ["Zürich", "has the character U+00fc, only ASCII is allowed"],
    ["a🚗", "has the character U+1f697, only ASCII is allowed"],
    ["a\ud800", "has the character U+d800, only ASCII is allowed"],
    ["x".repeat(locatorCharactersMax.sequence + 1), `has ${locatorCharactersMax.sequence + 1} characters`],
    [`x${longSession}`, `has ${locatorCharactersMax.session + 1} characters`],
    [`x${longTopic}`, `has ${locatorCharactersMax.topic + 1} characters`],
    ["a:b:c", "is neither sequence, sequence/topic nor sequence:session"],
    ["a/b:c", "is neither sequence, sequence/topic nor sequence:session"],
    ["a:b/c", "is neither sequence, sequence/topic nor sequence:session"],
  ])("%j", (given, reason) => {
    expect(() => parseLocator(given)).toThrow(refused);
    expect(() => parseLocator(given)).toThrow(reason);
  });

  test("every ASCII character is either refused or kept as it is", () => {
    const coverage = new Coverage("locator: characters", ["kept", "forbidden", "control"]);
    for (let code = 0; code < 128; code += 1) {
      const character = String.fromCharCode(code);
      const given = `a${character}b`;
      const isControl = code < 32 || code === 127;
      if (isControl || "!\"'*$%&. ".includes(character)) {
        expect(() => parseLocator(given), JSON.stringify(character)).toThrow(refused);
        coverage.hit(isControl ? "control" : "forbidden");
      } else {
        expect(parseLocator(given).text).toBe(given);
        coverage.hit("kept");
      }
    }
    coverage.check();
  });

  test("a long one is not repeated whole in the answer", () => {
    expect(() => parseLocator("%".repeat(1_000_000))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^.{1,400}$/) }),
    );
  });
});

test.each([
  ["a sequence", parseSequenceName, "s", ["s/t", "s:1"]],
  ["a topic (sequence/path)", parseTopicLocator, "s/t", ["s", "s:1"]],
  ["a session (sequence:id)", parseSessionLocator, "s:1", ["s", "s/t"]],
] as const)("where %s is asked for, nothing else will do", (expected, parse, good, others) => {
  expect(parse(` /${good} `)).toBe(good);
  for (const other of others) {
    expect(() => parse(other)).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining(`expected ${expected}.`) }),
    );
  }
});

test("a topic's sequence ends at the slash, and its path begins there", () => {
  const topic = parseTopicLocator("drive-070/front/imu");
  expect(sequenceOfTopic(topic)).toBe("drive-070");
  expect(sequenceOfTopic(topic)).not.toBe("drive-07");
  expect(pathOfTopic(topic)).toBe("/front/imu");
});
