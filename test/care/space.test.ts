// The floor of free space, while nobody has looked at the disk for a moment, and who waits for retention.

import { expect, test } from "vitest";
import { Retention } from "../../src/care/retention.ts";
import { Space } from "../../src/care/space.ts";
import type { Catalog } from "../../src/catalog/catalog.ts";
import { putSequence, putSession, putTopic } from "../../src/catalog/resources.ts";
import { putTarget } from "../../src/catalog/target-rows.ts";
import { putTransfer } from "../../src/catalog/transfer-rows.ts";
import { openDisk } from "../../src/host/disk.ts";
import { openLog } from "../../src/host/log.ts";
import { freshLookBytes, overheadBytes } from "../../src/model/limits.ts";
import { parseSequenceName, parseSessionLocator, parseTopicLocator } from "../../src/model/locator.ts";
import type { JsonText, Sequence, Session, Topic, Ulid, Uuid } from "../../src/model/resource.ts";
import { type Target, unsaid } from "../../src/model/target.ts";
import { firstCursor } from "../../src/model/transfer.ts";
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
    using _admitted = space.admit(bytes) as Disposable;
    freeBytes -= bytes;
  };
  for (let count = 0; count < 40; count += 1) write();
  expect(() => {
    for (let count = 0; count < 1_000; count += 1) write();
  }).toThrow("The disk is full");
  expect(freeBytes).toBeGreaterThanOrEqual(floorBytes);
});

/** A finalized session of 100 MB. */
async function putDrive(catalog: Catalog): Promise<{ session: Session; topic: Topic }> {
  const sequence: Sequence = {
    ulid: "sequence" as Ulid,
    uuid: "uuid-sequence" as Uuid,
    name: parseSequenceName("drive"),
    userMetadata: "{}" as JsonText,
    createdAtNs: 1n,
  };
  const session: Session = {
    ulid: "session" as Ulid,
    uuid: "uuid-session" as Uuid,
    alias: "alias-session" as Uuid,
    locator: parseSessionLocator("drive:session"),
    sequence: sequence.name,
    sequenceUlid: sequence.ulid,
    createdAtNs: 1n,
    completedAtNs: 2n,
    topicNumberNext: 1,
  };
  const topic: Topic = {
    uuid: "uuid-topic" as Uuid,
    locator: parseTopicLocator("drive/camera"),
    session: session.ulid,
    number: 0,
    ontologyTag: "image",
    serializationFormat: "default",
    userMetadata: "{}" as JsonText,
    createdAtNs: 1n,
    completedAtNs: 2n,
    extent: { rows: 1, bytes: 100_000_000, chunks: 1, range: { startNs: 1n, endNs: 1n } },
  };
  await catalog.transaction(() => {
    putSequence(catalog, sequence);
    putSession(catalog, session);
    putTopic(catalog, topic);
  });
  return { session, topic };
}

test("who asks for room while retention looks at a disk that had enough is made room for", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const floorBytes = 1_000_000;
  const wanted = freshLookBytes;
  let freeBytes = 10 * (floorBytes + overheadBytes);
  const disk = { ...(await openDisk(scratch.directory)), freeBytesNow: () => freeBytes };
  const clock = { wallNs: () => 1_000n, monotonicMs: () => performance.now() };
  const log = openLog("error");
  const space = new Space({ disk, clock, log, catalog, floorBytes, quotaBytes: undefined, unstoredBytes: () => 0 });

  const { session, topic } = await putDrive(catalog);
  const evicted: Ulid[] = [];
  const rest = { name: "default", priority: 0, keep: false, requireSynced: false, minAgeNs: 0n };
  const retention = new Retention({
    catalog,
    clock,
    log,
    space,
    policy: { bytesMax: undefined, ageMaxNs: undefined, rules: [], rest },
    async evict(ulid) {
      evicted.push(ulid);
      freeBytes += topic.extent.bytes;
    },
  });

  const look = retention.tick();
  freeBytes = floorBytes + overheadBytes + wanted - 1;
  using _admitted = await space.admit(wanted);
  expect(evicted).toEqual([session.ulid]);
  expect(await look).toBe(false);
});

test("old sessions go before the quota is reached, by as much as comes in meanwhile and no more than a sixteenth", async () => {
  await using scratch = await openScratch();
  const quotaBytes = 1_600_000;
  let stored = 1_550_000;
  const space = new Space({
    disk: { ...(await openDisk(scratch.directory)), freeBytesNow: () => 2 ** 40 },
    clock: { wallNs: () => 1n, monotonicMs: () => 1 },
    log: openLog("error"),
    catalog: scratch.catalog,
    floorBytes: 1_000_000,
    quotaBytes,
    unstoredBytes: () => stored,
  });
  const write = (bytes: number): number => {
    using _admitted = space.admit(bytes) as Disposable;
    return space.lacking().quota;
  };
  expect(space.lacking().quota).toBe(0);
  // 10,000 on their way, and two seconds of as many.
  expect(write(10_000)).toBe(0);
  expect(write(15_000)).toBe(stored + 15_000 + 2 * 25_000 - quotaBytes);
  space.tick("made none");
  expect(space.lacking().quota).toBe(stored + 2 * 25_000 - quotaBytes);
  space.tick("made none");
  expect(space.lacking().quota).toBe(0);
  stored = 1_000_000;
  expect(write(590_000)).toBe(1_590_000 + quotaBytes / 16 - quotaBytes);
});

test.each([
  ["goes", undefined],
  ["stays when its target may be another store by then", { isUnconfirmed: true }],
  ["stays when what was left out is to go by then", { rules: 1 }],
] as const)("what was planned as synced %s", async (_what, change) => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const { session } = await putDrive(catalog);
  const clock = { wallNs: () => 1_000_000n, monotonicMs: () => performance.now() };
  const log = openLog("error");
  const disk = { ...(await openDisk(scratch.directory)), freeBytesNow: () => 2 ** 40 };
  const space = new Space({ disk, clock, log, catalog, floorBytes: 0, quotaBytes: undefined, unstoredBytes: () => 0 });
  const target = (name: string): Target => ({
    ...{ ...unsaid, id: name as Ulid, name, url: "grpc://x:1", paused: false, addedAtNs: 1n },
  });
  await catalog.transaction(() => {
    for (const name of ["has-it", "wants-it-not"]) putTarget(catalog, target(name));
    const at = { ...firstCursor, place: { kind: "synced" } } as const;
    putTransfer(catalog, session.ulid, "has-it" as Ulid, { cursor: at, changedAtNs: 1n });
    const out = {
      ...firstCursor,
      place: { kind: "left_out", class: "never", rules: 0, from: firstCursor.place },
    } as const;
    putTransfer(catalog, session.ulid, "wants-it-not" as Ulid, { cursor: out, changedAtNs: 1n });
  });
  const evicted: Ulid[] = [];
  const retention = new Retention({
    catalog,
    clock,
    log,
    space,
    policy: {
      bytesMax: undefined,
      ageMaxNs: 1n,
      rules: [],
      rest: { name: "default", priority: 0, keep: false, requireSynced: true, minAgeNs: 0n },
    },
    async evict(ulid, check) {
      if (change !== undefined)
        await catalog.transaction(() => putTarget(catalog, { ...target("wants-it-not"), ...change }));
      await catalog.transaction(check);
      evicted.push(ulid);
    },
  });
  expect(await retention.tick()).toBe(change === undefined);
  expect(evicted).toEqual(change === undefined ? [session.ulid] : []);
});
