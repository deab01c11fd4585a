// What is said of a target, shown, and said anew: by commands, beside the server that goes by it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { openCatalog } from "../../src/catalog/catalog.ts";
import { findTarget, putTarget } from "../../src/catalog/target-rows.ts";
import { keysOfTarget } from "../../src/catalog/transfer-rows.ts";
import { openDisk } from "../../src/host/disk.ts";
import type { Ulid } from "../../src/model/resource.ts";
import { catalogDirectory } from "../../src/store/layout.ts";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { createKey, runToEnd, serverCommand, startServer } from "../server.ts";
import { command, contents, logged, record, until } from "./edges.ts";
import { folders } from "./folders.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;
const directory = folders("targets");

type Shown = Readonly<Record<string, string | boolean | readonly string[]>>;

async function shown(dataDir: string, name: string): Promise<Shown> {
  return JSON.parse(await command(dataDir, "show", name, "--json")) as Shown;
}

/** The flags that say what is shown. */
function flagsOf({ target: _name, url: _url, paused: _paused, ...said }: Shown): string[] {
  return Object.entries(said).flatMap(([flag, value]) => {
    if (typeof value === "boolean") return value ? [`--${flag}`] : [];
    return [value].flat().flatMap((text) => [`--${flag}`, String(text)]);
  });
}

test("what is shown of a target is what was said, in words that say it again", { timeout: 60_000 }, async () => {
  const own = directory();
  await using _server = await startServer({ dataDir: own });
  const said = [
    ...["--ca", "/etc/ca.pem", "--api-key-file", "/etc/key", "--on-conflict", "extend", "--verify", "contents"],
    ...["--include", "drive-*", "--include", "stop-[0-9]?", "--exclude", "{test,trial}-*"],
    ...["--rate", "08:00-18:30=200kB", "--rate", "22:00-6:05=0", "--rate", "1048577", "--interface", "wwan0"],
    ...["--class", 'stop:10={"sequence":{"name":{"$match":"stop-*"}}}', "--class", "video:-1@3MiB={}"],
    ...["--class", "idle:never={}", "--classes-only", "--when-reachable", "[fe80::1]:443"],
  ];
  await command(own, "add", "first", "grpcs://centre.example", ...said);
  const first = await shown(own, "first");
  expect(first).toEqual({
    target: "first",
    url: "grpc+tls://centre.example:6726",
    ca: "/etc/ca.pem",
    "api-key-file": "/etc/key",
    include: ["drive-*", "stop-[0-9]?"],
    exclude: ["{test,trial}-*"],
    class: ['stop:10={"sequence":{"name":{"$match":"stop-*"}}}', "video:-1@3MiB={}", "idle:never={}"],
    "classes-only": true,
    rate: ["08:00-18:30=200kB", "22:00-06:05=0", "1048577"],
    interface: ["wwan0"],
    "when-reachable": "[fe80::1]:443",
    "on-conflict": "extend",
    verify: "contents",
    paused: false,
  });
  await command(own, "add", "second", String(first["url"]), ...flagsOf(first));
  expect(await shown(own, "second")).toEqual({ ...first, target: "second" });
  // What is not named stays, what is named is replaced, and `--no-` leaves nothing of it.
  await command(own, "pause", "second");
  await command(own, "set", "second", "--rate", "1GB", "--no-include", "--no-ca", "--no-classes-only", "--no-class");
  const { ca: _ca, ...rest } = first;
  const changed = { target: "second", rate: ["1GB"], include: [], "classes-only": false, class: [], paused: true };
  expect(await shown(own, "second")).toEqual({ ...rest, ...changed });
  expect(await command(own, "show", "second")).toMatch(/^rate: 1GB$/m);
});

test("a key that others could read on its way is remarked upon", { timeout: 60_000 }, async () => {
  const own = directory();
  await using _server = await startServer({ dataDir: own });
  const remarked = async (...words: string[]): Promise<string> => {
    const { code, stderr } = await runToEnd(["sync", ...words, "--data-dir", own]);
    expect(code, stderr).toBe(0);
    return stderr;
  };
  const key = ["--api-key-file", "/etc/key"];
  const exposed = /^The key goes to 10\.0\.0\.5 unencrypted: .*grpc\+tls/;
  expect(await remarked("add", "plain", "grpc://10.0.0.5", ...key)).toMatch(exposed);
  expect(await remarked("set", "plain", "--rate", "1MB")).toBe("");
  for (const url of ["grpc+tls://10.0.0.5", "grpc://127.0.0.1", "grpc://[::1]:1", "grpc://localhost"])
    expect(await remarked("set", "plain", "--url", url), url).toBe("");
  expect(await remarked("set", "plain", "--url", "grpc://10.0.0.5")).toMatch(exposed);
  expect(await remarked("set", "plain", "--no-api-key-file")).toBe("");
  expect(await remarked("set", "plain", ...key)).toMatch(exposed);
});

test("what cannot be said of a target changes nothing of it", { timeout: 60_000 }, async () => {
  const own = directory();
  await using _server = await startServer({ dataDir: own });
  await command(own, "add", "centre", "grpc://127.0.0.1:9", "--include", "drive-*");
  const before = await shown(own, "centre");
  const refused: readonly (readonly [string[], number, RegExp])[] = [
    [["set", "nowhere", "--rate", "1MB"], 66, /no target nowhere/],
    [["show", "nowhere"], 66, /no target nowhere/],
    [["check", "nowhere"], 66, /no target nowhere/],
    [["set", "centre"], 64, /expected what to change, .*found nothing/],
    [["set", "centre", "--classes-only"], 64, /--classes-only: expected a --class, found none/],
    [["set", "centre", "--url", "http://x"], 64, /expected an address .*found "http:/],
    [["set", "centre", "--ca", "/etc/ca.pem"], 64, /--ca: expected an address like grpc\+tls.*without TLS/],
    [["set", "centre", "--class", 'x={"nothing":{}}'], 64, /--class x: .*found "nothing"/],
    [
      ["set", "centre", "--class", "a={}", "--class", "a={}"],
      64,
      /--class: expected names of their own, found a twice/,
    ],
    [["set", "centre", "--exclude", "a[b"], 64, /--exclude: expected a pattern like .*found "a\[b"/],
    [["add", "other", "grpc://x", "--include", "{a,b"], 64, /--include: expected a pattern like .*found "{a,b"/],
    [["add", "other", "grpc://x", "--include", ""], 64, /--include: expected a pattern like .*found ""/],
    [["add", "other", "grpc://x", "--rate", "2MiB", "--rate", "8:00-9:00=1kB"], 64, /the one without times last/],
    [["add", "other", "grpc://x", "--rate", "8:00-08:00=1kB"], 64, /a time that begins before it ends/],
    [["add", "other", "grpc://x", "--class", "x:1@0={}"], 64, /--class: expected bytes as a number above 0/],
    [["set", "centre", "--api-key-file", ""], 64, /--api-key-file: expected a file, found ""/],
    [["set", "centre", "--ca", ""], 64, /--ca: expected a file, found ""/],
    [["check", "grpc+tls://x", "--ca", ""], 64, /--ca: expected a file, found ""/],
    ...["[:::::]:1", "[1.2.3.4]:1", "[::1]:0", "localhost", ":1"].map((address): [string[], number, RegExp] => [
      ["set", "centre", "--when-reachable", address],
      64,
      /--when-reachable: expected HOST:PORT, found "/,
    ]),
    [["check", "127.0.0.1:6726"], 64, /expected the name of a target, or an address like grpc:/],
    [["add", "centre", "grpc://x"], 73, /a target centre already: sync set changes it/],
  ];
  for (const [words, code, message] of refused) {
    const ended = await runToEnd(["sync", ...words, "--data-dir", own]);
    expect([ended.code, ended.stderr], words.join(" ")).toEqual([code, expect.stringMatching(message)]);
  }
  expect(await shown(own, "centre")).toEqual(before);
});

test("what was left out goes when rules are said anew, also what had begun to go", { timeout: 60_000 }, async () => {
  const [own, farDir] = [directory(), directory()];
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: farDir });
  await record(near.port, "labels", labelTopics(drive));
  await record(near.port, "drive", baseTopics(drive));
  const never = (name: string): string[] => [
    "--class",
    `${name}:never=${JSON.stringify({ sequence: { name: { $match: name } } })}`,
  ];
  const url = `grpc://127.0.0.1:${far.port}`;
  await command(own, "add", "centre", url, ...never("labels"), "--rate", "400kB");
  await until(own, "the drive is on its way", ({ sending, sentRows }) => sending != null && (sentRows ?? 0) > 0);
  await command(own, "set", "centre", ...never("drive"), ...never("labels"));
  const out = await until(own, "both are left out", ({ leftOutSessions }) => leftOutSessions === 2);
  expect(out).toMatchObject({ pendingSessions: 0, syncedSessions: 0, parkedSessions: 0 });
  // A rule of another sequence lets both of them go.
  await command(own, "set", "centre", ...never("other"), "--no-rate");
  await until(own, "both are there", ({ syncedSessions }) => syncedSessions === 2);
  expect(logged(near.stderr(), "session_goes_on").map(({ at }) => at)).toContain("topic");
  for (const { path: below } of baseTopics(drive)) {
    const locator = `drive/${below}`;
    expect(await contents(far.port, locator), locator).toEqual(await contents(near.port, locator));
  }
});

test("what is parked is looked at again when it is said anew what goes", { timeout: 60_000 }, async () => {
  const [own, farDir] = [directory(), directory()];
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: farDir });
  for (const name of ["drive", "stop"]) {
    await record(far.port, name, baseTopics(drive).slice(0, 1));
    await record(near.port, name, labelTopics(drive));
  }
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await until(own, "somebody else has them", ({ parkedSessions }) => parkedSessions === 2);
  await command(own, "set", "centre", "--rate", "10MB");
  await command(own, "set", "centre", "--class", 'drive:never={"sequence":{"name":{"$match":"drive"}}}');
  // The other one is asked again, and parked again.
  await until(
    own,
    "one is not to go any more",
    ({ leftOutSessions, parkedSessions }) => leftOutSessions === 1 && parkedSessions === 1,
  );
  await command(own, "set", "centre", "--on-conflict", "extend");
  await until(own, "the other one is let through", ({ syncedSessions }) => syncedSessions === 1);
  await command(own, "set", "centre", "--no-class");
  const { parked } = await until(own, "both are there", ({ syncedSessions }) => syncedSessions === 2);
  expect(parked).toEqual([]);
});

test("what arrives while its target is changed goes by the new words", { timeout: 60_000 }, async () => {
  const [own, farDir] = [directory(), directory()];
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: farDir });
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  // Held up until the words are other ones; then all of it takes less time than the server needs to notice them.
  process.kill(far.pid, "SIGSTOP");
  await record(near.port, "one", labelTopics(drive));
  await until(own, "it is to go", ({ pendingSessions, state }) => pendingSessions === 1 && state === "connecting");
  await command(own, "set", "centre", "--class", "one:never={}");
  process.kill(far.pid, "SIGCONT");
  const out = await until(own, "it is settled", ({ pendingSessions }) => pendingSessions === 0);
  expect(out).toMatchObject({ leftOutSessions: 1, syncedSessions: 0 });
  await command(own, "set", "centre", "--no-class");
  await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
  for (const { path: below } of labelTopics(drive))
    expect(await contents(far.port, `one/${below}`), below).toEqual(await contents(near.port, `one/${below}`));
});

test("a target whose removal was killed halfway is none: it is removed to its end, or added anew", {
  timeout: 60_000,
}, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  await record(near.port, "one", labelTopics(drive));
  const url = `grpc://127.0.0.1:${far.port}`;
  /** As the first step of a removal leaves it; with how many sessions it has something to do. */
  const leave = async (): Promise<Ulid> => {
    await using catalog = await openCatalog({
      disk: await openDisk(own),
      directory: catalogDirectory,
      onFailure: () => undefined,
    });
    const target = findTarget(catalog, "centre");
    if (target === undefined) throw new RangeError("there is a target");
    expect([...keysOfTarget(catalog.transfers, target.id)].flat()).toHaveLength(1);
    await catalog.transaction(() => putTarget(catalog, { ...target, leaving: true }));
    return target.id;
  };
  const ended = async (...words: string[]): Promise<[unknown, string]> => {
    const { code, stderr } = await runToEnd(["sync", ...words, "--data-dir", own]);
    return [code, stderr];
  };
  await command(own, "add", "centre", url);
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await leave();
  for (const words of [["set", "--rate", "1MB"], ["show"], ["check"], ["pause"], ["resume"], ["now"], ["retry"]]) {
    const [word = "", ...flags] = words;
    expect(await ended(word, "centre", ...flags), word).toEqual([66, expect.stringMatching(/no target centre/)]);
  }
  await command(own, "remove", "centre");
  expect(await ended("remove", "centre")).toEqual([66, expect.stringMatching(/no target centre/)]);
  await command(own, "add", "centre", url);
  await until(own, "it is there again", ({ syncedSessions }) => syncedSessions === 1);
  const before = await leave();
  await command(own, "add", "centre", url, "--rate", "1MB");
  expect(await shown(own, "centre")).toMatchObject({ rate: ["1MB"], paused: false });
  await until(own, "it is there once more", ({ syncedSessions }) => syncedSessions === 1);
  const after = await leave();
  expect(after).not.toBe(before);
});

test("who watches is told as long as somebody reads", { timeout: 60_000 }, async () => {
  const own = directory();
  await using _near = await startServer({ dataDir: own });
  const { file, args } = serverCommand();
  const child = spawn(file, [...args, "sync", "status", "--watch", "--data-dir", own], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  child.stdout.destroy();
  expect(await ended).toEqual([0, null]);
});

test("a check goes by the target's own key and rules, and fails where nothing may be written", {
  timeout: 60_000,
}, async () => {
  const [own, farDir] = [directory(), directory()];
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: farDir, args: ["--api-key"] });
  await record(near.port, "one", labelTopics(drive));
  const keyFile = path.join(directory(), "key");
  const url = `grpc://127.0.0.1:${far.port}`;
  writeFileSync(keyFile, await createKey(farDir, "write"));
  await command(own, "add", "centre", url, "--api-key-file", keyFile, "--include", "one");
  await until(own, "one is there", ({ syncedSessions }) => syncedSessions === 1);
  await record(near.port, "left-out", labelTopics(drive));
  await command(own, "pause", "centre");
  const checked = async (...words: string[]): Promise<[unknown, Shown]> => {
    const { code, stdout } = await runToEnd(["sync", "check", ...words, "--json", "--data-dir", own]);
    return [code, JSON.parse(stdout) as Shown];
  };
  expect(await checked("centre")).toEqual([
    0,
    expect.objectContaining({ kind: "mosaico-edge", permissions: ["read", "write"], wouldSendSessions: 0 }),
  ]);
  expect(await checked("centre", "--include", "*")).toEqual([0, expect.objectContaining({ wouldSendSessions: 1 })]);
  // As an address it is another one, of which nothing is known.
  expect(await checked(url, "--api-key-file", keyFile)).toEqual([0, expect.objectContaining({ wouldSendSessions: 2 })]);
  writeFileSync(keyFile, await createKey(farDir, "read"));
  expect(await checked("centre")).toEqual([
    1,
    expect.objectContaining({ permissions: ["read"], problem: expect.stringMatching(/may not write there/) }),
  ]);
});
