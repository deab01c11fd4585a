// Sessions that cannot go, or not now, and what was begun of those that are not here any more: nothing of it holds the others up.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { openCatalog } from "../../src/catalog/catalog.ts";
import { findSequence, listSessions } from "../../src/catalog/resources.ts";
import { findTarget } from "../../src/catalog/target-rows.ts";
import { putTransfer } from "../../src/catalog/transfer-rows.ts";
import { openDisk } from "../../src/host/disk.ts";
import { actionBytesMax } from "../../src/model/limits.ts";
import { parseSequenceName } from "../../src/model/locator.ts";
import type { Ulid, Uuid } from "../../src/model/resource.ts";
import { syncRetry } from "../../src/model/sync-limits.ts";
import { type Cursor, firstCursor } from "../../src/model/transfer.ts";
import { catalogDirectory } from "../../src/store/layout.ts";
import type { TransferFacts } from "../../src/sync/command.ts";
import { Setbacks } from "../../src/sync/setbacks.ts";
import { beginTransfer } from "../../src/sync/transfer-place.ts";
import { done } from "../bundle/stores.ts";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { runToEnd, startServer } from "../server.ts";
import { command, isThere, logged, metadataOf, record, until } from "./edges.ts";
import { folders } from "./folders.ts";
import { openOldFront } from "./old-front.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 8 } as const;
const directory = folders("setbacks");

/** Pauses the target when the topic is there, which is then on its way. */
async function pausedAt(own: string, port: number, locator: string): Promise<void> {
  while (!(await isThere(port, locator))) await sleep(20);
  await command(own, "pause", "centre");
  await until(own, "it is paused", ({ state }) => state === "paused");
}

test("a session that a remote has no room for lets others go, and comes when there is room", {
  timeout: 60_000,
}, async () => {
  const [own, farDir] = [directory(), directory()];
  await using recorder = await startServer({ dataDir: own });
  // Twenty seconds have 6 MB.
  const full = await startServer({ dataDir: farDir, args: ["--max-bytes", "5MB"] });
  await record(recorder.port, "large", baseTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${full.port}`);
  await until(own, "it is refused", ({ lastError }) => /quota|max_bytes/.test(lastError ?? ""));
  const { brokenOff } = await until(own, "it is refused again and again", (now) => (now.brokenOff ?? 0) >= 6);
  for (const name of ["small-1", "small-2"]) await record(recorder.port, name, labelTopics(drive));
  const view = await until(own, "the others are there", ({ syncedSessions }) => syncedSessions === 2);
  // They did not wait for its next try.
  expect(view).toMatchObject({ pendingSessions: 1, parkedSessions: 0, brokenOff });
  expect(logged(recorder.stderr(), "session_goes_on").length).toBeLessThanOrEqual(3);
  await full.stop();
  await using _roomy = await startServer({ dataDir: farDir, port: full.port });
  await command(own, "now", "centre");
  await until(own, "there was room", ({ syncedSessions }) => syncedSessions === 3);
});

test("status says why a session waits that lets others go, and says so of none that is gone", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using recorder = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory(), args: ["--max-bytes", "5MB"] });
  await record(recorder.port, "large", baseTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await until(own, "it is refused again and again", ({ brokenOff }) => (brokenOff ?? 0) >= 6);
  await record(recorder.port, "small", labelTopics(drive));
  const view = await until(own, "the other one is there", (now) => now.syncedSessions === 1);
  expect(view.pendingSessions).toBe(1);
  await until(own, "it waits", ({ state, lastError }) => state === "waiting" && /^large:.*quota/.test(lastError ?? ""));
  using operator = new FlightClient(recorder.port);
  await operator.action("sequence_delete", { locator: "large" });
  await until(own, "nothing waits", ({ state, lastError }) => state === "idle" && lastError === undefined);
});

test("an error is none any more when the target is reached and nothing was left to do", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  const farDir = directory();
  await using recorder = await startServer({ dataDir: own });
  const far = await startServer({ dataDir: farDir });
  await record(recorder.port, "one", labelTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await far.stop();
  const other = await startServer({ dataDir: directory(), port: far.port });
  await record(recorder.port, "two", labelTopics(drive));
  await until(own, "it is another store", ({ lastError }) => /Another store/.test(lastError ?? ""));
  using operator = new FlightClient(recorder.port);
  await operator.action("sequence_delete", { locator: "two" });
  await other.stop();
  const same = await startServer({ dataDir: farDir, port: far.port });
  await until(own, "it is reached", ({ state, lastError }) => state === "idle" && lastError === undefined);
  await same.stop();
  // Nor when it is not reached and nothing is to go there.
  await record(recorder.port, "three", labelTopics(drive));
  await until(own, "it is not reached", ({ lastError }) => lastError !== undefined);
  await operator.action("sequence_delete", { locator: "three" });
  await until(own, "nothing waits for it", ({ state, lastError }) => state === "idle" && lastError === undefined);
});

test("user metadata as large as an action may be go to an edge too", { timeout: 60_000 }, async () => {
  const own = directory();
  await using recorder = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  using client = new FlightClient(recorder.port);
  const filled = (body: object): object => {
    const left = actionBytesMax - JSON.stringify({ ...body, user_metadata: { x: "" } }).length;
    return { ...body, user_metadata: { x: "y".repeat(left) } };
  };
  await client.action("sequence_create", filled({ locator: "full" }));
  const { uuid: session } = (await client.action("session_create", { locator: "full" })) as { uuid: string };
  const [label] = labelTopics(drive);
  if (label === undefined) throw new RangeError("there is a topic");
  const { path: below, ontologyTag: ontology_tag, messages } = label;
  const locator = `full/${below}`;
  const body = { session_uuid: session, locator, serialization_format: "default", ontology_tag };
  const { uuid } = (await client.action("topic_create", filled(body))) as { uuid: string };
  await client.put({ locator, uuid }, messages);
  await client.action("session_finalize", { session_uuid: session });
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
  const { user_metadata: there } = await metadataOf(far.port, locator);
  expect(there).toEqual((await metadataOf(recorder.port, locator)).user_metadata);
});

test("what is deleted here while a target is paused, or no server runs, goes there later", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using far = await startServer({ dataDir: directory() });
  {
    await using recorder = await startServer({ dataDir: own });
    for (const name of ["cut-1", "cut-2"]) await record(recorder.port, name, baseTopics(drive));
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--rate", "500kB");
    await pausedAt(own, far.port, "cut-1/sensors/gps");
    using operator = new FlightClient(recorder.port);
    await operator.action("sequence_delete", { locator: "cut-1" });
    expect((await runToEnd(["verify", "--data-dir", own])).code).toBe(0);
    await recorder.kill();
  }
  expect(await isThere(far.port, "cut-1/sensors/gps")).toBe(true);
  await using recorder = await startServer({ dataDir: own });
  using operator = new FlightClient(recorder.port);
  await operator.action("sequence_delete", { locator: "cut-2" });
  await command(own, "resume", "centre");
  await expect.poll(() => isThere(far.port, "cut-1/sensors/gps"), { timeout: 20_000 }).toBe(false);
  await expect.poll(() => recorder.stderr()).toMatch(/"session_deleted_while_sent".*"cut-1:.*"there":"deleted"/);
  expect(await command(own, "remove", "centre")).toBe("");
  expect(logged(recorder.stderr(), "session_deleted_while_sent").length).toBe(1);
  expect((await runToEnd(["verify", "--data-dir", own])).code).toBe(0);
});

test.each(["an edge", "a central daemon", "a central daemon of 0.5"])(
  "what is deleted here while it is sent to %s stops at once",
  {
    timeout: 60_000,
  },
  async (kind) => {
    const own = directory();
    await using far = await startServer({ dataDir: directory() });
    await using front = await openOldFront(() => far.port, { tells: /0\.5/.test(kind) ? "locator" : "uuid" });
    await using recorder = await startServer({ dataDir: own });
    await record(recorder.port, "cut", baseTopics(drive));
    const port = kind === "an edge" ? far.port : front.port;
    // The rest of the topic takes half a minute.
    await command(own, "add", "centre", `grpc://127.0.0.1:${port}`, "--rate", "200kB");
    while (!(await isThere(far.port, "cut/sensors/camera/front"))) await sleep(20);
    using operator = new FlightClient(recorder.port);
    await operator.action("sequence_delete", { locator: "cut" });
    await expect.poll(() => recorder.stderr(), { timeout: 6_000 }).toMatch(/session_deleted_while_sent.*"deleted"/);
    expect(await isThere(far.port, "cut/sensors/camera/front")).toBe(false);
    await until(own, "nothing is left to do", ({ state, lastError }) => state === "idle" && lastError === undefined);
    expect(logged(recorder.stderr(), "sync_broken_off")).toEqual([]);
  },
);

test("who removes a target is told of what stays there of sessions that were deleted here", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using far = await startServer({ dataDir: directory() });
  await using recorder = await startServer({ dataDir: own });
  for (const name of ["cut", "kept"]) await record(recorder.port, name, baseTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--rate", "500kB");
  await pausedAt(own, far.port, "cut/sensors/gps");
  using operator = new FlightClient(recorder.port);
  await operator.action("sequence_delete", { locator: "cut" });
  expect(await command(own, "remove", "centre")).toMatch(/^sessions that are there incomplete.*deletes them.*: 1\n$/);
  expect(await isThere(far.port, "cut/sensors/gps")).toBe(true);
});

test("what is complete there, by a bundle, stays there when it is deleted here before that was known", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using far = await startServer({ dataDir: directory() });
  await using recorder = await startServer({ dataDir: own });
  await record(recorder.port, "carried", baseTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--rate", "500kB");
  await pausedAt(own, far.port, "carried/sensors/gps");
  const [key, file] = [path.join(directory(), "key"), path.join(directory(), "carried.tar")];
  const trusted = (await done("keygen", key)).trim();
  await done("export", file, "--key", key, "--data-dir", own);
  await done("import", file, "--trust", trusted, "--data-dir", far.dataDir);
  using operator = new FlightClient(recorder.port);
  await operator.action("sequence_delete", { locator: "carried" });
  await command(own, "resume", "centre");
  await expect.poll(() => recorder.stderr(), { timeout: 20_000 }).toMatch(/"session_deleted_while_sent".*is finalized/);
  expect((await metadataOf(far.port, "carried/sensors/imu")).data_info.total_row_count).toBe(200 * drive.seconds);
});

test("what was evicted here while it was sent stays there: it is all that there is of it", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using far = await startServer({ dataDir: directory() });
  // Twenty seconds have 6 MB: two of them are too many.
  await using recorder = await startServer({ dataDir: own, args: ["--max-bytes", "10MB", "--evict-unsynced"] });
  await record(recorder.port, "old", baseTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--rate", "2MB");
  while (!(await isThere(far.port, "old/sensors/gps"))) await sleep(20);
  await record(recorder.port, "new", baseTopics(drive));
  expect(await isThere(recorder.port, "old")).toBe(false);
  await until(own, "the new one is there", ({ syncedSessions }) => syncedSessions === 1);
  expect(await isThere(far.port, "old/sensors/gps")).toBe(true);
  expect(recorder.stderr()).not.toContain("session_deleted_while_sent");
});

test("what was parked and is deleted here goes there, though nothing else is to be sent", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using recorder = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  const topics = baseTopics(drive);
  await record(far.port, "shared", topics.slice(1, 2));
  await record(recorder.port, "shared", topics);
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--on-conflict", "extend");
  const { parked } = await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
  const [first, second] = topics.map(({ path: below }) => `shared/${below}`);
  expect(parked).toMatchObject([{ cause: "conflict", reason: expect.stringContaining(`${second}`) as string }]);
  expect(await isThere(far.port, `${first}`)).toBe(true);
  using operator = new FlightClient(recorder.port);
  await operator.action("sequence_delete", { locator: "shared" });
  await expect.poll(() => isThere(far.port, `${first}`), { timeout: 20_000 }).toBe(false);
  expect(await isThere(far.port, `${second}`)).toBe(true);
});

test("a remote in trouble at what is to be deleted there is asked again, ever later, and does not hold up the others", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  const broken = new Set(["session_delete"]);
  await using far = await startServer({ dataDir: directory() });
  await using front = await openOldFront(() => far.port, { broken });
  await using recorder = await startServer({ dataDir: own });
  await record(recorder.port, "cut", baseTopics(drive));
  await command(own, "add", "centre", `grpc://127.0.0.1:${front.port}`, "--rate", "500kB");
  while (!(await isThere(far.port, "cut/sensors/camera/front"))) await sleep(20);
  using operator = new FlightClient(recorder.port);
  await operator.action("sequence_delete", { locator: "cut" });
  const asked = (): number => front.hits.get("session_delete failed") ?? 0;
  await expect.poll(asked, { timeout: 20_000 }).toBeGreaterThanOrEqual(2);
  await record(recorder.port, "other", labelTopics(drive));
  await until(own, "the other one is there", ({ syncedSessions }) => syncedSessions === 1);
  // As often in a row it was given up before.
  await sleep(syncRetry.firstMs * syncRetry.troubleMax * 2);
  expect(asked()).toBeLessThan(syncRetry.troubleMax);
  expect(logged(recorder.stderr(), "session_deleted_while_sent")).toEqual([]);
  expect(logged(recorder.stderr(), "session_deletion_waits")).toHaveLength(1);
  const { lastError } = await until(own, "it says so", (now) => now.lastError !== undefined);
  expect(lastError).toMatch(/^cut:.*deleted here.*index broken/);
  broken.clear();
  await expect.poll(() => isThere(far.port, "cut/sensors/camera/front"), { timeout: 20_000 }).toBe(false);
  await expect.poll(() => recorder.stderr()).toMatch(/"session_deleted_while_sent".*"cut:.*"there":"deleted"/);
  await until(own, "all is well", (now) => now.lastError === undefined && now.state === "idle");
});

test("a session whose class takes too long to be found out does not hold up the others", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using recorder = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  const [label] = labelTopics(drive);
  if (label === undefined) throw new RangeError("there is a topic");
  await record(recorder.port, "odd", [{ ...label, userMetadata: { log: "a".repeat(3_500_000) } }]);
  await record(recorder.port, "sound", labelTopics(drive));
  const query = JSON.stringify({ topic: { user_metadata: { log: { $match: `*${"a?".repeat(100)}b*` } } } });
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--class", `crash:10=${query}`);
  const { parked } = await until(own, "the sound one is there", (view) => view.syncedSessions === 1);
  expect(parked).toMatchObject([
    { cause: "refused", reason: expect.stringMatching(/^Its class cannot be found out: /) as string },
  ]);
});

test("a session at which this program itself fails is parked, and does not hold up the others", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using far = await startServer({ dataDir: directory() });
  {
    await using recorder = await startServer({ dataDir: own });
    for (const sequence of ["odd", "sound"]) await record(recorder.port, sequence, labelTopics(drive));
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    await command(own, "pause", "centre");
    await recorder.stop();
  }
  {
    // A place that no version of this program writes: a topic that the session has not.
    const disk = await openDisk(own);
    await using catalog = await openCatalog({ disk, directory: catalogDirectory, onFailure: () => undefined });
    const session = findSequence(catalog, parseSequenceName("odd"));
    const [first] = session === undefined ? [] : listSessions(catalog, session.ulid);
    const target = findTarget(catalog, "centre");
    if (first === undefined || target === undefined) throw new RangeError("there is a session and a target");
    const place = { kind: "topic", index: 99, state: { kind: "new" } } as const;
    const cursor = { ...firstCursor, place, session: { uuid: first.uuid, locator: undefined } };
    await catalog.transaction(() => putTransfer(catalog, first.ulid, target.id, { cursor, changedAtNs: 1n }));
  }
  await using recorder = await startServer({ dataDir: own });
  await command(own, "resume", "centre");
  const { parked } = await until(own, "the sound one is there", (view) => view.syncedSessions === 1);
  expect(parked).toMatchObject([
    { cause: "failed", reason: expect.stringMatching(/a session has the topic/) as string },
  ]);
  expect(recorder.stderr()).toMatch(/"sync_bug"/);
});

const ofContents = `stop:10=${JSON.stringify({ ontology: { "imu.acceleration.x": { $lt: -5 } } })}`;
test.each([
  ["an edge", [], /^Cannot read \S*00000\.arrow at /],
  ["an edge", ["--class", ofContents], /^Its class cannot be found out: .*00000\.arrow/],
  // All of a session is read before the first of it goes.
  ["what looks like the old daemon", [], /^Cannot read \S*00000\.arrow at /],
] as const)("a damaged session does not hold up %s (%j)", { timeout: 60_000 }, async (kind, words, reason) => {
  const own = directory();
  await using recorder = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await using front = await openOldFront(() => far.port);
  await record(recorder.port, "damaged", baseTopics({ ...drive, seconds: 70 }).slice(1, 2));
  const [session] = readdirSync(path.join(own, "sessions"));
  const chunk = path.join(own, "sessions", `${session}`, "0", "00000.arrow");
  const bytes = readFileSync(chunk);
  for (let at = 4_096; at < bytes.byteLength - 8_192; at += 1_024) bytes[at] = ~(bytes[at] ?? 0);
  writeFileSync(chunk, bytes);
  await record(recorder.port, "sound", labelTopics(drive));
  const { port } = kind === "an edge" ? far : front;
  await command(own, "add", "centre", `grpc://127.0.0.1:${port}`, ...words);
  const { parked } = await until(own, "the sound one is there", (view) => view.syncedSessions === 1);
  expect(parked).toMatchObject([{ cause: "damaged", reason: expect.stringMatching(reason) as string }]);
});

test("a session that has to be deleted there first, and is not, lets the others go first as well", () => {
  const session = "01K0000000000000000000000A" as Ulid;
  const place = { kind: "remove", reason: "it differs" } as const;
  const cursor: Cursor = { place, sequence: "ours", session: { uuid: "u" as Uuid, locator: undefined }, anew: 0 };
  const topics: TransferFacts["topics"] = [];
  const traits = { kind: "edge", countsRows: true, onConflict: "refuse", comparesContents: false } as const;
  const transfer = beginTransfer(cursor, { facts: { session: "u" as Uuid, topics }, traits });
  const setbacks = new Setbacks();
  for (let times = 1; times <= syncRetry.firstTimes; times += 1) {
    setbacks.cameTo(session, transfer);
    expect(setbacks.brokeOff(session, { code: "internal", why: "no room", nowMs: 0 })).toBe(times);
    expect(setbacks.restMs(session, 0) > 0, `${times} times`).toBe(times === syncRetry.firstTimes);
  }
});
