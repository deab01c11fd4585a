// The floor of free space, while nobody has looked at the disk for a moment.

import { expect, test } from "vitest";
import { Space } from "../../src/care/space.ts";
import { openDisk } from "../../src/host/disk.ts";
import { openLog } from "../../src/host/log.ts";
import { overheadBytes } from "../../src/model/limits.ts";
import { openScratch } from "../catalog/scratch.ts";

test("many small writes at once do not go below the floor", async () => {
  await using scratch = await openScratch();
  const floorBytes = 1_000_000;
  const bytes = 100_000;
  let freeBytes = floorBytes + overheadBytes + 50 * bytes;
  const disk = { ...(await openDisk(scratch.directory)), freeBytesNow: () => freeBytes };
  // All of it within one millisecond.
  const clock = { wallNs: () => 1n, monotonicMs: () => 1 };
  const space = new Space({
    disk,
    clock,
    log: openLog("error"),
    catalog: scratch.catalog,
    floorBytes,
    quotaBytes: undefined,
    unstoredBytes: () => 0,
  });
  const write = (): void => {
    using _admitted = space.admit(bytes);
    freeBytes -= bytes;
  };
  for (let count = 0; count < 40; count += 1) write();
  expect(() => {
    for (let count = 0; count < 1_000; count += 1) write();
  }).toThrow("The disk is full");
  expect(freeBytes).toBeGreaterThanOrEqual(floorBytes);
});
