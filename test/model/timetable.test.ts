// Times of day and what may go at them, also over midnight.

import { describe, expect, test } from "vitest";
import { parseDayTimes, rateAt } from "../../src/model/timetable.ts";

describe("times of day", () => {
  test.each([
    ["08:00-18:00", { fromMinute: 480, toMinute: 1080 }],
    ["22:30-6:05", { fromMinute: 1350, toMinute: 365 }],
    ["00:00-24:00", { fromMinute: 0, toMinute: 1440 }],
    ["8-18", undefined],
    ["08:60-09:00", undefined],
    ["08:00-24:01", undefined],
    ["-1:00-02:00", undefined],
    ["08:00-18:00 ", undefined],
  ])("%s", (text, expected) => {
    expect(parseDayTimes(text)).toEqual(expected);
  });
});

describe("the first rule that holds counts", () => {
  const night = { between: { fromMinute: 1320, toMinute: 360 }, bytesPerSecond: 0 };
  const noon = { between: { fromMinute: 720, toMinute: 780 }, bytesPerSecond: 5 };
  const rest = { bytesPerSecond: 7 };
  test.each([
    [0, 0],
    [359, 0],
    [360, 7],
    [719, 7],
    [720, 5],
    [779, 5],
    [780, 7],
    [1319, 7],
    [1320, 0],
    [1439, 0],
  ])("minute %i", (minute, expected) => {
    expect(rateAt([night, noon, rest], minute)).toBe(expected);
  });
  test("without one as much goes as can", () => {
    expect(rateAt([night], 700)).toBeUndefined();
    expect(rateAt([], 700)).toBeUndefined();
  });
});
