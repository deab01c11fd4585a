// Memory is bounded by configuration, not by load: hundreds of streams that rest, dozens that send more than the disk takes, and
// clients that stop in the middle. The memory is read from outside of the server.

import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Int64, makeData, makeVector } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { uploadPace } from "../../src/model/limits.ts";
import { TicketSchema } from "../../src/wire/flight_pb.js";
import { FlightClient, type Outgoing, type PutCall } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { blobs } from "../load/robot.ts";
import { type RunningServer, readStatus, startServer } from "../server.ts";
import { buildShim, noShims } from "../store/shim.ts";
import { inMiB, Memory, MiB } from "./memory.ts";

const idleStreams = 500;
const idleBytesMax = 200 * MiB;
const busyStreams = 64;
const busyBatches = 2;
const busyBytesMax = 512 * MiB;
/** By memory budget: the default, and the smallest that takes these messages. */
const budgets = [
  { budget: 256 * MiB, bytesMax: busyBytesMax },
  { budget: 64 * MiB, bytesMax: 256 * MiB },
];
const writeDelayMs = 40;

if (noShims !== undefined) console.warn(`bounded.test.ts does without its slow disk: ${noShims}`);

interface Topic {
  readonly locator: string;
  readonly uuid: string;
}

/** One row of so many bytes in each batch. */
function table(batches: number, bytes: number): Outgoing[] {
  const value = new Uint8Array(bytes).fill(7);
  return toMessages(
    Array.from({ length: batches }, (_none, batch) => ({
      timestamp_ns: makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(BigInt(batch)) })),
      data: blobs([value]),
    })),
  );
}

/** A sequence with a session and so many topics in it. */
async function makeTopics(client: FlightClient, sequence: string, count: number): Promise<Topic[]> {
  await client.action("sequence_create", { locator: sequence, user_metadata: {} });
  const { uuid: session } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  return await Promise.all(
    Array.from({ length: count }, async (_none, index) => {
      const locator = `${sequence}/${index}`;
      const body = { locator, session_uuid: session, ontology_tag: "t", serialization_format: "default" };
      const answer = await client.action("topic_create", { ...body, user_metadata: {} });
      return { locator, uuid: (answer as { uuid: string }).uuid };
    }),
  );
}

/** Rows of each topic of a sequence, by the listing; undefined for one that is not complete. */
async function rowsOf(client: FlightClient, sequence: string): Promise<(number | undefined)[]> {
  const info = await client.info({ resource_locator: sequence });
  return info.endpoint.map(({ appMetadata }) => {
    const shown = JSON.parse(Buffer.from(appMetadata).toString()) as {
      locked: boolean;
      data_info: { total_row_count: number };
    };
    return shown.locked ? shown.data_info.total_row_count : undefined;
  });
}

function ticketOf(topic: string): Uint8Array {
  return Buffer.from(JSON.stringify({ topic }));
}

async function readRows(client: FlightClient, topic: string): Promise<{ batches: number; bytes: number }> {
  const read = { batches: 0, bytes: 0 };
  for await (const { body } of client.get(ticketOf(topic))) {
    if (body.byteLength === 0) continue;
    read.batches += 1;
    read.bytes += body.byteLength;
  }
  return read;
}

describe.each([{ connections: 1 }, { connections: 5 }])("$connections connections", ({ connections }) => {
  test(`${idleStreams} uploads rest, then send a batch each`, { timeout: 40_000 }, async () => {
    await using server = await startServer();
    using memory = new Memory(server.pid);
    const clients = Array.from({ length: connections }, () => new FlightClient(server.port));
    const [first] = clients;
    if (first === undefined) throw new Error("there is a connection");
    const startedMs = performance.now();
    const topics = await makeTopics(first, "idle", idleStreams);
    const [schema, batch] = table(1, 1_000);
    if (schema === undefined || batch === undefined) throw new Error("a table has a schema and a batch");
    const puts = await Promise.all(
      topics.map(async (topic, index) => {
        const put = (clients[index % connections] ?? first).openPut(topic);
        await put.sendData(schema);
        return put;
      }),
    );
    await begun(server, topics);
    memory.most();
    await sleep(1_500);
    const idle = memory.most();
    await Promise.all(puts.map((put) => put.sendData(batch)));
    await Promise.all(puts.map((put) => put.finish()));
    const rows = await rowsOf(first, "idle");
    const seconds = (performance.now() - startedMs) / 1000;
    console.log(
      `bounded: ${idleStreams} idle uploads on ${connections} connection(s): RssAnon at most ${inMiB(idle.bytes)} (${idle.samples} samples), while sending ${inMiB(memory.most().bytes)}, VmHWM ${inMiB(memory.high())}; ${seconds.toFixed(1)} s`,
    );
    for (const client of clients) client[Symbol.dispose]();
    expect(rows.length).toBe(idleStreams);
    expect(rows.every((count) => count === 1)).toBe(true);
    expect(idle.samples).toBeGreaterThan(30);
    expect(idle.bytes).toBeLessThanOrEqual(idleBytesMax);
  });
});

/** Ends when the server holds an upload for each topic, every twentieth of which is asked: a second one is refused. */
async function begun(server: RunningServer, topics: readonly Topic[]): Promise<void> {
  using client = new FlightClient(server.port);
  const [schema] = table(1, 1);
  for (const topic of topics.filter((_topic, index) => index % 20 === 19)) {
    for (;;) {
      const second = client.openPut(topic);
      await second.sendData(schema ?? { header: new Uint8Array(0), body: new Uint8Array(0) });
      const { details } = await second.call.status();
      if (details.includes("is being uploaded by another stream")) break;
      await sleep(20);
    }
  }
}

describe.skipIf(noShims !== undefined)("a slow disk", () => {
  test.each(budgets)(
    `${busyStreams} uploads of 16 MiB batches at once, with a budget of $budget bytes`,
    {
      timeout: 100_000,
    },
    async ({ budget, bytesMax }) => {
      const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "mosaico-edge-slow-")));
      try {
        const dataDir = path.join(folder, "data");
        const env = { ...buildShim("slow-write", folder), SLOW_ROOT: dataDir, SLOW_MS: String(writeDelayMs) };
        await using server = await startServer({ dataDir, env, args: ["--memory-budget", String(budget)] });
        using memory = new Memory(server.pid);
        using client = new FlightClient(server.port);
        const topics = await makeTopics(client, "busy", busyStreams);
        // Below the limit of a message with its framing, as SDKs send it.
        const messages = table(busyBatches, 16 * MiB - 64 * 1024);
        const startedMs = performance.now();
        memory.most();
        const [held] = await Promise.all([
          mostHeld(server, topics.length),
          ...topics.map((topic) => client.put(topic, messages)),
        ]);
        const seconds = (performance.now() - startedMs) / 1000;
        const busy = memory.most();
        const written = (busyStreams * busyBatches * 16 * MiB) / 1e6;
        console.log(
          `bounded: budget ${inMiB(budget)}, of which at most ${inMiB(held.bytes)} were seen held: ${busyStreams} uploads of ${busyBatches} x 16 MiB, each write ${writeDelayMs} ms late: RssAnon at most ${inMiB(busy.bytes)} (${busy.samples} samples), VmHWM ${inMiB(memory.high())}; ${seconds.toFixed(1)} s, ${(written / seconds).toFixed(0)} MB/s`,
        );
        expect(await rowsOf(client, "busy")).toEqual(topics.map(() => busyBatches));
        for (const { locator } of topics.slice(0, 4)) {
          const sent = messages.reduce((sum, { body }) => sum + body.byteLength, 0);
          expect(await readRows(client, locator)).toEqual({ batches: busyBatches, bytes: sent });
        }
        // The shim was there: every batch is written by itself, eight at a time.
        expect(seconds).toBeGreaterThan((busyStreams * busyBatches * writeDelayMs) / 1000 / 8);
        expect(busy.bytes).toBeLessThanOrEqual(bytesMax);
        // Uploads have what reads leave, and stand when they hold it.
        expect(held.waiting).toBeGreaterThan(0);
        expect(held.bytes).toBeLessThanOrEqual(budget);
        expect(held.bytes).toBeGreaterThanOrEqual(budget / 2);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});

/** The most that budgets were seen to hold together until so many uploads have begun and all have ended, and the most that waited. */
async function mostHeld({ dataDir }: RunningServer, uploads: number): Promise<{ bytes: number; waiting: number }> {
  const most = { bytes: 0, waiting: 0 };
  for (let open = 0, seen = 0; seen < uploads / 2 || open > 0; ) {
    const status = await readStatus(dataDir);
    const all = Object.values(status.memory);
    most.bytes = Math.max(
      most.bytes,
      all.reduce((sum, { heldBytes }) => sum + heldBytes, 0),
    );
    most.waiting = Math.max(most.waiting, status.memory.upload.waiting);
    open = status.uploads.open;
    seen = Math.max(seen, open);
    await sleep(50);
  }
  return most;
}

describe("clients that stall", () => {
  const othersMsMax = 5_000;

  test("readers that do not read stop nobody", { timeout: 40_000 }, async () => {
    await using server = await startServer();
    using memory = new Memory(server.pid);
    using client = new FlightClient(server.port);
    const [large, ...others] = await makeTopics(client, "stalled", 9);
    if (large === undefined) throw new Error("there is a topic");
    await client.put(large, table(12, 4 * MiB));
    memory.most();
    // On two connections, as a program that opens many topics and reads one of them would.
    const readers = [new FlightClient(server.port), new FlightClient(server.port)];
    const reads = Array.from({ length: 40 }, (_none, index) => readers[index % 2]?.call("DoGet"));
    for (const read of reads) {
      await read?.send([toBinary(TicketSchema, create(TicketSchema, { ticket: ticketOf(large.locator) }))]);
      read?.end();
    }
    await sleep(500);
    const startedMs = performance.now();
    await Promise.all(others.map((topic) => client.put(topic, table(2, MiB))));
    const counts = await Promise.all(others.map(({ locator }) => readRows(client, locator)));
    const tookMs = performance.now() - startedMs;
    const { bytes } = memory.most();
    console.log(
      `bounded: ${reads.length} reads that nobody takes: 8 uploads and reads beside them took ${tookMs.toFixed(0)} ms; RssAnon at most ${inMiB(bytes)}`,
    );
    for (const reader of readers) reader[Symbol.dispose]();
    expect(counts.every(({ batches }) => batches === 2)).toBe(true);
    expect(tookMs).toBeLessThan(othersMsMax);
    expect(bytes).toBeLessThanOrEqual(busyBytesMax);
  });

  test("uploads that stop in the middle of a message stop nobody", { timeout: 40_000 }, async () => {
    await using server = await startServer();
    using memory = new Memory(server.pid);
    using client = new FlightClient(server.port);
    using stalled = new FlightClient(server.port);
    // Together they hold less than the budget: more of them would make the others wait until they are given up.
    const topics = await makeTopics(client, "cut", 8 + 5);
    const puts = await Promise.all(topics.slice(0, 5).map((topic) => beginLarge(stalled, topic)));
    // In the prefix of a message, and in no message at all.
    await puts[0]?.call.write([new Uint8Array(3)]);
    const others = topics.slice(5);
    const startedMs = performance.now();
    await Promise.all(others.map((topic) => client.put(topic, table(2, 4 * MiB))));
    const tookMs = performance.now() - startedMs;
    console.log(
      `bounded: ${puts.length} uploads that stopped inside 16 MiB: 8 uploads beside them took ${tookMs.toFixed(0)} ms; RssAnon at most ${inMiB(memory.most().bytes)}`,
    );
    // Those that stopped are cut, and their topics go on.
    stalled[Symbol.dispose]();
    await Promise.all(topics.slice(0, 5).map((topic) => putWhenFree(client, topic, table(2, 1_000))));
    const rows = await rowsOf(client, "cut");
    expect(rows).toEqual(topics.map(() => 2));
    expect(tookMs).toBeLessThan(othersMsMax);
  });

  test("uploads that send a byte now and then give their memory to those who wait, a slow link keeps it", {
    timeout: 90_000,
  }, async () => {
    await using server = await startServer({ args: ["--memory-budget", String(80 * MiB)] });
    using client = new FlightClient(server.port);
    using dripping = new FlightClient(server.port);
    using slow = new FlightClient(server.port);
    const [first, second, honest, ...topics] = await makeTopics(client, "drip", 5);
    if (first === undefined || second === undefined || honest === undefined) throw new Error("there are topics");
    // Three times 16 MiB are all that uploads may hold beside the largest message for readers.
    const drips = await Promise.all(topics.map((topic) => beginLarge(dripping, topic)));
    const kept = await beginLarge(slow, honest);
    // Whoever comes behind one that waits gets its turn only when that one has been found too slow as well.
    const held = async () => (await readStatus(server.dataDir)).memory.upload;
    await expect.poll(held, { timeout: 20_000 }).toMatchObject({ heldBytes: 48 * MiB, waiting: 0 });
    const ended = { drips: 0, kept: 0 };
    for (const { call } of drips) void call.status().then(() => (ended.drips += 1));
    void kept.call.status().then(() => (ended.kept += 1));
    const byte = setInterval(() => {
      for (const { call } of drips) void call.write([new Uint8Array(1)]).catch(() => undefined);
    }, 2_000);
    // Twice the pace that is asked for, in pieces: a link that carries little.
    const piece = setInterval(() => void kept.call.write([new Uint8Array(64 * 1024)]).catch(() => undefined), 2_000);
    const startedMs = performance.now();
    try {
      // The message of one drip is not enough for both.
      await Promise.all([first, second].map((topic) => client.put(topic, table(1, 12 * MiB))));
      const tookMs = performance.now() - startedMs;
      console.log(`bounded: behind uploads that send a byte now and then two waited ${tookMs.toFixed(0)} ms`);
      expect(tookMs).toBeLessThan(uploadPace.graceMs + othersMsMax);
      await expect.poll(() => ended).toEqual({ drips: 2, kept: 0 });
    } finally {
      clearInterval(byte);
      clearInterval(piece);
    }
  });

  test("small messages stand behind no large ones", { timeout: 40_000 }, async () => {
    await using server = await startServer();
    using client = new FlightClient(server.port);
    using stalled = new FlightClient(server.port);
    const large = await makeTopics(client, "cameras", 16);
    const small = await makeTopics(client, "sensors", 8);
    await Promise.all(large.map((topic) => beginLarge(stalled, topic)));
    const waiting = async () => (await readStatus(server.dataDir)).memory.upload.waiting;
    await expect.poll(waiting, { timeout: 10_000 }).toBeGreaterThan(0);
    const startedMs = performance.now();
    await Promise.all(small.map((topic) => client.put(topic, table(20, 4_000))));
    const tookMs = performance.now() - startedMs;
    const { memory, uploads } = await readStatus(server.dataDir);
    const waits = uploads.streams.filter(({ memoryWaitMs }) => memoryWaitMs > 0).length;
    console.log(
      `bounded: ${memory.upload.waiting} large messages wait for memory: 8 uploads of small ones took ${tookMs.toFixed(0)} ms`,
    );
    expect(memory.upload.waiting).toBeGreaterThan(0);
    expect(waits).toBeGreaterThanOrEqual(memory.upload.waiting);
    expect(tookMs).toBeLessThan(othersMsMax);
  });
});

/** Announces a message of 16 MiB and stops inside of it. */
async function beginLarge(client: FlightClient, topic: Topic): Promise<PutCall> {
  const [schema] = table(1, 1_000);
  if (schema === undefined) throw new Error("a table has a schema");
  const put = client.openPut(topic);
  await put.sendData(schema);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(16 * MiB, 1);
  await put.call.write([prefix, new Uint8Array(1_000)]);
  return put;
}

/** The server may not have seen yet that the first client is gone. */
async function putWhenFree(client: FlightClient, topic: Topic, messages: readonly Outgoing[]): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await client.put(topic, messages);
      return;
    } catch (error) {
      if (tries === 100 || !String(error).includes("is being uploaded by another stream")) throw error;
      await sleep(20);
    }
  }
}
