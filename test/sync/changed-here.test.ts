// A session that is not any more what it was: damaged and repaired on its way, after it arrived, or older than what is there.

import { closeSync, cpSync, openSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, type TopicLoad } from "../load/robot.ts";
import { runToEnd, startServer } from "../server.ts";
import { command, contents, isThere, metadataOf, record, until } from "./edges.ts";
import { folders } from "./folders.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;
const directory = folders("changed-here");
const cameraPath = "sensors/camera/front";
const camera = `drive/${cameraPath}`;

function cameraTopics(): TopicLoad[] {
  return baseTopics(drive).filter(({ path: below }) => below === cameraPath);
}

/** Damages what is stored at a fifth of the largest chunk file, and lets `repair` leave it out. */
async function loseRows(dataDir: string): Promise<void> {
  const files = readdirSync(path.join(dataDir, "sessions"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".arrow"))
    .map((name) => path.join(dataDir, "sessions", name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  const [largest = ""] = files;
  const file = openSync(largest, "r+");
  writeSync(file, Buffer.alloc(200, 0xff), 0, 200, Math.floor(statSync(largest).size / 5));
  closeSync(file);
  const { code, stdout, stderr } = await runToEnd(["repair", "--data-dir", dataDir]);
  expect(code, stdout + stderr).toBe(0);
}

/** Makes the catalog anew of what else there is. */
async function loseCatalog(dataDir: string): Promise<void> {
  rmSync(path.join(dataDir, "catalog"), { recursive: true });
  const { code, stdout, stderr } = await runToEnd(["rebuild", "--data-dir", dataDir]);
  expect(code, stdout + stderr).toBe(0);
}

test.each([
  ["repaired here", "here", false],
  ["repaired here, and the catalog lost after that,", "here", true],
  ["repaired there", "there", false],
  ["repaired there, and the catalog lost after that,", "there", true],
] as const)(
  "what was %s on its way does not go on behind rows that are others",
  { timeout: 60_000 },
  async (_what, where, isRebuilt) => {
    const [own, farDir] = [directory(), directory()];
    {
      await using far = await startServer({ dataDir: farDir });
      await using near = await startServer({ dataDir: own });
      await record(near.port, "drive", cameraTopics());
      await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--rate", "1MB");
      await until(own, "more than half is there", ({ sentRows }) => (sentRows ?? 0) > 55);
      await command(own, "pause", "centre");
      await near.stop();
      await far.stop();
    }
    const repaired = where === "here" ? own : farDir;
    await loseRows(repaired);
    if (isRebuilt) await loseCatalog(repaired);
    await using far = await startServer({ dataDir: farDir });
    await using near = await startServer({ dataDir: own });
    const url = `grpc://127.0.0.1:${far.port}`;
    if (where === "here" && isRebuilt) await command(own, "add", "centre", url);
    else {
      await command(own, "set", "centre", "--no-rate", "--url", url);
      await command(own, "resume", "centre");
    }
    await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
    const left = await contents(near.port, camera);
    if (where === "here") expect(left.rows.length).toBeLessThan(100);
    else expect(left.rows.length).toBe(100);
    expect(await contents(far.port, camera)).toEqual(left);
  },
);

test("what was complete there before is left alone when it is another than here", { timeout: 60_000 }, async () => {
  const [own, farDir] = [directory(), directory()];
  await using far = await startServer({ dataDir: farDir });
  const url = `grpc://127.0.0.1:${far.port}`;
  let whole: unknown;
  {
    await using near = await startServer({ dataDir: own });
    await record(near.port, "drive", cameraTopics());
    whole = await contents(near.port, camera);
    await command(own, "add", "centre", url);
    await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
    await near.stop();
  }
  await loseRows(own);
  await using near = await startServer({ dataDir: own });
  await command(own, "remove", "centre");
  await command(own, "add", "centre", url);
  const { parked } = await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
  const reason = expect.stringMatching(/has 100 rows there, here \d+; it was complete there before, and stays there/);
  expect(parked).toEqual([expect.objectContaining({ cause: "different", reason })]);
  expect(await contents(far.port, camera)).toEqual(whole);
  await command(own, "retry", "centre");
  await until(own, "it is parked again", ({ parkedSessions }) => parkedSessions === 1);
  expect(await contents(far.port, camera)).toEqual(whole);
  // Whoever wants what is here deletes what is there.
  using operator = new FlightClient(far.port);
  await operator.action("sequence_delete", { locator: "drive" });
  await command(own, "retry", "centre");
  await until(own, "it is there anew", ({ syncedSessions }) => syncedSessions === 1);
  expect(await contents(far.port, camera)).toEqual(await contents(near.port, camera));
});

test.each([
  ["all", []],
  ["half", ["--rate", "1MB"]],
] as const)(
  "a store from before the end of a recording does not replace what arrived of it: %s",
  {
    timeout: 60_000,
  },
  async (what, rate) => {
    const [own, backup, farDir] = [directory(), directory(), directory()];
    await using far = await startServer({ dataDir: farDir });
    const url = `grpc://127.0.0.1:${far.port}`;
    const [load] = cameraTopics();
    if (load === undefined) throw new RangeError("a drive has a camera");
    const [schema, ...batches] = load.messages;
    if (schema === undefined) throw new RangeError("a stream begins with its schema");
    const upload = { locator: camera, uuid: "" };
    let session: string;
    {
      await using near = await startServer({ dataDir: own });
      using robot = new FlightClient(near.port);
      await robot.action("sequence_create", { locator: "drive", user_metadata: {} });
      ({ uuid: session } = (await robot.action("session_create", { locator: "drive" })) as { uuid: string });
      const topic = { session_uuid: session, locator: camera, serialization_format: "default", user_metadata: {} };
      ({ uuid: upload.uuid } = (await robot.action("topic_create", { ...topic, ontology_tag: load.ontologyTag })) as {
        uuid: string;
      });
      const put = robot.openPut(upload);
      await put.sendData(schema);
      for (const batch of batches.slice(0, 2)) await put.sendData(batch);
      await expect.poll(async () => (await metadataOf(near.port, camera)).data_info.total_row_count).toBeGreaterThan(0);
      await near.stop();
    }
    cpSync(own, backup, { recursive: true });
    let whole: unknown;
    {
      await using near = await startServer({ dataDir: own });
      using robot = new FlightClient(near.port);
      await robot.put(upload, load.messages);
      await robot.action("session_finalize", { session_uuid: session });
      await command(own, "add", "centre", url, ...rate);
      if (what === "all") await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
      else await until(own, "more than half is there", ({ sentRows }) => (sentRows ?? 0) > 55);
      await command(own, "pause", "centre");
      await near.stop();
      whole = await contents(far.port, camera);
    }
    await using _near = await startServer({
      dataDir: backup,
      args: ["--open-sessions", "finalize", "--open-session-grace", "1s"],
    });
    await command(backup, "add", "centre", url);
    const { parked } = await until(backup, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
    expect(parked).toEqual([expect.objectContaining({ cause: "different" })]);
    expect(await contents(far.port, camera)).toEqual(whole);
  },
);

test("a sequence that is gone here and comes again is ours there", { timeout: 60_000 }, async () => {
  const [own, farDir] = [directory(), directory()];
  await using far = await startServer({ dataDir: farDir });
  await using near = await startServer({ dataDir: own, args: ["--max-bytes", "7MB"] });
  const [gps, imu] = baseTopics(drive);
  if (gps === undefined || imu === undefined) throw new RangeError("a drive has these topics");
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await record(near.port, "robot", [gps]);
  await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
  // Half of it goes, then all of it here.
  await command(own, "set", "centre", "--rate", "500kB");
  await record(near.port, "given-up", cameraTopics());
  await expect.poll(() => isThere(far.port, `given-up/${cameraPath}`), { timeout: 20_000 }).toBe(true);
  using operator = new FlightClient(near.port);
  await operator.action("sequence_delete", { locator: "given-up" });
  await command(own, "set", "centre", "--no-rate");
  // Retention lets the last session of the first one go, and its name with it.
  await record(near.port, "filling", baseTopics({ ...drive, seconds: 30 })).catch(() => undefined);
  await expect.poll(() => near.stderr(), { timeout: 20_000 }).toMatch(/session_evicted.*robot:/);
  await expect.poll(() => operator.info({ resource_locator: "robot" }).catch(String)).toMatch(/Not found/);
  await operator.action("sequence_delete", { locator: "filling" });
  await record(near.port, "robot", [imu]);
  await record(near.port, "given-up", [gps]);
  const locators = [`robot/${imu.path}`, `given-up/${gps.path}`];
  const there = (locator: string): Promise<unknown> => contents(far.port, locator).catch(() => undefined);
  for (const locator of locators)
    await expect.poll(() => there(locator), { timeout: 20_000 }).toEqual(await contents(near.port, locator));
  expect((await contents(far.port, `robot/${gps.path}`)).rows.length).toBe(gps.rows);
});

test("a sequence that is recorded again and again goes on in the one that was ours", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  using operator = new FlightClient(near.port);
  const [gps] = baseTopics({ ...drive, seconds: 2 });
  if (gps === undefined) throw new RangeError("a drive has this topic");
  const topics = Array.from({ length: 6 }, (_none, index) => ({ ...gps, path: `gps-${index}` }));
  for (const [index, topic] of topics.entries()) {
    // Three generations of two sessions each.
    const isFirst = index % 2 === 0;
    if (isFirst && index > 0) await operator.action("sequence_delete", { locator: "drive" });
    await record(near.port, "drive", [topic], isFirst);
    const wanted = isFirst ? 1 : 2;
    const view = await until(
      own,
      `session ${index} is settled`,
      ({ syncedSessions, parkedSessions }) => syncedSessions === wanted || parkedSessions > 0,
    );
    expect(view.parked, `session ${index}`).toEqual([]);
  }
  for (const { path: below } of topics) expect(await isThere(far.port, `drive/${below}`), below).toBe(true);
});

test("a sequence that was ours there, and is somebody else's now, is a conflict", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  const [gps, imu] = baseTopics(drive);
  if (gps === undefined || imu === undefined) throw new RangeError("a drive has these topics");
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await record(near.port, "drive", [gps]);
  await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
  for (const port of [near.port, far.port]) {
    using operator = new FlightClient(port);
    await operator.action("sequence_delete", { locator: "drive" });
  }
  await record(far.port, "drive", [imu]);
  await record(near.port, "drive", [gps]);
  const { parked } = await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
  expect(parked).toEqual([expect.objectContaining({ cause: "conflict" })]);
});
