// kill -9 of an export, of an import, and of the server under it, at random moments: the same command given again ends it, once and equal.
// MOSAICO_BUNDLE_DEATHS says how often each dies.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { runToEnd, serverCommand, startServer } from "../server.ts";
import { record } from "../sync/edges.ts";
import { bundle, done, drive, everythingOf, Place, sessionsOf, smallChunks } from "./stores.ts";

const deaths = Number(process.env["MOSAICO_BUNDLE_DEATHS"] ?? 12);

const place = new Place("bundle-deaths");
const dataDir = place.path("recorder");
const keyFile = place.path("robot.key");
const topics = [...baseTopics({ ...drive, seconds: 60 }), ...labelTopics({ ...drive, seconds: 60 })];
const locators = ["drive-1", "drive-2"].flatMap((sequence) => topics.map(({ path: below }) => `${sequence}/${below}`));
let publicKey: string;
let everything: unknown;

beforeAll(async () => {
  await using recorder = await startServer({ dataDir, args: smallChunks });
  for (const sequence of ["drive-1", "drive-2"]) await record(recorder.port, sequence, topics);
  everything = await everythingOf(recorder.port, locators);
  await recorder.stop();
  publicKey = (await done("keygen", keyFile)).trim();
});
afterAll(() => place[Symbol.dispose]());

/** Starts a command and ends it by force after some time; whether it had come to its end before. */
async function killed(words: readonly string[], afterMs: number): Promise<boolean> {
  const { file, args } = serverCommand();
  const child = spawn(file, [...args, "bundle", ...words], { stdio: "ignore" });
  const ended = once(child, "exit") as Promise<[number | null]>;
  const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
  const [code] = await ended;
  clearTimeout(timer);
  return code !== null;
}

async function timeOf(act: () => Promise<unknown>): Promise<number> {
  const begunMs = performance.now();
  await act();
  return performance.now() - begunMs;
}

test(`${deaths} deaths of an export`, { timeout: 60_000 + deaths * 5_000 }, async () => {
  const random = new Random("export deaths");
  const coverage = new Coverage("export deaths", ["before it wrote", "while it wrote", "in parts", "in one file"]);
  const wordsOf = (file: string, isSplit: boolean): string[] => [
    ...["export", file, "--data-dir", dataDir, "--key", keyFile],
    ...(isSplit ? ["--split", "5MB"] : []),
  ];
  const wholeMs = await timeOf(() => done(...wordsOf(place.path("whole.tar"), false)));
  for (let death = 0; death < deaths; death += 1) {
    const isSplit = death % 2 === 1;
    const file = place.path(`death-${death}.tar`);
    const words = wordsOf(file, isSplit);
    // Several deaths of one export, each later than the one before or not.
    for (let times = 1 + random.below(3); times > 0; times -= 1) {
      const isEnded = await killed(words, 0.3 * wholeMs + random.next() * 0.8 * wholeMs);
      const names = readdirSync(place.root).filter((name) => name.startsWith(path.basename(file)));
      if (names.length === 0) coverage.hit("before it wrote");
      else if (!isEnded) coverage.hit("while it wrote");
      if (!isEnded && existsSync(file))
        expect(await bundle("verify", file), "what has its name is whole").toMatchObject({ code: 0 });
    }
    await done(...words);
    expect(await bundle("verify", file, "--trust", publicKey)).toMatchObject({ code: 0, stderr: "" });
    const names = readdirSync(place.root).filter((name) => name.startsWith(path.basename(file)));
    expect(names.filter((name) => name.includes(".partial"))).toEqual([]);
    coverage.hit(isSplit ? "in parts" : "in one file");
    for (const name of names) rmSync(place.path(name));
  }
  coverage.check();
});

test(`${deaths} deaths of an import and of the server under it`, { timeout: 60_000 + deaths * 20_000 }, async () => {
  const random = new Random("import deaths");
  const kinds = ["the command alone", "the command beside a server", "the server"] as const;
  const coverage = new Coverage("import deaths", [...kinds, "while it sent"]);
  const file = place.path("whole.tar");
  expect(statSync(file).size).toBeGreaterThan(30_000_000);
  const wordsOf = (into: string): string[] => ["import", file, "--create", "--data-dir", into, "--trust", publicKey];
  const wholeMs = await timeOf(() => done(...wordsOf(place.path("whole"))));
  for (let death = 0; death < deaths; death += 1) {
    const kind = kinds[death % kinds.length] ?? "the server";
    const into = place.path(`import-${death}`);
    const words = wordsOf(into);
    const afterMs = 0.2 * wholeMs + random.next() * 0.8 * wholeMs;
    if (kind === "the command alone") {
      for (let times = 1 + random.below(2); times > 0; times -= 1) await killed(words, afterMs);
    } else {
      await using server = await startServer({ dataDir: into });
      if (kind === "the command beside a server") await killed(words, afterMs);
      else {
        const ended = bundle(...words, "--wait", "1");
        await sleep(afterMs);
        await server.kill();
        expect([0, 69], (await ended).stderr).toContain((await ended).code);
      }
    }
    coverage.hit(kind);
    if (existsSync(path.join(into, "bundles"))) coverage.hit("while it sent");
    await using server = await startServer({ dataDir: into });
    const { code, stderr } = await bundle(...words);
    expect([code, stderr], `death ${death}: ${kind}`).toEqual([0, ""]);
    expect(await everythingOf(server.port, locators), `death ${death}: ${kind}`).toEqual(everything);
    for (const sequence of ["drive-1", "drive-2"]) expect(await sessionsOf(server.port, sequence)).toBe(1);
    expect(existsSync(path.join(into, "bundles"))).toBe(false);
    await server.stop();
    expect((await runToEnd(["verify", "--data-dir", into])).code).toBe(0);
    rmSync(into, { recursive: true });
  }
  coverage.check();
  expect(readFileSync(file).byteLength).toBe(statSync(file).size);
});
