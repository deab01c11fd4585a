// `npm run bench`: loads against the executable, printed and not asserted. Client and server share the machine's cores, so the
// figure that says most is the server's CPU per GB or per batch. MB = 10^6 bytes of Arrow body. `npm run bench -- single` runs
// the rows whose names start so; `--disk DIR` puts the data there instead of into memory.

import { mkdtemp, rm } from "node:fs/promises";
import { cpus } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { FlightClient } from "../load/flight-client.ts";
import { type RunningServer, startServer } from "../server.ts";
import { bytesOf, images, type Load, messagesOf, single, small, tiny } from "./loads.ts";
import { plainAppend, touchPages } from "./plain-append.ts";
import { cpuSeconds, withPeak } from "./process-use.ts";
import { preparePyarrow, pyarrowPut } from "./pyarrow.ts";

/** Messages of one stream that are on their way at once. */
const inFlight = 2;

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
  small(40),
  tiny(1000),
];
const known = [...loads.map(({ name }) => name), "idle"];
const unknown = positionals.filter((start) => !known.some((name) => name.startsWith(start)));
if (unknown.length > 0) {
  console.error(`bench: unknown load ${unknown.join(", ")}, expected the start of ${known.join(", ")}`);
  process.exit(64);
}
const wanted = (name: string): boolean =>
  positionals.length === 0 || positionals.some((start) => name.startsWith(start));

console.log(
  `bench: ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, Node ${process.versions.node}, data in ${where()}`,
);
await touchPages(where(), 5e9);
console.log(line("load", "MB/s", "batches/s", "CPU s/GB", "CPU ms/batch", "peak RssAnon"));

for (const load of loads) {
  if (!wanted(load.name)) continue;
  await withServer(async (server) => {
    const put = await measure(`${load.name} put`, load, server, () => putAll(server, load));
    print(put);
    if (load.topics === 1) print(await measure(`${load.name} get`, load, server, () => getAll(server, load)));
  });
  if (load.name === "single 4 MiB") {
    await preparePyarrow();
    await withServer(async (server) =>
      print(await measure(`${load.name} put, pyarrow`, load, server, () => pyarrowPut(server, load))),
    );
    print(await plainAppend(where(), load));
  }
}
if (wanted("idle")) await withServer(idle);

function where(): string {
  return values.disk ?? "/dev/shm";
}

async function withServer(act: (server: RunningServer) => Promise<void>): Promise<void> {
  const dataDir = await mkdtemp(path.join(where(), "mosaico-edge-bench-"));
  try {
    await using server = await startServer({ dataDir });
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
    batches: load.topics * load.batches,
    seconds,
    cpuSeconds: cpuSeconds(pid) - cpu,
    peakAnonymousBytes,
  };
}

/** Every topic on one connection, all at once; ends when the session is finalized. */
async function putAll({ port }: RunningServer, load: Load): Promise<void> {
  using client = new FlightClient(port);
  const { session, topics } = await createTopics(client, load);
  await Promise.all(
    topics.map(async (topic) => {
      const put = client.openPut(topic);
      const sending: Promise<void>[] = [];
      for (const message of messagesOf(load, inFlight + 1)) {
        sending.push(put.sendData(message));
        if (sending.length > inFlight) await sending.shift();
      }
      await put.finish();
    }),
  );
  await client.action("session_finalize", { session_uuid: session });
}

async function createTopics(client: FlightClient, load: Load) {
  await client.action("info", {});
  await client.action("sequence_create", { locator: "bench", user_metadata: {} });
  const { uuid: session } = (await client.action("session_create", { locator: "bench" })) as { uuid: string };
  const topics: { locator: string; uuid: string }[] = [];
  for (let index = 0; index < load.topics; index += 1) {
    const locator = `bench/t${index}`;
    const { uuid } = (await client.action("topic_create", {
      session_uuid: session,
      locator,
      ontology_tag: "load",
      serialization_format: "default",
      user_metadata: {},
    })) as { uuid: string };
    topics.push({ locator, uuid });
  }
  return { session, topics };
}

async function getAll({ port }: RunningServer, load: Load): Promise<void> {
  using client = new FlightClient(port);
  const info = await client.info({ resource_locator: "bench/t0" });
  const [ticket] = info.endpoint.flatMap((endpoint) => endpoint.ticket?.ticket ?? []);
  if (ticket === undefined) throw new Error("bench/t0 has no ticket");
  let batches = -1;
  for await (const _message of client.get(ticket)) batches += 1;
  if (batches !== load.batches) throw new Error(`${load.name}: read ${batches} batches, expected ${load.batches}`);
}

/** 500 streams that send their schema and nothing more for a while, then one batch each. */
async function idle(server: RunningServer): Promise<void> {
  const load: Load = { ...tiny(1), name: "idle", topics: 500 };
  using client = new FlightClient(server.port);
  const { topics } = await createTopics(client, load);
  const [schema, batch] = [...messagesOf(load, 1)];
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
