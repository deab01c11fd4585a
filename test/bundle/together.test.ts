// Several commands on one bundle or one store at the same time, and what a refused import leaves behind.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { Float64, Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { claimOutside } from "../../src/host/outside-file.ts";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { blobs } from "../load/robot.ts";
import { runToEnd, serverCommand, startServer } from "../server.ts";
import { command, contents, isThere, record, until } from "../sync/edges.ts";
import { openOldFront } from "../sync/old-front.ts";
import { bundle, done, Place, type Recorded, recordIn, sessionsOf } from "./stores.ts";

const place = new Place("together");
let store: Recorded;
let trust: readonly string[];

beforeAll(async () => {
  store = await recordIn(place);
  trust = ["--trust", store.publicKey];
});
afterAll(() => place[Symbol.dispose]());

const exportWords = (file: string, ...more: string[]): string[] => [
  ...["export", file, "--data-dir", store.dataDir, "--key", store.keyFile],
  ...more,
];

test("of exports to one file at the same time one writes it, also in the eyes of others", {
  timeout: 60_000,
}, async () => {
  const file = place.path("busy.tar");
  {
    await using _claim = await claimOutside(file);
    expect(await bundle(...exportWords(file))).toEqual({
      code: 75,
      stdout: "",
      stderr: `mosaico-edge: ${file} is being written by another command.\n`,
    });
    expect(readdirSync(place.root).filter((name) => name.startsWith("busy"))).toEqual([]);
  }
  const ends = await Promise.all([1, 2, 3].map(() => bundle(...exportWords(file))));
  // Who comes late finds all of it.
  for (const { code, stderr } of ends) expect([0, 75], stderr).toContain(code);
  expect(ends.map(({ code }) => code)).toContain(0);
  expect(await done("verify", file)).toMatch(/sound: 3 sessions/);
});

/** Lines of a log, without those of a server that ends while another command sends to it: that one goes on elsewhere. */
function unlessStopping(stderr: string): string[] {
  return stderr
    .split("\n")
    .filter((line) => line !== "" && !/"upload_broken_off".*"The server is stopping;/.test(line));
}

test("imports into a store that nobody serves may begin at once, and go on when the one that serves it dies", {
  timeout: 120_000,
}, async () => {
  const files = ["drive-1", "walk-1"].map((sequence) => [sequence, place.path(`${sequence}.tar`)] as const);
  for (const [sequence, file] of files) await done(...exportWords(file, "--sequence", sequence));
  const wordsOf = (file: string, dataDir: string): string[] => [
    "import",
    file,
    "--create",
    "--data-dir",
    dataDir,
    ...trust,
  ];
  for (const round of [1, 2, 3]) {
    const dataDir = place.path(`imports-${round}`);
    const ends = await Promise.all(files.map(([, file]) => bundle(...wordsOf(file, dataDir))));
    for (const { code, stderr, stdout } of ends) expect([code, unlessStopping(stderr)], stdout).toEqual([0, []]);
  }
  const dataDir = place.path("dying");
  const { file: program, args } = serverCommand();
  const [[, first], [, second]] = files as [(typeof files)[0], (typeof files)[0]];
  const dying = spawn(program, [...args, "bundle", ...wordsOf(first, dataDir)], { stdio: "ignore" });
  const namesIn = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);
  const areOnTheirWay = (commands: number): boolean => namesIn(path.join(dataDir, "bundles")).length === commands;
  while (!areOnTheirWay(1) && dying.exitCode === null) await sleep(2);
  // Held up, so that the other one comes while it serves.
  dying.kill("SIGSTOP");
  const other = bundle(...wordsOf(second, dataDir));
  while (!areOnTheirWay(2)) await sleep(2);
  await sleep(200);
  const ended = once(dying, "exit");
  if (dying.exitCode === null) {
    dying.kill("SIGKILL");
    await ended;
  }
  const begunMs = performance.now();
  expect(await other).toMatchObject({ code: 0, stderr: "" });
  expect(performance.now() - begunMs, "it does not wait for who is gone").toBeLessThan(30_000);
  expect(await bundle(...wordsOf(first, dataDir))).toMatchObject({ code: 0 });
  await using server = await startServer({ dataDir });
  expect(await sessionsOf(server.port, "drive-1")).toBe(2);
  expect(await sessionsOf(server.port, "walk-1")).toBe(1);
});

test("the same bundle twice at once: one of them says that the other brings it", { timeout: 60_000 }, async () => {
  const file = place.path("twice.tar");
  await done(...exportWords(file));
  const dataDir = place.path("twice");
  const ends = await Promise.all([1, 2].map(() => bundle("import", file, "--create", "--data-dir", dataDir, ...trust)));
  for (const { code, stderr } of ends)
    expect([code, stderr]).toEqual(
      code === 0 ? [0, ""] : [75, expect.stringMatching(/^mosaico-edge: Bundle \S+ is being brought there already/)],
    );
  expect(ends.map(({ code }) => code)).toContain(0);
});

async function firstSessionOf(client: FlightClient, sequence: string): Promise<string> {
  const info = await client.info({ resource_locator: sequence });
  const { sessions } = JSON.parse(Buffer.from(info.appMetadata).toString()) as { sessions: { locator: string }[] };
  const [first] = sessions;
  if (first === undefined) throw new RangeError(`${sequence} has a session`);
  return first.locator;
}

test("a refused import leaves no sequence of its own, and those of others alone", { timeout: 60_000 }, async () => {
  const own = place.path("wrong-models");
  {
    await using recorder = await startServer({ dataDir: own, args: ["--ontology-policy", "off"] });
    const column = makeVector(makeData({ type: new Float64(), data: Float64Array.of(1, 2) }));
    const times = makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(1n, 2n) }));
    const messages = toMessages([{ timestamp_ns: times, nothing_of_a_gps: column }]);
    const topic = { path: "gps", ontologyTag: "gps", userMetadata: {}, messages, rows: 2 };
    for (const sequence of ["taken", "refused"]) await record(recorder.port, sequence, [topic]);
  }
  const file = place.path("wrong-models.tar");
  await done("export", file, "--data-dir", own, "--key", store.keyFile);
  await using server = await startServer({ dataDir: place.path("strict"), args: ["--ontology-policy", "strict"] });
  await using lax = await startServer({ dataDir: place.path("lax"), args: ["--ontology-policy", "off"] });
  using client = new FlightClient(server.port);
  const taken = randomUUID();
  await client.action("sequence_create", { locator: "taken", user_metadata: { of: "somebody" }, uuid: taken });
  const { code, stdout } = await bundle("import", file, "--data-dir", server.dataDir, ...trust);
  expect([code, stdout]).toEqual([
    1,
    expect.stringMatching(/refused:\S+: not taken: refused: .*\ntaken:\S+: not taken: conflict: .*\n0 brought/),
  ]);
  await expect(client.info({ resource_locator: "refused" })).rejects.toThrow(/Not found/);
  // One that was there before stays, though it was made by such an import: there may be notes on it.
  const wanted = await bundle("import", file, "--data-dir", lax.dataDir, ...trust);
  expect(wanted).toMatchObject({ code: 0 });
  using operator = new FlightClient(lax.port);
  await operator.action("session_delete", { locator: await firstSessionOf(operator, "refused") });
  await lax.stop();
  {
    await using strict = await startServer({ dataDir: lax.dataDir, args: ["--ontology-policy", "strict"] });
    expect(await bundle("import", file, "--data-dir", lax.dataDir, ...trust)).toMatchObject({ code: 1 });
    using reader = new FlightClient(strict.port);
    await reader.info({ resource_locator: "refused" });
  }
  await client.info({ resource_locator: "taken" });
  // Whoever asks for it deletes one that is empty, and no other.
  const { uuid } = (await client.action("session_create", { locator: "taken" })) as { uuid: string };
  const onlyEmpty = (of: string = taken): Promise<unknown> =>
    client.action("edge_sequence_delete_empty", { locator: "taken", uuid: of });
  await expect(onlyEmpty()).rejects.toThrow(/Sequence `taken` has sessions: it was not deleted/);
  await client.action("session_delete", { session_uuid: uuid });
  await expect(onlyEmpty(randomUUID()), "another one of that name").rejects.toThrow(/Not found/);
  await onlyEmpty();
  await expect(client.info({ resource_locator: "taken" })).rejects.toThrow(/Not found/);
});

test("what was refused of an import stays when somebody else has brought it meanwhile", {
  timeout: 60_000,
}, async () => {
  const own = place.path("origin");
  const file = place.path("meanwhile.tar");
  await using recorder = await startServer({ dataDir: own, args: ["--ontology-policy", "off"] });
  const times = makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(1n, 2n) }));
  const wrong = { timestamp_ns: times, nothing_of_a_gps: blobs([new Uint8Array(1), new Uint8Array(1)]) };
  const pictures = Array.from({ length: 48 }, () => ({
    timestamp_ns: times,
    data: blobs([new Uint8Array(2e6), new Uint8Array(0)]),
  }));
  for (const [sequence, ontologyTag, columns] of [
    ["a-wrong", "gps", [wrong]],
    ["z-big", "camera", pictures],
  ] as const) {
    const topic = { path: "only", ontologyTag, userMetadata: {}, messages: toMessages(columns), rows: 2 };
    await record(recorder.port, sequence, [topic]);
  }
  await done("export", file, "--data-dir", own, "--key", store.keyFile);
  const dataDir = place.path("meanwhile");
  await using strict = await startServer({ dataDir, args: ["--ontology-policy", "strict"] });
  const { file: program, args } = serverCommand();
  const importing = spawn(program, [...args, "bundle", "import", file, "--data-dir", dataDir, ...trust], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = Promise.all([once(importing, "exit"), text(importing.stdout)]);
  while (!(await isThere(strict.port, "z-big"))) expect(importing.exitCode).toBe(null);
  importing.kill("SIGSTOP");
  await strict.kill();
  await using lax = await startServer({ dataDir, args: ["--ontology-policy", "off"] });
  await command(own, "add", "there", `grpc://127.0.0.1:${lax.port}`, "--include", "a-wrong");
  await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
  importing.kill("SIGCONT");
  const [[code], stdout] = await ended;
  expect([code, stdout]).toEqual([1, expect.stringMatching(/a-wrong:\S+: not taken: refused: .*\n1 brought, 0 were/s)]);
  expect(await sessionsOf(lax.port, "a-wrong")).toBe(1);
  expect(await contents(lax.port, "a-wrong/only")).toEqual(await contents(recorder.port, "a-wrong/only"));
});

test("nothing is imported where there is no store, unless one is to be made", { timeout: 60_000 }, async () => {
  const file = place.path("nowhere.tar");
  await done(...exportWords(file));
  const dataDir = place.path("mistyped");
  expect(await bundle("import", file, "--data-dir", dataDir, ...trust)).toEqual({
    code: 66,
    stdout: "",
    stderr: `mosaico-edge: There is no data directory ${dataDir}; --create makes one\n`,
  });
  expect(existsSync(dataDir)).toBe(false);
  expect(await done("import", file, "--create", "--data-dir", dataDir, ...trust)).toMatch(
    `3 brought, 0 were there already; into ${dataDir}\n`,
  );
});

test("a push ends at once where to try again is in vain", { timeout: 60_000 }, async () => {
  const file = place.path("pushed.tar");
  await done(...exportWords(file));
  await using server = await startServer({ dataDir: place.path("locked"), args: ["--api-key"] });
  const garbled = place.path("garbled.key");
  writeFileSync(garbled, "msco_0123456789abcdefghijklmnopqrstuv_00000000\n");
  const plain = `grpc://127.0.0.1:${server.port}`;
  const refused: readonly (readonly [string[], number, RegExp])[] = [
    [["--to", plain, "--api-key-file", "/nowhere"], 66, /The API key: Cannot read \/nowhere/],
    [["--to", plain, "--api-key-file", garbled], 64, /fingerprint/],
    [["--to", `grpc+tls://127.0.0.1:${server.port}`, "--ca", "/nowhere"], 64, /--ca: Cannot read \/nowhere/],
    [["--to", plain], 77, /Missing API key/],
  ];
  for (const [words, code, message] of refused) {
    const begunMs = performance.now();
    const ended = await bundle("push", file, ...words, "--data-dir", place.path("pushing"), ...trust);
    expect([ended.code, ended.stderr], words.join(" ")).toEqual([code, expect.stringMatching(message)]);
    expect(performance.now() - begunMs, words.join(" ")).toBeLessThan(20_000);
  }
});

test("what was deleted at a daemon since it was pushed is brought again by the same command", {
  timeout: 60_000,
}, async () => {
  const file = place.path("again.tar");
  await done(...exportWords(file, "--sequence", "walk-1"));
  await using server = await startServer({ dataDir: place.path("again") });
  await using front = await openOldFront(() => server.port);
  const push = [
    "push",
    file,
    "--to",
    `grpc://127.0.0.1:${front.port}`,
    "--data-dir",
    place.path("again-pushing"),
    ...trust,
  ];
  expect(await done(...push)).toMatch(/1 brought, 0 were there already/);
  using operator = new FlightClient(server.port);
  await operator.action("sequence_delete", { locator: "walk-1" });
  expect(await done(...push)).toMatch(/1 brought, 0 were there already/);
  expect(await done(...push)).toMatch(/0 brought, 1 were there already/);
  expect(await sessionsOf(server.port, "walk-1")).toBe(1);
});

test("patterns that fit nothing are said, for one may be mistyped", { timeout: 60_000 }, async () => {
  const refused: readonly (readonly [string[], number, RegExp])[] = [
    [
      ["--sequence", "drive-*", "--sequence", "wlak-*"],
      66,
      /--sequence: there is no sequence with a name like "wlak-\*"/,
    ],
    [["--sequence", "drive-[12"], 64, /--sequence: expected a pattern like .*found "drive-\[12"/],
  ];
  for (const [words, code, message] of refused) {
    const ended = await runToEnd(["bundle", ...exportWords(place.path("none.tar"), ...words)]);
    expect([ended.code, ended.stderr], words.join(" ")).toEqual([code, expect.stringMatching(message)]);
    expect(existsSync(path.join(place.root, "none.tar"))).toBe(false);
  }
});
