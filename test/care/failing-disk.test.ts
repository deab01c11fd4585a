// A disk that fails: what nobody can know to be on it is not acknowledged, and nothing more is written until a restart, while reads
// go on. A disk that is full refuses one stream, and goes on by itself. LMDB's own writes and syncs fail as well.

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../src/wire/health_pb.js";
import { FlightClient, type Outgoing, type PutCall } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";
import { blobs } from "../load/robot.ts";
import { createTopic, expectSame, openSession, readTopic } from "../round-trip.ts";
import { seed } from "../seed.ts";
import { type RunningServer, startServer } from "../server.ts";
import { buildShim, noShims } from "../store/shim.ts";

if (noShims !== undefined) console.warn(`failing-disk.test.ts is skipped: ${noShims}`);

const random = randomFrom(seed);
const small = 1_000;
const large = 100_000;

function batches(count: number, bytes: number, first = 0): Outgoing[] {
  return toMessages(
    Array.from({ length: count }, (_none, index) => ({
      timestamp_ns: makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(BigInt(first + index)) })),
      data: blobs([randomBytes(random, bytes)]),
    })),
  );
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const startedMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedMs > 10_000) throw new Error(`not within 10 s: ${what}`);
    await sleep(10);
  }
}

async function isServing(client: FlightClient): Promise<boolean> {
  const [answer] = await client.all("/grpc.health.v1.Health/Check", HealthCheckRequestSchema, { service: "" });
  if (answer === undefined) throw new Error("no answer of the health service");
  return fromBinary(HealthCheckResponseSchema, answer).status === Serving.SERVING;
}

async function outcome(act: Promise<unknown>): Promise<{ code: number; message: string }> {
  return await act.then(
    () => ({ code: 0, message: "" }),
    (error: { code: number; message: string }) => ({ code: error.code, message: error.message }),
  );
}

describe.skipIf(noShims !== undefined)("a disk on which", () => {
  let folder: string;
  let env: Record<string, string>;

  beforeAll(() => {
    folder = realpathSync(mkdtempSync(path.join(tmpdir(), "mosaico-edge-failing-")));
    env = buildShim("fail", folder);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What fails, of which files, and how large batches are that go there. */
  const poisoning = [
    { name: "a sync of a chunk file fails", line: `sync ${constants.errno.EIO} .arrow`, bytes: large },
    { name: "a sync of the tail log fails", line: `sync ${constants.errno.EIO} /tail/0`, bytes: small },
    { name: "a sync of a document fails", line: `sync ${constants.errno.EIO} topic.json`, bytes: large },
    { name: "a sync of a directory fails", line: `sync ${constants.errno.EIO} /sessions`, bytes: large },
    { name: "a sync of the catalog fails", line: `sync ${constants.errno.EIO} data.mdb`, bytes: large },
    { name: "a sync finds out that it is full", line: `sync ${constants.errno.ENOSPC} .arrow`, bytes: large },
    { name: "a write to a chunk file fails", line: `write ${constants.errno.EIO} .arrow`, bytes: large },
    { name: "a write to the tail log fails", line: `write ${constants.errno.EIO} /tail/0`, bytes: small },
    { name: "the catalog does not fit", line: `write ${constants.errno.ENOSPC} data.mdb`, bytes: large },
    { name: "a write to the catalog fails", line: `write ${constants.errno.EIO} data.mdb`, bytes: large },
  ] as const;

  test.each(poisoning)(
    "$name: nothing is acknowledged or written any more, reads go on",
    { timeout: 30_000 },
    async ({ line, bytes }) => {
      const { dataDir, control, start } = place();
      const before = batches(3, large);
      {
        await using server = await start();
        using client = new FlightClient(server.port);
        const session = await openSession(client, "drive");
        await client.put(await createTopic(client, session, "drive/before"), before);
        const other = client.openPut(await createTopic(client, session, "drive/other"));
        for (const message of batches(1, large).slice(0, 1)) await other.sendData(message);
        const topic = await createTopic(client, session, "drive/during");
        const put = client.openPut(topic);
        await put.sendData(batches(1, bytes)[0] as Outgoing);
        writeFileSync(control, line);
        await sendTillCommit(put, batches(4, bytes).slice(1));
        const { code, details } = await put.call.status();
        expect([code, details]).toEqual([
          14,
          expect.stringMatching(/writes nothing more until a restart|Cannot (write|sync)|could not be written/),
        ]);
        expect(await isServing(client)).toBe(false);
        expect(await outcome(client.action("sequence_create", { locator: "more", user_metadata: {} }))).toMatchObject({
          code: 14,
        });
        rmSync(control);
        // A disk that seems to be well again is not trusted.
        expect(await outcome(client.action("sequence_create", { locator: "more", user_metadata: {} }))).toMatchObject({
          code: 14,
        });
        // One that rests is told at once, not at its next message.
        expect((await other.call.status()).code).toBe(14);
        expectSame(await readTopic(client, "drive/before"), before, "what was there before");
        expect(server.stderr()).toContain('"event":"store_poisoned"');
        expect(server.stderr()).not.toContain("unhandled_rejection");
        await server.kill();
      }
      await using server = await start();
      using client = new FlightClient(server.port);
      expect(await isServing(client)).toBe(true);
      expectSame(await readTopic(client, "drive/before"), before, "what was there before");
      await client.action("sequence_create", { locator: "more", user_metadata: {} });
      rmSync(dataDir, { recursive: true, force: true });
    },
  );

  const filling = [
    { name: "a chunk file does not fit", line: `write ${constants.errno.ENOSPC} .arrow`, bytes: large },
    { name: "a chunk file is beyond the quota", line: `write ${constants.errno.EDQUOT} .arrow`, bytes: large },
    { name: "the tail log does not fit", line: `write ${constants.errno.ENOSPC} /tail/0`, bytes: small },
    { name: "a document does not fit", line: `write ${constants.errno.ENOSPC} topic.json`, bytes: large },
  ] as const;

  test.each(filling)(
    "$name: that stream is refused, and goes on when there is room",
    { timeout: 30_000 },
    async ({ line, bytes }) => {
      const { dataDir, control, start } = place();
      await using server = await start();
      using client = new FlightClient(server.port);
      const session = await openSession(client, "drive");
      const topic = await createTopic(client, session, "drive/camera");
      const sent = batches(6, bytes);
      const put = client.openPut(topic);
      // A document is written before anything else.
      const early = line.includes("json");
      if (!early) await sendAndSee(client, put, topic.locator, sent.slice(0, 4));
      writeFileSync(control, line);
      await sendTillCommit(put, early ? sent : sent.slice(4));
      const { code, details } = await put.call.status();
      expect([code, details]).toEqual([8, expect.stringMatching(/The disk is full|ENOSPC: no space left/)]);
      expect(server.stderr()).not.toContain("store_poisoned");
      expect(await isServing(client)).toBe(true);
      rmSync(control);
      const shown = early ? 0 : (await readTopic(client, topic.locator)).length;
      expect(shown).toBeGreaterThanOrEqual(early ? 0 : 3);
      await until("the stream is over", async () => {
        const { code: again } = await outcome(client.put(topic, [...sent.slice(0, 1), ...sent.slice(1 + shown)]));
        return again === 0;
      });
      await client.action("session_finalize", { session_uuid: session });
      expectSame(await readTopic(client, topic.locator), sent, "the topic");
      await server.stop();
      await using restarted = await start();
      using reader = new FlightClient(restarted.port);
      expectSame(await readTopic(reader, topic.locator), sent, "the topic after a restart");
      rmSync(dataDir, { recursive: true, force: true });
    },
  );

  /** Sends the last message after a commit, for what is small is in no file before, and ends the stream. */
  async function sendTillCommit(put: PutCall, messages: readonly Outgoing[]): Promise<void> {
    for (const message of messages.slice(0, -1)) await put.sendData(message);
    await sleep(100);
    for (const message of messages.slice(-1)) await put.sendData(message);
    put.call.end();
  }

  async function sendAndSee(
    client: FlightClient,
    put: PutCall,
    locator: string,
    messages: readonly Outgoing[],
  ): Promise<void> {
    for (const message of messages) await put.sendData(message);
    await until("they are committed", async () => (await readTopic(client, locator)).length === messages.length - 1);
  }

  function place(): { dataDir: string; control: string; start: () => Promise<RunningServer> } {
    const dataDir = mkdtempSync(path.join(folder, "data-"));
    const control = `${dataDir}.control`;
    const start = () =>
      startServer({ dataDir, args: ["--commit-interval-ms", "20"], env: { ...env, FAIL_CONTROL: control } });
    return { dataDir, control, start };
  }
});
