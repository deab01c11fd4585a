// Sync to a real central daemon: MOSAICOD_URL says where it is, MOSAICOD_KEY_FILE has the API key where it wants one, and
// MOSAICOD_COMMAND starts it where it is to be killed too. What an SDK and a robot record here is read there, equal; also over a link on
// which everything goes wrong, while both ends are killed again and again. `npm run test:central` fails without a daemon; other runs of
// the tests leave this out.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseRemoteUrl } from "../../src/model/remote-url.ts";
import { done } from "../bundle/stores.ts";
import { expectAllOk, python, recordModels, runDriver } from "../clients/driver.ts";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { type RunningServer, runToEnd, startServer } from "../server.ts";
import { openBadLink } from "./bad-link.ts";
import { command, logged, record, type TargetView, targetOf, until } from "./edges.ts";

const url = process.env["MOSAICOD_URL"];
const keyFile = process.env["MOSAICOD_KEY_FILE"];
const daemonCommand = process.env["MOSAICOD_COMMAND"];
const isWanted = process.env["MOSAICO_CENTRAL"] === "1";
if (isWanted && url === undefined)
  throw new Error("MOSAICOD_URL says where the central daemon is, like grpc://127.0.0.1:6726");
const slowMs = 600_000;
const runs = Number(process.env["MOSAICO_SYNC_RUNS"] ?? 20);
/** Of each end. */
const deathsWanted = Number(process.env["MOSAICO_SYNC_DEATHS"] ?? 3);
const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;
const phases = [
  "create_sequence",
  "create_session",
  "create_topic",
  "put",
  "end_put",
  "finalize",
  "show_topic",
] as const;

describe.skipIf(url === undefined)("a central daemon", () => {
  const { host, port } = parseRemoteUrl(url ?? "grpc://127.0.0.1");
  const keyWords = keyFile === undefined ? [] : ["--api-key-file", keyFile];
  const readWords = keyFile === undefined ? [] : ["--api-key", readFileSync(keyFile, "utf8").trim()];
  /** The daemon keeps what earlier runs brought. */
  const run = `run${Date.now().toString(36)}`;
  let dataDir: string;
  let near: RunningServer;
  let permissions: readonly string[] = [];
  let daemon: ChildProcess | undefined;

  /** Starts it and waits until it answers, where it is ours to start. */
  async function startDaemon(): Promise<void> {
    if (daemonCommand === undefined) return;
    daemon = spawn("sh", ["-c", `exec ${daemonCommand}`], { stdio: "ignore" });
    while ((await runToEnd(["sync", "check", url ?? "", ...keyWords, "--data-dir", dataDir])).code !== 0)
      await sleep(100);
  }

  async function killDaemon(): Promise<void> {
    if (daemon === undefined) return;
    const ended = once(daemon, "exit");
    daemon.kill("SIGKILL");
    await ended;
  }

  beforeAll(async () => {
    await python.ensureEnvironments();
    dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-central-"));
    near = await startServer({ dataDir });
    await startDaemon();
    const check = JSON.parse(await command(dataDir, "check", url ?? "", ...keyWords, "--json")) as {
      kind: string;
      permissions: string[];
    };
    console.log(`central: ${JSON.stringify(check)}`);
    expect(check.kind).toBe("mosaicod");
    ({ permissions } = check);
  }, slowMs);

  afterAll(async () => {
    await near?.[Symbol.asyncDispose]();
    await killDaemon();
    if (dataDir !== undefined) rmSync(dataDir, { recursive: true, force: true });
  });

  async function expectEqual(sequences: readonly string[]): Promise<void> {
    const args = [String(near.port), host, String(port), ...sequences, ...readWords, "--probe", "A"];
    const result = await runDriver("pyarrow", "synced.py", args);
    for (const { check, detail } of result.checks.slice(0, 10)) console.log(`${check}: ${JSON.stringify(detail)}`);
    expectAllOk(
      "read back from the centre",
      result,
      sequences.map((sequence) => `synced: ${sequence}`),
    );
  }

  it("gets what an SDK and a robot record, equal", { timeout: slowMs }, async () => {
    const dump = path.join(dataDir, "models.dump");
    const models = await recordModels("0.4.3", near.port, dump);
    await record(near.port, `${run}-drive`, baseTopics(drive));
    await record(near.port, `${run}-drive`, labelTopics(drive), false);
    // What runs before this one brought has the same names.
    await command(dataDir, "add", "centre", url ?? "", ...keyWords, "--include", `${run}-*`, "--verify", "contents");
    await until(dataDir, "the drive is there", ({ syncedSessions }) => syncedSessions === 2);
    await expectEqual([`${run}-drive`]);
    await command(dataDir, "remove", "centre");

    await command(dataDir, "add", "models", url ?? "", ...keyWords, "--include", models);
    const view = await until(dataDir, "the models have ended", ({ pendingSessions }) => pendingSessions === 0);
    if (view.parked.some(({ cause }) => cause === "conflict"))
      console.log(`${models} is there from another run: not compared`);
    else {
      expect(view.parked).toEqual([]);
      const args = ["read-foreign", host, String(port), "--foreign", String(port), models, dump, ...readWords];
      expectAllOk("0.4.3 there", await runDriver("sdk-0.4.3", "sdk.py", args), [`foreign: ${models} read by 0.4.3`]);
    }
    await command(dataDir, "remove", "models");
  });

  it("gets images of several sizes so that it can read them back", { timeout: slowMs }, async () => {
    const name = `${run}-images`;
    await record(near.port, name, baseTopics({ ...drive, seconds: 120 }).slice(2, 3));
    await command(dataDir, "add", "images", url ?? "", ...keyWords, "--include", name, "--verify", "contents");
    await until(dataDir, "they are there", ({ syncedSessions }) => syncedSessions === 1);
    await expectEqual([name]);
    await command(dataDir, "remove", "images");
  });

  it("gets what a bundle brings, once", { timeout: slowMs }, async () => {
    const name = `${run}-carried`;
    await record(near.port, name, [...baseTopics(drive), ...labelTopics(drive)]);
    const [key, file] = [path.join(dataDir, "bundle.key"), path.join(dataDir, "carried.bundle")];
    const publicKey = (await done("keygen", key)).trim();
    await done("export", file, "--key", key, "--sequence", name, "--data-dir", dataDir);
    for (const times of ["1 brought, 0 were", "0 brought, 1 were"])
      expect(
        await done("push", file, "--to", url ?? "", ...keyWords, "--trust", publicKey, "--data-dir", dataDir),
      ).toContain(times);
    await expectEqual([name]);
  });

  it("gets each session once over a bad link, while both ends are killed", { timeout: 6 * slowMs }, async () => {
    const random = new Random("central: bad link");
    const mayDelete = permissions.includes("delete");
    await using link = await openBadLink({
      target: () => port,
      random,
      faults: ["reset", "reply lost", "trickle"],
      probability: 0.9,
      bytesMax: 400_000,
    });
    await command(dataDir, "add", "bad", `grpc://127.0.0.1:${link.port}`, ...keyWords, "--include", `${run}-bad-*`);
    let log = "";
    const deaths = { here: 0, there: 0 };
    const sequences: string[] = [];
    const brokenOff = (): string[] => logged(log + near.stderr(), "sync_broken_off").map(({ during }) => during);
    const isCovered = (): boolean =>
      phases.every((one) => brokenOff().includes(one)) &&
      deaths.here >= deathsWanted &&
      (daemon === undefined || deaths.there >= deathsWanted);
    let view: TargetView = await targetOf(dataDir);
    do {
      for (let one = 0; one < 10; one += 1) {
        const sequence = `${run}-bad-${sequences.length}`;
        await record(
          near.port,
          sequence,
          random.chance(0.3) ? [...baseTopics({ ...drive, seconds: 2 }), ...labelTopics(drive)] : labelTopics(drive),
        );
        sequences.push(sequence);
        if (!random.chance(0.4)) continue;
        await sleep(random.below(500));
        if (daemon !== undefined && random.chance(0.5)) {
          await killDaemon();
          await startDaemon();
          deaths.there += 1;
        } else {
          log += `${near.stderr()}\n`;
          await near.kill();
          near = await startServer({ dataDir });
          deaths.here += 1;
        }
      }
      view = await until(dataDir, "all have ended", ({ pendingSessions }) => pendingSessions === 0, 3_000);
    } while (sequences.length < runs || (!isCovered() && sequences.length < 10 * Math.max(runs, deathsWanted)));
    link.mend();
    const parked = new Set(view.parked.map(({ session }) => session.slice(0, session.indexOf(":"))));
    const causes = [...Map.groupBy(view.parked, ({ cause }) => cause)].map(
      ([cause, list]) => `${cause} ${list.length}`,
    );
    console.log(
      `central: ${sequences.length} sessions, deaths here ${deaths.here}, there ${deaths.there}, synced ${view.syncedSessions}, parked ${causes.join(", ") || "none"}`,
    );
    // Without the permission what a lost reply left cannot be taken away.
    if (mayDelete) expect(view.parked).toEqual([]);
    else
      expect([...new Set(view.parked.map(({ cause }) => cause))].filter((cause) => cause !== "reply_lost")).toEqual([]);
    const synced = sequences.filter((sequence) => !parked.has(sequence));
    await expectEqual(synced);
    const coverage = new Coverage("central: broken off", phases);
    for (const during of brokenOff()) if (phases.some((one) => one === during)) coverage.hit(during);
    coverage.check();
    await command(dataDir, "remove", "bad");
  });
});
