// Windows are half-open, ranges closed, and an end of 2^63-1 means no end.

import { describe, expect, test } from "vitest";
import {
  checkTimeNs,
  everything,
  includesTime,
  isEmptyWindow,
  type TimeRange,
  type TimeWindow,
  timeNsMax,
  timeNsMin,
  unionRange,
  windowCovers,
  windowOverlaps,
} from "../../src/model/time.ts";
import { Coverage, combinations } from "./coverage.ts";

const window = (startNs: bigint, endNs: bigint): TimeWindow => ({ startNs, endNs });
const range = (startNs: bigint, endNs: bigint): TimeRange => ({ startNs, endNs });

test.each<[string, TimeWindow, bigint, boolean]>([
  ["the start is in", window(10n, 20n), 10n, true],
  ["before the start is out", window(10n, 20n), 9n, false],
  ["the last nanosecond is in", window(10n, 20n), 19n, true],
  ["the end is out", window(10n, 20n), 20n, false],
  ["an empty window has nothing", window(10n, 10n), 10n, false],
  ["an inverted window has nothing", window(20n, 10n), 15n, false],
  ["no end includes the last row of all", window(10n, timeNsMax), timeNsMax, true],
  ["even when it starts there", window(timeNsMax, timeNsMax), timeNsMax, true],
  ["one nanosecond less is an end", window(10n, timeNsMax - 1n), timeNsMax - 1n, false],
  ["everything has the first", everything, timeNsMin, true],
  ["everything has the last", everything, timeNsMax, true],
])("%s", (_title, given, timeNs, expected) => expect(includesTime(given, timeNs)).toBe(expected));

// Few enough times that all windows and ranges over them can be tried; the last one is 2^63-1.
const times = [timeNsMin, -1n, 0n, 1n, 2n, timeNsMax - 1n, timeNsMax];

test("empty, overlaps and covers agree with what a window includes, for all windows and ranges", () => {
  const coverage = new Coverage("time: windows", [
    "empty",
    "overlaps",
    "does not overlap",
    "covers",
    "overlaps but does not cover",
    "has no end",
  ]);
  for (const { startNs, endNs, first, last } of combinations({
    startNs: times,
    endNs: times,
    first: times,
    last: times,
  })) {
    if (first > last) continue;
    const given = window(startNs, endNs);
    const rows = range(first, last);
    const included = times.filter((timeNs) => includesTime(given, timeNs));
    // A window between two of the times may include none of them though it is not empty; the ends of the rows decide then.
    const isEmpty = startNs >= endNs && endNs !== timeNsMax;
    expect(isEmptyWindow(given)).toBe(isEmpty);
    if (isEmpty) expect(included).toEqual([]);
    const covers = included.includes(first) && included.includes(last);
    expect(windowCovers(given, rows), `${startNs}..${endNs} covers ${first}..${last}`).toBe(covers);
    const latestStart = first > startNs ? first : startNs;
    const overlaps = !isEmpty && latestStart <= last && includesTime(given, latestStart);
    expect(windowOverlaps(given, rows), `${startNs}..${endNs} overlaps ${first}..${last}`).toBe(overlaps);
    coverage.hit(overlaps ? "overlaps" : "does not overlap");
    if (isEmpty) coverage.hit("empty");
    if (covers) coverage.hit("covers");
    if (overlaps && !covers) coverage.hit("overlaps but does not cover");
    if (endNs === timeNsMax) coverage.hit("has no end");
  }
  coverage.check();
});

describe("the union of ranges", () => {
  test("takes the earlier start and the later end", () => {
    expect(unionRange(range(5n, 6n), range(1n, 2n))).toEqual(range(1n, 6n));
    expect(unionRange(range(1n, 9n), range(2n, 3n))).toEqual(range(1n, 9n));
  });
  test("with no rows is the other", () => {
    expect(unionRange(undefined, range(1n, 2n))).toEqual(range(1n, 2n));
    expect(unionRange(range(1n, 2n), undefined)).toEqual(range(1n, 2n));
    expect(unionRange(undefined, undefined)).toBeUndefined();
  });
});

describe("a time is an int64", () => {
  test.each([timeNsMin, -1n, 0n, timeNsMax])("%s is one", (value) => expect(checkTimeNs(value, "x")).toBe(value));
  test.each([timeNsMin - 1n, timeNsMax + 1n, 2n ** 64n])("%s is not", (value) => {
    expect(() => checkTimeNs(value, "timestamp_ns_start")).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: `Bad request: timestamp_ns_start is ${value}, expected an int64 number of nanoseconds.`,
      }),
    );
  });
});
