// Sessions that nobody returns to, with the real server: each is settled for itself, and none whose client is there again.

import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Abandoned } from "../../src/care/abandoned.ts";
import { findSession, listTopicsOfSession } from "../../src/catalog/resources.ts";
import { Budget } from "../../src/flow/budget.ts";
import { machineClock } from "../../src/host/clock.ts";
import { openDisk } from "../../src/host/disk.ts";
import { openLog } from "../../src/host/log.ts";
import { LoopUse } from "../../src/host/loop-use.ts";
import { createTopic as addTopic, createSequence, createSession } from "../../src/ingest/create.ts";
import { finalizeSession } from "../../src/ingest/finalize.ts";
import { GroupCommit } from "../../src/ingest/group-commit.ts";
import { deleteSession, deleteTopic } from "../../src/ingest/remove.ts";
import { Uploads } from "../../src/ingest/uploads.ts";
import { parseSequenceName, parseTopicLocator } from "../../src/model/locator.ts";
import type { JsonText } from "../../src/model/resource.ts";
import { sequencesDirectory } from "../../src/store/layout.ts";
import { Poison } from "../../src/store/poison.ts";
import { TailLog } from "../../src/store/tail-log.ts";
import { openScratch, openSpace, type Scratch } from "../catalog/scratch.ts";
import { FlightClient, type Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";
import { blobs } from "../load/robot.ts";
import { createTopic, openSession, readTopic } from "../round-trip.ts";
import { seed } from "../seed.ts";
import { readStatus, startServer } from "../server.ts";
import { buildShim, noShims } from "../store/shim.ts";

const random = randomFrom(seed);
let folder: string;
let dataDir: string;

beforeEach(() => {
  // The shim compares with the paths that the kernel tells: without symbolic links.
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), "mosaico-edge-abandoned-")));
  dataDir = path.join(folder, "data");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function batches(count: number, bytes: number): Outgoing[] {
  return toMessages(
    Array.from({ length: count }, (_none, index) => ({
      timestamp_ns: makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(BigInt(index)) })),
      data: blobs([randomBytes(random, bytes)]),
    })),
  );
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const startedMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedMs > 15_000) throw new Error(`not within 15 s: ${what}`);
    await sleep(20);
  }
}

async function notes(client: FlightClient, sequence: string): Promise<string[]> {
  const answer = (await client.action("sequence_notification_list", { locator: sequence })) as {
    notifications: readonly { readonly message?: string; readonly msg?: string }[];
  };
  return answer.notifications.map(({ message, msg }) => message ?? msg ?? "");
}

function isFinalized(session: string): boolean {
  return readFileSync(path.join(dataDir, "sessions", session, "session.json"), "utf8").includes("completed_at_ns");
}

function policy(name: string): string[] {
  return ["--open-sessions", name, "--open-session-grace", "1s"];
}

test("one that cannot be finalized is told once and tried again, and holds up no other", {
  timeout: 60_000,
}, async () => {
  let port: number;
  const sessions: string[] = [];
  {
    await using server = await startServer({ dataDir });
    using client = new FlightClient(server.port);
    for (const sequence of ["a-bad", "b-good"]) {
      await client.put(
        await createTopic(client, await openSession(client, sequence), `${sequence}/camera`),
        batches(2, 300_000),
      );
      sessions.push(...readdirSync(path.join(dataDir, "sessions")).filter((name) => !sessions.includes(name)));
    }
    port = server.port;
    await server.stop();
  }
  const [bad = "", good = ""] = sessions;
  const chunk = path.join(dataDir, "sessions", bad, "0/00000.arrow");
  truncateSync(chunk, statSync(chunk).size - 1);
  await using server = await startServer({ dataDir, port, args: policy("finalize") });
  using client = new FlightClient(server.port);
  await until("the good one is finalized", async () => isFinalized(good));
  await until("the bad one was tried again", async () => (await readStatus(dataDir)).abandoned.failures > 1);
  expect(await readStatus(dataDir)).toMatchObject({ abandoned: { settled: 1, failing: 1 } });
  expect(isFinalized(bad)).toBe(false);
  const told = await notes(client, "a-bad");
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(
    /^Session a-bad:[0-9A-Z]{26} had no client for 1 s\. It could not be settled \(finalize\): .*expected/,
  );
  const lines = server.stderr().match(/"event":"abandoned_failed"/g) ?? [];
  expect(lines.length).toBe(1);
  // What was wrong is no longer: deleted, it is not tried any more.
  await client.action("sequence_delete", { locator: "a-bad" });
  await until("nothing fails", async () => (await readStatus(dataDir)).abandoned.failing === 0);
});

describe.skipIf(noShims !== undefined)("sessions that are due at once on a slow disk", () => {
  const count = 4;

  test.each(["delete", "finalize"])(
    "%s: not one whose client is there again before its turn",
    {
      timeout: 60_000,
    },
    async (name) => {
      const topics: { locator: string; uuid: string }[] = [];
      let port: number;
      {
        await using server = await startServer({ dataDir });
        using client = new FlightClient(server.port);
        for (let number = 0; number < count; number += 1) {
          const topic = await createTopic(client, await openSession(client, `s${number}`), `s${number}/a`);
          topics.push(topic);
          // Broken off: whole batches stay, the topic is open.
          const put = client.openPut(topic);
          for (const message of batches(1, 1_000)) await put.sendData(message);
          await until("a row is committed", async () => (await readTopic(client, topic.locator)).length === 1);
          put.call.stream.destroy();
        }
        port = server.port;
        await sleep(200);
        await server.stop();
      }
      const slow = name === "delete" ? "trash" : "sessions";
      const env = { ...buildShim("slow-write", folder), SLOW_ROOT: path.join(dataDir, slow), SLOW_MS: "300" };
      await using server = await startServer({ dataDir, port, args: policy(name), env });
      using client = new FlightClient(server.port);
      await until("the first is settled", async () => (await notes(client, "s0")).length > 0);
      const last = topics[count - 1] ?? { locator: "", uuid: "" };
      const put = client.openPut(last);
      for (const message of batches(2, 1_000)) await put.sendData(message);
      await until("the one before is settled", async () => (await notes(client, `s${count - 2}`)).length > 0);
      await sleep(1_000);
      await put.finish();
      expect((await readTopic(client, last.locator)).length).toBe(3);
      expect(await notes(client, `s${count - 1}`)).toEqual([]);
      expect(server.stderr()).not.toContain("abandoned_failed");
    },
  );
});

describe("a client that comes back while its session is being deleted", () => {
  const sequence = parseSequenceName("s");
  const userMetadata = "{}" as JsonText;
  const clock = machineClock();
  const log = openLog("error");

  async function setUp(scratch: Scratch) {
    const { catalog } = scratch;
    const disk = await openDisk(scratch.directory);
    const poison = new Poison(() => undefined);
    const space = await openSpace(scratch);
    const tail = new TailLog(disk, { found: [], onFailure: () => undefined, onCrowded: () => undefined });
    const commit = new GroupCommit({ disk, catalog, poison, tail, clock }, { intervalMs: 5, bytes: 1e9 });
    const shared = { disk, catalog, clock, commit, tail, space, poison };
    const uploads = new Uploads({
      ...shared,
      unfoldBudget: new Budget(1e6),
      chunkBytesMax: 0,
      damaged: new Map(),
      given: new Map(),
      keepsStatistics: true,
      loop: new LoopUse(),
    });
    const parts = {
      ...shared,
      log,
      uploads,
      emptying: new Set<Promise<void>>(),
      finalizing: new Map(),
      finalized: () => undefined,
      isUploading: () => false,
      ontology: { policy: "off", given: new Map() } as const,
    };
    await disk.makeDirectory(sequencesDirectory);
    await createSequence(parts, { name: sequence, userMetadata });
    const session = await createSession(parts, { sequence, creator: undefined });
    const topic = (name: string) => {
      const request = {
        session: session.uuid,
        ontologyTag: "t",
        serializationFormat: "default",
        userMetadata,
      } as const;
      return addTopic(parts, { ...request, locator: parseTopicLocator(`s/${name}`) });
    };
    return { parts, session, topic };
  }

  /** @param meanwhile runs when the delete has found nobody and before its transaction */
  async function settle(scratch: Scratch, meanwhile: (set: Awaited<ReturnType<typeof setUp>>) => Promise<unknown>) {
    const set = await setUp(scratch);
    const { parts, session } = set;
    await set.topic("a");
    let returned: Promise<unknown> | undefined;
    const abandoned = new Abandoned({
      ...parts,
      policy: "delete",
      graceMs: 0,
      hands: {
        isUploading: (topic) => parts.uploads.isUploading(topic),
        completeTopic: (topic) => parts.uploads.completeTopic(topic),
        deleteTopic: ({ locator }, check) => deleteTopic(parts, locator, check),
        finalizeSession: async ({ uuid }) => void (await finalizeSession(parts, uuid)),
        async deleteSession({ ulid }, check) {
          const deleted = deleteSession(parts, ulid, check);
          returned ??= meanwhile(set).catch((error: unknown) => error);
          await deleted;
        },
      },
    });
    await abandoned.tick();
    return { set, abandoned, returned: await returned, session };
  }

  function schemaHeader(): Uint8Array {
    const [schema] = batches(1, 10);
    if (schema === undefined) throw new Error("a stream has a schema");
    return schema.header;
  }

  test("with a topic: the session stays, and its grace begins anew", async () => {
    await using scratch = await openScratch();
    const { set, abandoned, session } = await settle(scratch, ({ topic }) => topic("b"));
    expect(findSession(scratch.catalog, session.uuid)).toBeDefined();
    expect(listTopicsOfSession(scratch.catalog, session)).toHaveLength(2);
    expect(abandoned.use()).toEqual({ settled: 0, failures: 0, failing: 0 });
    // What was refused for a moment may go on.
    const [topic] = listTopicsOfSession(scratch.catalog, session);
    if (topic === undefined) throw new Error("the session has topics");
    const { uuid, locator } = topic;
    const { uploads } = set.parts;
    const upload = await uploads.begin({ topic: locator, uuid, schemaHeader: schemaHeader(), memoryWaitMs: () => 0 });
    await upload.breakOff();
    await uploads.end(upload, uuid);
  });

  test("with an upload: it is refused, and the session goes", async () => {
    await using scratch = await openScratch();
    const { session, abandoned, returned } = await settle(scratch, async ({ parts, session }) => {
      const [topic] = listTopicsOfSession(scratch.catalog, session);
      if (topic === undefined) throw new Error("the session has a topic");
      const { uuid, locator } = topic;
      const request = { topic: locator, uuid, schemaHeader: schemaHeader(), memoryWaitMs: () => 0 };
      await parts.uploads.begin(request);
    });
    expect(returned).toMatchObject({ code: "wrong_state", message: expect.stringContaining("is being deleted") });
    expect(findSession(scratch.catalog, session.uuid)).toBeUndefined();
    expect(abandoned.use()).toEqual({ settled: 1, failures: 0, failing: 0 });
  });
});
