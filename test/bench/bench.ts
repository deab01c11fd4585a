// `npm run bench`: loads against the executable, printed and not asserted. Client and server share the machine's cores, so the
// figure that says most is the server's CPU per GB or per batch. MB = 10^6 bytes of Arrow body. `npm run bench -- single` runs
// the rows whose names start so; `--disk DIR` puts the data there instead of into memory.

import { mkdtemp, rm } from "node:fs/promises";
import { cpus } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { FlightClient } from "../load/flight-client.ts";
import { type RunningServer, readStatus, startServer } from "../server.ts";
import {
  automotive,
  batchesOf,
  bytesOf,
  can,
  greedy,
  idle,
  images,
  type Load,
  type LoadPart,
  messagesOf,
  single,
  small,
  tiny,
} from "./loads.ts";
import { makeRows, manyChunks } from "./many-chunks.ts";
import { plainAppend, touchPages } from "./plain-append.ts";
import { cpuSeconds, withPeak } from "./process-use.ts";
import { createTopics, type Pacing, putAll, putInTime } from "./put-load.ts";
import { preparePyarrow, pyarrowPut } from "./pyarrow.ts";
import { timeDrive, timeQueries } from "./queries.ts";
import { timeSync } from "./sync.ts";
import { whereTimeGoes } from "./where.ts";

interface Row {
  readonly name: string;
  readonly bytes: number;
  readonly batches: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakAnonymousBytes: number;
}

const { values, positionals } = parseArgs({ options: { disk: { type: "string" } }, allowPositionals: true });
const loads = [
  single(4, 2048),
  single(1, 1024),
  single(10, 1024),
  images(1, 1024),
  images(10, 1024),
  automotive(4),
  small(160),
  tiny(1000),
  can(10),
  greedy(256),
  greedy(64),
];
/** Of real time: three minutes in sessions of 20 s, and what the server may keep of their 41 GB. */
const paced = { speed: 0.4, seconds: 20, sessions: 9, maxBytes: "8GB" };
const pacedName = `automotive at ${paced.speed}`;
const startName = "start";
const [queriesName, driveName, syncName] = ["catalog", "drive", "sync"];
const known = [...loads.map(({ name }) => name), pacedName, "idle", startName, queriesName, driveName, syncName];
const unknown = positionals.filter((start) => !known.some((name) => name.startsWith(start)));
if (unknown.length > 0) {
  console.error(`bench: unknown load ${unknown.join(", ")}, expected the start of ${known.join(", ")}`);
  process.exit(64);
}
const besidePlain: readonly string[] = ["single 4 MiB", "images 1 MiB", "automotive"];
const explained: readonly string[] = ["single 4 MiB", "images 1 MiB", "automotive", "small", "can"];
const wanted = (name: string): boolean =>
  positionals.length === 0 || positionals.some((start) => name.startsWith(start));

console.log(
  `bench: ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, Node ${process.versions.node}, data in ${where()}`,
);
await touchPages(where(), 5e9);
console.log(line("load", "MB/s", "batches/s", "CPU s/GB", "CPU ms/batch", "peak RssAnon"));

for (const load of loads) {
  if (!wanted(load.name)) continue;
  const [stream] = load.parts;
  await withServer(load, async (server) => {
    print(await measure(`${load.name} put`, load, server, () => putAll(server.port, load)));
    if (load.parts.length === 1 && stream?.topics === 1)
      print(await measure(`${load.name} get`, load, server, () => getAll(server, stream)));
  });
  if (load.name === "single 4 MiB" && stream !== undefined) {
    await preparePyarrow();
    await withServer(load, async (server) =>
      print(await measure(`${load.name} put, pyarrow`, load, server, () => pyarrowPut(server, stream))),
    );
  }
  // What the skip index costs while data come in.
  if (load.name === "single 4 MiB" || load.name === "images 1 MiB")
    for (const kept of ["keep", "none", "keep", "none"]) {
      const args = ["--skip-index", kept];
      await withServer({ ...load, args }, async (server) =>
        print(await measure(`${load.name}, index ${kept}`, load, server, () => putAll(server.port, load))),
      );
    }
  if (explained.includes(load.name)) console.log(await whereTimeGoes(load, where()));
  // What the disk itself gives, for messages of that size, beside what came of it.
  if (besidePlain.includes(load.name)) print(await plainAppend(where(), load));
}
if (wanted(pacedName)) await inTime();
if (wanted("idle")) await withServer(idle(), idling);
if (wanted(startName)) await starting();
if (wanted(queriesName)) await timeQueries(where());
if (wanted(driveName)) await timeDrive(where());
if (wanted(syncName)) await timeSync(where());

function where(): string {
  return values.disk ?? "/dev/shm";
}

async function withServer(load: Load, act: (server: RunningServer) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(path.join(where(), "mosaico-edge-bench-"));
  try {
    await using server = await startServer({ dataDir, args: load.args ?? [] });
    await act(server);
    await server.stop();
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** @param act may answer the seconds that count, where it knows better */
async function measure(name: string, load: Load, { pid }: RunningServer, act: () => Promise<unknown>): Promise<Row> {
  const cpu = cpuSeconds(pid);
  const startedMs = performance.now();
  const { result, peakAnonymousBytes } = await withPeak(pid, act);
  const seconds = typeof result === "number" ? result : (performance.now() - startedMs) / 1000;
  return {
    name,
    bytes: bytesOf(load),
    batches: batchesOf(load),
    seconds,
    cpuSeconds: cpuSeconds(pid) - cpu,
    peakAnonymousBytes,
  };
}

async function getAll({ port }: RunningServer, part: LoadPart): Promise<void> {
  using client = new FlightClient(port);
  const info = await client.info({ resource_locator: "bench/t0" });
  const [ticket] = info.endpoint.flatMap((endpoint) => endpoint.ticket?.ticket ?? []);
  if (ticket === undefined) throw new Error("bench/t0 has no ticket");
  let batches = -1;
  for await (const _message of client.get(ticket)) batches += 1;
  if (batches !== part.batches) throw new Error(`bench/t0: read ${batches} batches, expected ${part.batches}`);
}

/** A vehicle in time: how late messages go out, because the server takes them late, and when they are durable. */
async function inTime(): Promise<void> {
  const session = automotive(paced.seconds * paced.speed);
  const parts = session.parts.map((part) => ({ ...part, batches: part.batches * paced.sessions }));
  const load = { ...session, parts, args: ["--max-bytes", paced.maxBytes, "--evict-unsynced"] };
  await withServer(load, async (server) => {
    let pacing: Pacing = { lateMs: [], durableMs: [] };
    const put = async (): Promise<void> => {
      pacing = await putInTime(server.port, session, paced.speed, paced.sessions);
    };
    print(await measure(`${pacedName}, in time`, load, server, put));
    const { lateMs, durableMs } = pacing;
    const { retention } = await readStatus(server.dataDir);
    const at = (sorted: readonly number[], share: number): string =>
      (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(0);
    console.log(
      `  late by ${at(lateMs, 0.5)} ms (median), ${at(lateMs, 0.99)} ms (p99), ${at(lateMs, 1)} ms (most); durable after ${at(durableMs, 0.5)}, ${at(durableMs, 0.99)}, ${at(durableMs, 1)} ms; ${lateMs.length} messages, ${retention.evictedSessions} of ${paced.sessions} sessions evicted`,
    );
  });
}

/** 500 streams that send their schema and nothing more for a while, then one batch each. */
async function idling(server: RunningServer): Promise<void> {
  const load = idle();
  const [part] = load.parts;
  if (part === undefined) throw new Error("idle has topics");
  using client = new FlightClient(server.port);
  const { topics } = await createTopics(client, load);
  const [schema, batch] = [...messagesOf(part, 1)];
  if (schema === undefined || batch === undefined) throw new Error("idle has no batch");
  const puts = topics.map((topic) => client.openPut(topic));
  await Promise.all(puts.map((put) => put.sendData(schema)));
  // The commit of the schemas is not what is asked for.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const idleMs = 5_000;
  print({
    ...(await measure(
      "idle, 500 streams open",
      load,
      server,
      () => new Promise((resolve) => setTimeout(resolve, idleMs)),
    )),
    bytes: 0,
    batches: 0,
  });
  const one = async (): Promise<void> => {
    await Promise.all(puts.map((put) => put.sendData(batch).then(() => put.finish())));
  };
  print(await measure("idle, then one batch each", load, server, one));
}

/** From the program's first statement to the port that answers, three times, with a catalog of a million chunks. */
async function starting(): Promise<void> {
  const dataDir = await mkdtemp(path.join(where(), "mosaico-edge-bench-"));
  try {
    await makeRows(dataDir, manyChunks);
    const { sequences, topics, chunks } = manyChunks;
    for (let turn = 0; turn < 3; turn += 1) {
      const startedMs = performance.now();
      await using server = await startServer({ dataDir });
      const readyMs = performance.now() - startedMs;
      using client = new FlightClient(server.port);
      await client.info({ resource_locator: `drive-${sequences - 1}` });
      const infoMs = performance.now() - startedMs - readyMs;
      console.log(
        `start with ${sequences * topics * chunks} chunks: ready after ${readyMs.toFixed(0)} ms, ${String(server.ready["startMs"])} of them for the store; first get_flight_info ${infoMs.toFixed(0)} ms`,
      );
      await server.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function print(row: Row): void {
  const { name, bytes, batches, seconds } = row;
  console.log(
    line(
      name,
      bytes === 0 ? "-" : (bytes / 1e6 / seconds).toFixed(0),
      batches === 0 ? "-" : (batches / seconds).toFixed(0),
      bytes === 0 ? `${((100 * row.cpuSeconds) / seconds).toFixed(1)} %` : (row.cpuSeconds / (bytes / 1e9)).toFixed(2),
      batches === 0 ? "-" : ((1000 * row.cpuSeconds) / batches).toFixed(3),
      row.peakAnonymousBytes === 0 ? "-" : `${(row.peakAnonymousBytes / 2 ** 20).toFixed(0)} MiB`,
    ),
  );
}

function line(name: string, ...cells: readonly string[]): string {
  return name.padEnd(28) + cells.map((cell) => cell.padStart(14)).join("");
}
