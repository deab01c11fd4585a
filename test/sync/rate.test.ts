// A cap of bytes per second, by a clock that is told what time it is.

import { expect, test } from "vitest";
import { Rate } from "../../src/sync/rate.ts";

test("whatever the sizes, in the long run no more goes than is allowed, and the first message goes at once", () => {
  let nowMs = 1_000;
  const rate = new Rate({ monotonicMs: () => nowMs });
  expect(rate.admit(4_000_000, 1_000_000)).toBe(0);
  // Four seconds of the cap have gone.
  expect(rate.admit(500_000, 1_000_000)).toBe(4_000);
  nowMs += 4_500;
  expect(rate.admit(1, 1_000_000)).toBe(0);
  nowMs += 60_000;
  // What was not used is not saved up.
  expect(rate.admit(1_000_000, 1_000_000)).toBe(0);
  expect(rate.admit(1_000_000, 2_000_000)).toBe(1_000);
  expect(rate.admit(0, 2_000_000)).toBe(1_500);
});
