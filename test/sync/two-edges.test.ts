// Sync of one server with another, both as they run on machines, over real sockets: what was recorded on one is read on the other.

import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { createKey, type RunningServer, runToEnd, startServer } from "../server.ts";
import { command, contents, logged, metadataOf, record, until } from "./edges.ts";
import { folders } from "./folders.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;

describe("two edges", () => {
  const directory = folders("sync");
  let near: RunningServer;
  let far: RunningServer;

  beforeAll(async () => {
    near = await startServer({ dataDir: directory() });
    far = await startServer({ dataDir: directory() });
  });

  afterAll(async () => {
    await near?.[Symbol.asyncDispose]();
    await far?.[Symbol.asyncDispose]();
  });

  test("what is finalized on one is on the other, equal, whenever it was finalized", { timeout: 60_000 }, async () => {
    await record(near.port, "drive-1", baseTopics(drive));
    await command(near.dataDir, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    await until(near.dataDir, "the first session is there", ({ syncedSessions }) => syncedSessions === 1);
    await record(near.port, "drive-1", labelTopics(drive), false);
    const view = await until(near.dataDir, "the second one too", ({ syncedSessions }) => syncedSessions === 2);
    expect(view).toMatchObject({ target: "centre", pendingSessions: 0, parkedSessions: 0 });
    for (const { path: below } of [...baseTopics(drive), ...labelTopics(drive)]) {
      const locator = `drive-1/${below}`;
      expect(await contents(far.port, locator), locator).toEqual(await contents(near.port, locator));
      const [here, there] = [await metadataOf(near.port, locator), await metadataOf(far.port, locator)];
      expect(there, locator).toMatchObject({
        ontology_tag: here.ontology_tag,
        user_metadata: here.user_metadata,
        locked: true,
      });
      expect(there.data_info.total_row_count, locator).toBe(here.data_info.total_row_count);
      expect(there.data_info.interval, locator).toEqual(here.data_info.interval);
    }
  });

  test("over TLS, with a key: one that is revoked stops it, another one in its file lets it go on", {
    timeout: 60_000,
  }, async () => {
    const own = directory();
    const tls = (name: string): string => path.resolve(import.meta.dirname, "../serve/tls", name);
    const farDir = directory();
    await using locked = await startServer({
      dataDir: farDir,
      args: ["--api-key", "--tls-cert", tls("certificate.pem"), "--tls-key", tls("key.pem")],
    });
    await using recorder = await startServer({ dataDir: own });
    const keyFile = path.join(directory(), "key");
    writeFileSync(keyFile, `${await createKey(farDir, "write")}\n`);
    const url = `grpc+tls://localhost:${locked.port}`;
    const words = ["--ca", tls("certificate.pem"), "--api-key-file", keyFile];
    const untrusted = await runToEnd(["sync", "check", url, "--api-key-file", keyFile, "--data-dir", own]);
    expect([untrusted.code, untrusted.stderr]).toEqual([
      69,
      expect.stringMatching(/self-signed certificate \(--ca FILE names the certificates to trust\)\n$/),
    ]);
    const check = JSON.parse(await command(own, "check", url, ...words, "--json")) as Record<string, unknown>;
    expect(check).toMatchObject({ kind: "mosaico-edge", permissions: ["read", "write"], wouldSendSessions: 0 });

    await command(own, "add", "locked", url, ...words);
    await record(recorder.port, "first", labelTopics(drive));
    await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
    const fingerprint = readFileSync(keyFile, "utf8").trim().slice(-8);
    expect((await runToEnd(["key", "revoke", "--data-dir", farDir, fingerprint])).code).toBe(0);
    await record(recorder.port, "second", labelTopics(drive));
    const refused = await until(own, "the key is refused", ({ state }) => state === "waiting");
    expect(refused).toMatchObject({ syncedSessions: 1, pendingSessions: 1, parkedSessions: 0 });
    expect(refused.lastError).toMatch(/DoAction: .*key/i);
    writeFileSync(keyFile, await createKey(farDir, "write"));
    await command(own, "now", "locked");
    await until(own, "the second one is there", ({ syncedSessions }) => syncedSessions === 2);
    expect(recorder.stderr(), "no key in the log").not.toMatch(/msco_[0-9a-z]{32}/);
  });

  test("a sequence of somebody else is a conflict: nothing of theirs is touched, and once it is gone a retry goes through", {
    timeout: 60_000,
  }, async () => {
    const own = directory();
    await using recorder = await startServer({ dataDir: own });
    await record(far.port, "shared", labelTopics(drive));
    await record(recorder.port, "shared", baseTopics(drive).slice(1, 2));
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    const view = await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
    expect(view.parked).toMatchObject([{ cause: "conflict", reason: expect.stringContaining("shared") as string }]);
    await metadataOf(far.port, "shared/labels/scene");
    using client = new FlightClient(far.port);
    await expect(client.info({ resource_locator: "shared/sensors/imu" })).rejects.toThrow(/Not found|does not exist/);
    await client.action("sequence_delete", { locator: "shared" });
    expect(await command(own, "retry", "centre")).toBe("1\n");
    await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
    expect(await contents(far.port, "shared/sensors/imu")).toEqual(await contents(recorder.port, "shared/sensors/imu"));
  });

  test("what goes where is chosen by names; a pause stops it, a forgotten target is not known any more", {
    timeout: 60_000,
  }, async () => {
    const own = directory();
    await using recorder = await startServer({ dataDir: own });
    await record(recorder.port, "keep-1", labelTopics(drive));
    await record(recorder.port, "keep-2", labelTopics(drive));
    await record(recorder.port, "drop-1", labelTopics(drive));
    await command(own, "add", "some", `grpc://127.0.0.1:${far.port}`, "--include", "keep-*", "--exclude", "*-2");
    await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
    await command(own, "pause", "some");
    await record(recorder.port, "keep-3", labelTopics(drive));
    const paused = await until(own, "it is paused", ({ state }) => state === "paused");
    expect(paused).toMatchObject({ pendingSessions: 1, syncedSessions: 1 });
    await command(own, "resume", "some");
    await until(own, "the third is there", ({ syncedSessions }) => syncedSessions === 2);
    using client = new FlightClient(far.port);
    for (const name of ["keep-2", "drop-1"])
      await expect(client.info({ resource_locator: name })).rejects.toThrow(/Not found/);
    await command(own, "remove", "some");
    expect(JSON.parse(await command(own, "status", "--json"))).toEqual([]);
    expect((await runToEnd(["verify", "--data-dir", own])).code).toBe(0);
  });

  test("of a file that holds something else than a key nothing is shown", async () => {
    const file = path.join(directory(), "key");
    for (const secret of [
      "-----BEGIN PRIVATE KEY-----\nMIISECRET\n",
      "hunter2-\u00e9\u0007pass",
      "x".repeat(300),
      "",
    ]) {
      writeFileSync(file, secret);
      const words = [
        "sync",
        "check",
        `grpc://127.0.0.1:${far.port}`,
        "--api-key-file",
        file,
        "--data-dir",
        near.dataDir,
      ];
      const { code, stdout, stderr } = await runToEnd(words);
      expect([code, stdout, stderr]).toEqual([
        64,
        "",
        `mosaico-edge: The API key in ${file} is not one line of at most 200 printable ASCII characters.\n`,
      ]);
    }
  });

  test("what a command cannot do it says in one sentence", async () => {
    const said = async (...words: string[]): Promise<[unknown, string]> => {
      const { code, stderr } = await runToEnd(["sync", ...words, "--data-dir", near.dataDir]);
      return [code, stderr];
    };
    expect(await said("add", "x", "http://127.0.0.1")).toEqual([64, expect.stringMatching(/grpc\+tls:.*found "http:/)]);
    expect(await said("add", "../x", "grpc://127.0.0.1")).toEqual([
      64,
      expect.stringMatching(/name of a target .*found/),
    ]);
    expect(await said("add", "y", "grpc://127.0.0.1", "--rate", "8-9=1kB")).toEqual([
      64,
      expect.stringMatching(/--rate: expected times .* found "8-9"/),
    ]);
    expect(await said("add", "y", "grpc://127.0.0.1", "--class", "video@fast={}")).toEqual([
      64,
      expect.stringMatching(/--class: expected .* found "fast"/),
    ]);
    expect(await said("add", "y", "grpc://127.0.0.1", "--when-reachable", "x")).toEqual([
      64,
      expect.stringMatching(/--when-reachable: expected HOST:PORT, found "x"/),
    ]);
    expect(await said("add", "y", "grpc://127.0.0.1", "--rate", "fast")).toEqual([
      64,
      expect.stringMatching(/--rate: expected .* found "fast"/),
    ]);
    expect(await said("add", "y", "grpc://127.0.0.1", "--ca", "/nowhere")).toEqual([
      64,
      expect.stringMatching(/--ca: expected .*grpc\+tls.*without TLS/),
    ]);
    expect(await said("add", "y", "grpc://127.0.0.1", "--classes-only")).toEqual([
      64,
      expect.stringMatching(/--classes-only: expected a --class/),
    ]);
    expect(await said("add", "y", "grpc://127.0.0.1", "--class", "a={}", "--class", "a={}")).toEqual([
      64,
      expect.stringMatching(/--class: .* found a twice/),
    ]);
    expect(await said("check", `grpc+tls://127.0.0.1:${far.port}`)).toEqual([
      69,
      expect.stringMatching(/does not speak TLS/),
    ]);
    expect(await said("add", "centre", "grpc://127.0.0.1")).toEqual([
      expect.any(Number),
      expect.stringMatching(/centre already/),
    ]);
    expect(await said("pause", "nobody")).toEqual([66, expect.stringMatching(/no target nobody/)]);
    expect(await said("check", "grpc://127.0.0.1:1")).toEqual([
      69,
      expect.stringMatching(/grpc:\/\/127.0.0.1:1: .*ECONNREFUSED/),
    ]);
    expect(await said("check", `grpc://127.0.0.1:${far.port}`, "--api-key-file", "/nowhere")).toEqual([
      66,
      expect.stringMatching(/The API key: Cannot read \/nowhere: ENOENT/),
    ]);
  });

  test("under a quota what is synced goes, and nothing else: recording goes on as long as there is a link", {
    timeout: 60_000,
  }, async () => {
    const own = directory();
    // Twenty seconds have 6 MB.
    await using recorder = await startServer({ dataDir: own, args: ["--max-bytes", "10MB"] });
    await record(recorder.port, "quota-1", baseTopics(drive));
    await expect(record(recorder.port, "quota-2", baseTopics(drive))).rejects.toThrow(/quota|max_bytes/);
    using client = new FlightClient(recorder.port);
    await client.action("sequence_delete", { locator: "quota-2" });
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    await until(own, "the first one is there", ({ syncedSessions }) => syncedSessions === 1);
    await record(recorder.port, "quota-2", baseTopics(drive));
    await expect(client.info({ resource_locator: "quota-1" })).rejects.toThrow(/Not found/);
    await until(
      own,
      "the second one too",
      ({ syncedSessions, pendingSessions }) => syncedSessions === 1 && pendingSessions === 0,
    );
    for (const name of ["quota-1", "quota-2"])
      expect((await metadataOf(far.port, `${name}/sensors/imu`)).data_info.total_row_count, name).toBe(
        200 * drive.seconds,
      );
    expect((await runToEnd(["verify", "--data-dir", own])).code).toBe(0);
  });

  test.each([
    ["an interface", ["--interface", "nosuch0", "--interface", "nosuch1"], "no connection over nosuch0 or nosuch1"],
    [
      "the time of day",
      ["--rate", "00:00-24:00=0", "--rate", "1MiB"],
      "the timetable lets nothing go at this time of day",
    ],
    ["an address", ["--when-reachable", "127.0.0.1:1"], "127.0.0.1:1 is not reachable"],
  ])("nothing goes before it may, by %s", { timeout: 60_000 }, async (_what, words, why) => {
    const own = directory();
    await using recorder = await startServer({ dataDir: own });
    await record(recorder.port, "closed", labelTopics(drive));
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, ...words);
    const view = await until(own, "it is closed", ({ state }) => state === "closed");
    expect(view).toMatchObject({ closed: why, pendingSessions: 1, brokenOff: 0 });
  });

  test("what is on its way stops when nothing may go any more, and goes on later", { timeout: 60_000 }, async () => {
    const own = directory();
    await using recorder = await startServer({ dataDir: own });
    await record(recorder.port, "interrupted", baseTopics(drive));
    const opened = async (port: number): Promise<Server> => {
      const door = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
      await once(door, "listening");
      return door;
    };
    const door = await opened(0);
    const { port } = door.address() as AddressInfo;
    const words = ["--when-reachable", `127.0.0.1:${port}`, "--rate", "1MB"];
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, ...words);
    await until(own, "it is on its way", ({ sentRows }) => (sentRows ?? 0) > 0);
    door.close();
    const why = `127.0.0.1:${port} is not reachable`;
    const view = await until(own, "it is closed", ({ state }) => state === "closed");
    expect(view).toMatchObject({ closed: why, pendingSessions: 1, syncedSessions: 0, brokenOff: 0, sending: null });
    const again = await opened(port);
    await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
    expect(logged(recorder.stderr(), "session_goes_on")).toHaveLength(1);
    // It was not taken for complete, and not begun anew.
    expect(far.stderr()).not.toMatch(/"session_deleted".*"interrupted:/);
    again.close();
  });

  test("what is deleted here while it is sent goes there too", { timeout: 60_000 }, async () => {
    const own = directory();
    await using recorder = await startServer({ dataDir: own });
    await record(recorder.port, "short-lived", baseTopics(drive));
    // Six megabytes: it is on its way for a while.
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--rate", "500kB");
    using client = new FlightClient(far.port);
    const isThere = (): Promise<boolean> =>
      client.info({ resource_locator: "short-lived/sensors/gps" }).then(
        () => true,
        () => false,
      );
    while (!(await isThere())) await sleep(20);
    using operator = new FlightClient(recorder.port);
    await operator.action("sequence_delete", { locator: "short-lived" });
    while (await isThere()) await sleep(20);
    // It is gone there before its answer is here.
    expect(await until(own, "nothing is sent", ({ state }) => state === "idle")).toMatchObject({ sending: null });
    await expect.poll(() => recorder.stderr()).toMatch(/"session_deleted_while_sent".*"there":"deleted"/);
    expect(recorder.stderr()).not.toMatch(/session_synced/);
    expect((await runToEnd(["verify", "--data-dir", own])).code).toBe(0);
  });

  test("classes say what goes first and what never goes, by names and by contents", { timeout: 60_000 }, async () => {
    const own = directory();
    await using recorder = await startServer({ dataDir: own });
    await record(recorder.port, "plain-1", labelTopics(drive));
    await record(recorder.port, "test-1", labelTopics(drive));
    // Only the longer drive has the emergency stop.
    await record(recorder.port, "drive-short", baseTopics(drive).slice(1, 2));
    await record(recorder.port, "drive-long", baseTopics({ ...drive, seconds: 70 }).slice(1, 2));
    const query = (of: object): string => JSON.stringify(of);
    const words = [
      ...["--class", `test:never=${query({ sequence: { name: { $match: "test-*" } } })}`],
      ...["--class", `stop:10=${query({ ontology: { "imu.acceleration.x": { $lt: -5 } } })}`],
      ...["--class", `labels:-1=${query({ topic: { ontology_tag: { $eq: "string" } } })}`],
    ];
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, ...words);
    const view = await until(own, "three are there", ({ syncedSessions }) => syncedSessions === 3);
    expect(view).toMatchObject({ leftOutSessions: 1, pendingSessions: 0 });
    // The log follows the catalog.
    await expect
      .poll(() => logged(recorder.stderr(), "session_synced").map(({ session }) => session.split(":", 1)[0]))
      .toEqual(["drive-long", "drive-short", "plain-1"]);
    using client = new FlightClient(far.port);
    await expect(client.info({ resource_locator: "test-1" })).rejects.toThrow(/Not found/);
    const { code, stderr } = await runToEnd([
      "sync",
      "add",
      "bad",
      "grpc://h",
      "--class",
      'x={"nothing":{}}',
      "--data-dir",
      own,
    ]);
    expect([code, stderr]).toEqual([64, expect.stringMatching(/--class x: .*found "nothing"/)]);
  });

  test("what is slow by its class gives way to what is more urgent, and goes on later", {
    timeout: 60_000,
  }, async () => {
    const own = directory();
    await using recorder = await startServer({ dataDir: own });
    await record(recorder.port, "video-1", baseTopics(drive));
    const video = JSON.stringify({ sequence: { name: { $match: "video-*" } } });
    // Six megabytes: by itself it would take a minute.
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--class", `video:-1@100kB=${video}`);
    await until(own, "it is on its way", ({ sentRows }) => (sentRows ?? 0) > 0);
    await record(recorder.port, "event-1", labelTopics(drive));
    const view = await until(own, "the other one is there", ({ syncedSessions }) => syncedSessions === 1);
    expect(view).toMatchObject({ pendingSessions: 1, brokenOff: 0 });
    expect(logged(recorder.stderr(), "session_gave_way").map(({ session }) => session.split(":", 1)[0])).toEqual([
      "video-1",
    ]);
    await until(own, "it goes on", ({ sending }) => sending?.session.startsWith("video-1:") === true);
    expect(far.stderr()).not.toMatch(/"session_deleted".*"video-1:/);
    expect((await metadataOf(far.port, `event-1/${labelTopics(drive)[0]?.path}`)).locked).toBe(true);
  });

  test("a store that has lost its catalog sends nothing twice", { timeout: 60_000 }, async () => {
    const own = directory();
    {
      await using recorder = await startServer({ dataDir: own });
      await record(recorder.port, "rebuilt", baseTopics(drive));
      await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
      await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
      await recorder.stop();
    }
    rmSync(path.join(own, "catalog"), { recursive: true });
    expect((await runToEnd(["rebuild", "--data-dir", own])).code).toBe(0);
    await using recorder = await startServer({ dataDir: own });
    expect(JSON.parse(await command(own, "status", "--json"))).toEqual([]);
    await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    await until(own, "it is known to be there", ({ syncedSessions }) => syncedSessions === 1);
    await expect.poll(() => recorder.stderr()).toMatch(/"session_synced".*"bytes":0,/);
    await record(recorder.port, "rebuilt", labelTopics(drive), false);
    await until(own, "and the next one", ({ syncedSessions }) => syncedSessions === 2);
    using client = new FlightClient(far.port);
    const { sessions } = JSON.parse(
      Buffer.from((await client.info({ resource_locator: "rebuilt" })).appMetadata).toString(),
    ) as { sessions: unknown[] };
    expect(sessions).toHaveLength(2);
  });
});
