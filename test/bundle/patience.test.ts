// When a command gives a remote up: when nothing comes further, be it by what goes, by what is settled or by what is only read.

import { expect, test } from "vitest";
import { Patience } from "../../src/cli/patience.ts";

const nothing = {
  sentBytes: 0,
  readings: 0,
  census: { synced: 0, parked: 0 },
  retryInMs: undefined,
  lastError: undefined,
  closed: undefined,
};

test.each([
  ["sentBytes", (n: number) => ({ ...nothing, sentBytes: n })],
  ["readings", (n: number) => ({ ...nothing, readings: n })],
  ["synced", (n: number) => ({ ...nothing, census: { synced: n, parked: 0 } })],
  ["parked", (n: number) => ({ ...nothing, census: { synced: 0, parked: n } })],
] as const)("it waits as long as %s grows, and no longer", (_what, at) => {
  const patience = new Patience(1_000);
  for (let n = 0; n < 20; n += 1) patience.check(at(n), 900 * n);
  const end = 900 * 19;
  patience.check(at(19), end + 999);
  expect(() => patience.check(at(19), end + 1_000)).toThrow(
    expect.objectContaining({
      code: "unavailable",
      message: expect.stringMatching(
        /^it does not answer \(nothing comes further within 1 s; the same command/,
      ) as string,
    }),
  );
});

test("it does not wait for what is further away than that, and says why", () => {
  const patience = new Patience(1_000);
  patience.check({ ...nothing, retryInMs: 999, lastError: "no link" }, 0);
  expect(() => patience.check({ ...nothing, retryInMs: 1_000, lastError: "no link" }, 1)).toThrow(/^no link \(nothing/);
  expect(() => patience.check({ ...nothing, retryInMs: 1_000, closed: "not before 8:00" }, 1)).toThrow(
    /^not before 8:00/,
  );
});
