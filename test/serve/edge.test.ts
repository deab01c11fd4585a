// What clients get that know this server: PutResults after each commit, the state of a topic, resuming behind the durable rows,
// taking over from a stream that still lives, and calls that may be repeated with a UUID of their own.

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PutResultSchema } from "../../src/wire/flight_pb.js";
import { CallError, FlightClient, type Outgoing, type PutCall } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { createTopic, expectSame, openSession, readTopic } from "../round-trip.ts";
import { type RunningServer, startServer } from "../server.ts";

const rowsPerBatch = 3;
let dataDir: string;
let server: RunningServer;

beforeAll(async () => {
  dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-knows-us-"));
  server = await startServer({ dataDir, args: ["--commit-interval-ms", "20"] });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Durable {
  readonly rows: number;
  readonly batches: number;
}

/** Batches of three rows each, the schema first. */
function batches(count: number, first = 0): Outgoing[] {
  return toMessages(
    Array.from({ length: count }, (_none, index) => {
      const from = (first + index) * rowsPerBatch;
      const times = BigInt64Array.from({ length: rowsPerBatch }, (_nothing, row) => BigInt(from + row));
      return { timestamp_ns: makeVector(makeData({ type: new Int64(), data: times })) };
    }),
  );
}

function acking(port: number): FlightClient {
  return new FlightClient(port, undefined, { headers: { "x-mosaico-edge-acks": "1" } });
}

/** Collects what a put answers while it goes on. */
function collect(put: PutCall): { acks: Durable[]; ended: Promise<unknown> } {
  const acks: Durable[] = [];
  const read = async (): Promise<void> => {
    for await (const message of put.call.messages())
      acks.push(JSON.parse(Buffer.from(fromBinary(PutResultSchema, message).appMetadata).toString()) as Durable);
  };
  return { acks, ended: read().catch((error: unknown) => error) };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const startedMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedMs > 10_000) throw new Error(`not within 10 s: ${what}`);
    await sleep(5);
  }
}

async function status(client: FlightClient, uuid: string): Promise<Durable & { state: string; locator: string }> {
  return (await client.action("edge_topic_status", { topic_uuid: uuid })) as Durable & {
    state: string;
    locator: string;
  };
}

async function refusal(act: Promise<unknown>): Promise<CallError> {
  const error = await act.then(
    (answer) => new Error(`not refused: ${JSON.stringify(answer)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof CallError)) throw error;
  return error;
}

test("info tells what may be relied on", async () => {
  using client = new FlightClient(server.port);
  const { edge } = (await client.action("info", {})) as { edge: { capabilities: string[] } };
  expect(edge.capabilities).toEqual(["acks", "resume", "topic_status", "client_uuid", "sequence_uuid"]);
});

describe("PutResults", () => {
  test("grow with each commit, and the last one has everything; nobody else gets any", async () => {
    using client = acking(server.port);
    const topic = await createTopic(client, await openSession(client, "acks"), "acks/imu");
    const put = client.openPut(topic, "kept");
    const { acks, ended } = collect(put);
    for (const [index, message] of batches(4).entries()) {
      await put.sendData(message);
      if (index > 0) await until(`${index} batches are acknowledged`, () => acks.at(-1)?.batches === index);
    }
    put.call.end();
    expect(await ended).toBeUndefined();
    expect(acks.map(({ batches: count }) => count)).toEqual(acks.map(({ rows }) => rows / rowsPerBatch));
    expect([...new Set(acks.map(({ batches: count }) => count))]).toEqual([0, 1, 2, 3, 4]);
    expect(acks.at(-1)).toEqual({ rows: 12, batches: 4 });
    using plain = new FlightClient(server.port);
    const silent = plain.openPut(await createTopic(plain, await openSession(plain, "silent"), "silent/imu"), "kept");
    const got = collect(silent);
    for (const message of batches(2)) await silent.sendData(message);
    silent.call.end();
    expect([await got.ended, got.acks]).toEqual([undefined, []]);
  });

  test("promise no more than what is there after a kill, and the client goes on where they end", {
    timeout: 30_000,
  }, async () => {
    const own = mkdtempSync(path.join(tmpdir(), "mosaico-edge-knows-us-"));
    try {
      const sent = batches(200);
      let acked: Durable = { rows: 0, batches: 0 };
      let topic: { locator: string; uuid: string };
      {
        await using first = await startServer({ dataDir: own, args: ["--commit-interval-ms", "5"] });
        using client = acking(first.port);
        topic = await createTopic(client, await openSession(client, "cut"), "cut/imu");
        const put = client.openPut(topic, "kept");
        const { acks } = collect(put);
        void (async () => {
          for (const message of sent) {
            await put.sendData(message);
            await sleep(1);
          }
        })();
        await until("some batches are acknowledged", () => (acks.at(-1)?.batches ?? 0) >= 10);
        acked = acks.at(-1) ?? acked;
        await first.kill();
      }
      await using second = await startServer({ dataDir: own });
      using client = new FlightClient(second.port);
      const durable = await status(client, topic.uuid);
      expect(durable.rows).toBeGreaterThanOrEqual(acked.rows);
      expect(durable).toEqual({
        locator: "cut/imu",
        state: "open",
        rows: durable.batches * rowsPerBatch,
        batches: durable.batches,
      });
      using resuming = new FlightClient(second.port, undefined, {
        headers: { "x-mosaico-edge-resume-rows": String(durable.rows) },
      });
      await resuming.put(topic, [...sent.slice(0, 1), ...sent.slice(1 + durable.batches)]);
      expectSame(await readTopic(client, topic.locator), sent, "the topic that was cut");
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
  });
});

describe("resuming", () => {
  const resume = (rows: string) =>
    new FlightClient(server.port, undefined, { headers: { "x-mosaico-edge-resume-rows": rows } });

  test("is refused behind other rows than are durable, naming both", async () => {
    using client = new FlightClient(server.port);
    const topic = await createTopic(client, await openSession(client, "resume"), "resume/imu");
    for (const [rows, code, sentence] of [
      ["7", 9, "has 0 durable rows, the upload wants to go on after 7"],
      ["x", 3, 'The header x-mosaico-edge-resume-rows is "x", expected a number of rows.'],
      ["-1", 3, "expected a number of rows"],
    ] as const) {
      using resuming = resume(rows);
      const refused = await refusal(resuming.put(topic, batches(1)));
      expect([refused.code, refused.message]).toEqual([code, expect.stringContaining(sentence)]);
    }
    using right = resume("0");
    await right.put(topic, batches(2));
    expect(await status(client, topic.uuid)).toMatchObject({ rows: 6, batches: 2, state: "completed" });
  });

  test("takes over from a stream that still lives; without the header that is refused", async () => {
    using client = new FlightClient(server.port);
    const topic = await createTopic(client, await openSession(client, "live"), "live/imu");
    const sent = batches(4);
    const put = client.openPut(topic);
    for (const message of sent.slice(0, 3)) await put.sendData(message);
    await until("two batches are there", async () => (await readTopic(client, topic.locator)).length === 2);
    expect((await refusal(client.put(topic, sent))).message).toContain("is being uploaded by another stream");
    using resuming = resume("6");
    await resuming.put(topic, [...sent.slice(0, 1), ...sent.slice(3)]);
    expect(await put.call.status()).toMatchObject({
      code: 1,
      details: expect.stringContaining("is continued by another stream"),
    });
    expectSame(await readTopic(client, topic.locator), sent, "the topic that was taken over");
  });
});

test("the status of a topic ends its stream, counts what had arrived, and names the end of its session", async () => {
  using client = new FlightClient(server.port);
  const session = await openSession(client, "state");
  const topic = await createTopic(client, session, "state/imu");
  expect(await status(client, topic.uuid)).toEqual({ locator: "state/imu", rows: 0, batches: 0, state: "open" });
  const put = client.openPut(topic);
  for (const message of batches(2)) await put.sendData(message);
  await until("two batches are there", async () => (await readTopic(client, topic.locator)).length === 2);
  expect(await status(client, topic.uuid)).toEqual({ locator: "state/imu", rows: 6, batches: 2, state: "open" });
  expect((await put.call.status()).code).toBe(1);
  await client.put(topic, [...batches(1).slice(0, 1), ...batches(1, 2).slice(1)]);
  expect(await status(client, topic.uuid)).toMatchObject({ rows: 9, batches: 3, state: "completed" });
  await client.action("session_finalize", { session_uuid: session });
  expect(await status(client, topic.uuid)).toMatchObject({ state: "finalized" });
  expect((await refusal(client.action("edge_topic_status", { topic_uuid: randomUUID() }))).code).toBe(5);
  expect((await refusal(client.action("edge_topic_status", { topic_uuid: "x" }))).code).toBe(3);
});

test("a sequence under a UUID of the client's own tells the same one with other metadata from another one", async () => {
  using client = new FlightClient(server.port);
  const body = { locator: "chosen", user_metadata: { of: 1 }, uuid: randomUUID() };
  for (let time = 0; time < 2; time += 1) await client.action("sequence_create", body);
  const other = await refusal(client.action("sequence_create", { ...body, user_metadata: { of: 2 } }));
  expect([other.code, other.message]).toEqual([
    9,
    expect.stringMatching(/`chosen` has this UUID, with another user_m/),
  ]);
  for (const uuid of [randomUUID(), undefined])
    expect((await refusal(client.action("sequence_create", { ...body, uuid }))).code).toBe(6);
});

test("a UUID of the client's own makes creating repeatable, and belongs to one thing", async () => {
  using client = new FlightClient(server.port);
  await openSession(client, "own");
  await openSession(client, "other");
  const uuid = randomUUID();
  const create = async () =>
    (await client.action("session_create", { locator: "own", uuid })) as { uuid: string; locator: string };
  const first = await create();
  expect(first.uuid).toBe(uuid);
  expect(await create()).toEqual(first);
  expect((await refusal(client.action("session_create", { locator: "other", uuid }))).code).toBe(6);
  expect(
    (await refusal(client.action("session_create", { locator: "own", uuid: "00000000-0000-1000-8000-000000000000" })))
      .message,
  ).toContain("version 4");
  const topicUuid = randomUUID();
  const body = {
    session_uuid: uuid,
    ontology_tag: "t",
    serialization_format: "default",
    user_metadata: {},
    uuid: topicUuid,
  };
  const topic = async (locator: string) => await client.action("topic_create", { ...body, locator });
  expect(await topic("own/imu")).toEqual({ uuid: topicUuid });
  expect(await topic("own/imu")).toEqual({ uuid: topicUuid });
  expect((await refusal(topic("own/gps"))).code).toBe(6);
  // What would be dropped in silence is refused.
  const others = { user_metadata: { a: 1 }, ontology_tag: "u", serialization_format: "ragged" };
  for (const [key, value] of Object.entries(others)) {
    const other = await refusal(client.action("topic_create", { ...body, locator: "own/imu", [key]: value }));
    expect(other.code).toBe(6);
    expect(other.message).toContain(`with another ${key}`);
  }
  await client.put({ locator: "own/imu", uuid: topicUuid }, batches(1));
  await client.action("session_finalize", { session_uuid: uuid });
  expect((await refusal(create())).code).toBe(9);
});
