// A cap of bytes per second, by a clock that is told what time it is.

import { expect, test } from "vitest";
import { Rate } from "../../src/sync/rate.ts";

test("whatever the sizes, in the long run no more goes than is allowed, and the first message goes at once", () => {
  let nowMs = 1_000;
  const rate = new Rate({ monotonicMs: () => nowMs });
  expect(rate.waitMs(1_000_000)).toBe(0);
  rate.sent(4_000_000);
  expect(rate.waitMs(1_000_000)).toBe(4_000);
  nowMs += 3_000;
  expect(rate.waitMs(1_000_000)).toBe(1_000);
  nowMs += 1_000;
  expect(rate.waitMs(1_000_000)).toBe(0);
  rate.sent(500_000);
  nowMs += 60_000;
  // What was not used is not saved up.
  expect(rate.waitMs(1_000_000)).toBe(0);
  rate.sent(1_000_000);
  expect(rate.waitMs(1_000_000)).toBe(1_000);
});

test("another cap holds from when it comes, for what was sent before too", () => {
  let nowMs = 1_000;
  const rate = new Rate({ monotonicMs: () => nowMs });
  rate.sent(2_000_000);
  expect(rate.waitMs(1)).toBe(2_000_000_000);
  expect(rate.waitMs(2_000_000)).toBe(1_000);
  nowMs += 500;
  expect(rate.waitMs(2_000_000)).toBe(500);
  expect(rate.waitMs(undefined)).toBe(0);
  expect(rate.waitMs(1)).toBe(0);
});
