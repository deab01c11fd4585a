// Times as texts: what ISO 8601 means, exactly, and cut to what a column's unit has.

import { describe, expect, test } from "vitest";
import { durations, points, timesOfDay } from "../../src/query/times.ts";

const second = 1_000_000_000n;
const hour = 3_600n * second;

describe("points in time", () => {
  test.each([
    ["1970-01-01", 0n],
    ["1970-01-02T00:00", 24n * hour],
    ["1969-12-31T23:59:59.999999999Z", -1n],
    ["2024-02-29 12:30:15.5", 1_709_209_815n * second + second / 2n],
    ["2024-02-29T12:30:15+02:00", 1_709_209_815n * second - 2n * hour],
    ["2024-02-29T12:30:15-0130", 1_709_209_815n * second + hour + hour / 2n],
    ["0001-01-01", -62_135_596_800n * second],
    ["1700000000000000001", 1_700_000_000_000_000_001n],
    ["-5", -5n],
  ])("%s", (text, ns) => {
    expect(points(1n).read(text)).toEqual({ floor: ns, whole: true });
  });

  test.each([
    "",
    "noon",
    "2024-02-30",
    "2024-13-01",
    "2024-1-1",
    "2024-01-01T24:00",
    "2024-01-01T",
    "12:00",
    "1e9",
    "5.5",
  ])("%s is none", (text) => {
    expect(points(1n).read(text)).toBeUndefined();
  });

  test("what a unit does not have is cut downwards", () => {
    expect(points(second).read("1970-01-01T00:00:01.5")).toEqual({ floor: 1n, whole: false });
    expect(points(second).read("1969-12-31T23:59:58.5")).toEqual({ floor: -2n, whole: false });
    expect(points(second).read("1970-01-01T00:00:02")).toEqual({ floor: 2n, whole: true });
  });

  test("numbers are in the unit", () => {
    expect(points(second).read(7n)).toEqual({ floor: 7n, whole: true });
    expect(points(second).read(7.5)).toEqual({ floor: 7n, whole: false });
    expect(points(second).read(-Infinity)).toEqual({ floor: -Infinity, whole: false });
    expect(points(second).read(true)).toBeUndefined();
  });
});

test("times of day have no date and no zone", () => {
  expect(timesOfDay(second).read("01:00:00.25")).toEqual({ floor: 3_600n, whole: false });
  expect(timesOfDay(1n).read("23:59")).toEqual({ floor: 23n * hour + 59n * 60n * second, whole: true });
  for (const text of ["2024-01-01", "01:00Z", "25:00", "01:60"]) expect(timesOfDay(1n).read(text)).toBeUndefined();
});

test("durations are numbers", () => {
  expect(durations(1n).read("5")).toEqual({ floor: 5n, whole: true });
  expect(durations(1n).read("01:00")).toBeUndefined();
});
