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

test("as long as an upload waits for memory it rests", async () => {
  let isWaiting = true;
  const parts = { clock: machineClock(), captureWaits: () => isWaiting, captureIsBusy: () => false };
  const admission = new Admission(parts);
  let hasGone = false;
  const waiting = admission.yield(signal).then(() => {
    hasGone = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 5 * captureRest.leastMs));
  expect(hasGone).toBe(false);
  isWaiting = false;
  await waiting;
});
