// What rests for uploads, without a server.

import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { machineClock } from "../../src/host/clock.ts";
import { captureRest } from "../../src/model/sync-limits.ts";
import { Admission } from "../../src/sync/admission.ts";

const { signal } = new AbortController();

test("beside busy uploads each piece of work rests by its own length, not by that of all before", async () => {
  const admission = new Admission({ clock: machineClock(), captureWaits: () => false, captureIsBusy: () => true });
  // The first one does not know how long it worked.
  await admission.yield(signal);
  const begunMs = performance.now();
  for (let step = 0; step < 10; step += 1) await admission.yield(signal);
  expect(performance.now() - begunMs).toBeLessThan(captureRest.mostMs);
});

test("what rests goes on when uploads end, and as long as one waits for memory it rests", async () => {
  let isBusy = true;
  let isWaiting = false;
  const parts = { clock: machineClock(), captureWaits: () => isWaiting, captureIsBusy: () => isBusy };
  const admission = new Admission(parts);
  const begunMs = performance.now();
  const resting = admission.yield(signal);
  isBusy = false;
  await resting;
  expect(performance.now() - begunMs).toBeLessThan(captureRest.mostMs);
  isWaiting = true;
  let hasGone = false;
  const waiting = admission.yield(signal).then(() => {
    hasGone = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 5 * captureRest.leastMs));
  expect(hasGone).toBe(false);
  isWaiting = false;
  await waiting;
});
