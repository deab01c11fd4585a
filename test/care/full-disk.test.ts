// A disk that fills up, on a small file system of its own: another process fills it, we never go below the floor, the catalog goes
// on committing, reads go on, nothing is poisoned, and uploads are taken in again by themselves when there is room.

import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CallError, FlightClient, type Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";
import { blobs } from "../load/robot.ts";
import { createTopic, expectSame, openSession, readTopic } from "../round-trip.ts";
import { seed } from "../seed.ts";
import { type RunningServer, startServer, untilCatalogHasRoom } from "../server.ts";
import { mountSmallDisk } from "../small-disk.ts";
import { buildShim, noShims } from "../store/shim.ts";

const MiB = 2 ** 20;
const diskBytes = 192 * MiB;
const floorBytes = 32 * MiB;

const mounted = mountSmallDisk(diskBytes);
if (typeof mounted === "string") console.warn(`full-disk.test.ts is skipped: ${mounted}`);

/** The other process: takes all space but so many bytes, and gives it back. */
class Filler {
  readonly #root: string;
  readonly #file: number;
  #bytes = 0;

  constructor(root: string) {
    this.#root = root;
    this.#file = openSync(path.join(root, "foreign"), "w");
  }

  leave(bytes: number): void {
    const piece = Buffer.alloc(65_536, 1);
    for (;;) {
      const take = Math.min(piece.byteLength, free(this.#root) - bytes);
      if (take <= 0) return;
      try {
        this.#bytes += writeSync(this.#file, piece, 0, take, this.#bytes);
      } catch {
        return;
      }
    }
  }

  giveBack(): void {
    ftruncateSync(this.#file, 0);
    this.#bytes = 0;
  }

  close(): void {
    closeSync(this.#file);
  }
}

function free(root: string): number {
  const { bavail, bsize } = statfsSync(root);
  return bavail * bsize;
}

const random = randomFrom(seed);

/** Batches of about one MiB, the schema first. */
function batches(count: number, first: number): Outgoing[] {
  return toMessages(
    Array.from({ length: count }, (_none, index) => ({
      timestamp_ns: makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(BigInt(first + index)) })),
      data: blobs([randomBytes(random, MiB)]),
    })),
  );
}

async function failure(act: Promise<unknown>): Promise<CallError> {
  const error = await act.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CallError)) throw new Error(`expected a refusal, found ${error}`);
  return error;
}

describe.skipIf(typeof mounted === "string")("a disk that another process fills", () => {
  const root = typeof mounted === "string" ? "" : mounted.root;
  const dataDir = path.join(root, "data");
  let server: RunningServer;
  let filler: Filler;

  beforeAll(async () => {
    mkdirSync(dataDir, { mode: 0o700 });
    server = await startServer({ dataDir, args: ["--free-space-floor", String(floorBytes)] });
    filler = new Filler(root);
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    filler?.close();
    if (typeof mounted !== "string") mounted[Symbol.dispose]();
  });

  test("is never filled by us, refuses clearly, keeps its catalog, and goes on by itself", {
    timeout: 60_000,
  }, async () => {
    using client = new FlightClient(server.port);
    const session = await openSession(client, "drive");
    const topic = await createTopic(client, session, "drive/camera");
    const sent = batches(20, 0);

    await untilCatalogHasRoom(dataDir);

    // Uploads stop before the floor.
    filler.leave(floorBytes + 40 * MiB);
    let least = Number.POSITIVE_INFINITY;
    const sampler = setInterval(() => {
      least = Math.min(least, free(root));
    }, 2);
    const refused = await failure(client.put(topic, [...sent, ...batches(60, 20).slice(1)]));
    clearInterval(sampler);
    expect(refused.code).toBe(8);
    expect(refused.message).toMatch(
      /The disk is full: \d+ bytes are free, 33554432 are kept free \(free_space_floor\) and 16777216 for what is written besides; \d+ bytes/,
    );
    expect(refused.message).toContain("there is no finalized session");
    expect(Math.min(least, free(root)), "bytes that were left free").toBeGreaterThanOrEqual(floorBytes);

    // Another process takes all of it: the catalog commits, reads go on, uploads are refused, nothing is poisoned.
    filler.leave(0);
    expect(free(root)).toBeLessThan(MiB);
    const kept = await readTopic(client, topic.locator);
    expect(kept.length).toBeGreaterThan(10);
    for (let round = 0; round < 40; round += 1) {
      filler.leave(0);
      const msg = `${round} ${"x".repeat(60_000)}`;
      await client.action("sequence_notification_create", { locator: "drive", notification_type: "error", msg });
    }
    expect((await failure(client.put(topic, batches(1, 100)))).code).toBe(8);
    expect(server.stderr()).not.toContain("store_poisoned");

    // Room again: within five seconds, without a restart.
    filler.giveBack();
    const startedMs = performance.now();
    const rest = batches(5, 100);
    for (;;) {
      const error = await client.put(topic, rest).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) break;
      expect(performance.now() - startedMs, String(error)).toBeLessThan(5_000);
      await sleep(50);
    }
    await client.action("session_finalize", { session_uuid: session });
    const all = await readTopic(client, topic.locator);
    expectSame(all.slice(kept.length), rest, "what came after");
    expectSame(all.slice(0, kept.length), [...sent.slice(0, 1), ...all.slice(0, kept.length)], "what was there");
    expect(server.stderr()).toMatch(/"event":"space_open"/);
    await server.stop();
    await using again = await startServer({ dataDir, args: ["--free-space-floor", String(floorBytes)] });
    using reader = new FlightClient(again.port);
    expect((await readTopic(reader, topic.locator)).length).toBe(all.length);
  });

  test.skipIf(noShims !== undefined)(
    "large rows at once do not use up the room of the catalog",
    {
      timeout: 60_000,
    },
    async () => {
      const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "mosaico-edge-rows-")));
      const own = path.join(realpathSync(root), "rows");
      mkdirSync(own, { mode: 0o700 });
      // Commits that take their time: what is created meanwhile comes in one that follows.
      const env = { ...buildShim("slow-write", folder), SLOW_ROOT: path.join(own, "catalog"), SLOW_MS: "100" };
      try {
        await using slow = await startServer({ dataDir: own, args: ["--free-space-floor", String(floorBytes)], env });
        await untilCatalogHasRoom(own);
        filler.leave(0);
        const create = async (name: string, characters: number): Promise<number> => {
          using client = new FlightClient(slow.port);
          const body = { locator: name, user_metadata: { x: "y".repeat(characters) } };
          return await client.action("sequence_create", body).then(
            () => 0,
            (error: unknown) => (error instanceof CallError ? error.code : -1),
          );
        };
        const codes: number[] = [];
        const made: string[] = [];
        const worker = async (number: number): Promise<void> => {
          for (let round = 0; round < 3; round += 1) {
            const name = `large-${number}-${round}`;
            const code = await create(name, 4_100_000);
            codes.push(code);
            if (code === 0) made.push(name);
          }
        };
        await Promise.all([1, 2, 3, 4].map(worker));
        expect(new Set(codes)).toEqual(new Set([0, 8]));
        expect(slow.stderr()).not.toContain("store_poisoned");
        // Deletes find room, and give some.
        using client = new FlightClient(slow.port);
        expect(made.length).toBeGreaterThan(1);
        for (const locator of made) await client.action("sequence_delete", { locator });
        filler.giveBack();
        await sleep(1_500);
        expect(await create("after", 4_100_000)).toBe(0);
        expect(slow.stderr()).not.toContain("store_poisoned");
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
