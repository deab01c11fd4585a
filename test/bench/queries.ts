// The load `catalog`: a gps topic of 1,000 chunks beside 10,000 sequences of 5 topics, and what queries on it take, as a client sees
// it: median and p99 of some rounds, all warm.

import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { Float64, Int64, makeData, makeVector } from "apache-arrow";
import { CriteriaSchema } from "../../src/wire/flight_pb.js";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
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
    for (const [name, ontology] of Object.entries(contents)) {
      const query = { ontology };
      const answer = (await client.action("query", { ontology: { ...ontology, explain: true } })) as Explained;
      const { chunks: decided, bytes_read: read, bytes_stored: stored } = answer.explain;
      const what = `${answer.items.length} found, chunks skipped ${decided.no}, read ${decided.maybe}, whole ${decided.all}; ${read} of ${stored} bytes read`;
      console.log(`${await timed(server, name, () => client.action("query", query))}; ${what}`);
    }
    const metadata = { sequence: { user_metadata: { run: { $lt: rows.sequences / 100 } } } };
    console.log(await timed(server, "metadata of 1 %", () => client.action("query", metadata)));
    const list = () => client.all("ListFlights", CriteriaSchema, { expression: new Uint8Array(0) });
    console.log(await timed(server, "list_flights", list));
    await server.stop();
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

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
