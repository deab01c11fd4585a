// What sync takes from one server to another on loopback, beside a plain copy of the same files and an upload of the same load; what a
// cut sends twice; what an agent with nothing to do costs; and what an upload loses while it goes on.

import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "../model/random.ts";
import { type RunningServer, readStatus, startServer } from "../server.ts";
import { openBadLink } from "../sync/bad-link.ts";
import { command } from "../sync/edges.ts";
import { bytesOf, images, type Load, single, small } from "./loads.ts";
import { cpuSeconds, memoryOf } from "./process-use.ts";
import { putAll } from "./put-load.ts";

const waitMs = 300_000;

export async function timeSync(where: string): Promise<void> {
  for (const load of [single(4, 512), images(1, 512), small(40)]) await timeLoad(where, load);
  await timeCuts(where);
  await timeBesideUploads(where);
  await timeIdle(where);
}

async function timeLoad(where: string, load: Load): Promise<void> {
  await withDirectory(where, async (root) => {
    await using near = await startServer({ dataDir: path.join(root, "near") });
    const putMs = await timed(() => putAll(near.port, load));
    const copyMs = await timed(() =>
      cp(path.join(root, "near/sessions"), path.join(root, "copy"), { recursive: true }),
    );
    await rm(path.join(root, "copy"), { recursive: true });
    await using far = await startServer({ dataDir: path.join(root, "far") });
    const before = [near, far].map(({ pid }) => cpuSeconds(pid));
    const syncMs = await timed(async () => {
      await addTarget(near, far.port);
      await untilSynced(near, 1);
    });
    const [nearCpu, farCpu] = [near, far].map(({ pid }, index) => cpuSeconds(pid) - (before[index] ?? 0));
    const gigabytes = bytesOf(load) / 1e9;
    const rate = (ms: number): string => `${(bytesOf(load) / 1e3 / ms).toFixed(0)} MB/s`;
    console.log(
      `sync ${load.name}: ${rate(syncMs)}, CPU ${((nearCpu ?? 0) / gigabytes).toFixed(2)} s/GB here, ${((farCpu ?? 0) / gigabytes).toFixed(2)} there; put ${rate(putMs)}, cp ${rate(copyMs)}; RssAnon here ${megabytes(memoryOf(near.pid).anonymousBytes)}`,
    );
  });
}

async function timeCuts(where: string): Promise<void> {
  const load = images(1, 256);
  await withDirectory(where, async (root) => {
    await using near = await startServer({ dataDir: path.join(root, "near") });
    await using far = await startServer({ dataDir: path.join(root, "far") });
    await putAll(near.port, load);
    await using link = await openBadLink({
      target: () => far.port,
      random: new Random("cuts"),
      faults: ["reset"],
      probability: 1,
      bytesMin: 1e6,
      bytesMax: 100e6,
    });
    await addTarget(near, link.port);
    await untilSynced(near, 1);
    const { sentBytes, brokenOff } = await agentOf(near);
    const cuts = link.played.get("reset") ?? 0;
    const twice = Number(sentBytes) - bytesOf(load);
    console.log(
      `sync cut ${cuts} times (${brokenOff} broken off): ${megabytes(twice)} more than the session's ${megabytes(bytesOf(load))} were sent, ${megabytes(twice / Math.max(1, cuts))} per cut, in messages of 1 MiB`,
    );
  });
}

/** The same upload with and without a session on its way, in turns. The remote takes its share of the same cores and the same disk. */
async function timeBesideUploads(where: string): Promise<void> {
  const [pending, load] = [single(4, 2048), single(4, 1024)];
  const ways = ["alone", "beside sync"] as const;
  const rates: Record<(typeof ways)[number], number[]> = { alone: [], "beside sync": [] };
  for (const how of Array.from({ length: 4 }, () => ways).flat()) {
    await withDirectory(where, async (root) => {
      await using near = await startServer({ dataDir: path.join(root, "near") });
      await using far = await startServer({ dataDir: path.join(root, "far") });
      await putAll(near.port, { ...pending, name: "pending" });
      if (how === "beside sync") {
        await addTarget(near, far.port);
        while ((await agentOf(near))["state"] !== "sending") await sleep(20);
      }
      const ms = await timed(() => putAll(near.port, load, "upload"));
      rates[how].push(bytesOf(load) / 1e3 / ms);
      if (how === "beside sync" && Number((await agentOf(near))["syncedSessions"] ?? 0) > 0)
        console.log("  (the session was there before the upload ended)");
    });
  }
  const of = (how: keyof typeof rates): string => rates[how].map((rate) => rate.toFixed(0)).join(", ");
  const less = 100 * (1 - median(rates["beside sync"]) / median(rates.alone));
  console.log(
    `sync beside an upload: ${of("beside sync")} MB/s; without ${of("alone")} MB/s; medians: ${less.toFixed(0)} % less`,
  );
}

async function timeIdle(where: string): Promise<void> {
  await withDirectory(where, async (root) => {
    await using near = await startServer({ dataDir: path.join(root, "near") });
    await using far = await startServer({ dataDir: path.join(root, "far") });
    await sleep(3_000);
    const use = async (): Promise<string> => {
      const cpu = cpuSeconds(near.pid);
      await sleep(10_000);
      return `${((cpuSeconds(near.pid) - cpu) * 10).toFixed(1)} % of a core, RssAnon ${megabytes(memoryOf(near.pid).anonymousBytes)}`;
    };
    const without = await use();
    await putAll(near.port, small(1));
    await addTarget(near, far.port);
    await untilSynced(near, 1);
    await sleep(3_000);
    console.log(`sync idle: ${await use()}; without a target ${without}`);
  });
}

async function withDirectory(where: string, act: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(path.join(where === "" ? tmpdir() : where, "mosaico-edge-bench-"));
  try {
    await act(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return ((sorted[Math.floor((sorted.length - 1) / 2)] ?? 0) + (sorted[Math.ceil((sorted.length - 1) / 2)] ?? 0)) / 2;
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await act();
  return performance.now() - startedMs;
}

async function addTarget({ dataDir }: RunningServer, port: number): Promise<void> {
  await command(dataDir, "add", "far", `grpc://127.0.0.1:${port}`);
}

/** Reads the log: to ask would cost CPU. */
async function untilSynced(server: RunningServer, sessions: number): Promise<void> {
  const untilMs = performance.now() + waitMs;
  while ((server.stderr().match(/"session_synced"/g) ?? []).length < sessions) {
    if (performance.now() > untilMs) throw new Error(`not synced: ${server.stderr().slice(-2_000)}`);
    await sleep(5);
  }
}

async function agentOf({ dataDir }: RunningServer): Promise<Readonly<Record<string, unknown>>> {
  const [agent] = Object.values((await readStatus(dataDir)).sync);
  return agent ?? {};
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
