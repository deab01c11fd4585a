// Keys expire for good, whatever the clock does afterwards and whoever restarts the server.

import { expect, test } from "vitest";
import { createApiKey } from "../../src/care/keys.ts";
import { LatestTime } from "../../src/care/latest-time.ts";
import type { Catalog } from "../../src/catalog/catalog.ts";
import { openLog } from "../../src/host/log.ts";
import { latestTimeNotedNs } from "../../src/model/limits.ts";
import { allPermissions } from "../../src/model/permission.ts";
import { authenticate } from "../../src/serve/authorize.ts";
import { openScratch } from "../catalog/scratch.ts";

const secondNs = 1_000_000_000n;
const startNs = 1_700_000_000n * secondNs;

/** A server's life: its clock, and whether it takes a key. */
function live(catalog: Catalog, wallNs: bigint) {
  const clock = { ns: wallNs, wallNs: () => clock.ns, monotonicMs: () => 0 };
  const latestTime = new LatestTime({ catalog, clock, log: openLog("error") });
  const takes = (token: string): boolean => {
    try {
      authenticate({ catalog, clock, latestTime, keysRequired: true }, token, "denied");
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "unauthenticated", message: expect.stringContaining("has expired") });
      return false;
    }
  };
  return { clock, takes, noted: () => latestTime.note() };
}

async function makeKey(catalog: Catalog, expiresAtNs: bigint): Promise<string> {
  const clock = { wallNs: () => startNs, monotonicMs: () => 0 };
  return await createApiKey({ catalog, clock }, { permissions: allPermissions, description: "", expiresAtNs });
}

test("a key that was refused stays so when the clock goes back, in this life and the next", async () => {
  await using scratch = await openScratch();
  const token = await makeKey(scratch.catalog, startNs + secondNs);
  const first = live(scratch.catalog, startNs);
  expect(first.takes(token)).toBe(true);
  first.clock.ns = startNs + secondNs;
  expect(first.takes(token)).toBe(false);
  first.clock.ns = startNs - 3_600n * secondNs;
  expect(first.takes(token)).toBe(false);
  await first.noted();
  const second = live(await scratch.reopen(), startNs - 20n * 365n * 86_400n * secondNs);
  expect(second.takes(token)).toBe(false);
});

test("a key that nobody used when it expired stays expired too, as far as others were used", async () => {
  await using scratch = await openScratch();
  const token = await makeKey(scratch.catalog, startNs + secondNs);
  const other = await makeKey(scratch.catalog, startNs + 10n * latestTimeNotedNs);
  const first = live(scratch.catalog, startNs);
  expect(first.takes(other)).toBe(true);
  first.clock.ns = startNs + latestTimeNotedNs;
  expect(first.takes(other)).toBe(true);
  // The note that the last call began.
  await scratch.catalog.transaction(() => undefined);
  const second = live(await scratch.reopen(), startNs);
  expect(second.takes(token)).toBe(false);
  expect(second.takes(other)).toBe(true);
});

test("the time is noted at most once in its interval, not at every call", async () => {
  await using scratch = await openScratch();
  const token = await makeKey(scratch.catalog, startNs + 1_000n * latestTimeNotedNs);
  let commits = 0;
  const counting: Catalog = {
    ...scratch.catalog,
    transaction: (act) => {
      commits += 1;
      return scratch.catalog.transaction(act);
    },
  };
  const { clock, takes, noted } = live(counting, startNs);
  for (let call = 0; call < 600; call += 1) {
    clock.ns += secondNs;
    expect(takes(token)).toBe(true);
  }
  await noted();
  expect(commits).toBeLessThanOrEqual(12);
});
