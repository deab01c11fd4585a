// What queries take, as a client sees it: median and p99 of some rounds, all warm. The load `catalog` is a gps topic of 1,000 chunks
// beside 10,000 sequences of 5 topics, `drive` ten minutes of a simulated robot.

import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { Float64, Int64, makeData, makeVector } from "apache-arrow";
import { CriteriaSchema } from "../../src/wire/flight_pb.js";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { type RunningServer, startServer } from "../server.ts";
import { makeRows } from "./many-chunks.ts";
import { cpuSeconds } from "./process-use.ts";

const chunks = 1_000;
/** 60,000 bytes, more than half of a chunk. */
const rowsOfChunk = 2_500;
const chunkBytesMax = 65_536;
const rows = { sequences: 10_000, topics: 5, chunks: 1 };
/** What is slow is not asked so often. */
const rounds = { most: 200, ms: 5_000 };

export async function timeQueries(where: string): Promise<void> {
  const dataDir = await mkdtemp(path.join(where, "mosaico-edge-bench-"));
  try {
    await makeRows(dataDir, rows);
    const args = ["--max-chunk-size-in-bytes", String(chunkBytesMax)];
    await using server = await startServer({ dataDir, args });
    using client = new FlightClient(server.port);
    await record(client);
    console.log(`catalog: a topic of ${chunks} chunks beside ${rows.sequences} sequences of ${rows.topics} topics`);
    await timeContents(server, client, contents);
    const metadata = { sequence: { user_metadata: { run: { $lt: rows.sequences / 100 } } } };
    console.log(await timed(server, "metadata of 1 %", () => client.action("query", metadata)));
    const list = () => client.all("ListFlights", CriteriaSchema, { expression: new Uint8Array(0) });
    console.log(await timed(server, "list_flights", list));
    await server.stop();
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

export async function timeDrive(where: string): Promise<void> {
  const dataDir = await mkdtemp(path.join(where, "mosaico-edge-bench-"));
  try {
    await using server = await startServer({ dataDir });
    using client = new FlightClient(server.port);
    const drive = { startNs: 1_767_225_600_000_000_000n, seconds: 600, seed: 1 };
    const session = await openSession(client, "drive");
    const topics = baseTopics(drive);
    const uploads = [];
    for (const topic of topics)
      uploads.push({ topic: await createTopic(client, session, `drive/${topic.path}`, topic.ontologyTag), ...topic });
    const begunMs = performance.now();
    await Promise.all(uploads.map(({ topic, messages }) => client.put(topic, messages)));
    const seconds = (performance.now() - begunMs) / 1000;
    await client.action("session_finalize", { session_uuid: session });
    const megabytes =
      uploads.flatMap(({ messages }) => messages).reduce((sum, { body }) => sum + body.byteLength, 0) / 1e6;
    const rate = (megabytes / seconds).toFixed(0);
    console.log(`drive: ${drive.seconds} s of gps, imu, camera and status, ${megabytes.toFixed(0)} MB at ${rate} MB/s`);
    await timeContents(server, client, events);
    await server.stop();
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Each as it is asked, and once more with what was skipped. */
async function timeContents(
  server: RunningServer,
  client: FlightClient,
  asked: Readonly<Record<string, object>>,
): Promise<void> {
  for (const [name, ontology] of Object.entries(asked)) {
    const answer = (await client.action("query", { ontology: { ...ontology, explain: true } })) as Explained;
    const { chunks: decided, zones, bytes_read: read, bytes_stored: stored } = answer.explain;
    const what = `${answer.items.length} found, chunks skipped ${decided.no}, read ${decided.maybe}, whole ${decided.all}, parts of them skipped ${zones.no}; ${read} of ${stored} bytes read`;
    console.log(`${await timed(server, name, () => client.action("query", { ontology }))}; ${what}`);
  }
}

const ranges = { include_time_ranges: { gap_ns: 1_000_000_000 } };

/** What is looked for in the drive: each is there for seconds. */
const events = {
  "drive: braking": { "imu.acceleration.x": { $lt: -5 }, ...ranges },
  "drive: length of acceleration": { "imu.acceleration": { $norm: { $gt: 12 } }, ...ranges },
  "drive: in a circle of 50 m": { gps: { $within: { circle: [45.4817, 9.2273, 50] } }, ...ranges },
  "drive: in a box": { gps: { $within: { box: [45.481, 9.22, 45.49, 9.23] } }, ...ranges },
  "drive: by its mode": { "string.data": { $eq: "emergency stop" }, ...ranges },
};

/** Latitude rises from 0 to the number of chunks, by one in each. */
const contents = {
  "gps range, 1 %": { "track.latitude": { $between: [495.5, 504.5] } },
  "gps range, all": { "track.latitude": { $geq: 0 } },
  "gps range, none": { "track.latitude": { $lt: -1 } },
  "gps time ranges, 1 %": {
    "track.latitude": { $between: [495.5, 504.5] },
    include_time_ranges: { gap_ns: 1_000_000_000 },
  },
  "gps first and last, half of each row": { "track.half": { $eq: 1 }, include_timestamp_range: true },
};

interface Explained {
  readonly items: readonly unknown[];
  readonly explain: {
    readonly chunks: Readonly<Record<"no" | "maybe" | "all", number>>;
    readonly zones: Readonly<Record<"no" | "maybe" | "all", number>>;
    readonly bytes_read: number;
    readonly bytes_stored: number;
  };
}

async function record(client: FlightClient): Promise<void> {
  const session = await openSession(client, "long");
  const topic = await createTopic(client, session, "long/track", "track");
  const batches = Array.from({ length: chunks }, (_none, chunk) => {
    const first = chunk * rowsOfChunk;
    const doubles = (of: (row: number) => number) =>
      makeVector(
        makeData({ type: new Float64(), data: Float64Array.from({ length: rowsOfChunk }, (_row, row) => of(row)) }),
      );
    const times = BigInt64Array.from({ length: rowsOfChunk }, (_row, row) => BigInt(first + row) * 1_000_000n);
    return {
      timestamp_ns: makeVector(makeData({ type: new Int64(), data: times })),
      latitude: doubles((row) => chunk + row / rowsOfChunk),
      half: doubles((row) => row % 2),
    };
  });
  await client.put(topic, toMessages(batches));
  await client.action("session_finalize", { session_uuid: session });
}

async function timed({ pid }: RunningServer, name: string, act: () => Promise<unknown>): Promise<string> {
  for (let round = 0; round < 3; round += 1) await act();
  const cpu = cpuSeconds(pid);
  const took: number[] = [];
  const untilMs = performance.now() + rounds.ms;
  while (took.length === 0 || (took.length < rounds.most && performance.now() < untilMs)) {
    const startedMs = performance.now();
    await act();
    took.push(performance.now() - startedMs);
  }
  took.sort((a, b) => a - b);
  const at = (share: number): string => (took[Math.floor(share * (took.length - 1))] ?? Number.NaN).toFixed(2);
  const cpuMs = (1000 * (cpuSeconds(pid) - cpu)) / took.length;
  return `${name.padEnd(38)} ${at(0.5)} ms (median), ${at(0.99)} ms (p99), server CPU ${cpuMs.toFixed(2)} ms, ${took.length} rounds`;
}
