// kill -9 at random moments, with a ledger outside of the server: whatever was acknowledged is there after the restart, with
// equal bytes, nothing half of the rest is visible, and uploads that were cut go on. One data directory lives through all kills.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CallError, FlightClient, type Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom, randomInteger } from "../load/random.ts";
import { blobs } from "../load/robot.ts";
import { type RunningServer, serverCommand, startServer } from "../server.ts";
import {
  type Compared,
  compareSequence,
  type LedgerSequence,
  type LedgerSession,
  type LedgerTopic,
  nothingCompared,
  rowsPerBatch,
} from "./ledger.ts";

const seed = 20_260_102;
const rounds = 52;
const killsMin = 50;
const workerCount = 4;
const chunkBytesMax = 64 * 1024;

/** What a client is doing. The words "after" mean that the OK has arrived and the next call has not been made. */
const phases = [
  "create",
  "after create OK",
  "mid-upload",
  "do_put ending",
  "after do_put OK",
  "finalize",
  "after finalize OK",
  "delete",
  "after delete OK",
  "notification",
  "after notification OK",
  "start",
  "stop",
] as const;
type Phase = (typeof phases)[number];

const random = randomFrom(seed);

// Uploads are made of these, each with a stamp of its own, as random bytes take longer than all the rest.
const tables = Array.from({ length: 24 }, (_none, index) => randomTable(index));

/** Of 1 to 8 batches; small, middle and large ones, so that chunks are rotated after many, few and each. */
function randomTable(index: number): Outgoing[] {
  const bytesMost = [64, 4 * 1024, 40 * 1024][index % 3] ?? 64;
  const batches = 1 + randomInteger(random, 8);
  return toMessages(
    Array.from({ length: batches }, (_none, batch) => {
      const bytes = 64 * (1 + randomInteger(random, bytesMost / 64));
      const values = BigInt64Array.from({ length: rowsPerBatch }, (_nothing, row) => BigInt(1_000 * batch + row));
      return {
        timestamp_ns: makeVector(makeData({ type: new Int64(), data: values })),
        data: blobs(Array.from({ length: rowsPerBatch }, () => randomBytes(random, bytes))),
      };
    }),
  );
}

let stamps = 0;

/** A table whose batches are like no others: the last bytes of each body are the end of its last value. */
function stampedTable(own: () => number): Outgoing[] {
  const [schema, ...batches] = tables[randomInteger(own, tables.length)] ?? [];
  if (schema === undefined) throw new Error("a table has a schema");
  stamps += 1;
  const stamp = stamps;
  return [
    schema,
    ...batches.map(({ header, body }) => {
      const copy = Buffer.from(body);
      copy.writeBigUInt64LE(BigInt(stamp), copy.byteLength - 8);
      return { header, body: copy };
    }),
  ];
}

/** Kills when a client comes into the phase for the n-th time, or a little later. */
interface Plan {
  readonly phase: Phase;
  readonly nth: number;
  readonly delayMs: number;
}

class Killer {
  readonly #server: RunningServer;
  readonly #plan: Plan;
  readonly #current = new Map<number, Phase>();
  readonly #dead = Promise.withResolvers<void>();
  #times = 0;
  killed = false;
  /** The server refuses what begins now, and may do so in the middle of a call. */
  stopping = false;
  /** What each client was doing when the server died. */
  readonly hits: Phase[] = [];

  constructor(server: RunningServer, plan: Plan) {
    this.#server = server;
    this.#plan = plan;
  }

  get dead(): Promise<void> {
    return this.#dead.promise;
  }

  /** Says what a client begins to do, before it does. */
  enter(worker: number, phase: Phase): void {
    this.#current.set(worker, phase);
    if (phase !== this.#plan.phase) return;
    this.#times += 1;
    if (this.#times !== this.#plan.nth) return;
    if (this.#plan.delayMs === 0) this.kill();
    else setTimeout(() => this.kill(), this.#plan.delayMs);
  }

  /** Asks the server to stop, and gives it less time than it may take. */
  stop(graceMs: number): void {
    this.stopping = true;
    this.#signal("SIGTERM");
    setTimeout(() => this.kill(), graceMs);
  }

  kill(): void {
    if (this.killed) return;
    this.killed = true;
    this.#signal("SIGKILL");
    this.hits.push(...this.#current.values());
    this.#server.kill().then(this.#dead.resolve, this.#dead.reject);
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(this.#server.pid, signal);
    } catch {
      // It has stopped in time.
    }
  }
}

/** A client that does at random what clients do, until the server dies under it. */
class Worker implements Disposable {
  readonly #number: number;
  readonly #client: FlightClient;
  readonly #killer: Killer;
  readonly #random: () => number;
  readonly #ledger: LedgerSequence[];

  constructor(number: number, port: number, killer: Killer, ledger: LedgerSequence[]) {
    this.#number = number;
    this.#client = new FlightClient(port);
    this.#killer = killer;
    this.#random = randomFrom(randomInteger(random, 2 ** 32));
    this.#ledger = ledger;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  async connect(): Promise<void> {
    await this.#client.action("version", {});
  }

  async run(): Promise<void> {
    try {
      while (!this.#killer.killed) await this.#step();
    } catch (error) {
      // A connection that breaks says so in several ways; a status comes from a server that lives.
      if (!(this.#killer.killed || this.#killer.stopping) || (error instanceof CallError && error.code !== 14))
        throw error;
    }
  }

  async #step(): Promise<void> {
    const living = this.#ledger.filter(({ deleted }) => deleted === undefined);
    const sequence = living.at(-1);
    if (sequence === undefined || this.#chance(0.15)) return await this.#createSequence();
    sequence.touched = true;
    const open = sequence.sessions.find((session) => session.finalized === undefined && session.deleted === undefined);
    if (this.#chance(0.2)) return await this.#notify(sequence);
    if (open === undefined)
      return this.#chance(0.5) ? await this.#createSession(sequence) : await this.#delete(sequence);
    const unknown = open.topics.find(({ uuid }) => uuid === undefined);
    if (unknown !== undefined) return await this.#deleteTopic(open, unknown);
    const cut = open.topics.filter(({ completed }) => completed !== "acknowledged");
    if (cut.length > 0) {
      // Left behind by a kill: gone on with, or thrown away for a new session.
      if (this.#chance(0.3)) return await this.#deleteSession(open);
      await Promise.all(cut.map((topic) => this.#upload(topic)));
      return;
    }
    if (open.topics.length > 0 && this.#chance(0.5)) return await this.#finalize(open);
    const [first] = open.topics;
    if (first !== undefined && this.#chance(0.1)) return await this.#deleteTopic(open, first);
    await this.#uploadTopics(sequence, open);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  async #call(type: string, body: object, phase: "create" | "finalize" | "delete" | "notification"): Promise<unknown> {
    this.#killer.enter(this.#number, phase);
    return await this.#client.action(type, body);
  }

  async #createSequence(): Promise<void> {
    stamps += 1;
    const sequence: LedgerSequence = {
      name: `w${this.#number}-${stamps}`,
      created: "asked",
      deleted: undefined,
      touched: true,
      sessions: [],
      notifications: [],
    };
    this.#ledger.push(sequence);
    await this.#call("sequence_create", { locator: sequence.name, user_metadata: { stamp: stamps } }, "create");
    sequence.created = "acknowledged";
    this.#killer.enter(this.#number, "after create OK");
    await this.#createSession(sequence);
  }

  async #createSession(sequence: LedgerSequence): Promise<void> {
    const session: LedgerSession = { uuid: undefined, topics: [], finalized: undefined, deleted: undefined };
    sequence.sessions.push(session);
    const answer = await this.#call("session_create", { locator: sequence.name }, "create");
    session.uuid = (answer as { uuid: string }).uuid;
    this.#killer.enter(this.#number, "after create OK");
  }

  /** Up to three topics at once. */
  async #uploadTopics(sequence: LedgerSequence, session: LedgerSession): Promise<void> {
    const count = 1 + randomInteger(this.#random, 3);
    const topics: LedgerTopic[] = [];
    for (let index = 0; index < count; index += 1) {
      stamps += 1;
      const topic: LedgerTopic = {
        locator: `${sequence.name}/sensors/${stamps}`,
        uuid: undefined,
        messages: stampedTable(this.#random),
        completed: undefined,
        deleted: undefined,
        batchesShown: 0,
        bytesShown: undefined,
      };
      session.topics.push(topic);
      const body = { locator: topic.locator, session_uuid: session.uuid, ontology_tag: "t" };
      const whole = { ...body, serialization_format: "default", user_metadata: {} };
      const answer = await this.#call("topic_create", whole, "create");
      topic.uuid = (answer as { uuid: string }).uuid;
      this.#killer.enter(this.#number, "after create OK");
      topics.push(topic);
    }
    await Promise.all(topics.map((topic) => this.#upload(topic)));
  }

  /** From the first batch on that the server has not shown. */
  async #upload(topic: LedgerTopic): Promise<void> {
    const { locator, uuid, messages, batchesShown } = topic;
    if (uuid === undefined) throw new Error(`${locator} is uploaded before it is created`);
    this.#killer.enter(this.#number, "mid-upload");
    const put = this.#client.openPut({ locator, uuid });
    for (const message of [...messages.slice(0, 1), ...messages.slice(1 + batchesShown)]) {
      await put.sendData(message);
      // A recording takes its time: parts of it are committed before its end.
      if (this.#chance(0.3)) await sleep(randomInteger(this.#random, 12));
      this.#killer.enter(this.#number, "mid-upload");
    }
    topic.completed = "asked";
    this.#killer.enter(this.#number, "do_put ending");
    await put.finish();
    topic.completed = "acknowledged";
    topic.batchesShown = messages.length - 1;
    this.#killer.enter(this.#number, "after do_put OK");
  }

  async #finalize(session: LedgerSession): Promise<void> {
    session.finalized = "asked";
    await this.#call("session_finalize", { session_uuid: session.uuid }, "finalize");
    session.finalized = "acknowledged";
    this.#killer.enter(this.#number, "after finalize OK");
  }

  async #delete(sequence: LedgerSequence): Promise<void> {
    const session = sequence.sessions.find(({ deleted }) => deleted === undefined);
    if (session !== undefined && this.#chance(0.6)) return await this.#deleteSession(session);
    sequence.deleted = "asked";
    await this.#call("sequence_delete", { locator: sequence.name }, "delete");
    sequence.deleted = "acknowledged";
    this.#killer.enter(this.#number, "after delete OK");
  }

  async #deleteSession(session: LedgerSession): Promise<void> {
    session.deleted = "asked";
    await this.#call("session_delete", { session_uuid: session.uuid }, "delete");
    session.deleted = "acknowledged";
    this.#killer.enter(this.#number, "after delete OK");
  }

  async #deleteTopic({ topics }: LedgerSession, topic: LedgerTopic): Promise<void> {
    topic.deleted = "asked";
    await this.#call("topic_delete", { locator: topic.locator }, "delete");
    topic.deleted = "acknowledged";
    topics.splice(topics.indexOf(topic), 1);
    this.#killer.enter(this.#number, "after delete OK");
  }

  async #notify({ name, notifications }: LedgerSequence): Promise<void> {
    stamps += 1;
    const notification: LedgerSequence["notifications"][number] = { message: `note ${stamps}`, trust: "asked" };
    notifications.push(notification);
    const body = { locator: name, notification_type: "error", msg: notification.message };
    await this.#call("sequence_notification_create", body, "notification");
    notification.trust = "acknowledged";
    this.#killer.enter(this.#number, "after notification OK");
  }
}

/** Starts a server and kills it in the middle of its recovery, or after. */
async function killWhileStarting(dataDir: string, afterMs: number): Promise<void> {
  const { file, args } = serverCommand();
  const child = spawn(file, [...args, "run", "--data-dir", dataDir, "--port", "0"], { stdio: "ignore" });
  const ended = once(child, "exit");
  await sleep(afterMs);
  child.kill("SIGKILL");
  await ended;
}

let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), "mosaico-edge-kill-"));
});

afterAll(async () => rm(dataDir, { recursive: true, force: true }));

test("what was acknowledged survives", { timeout: 180_000 }, async () => {
  console.log(`kill: seed ${seed}`);
  const ledgers: LedgerSequence[][] = Array.from({ length: workerCount }, () => []);
  const compared = nothingCompared();
  const hits = new Map<Phase, number>(phases.map((phase) => [phase, 0]));
  const recovered = { openSessions: 0, sweptPaths: 0, cutFiles: 0 };
  let kills = 0;

  /** Compares what was used since the last time and some of the rest, or all. */
  const compare = async (
    server: RunningServer,
    extent: "touched" | "touched, once more later" | "all",
  ): Promise<void> => {
    using client = new FlightClient(server.port);
    await client.action("version", {});
    const compareLedger = async (ledger: LedgerSequence[]): Promise<void> => {
      for (const sequence of [...ledger]) {
        if (!sequence.touched && extent !== "all" && random() > 0.1) continue;
        sequence.touched = extent === "touched, once more later";
        await compareSequence(client, sequence, compared);
        // It never came into being, and nobody will ask for its name again.
        if (sequence.created === "asked") ledger.splice(ledger.indexOf(sequence), 1);
      }
    };
    await Promise.all(ledgers.map(compareLedger));
  };

  for (let round = 0; round < rounds; round += 1) {
    const phase = phases[round % phases.length] ?? "start";
    if (phase === "start") {
      await killWhileStarting(dataDir, 40 + randomInteger(random, 120));
      kills += 1;
      hits.set(phase, (hits.get(phase) ?? 0) + 1);
    }
    const interval = [5, 50, 200][randomInteger(random, 3)] ?? 200;
    const args = [
      ...["--max-chunk-size-in-bytes", String(chunkBytesMax)],
      ...["--commit-interval-ms", String(interval)],
    ];
    await using server = await startServer({ dataDir, args });
    for (const key of ["openSessions", "sweptPaths", "cutFiles"] as const) recovered[key] += Number(server.ready[key]);
    // Also while what the last life left in the tail log moves to chunk files.
    if (random() < 0.3) await compare(server, "touched, once more later");
    await tailsMoved();
    await compare(server, "touched");
    expectFilesAsShown(ledgers);

    // At once behind an OK; while a call is under way also a little into it.
    const immediate = phase.startsWith("after") || random() < 0.3;
    const plan: Plan = {
      phase: phase === "start" ? "mid-upload" : phase,
      nth: 1 + randomInteger(random, phase.includes("upload") || phase.includes("put") ? 16 : 5),
      delayMs: immediate ? 0 : 1 + randomInteger(random, 8),
    };
    const killer = new Killer(server, plan);
    const workers = ledgers.map((ledger, index) => new Worker(index, server.port, killer, ledger));
    await Promise.all(workers.map((worker) => worker.connect()));
    if (phase === "stop") setTimeout(() => killer.stop(randomInteger(random, 30)), 40 + randomInteger(random, 60));
    const giveUp = setTimeout(() => killer.kill(), 4_000);
    const outcomes = await Promise.allSettled(workers.map((worker) => worker.run()));
    clearTimeout(giveUp);
    killer.kill();
    await killer.dead;
    for (const worker of workers) worker[Symbol.dispose]();
    const failed = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (failed.length > 0) throw failed[0];
    kills += 1;
    for (const hit of phase === "stop" ? (["stop"] as const) : killer.hits) hits.set(hit, (hits.get(hit) ?? 0) + 1);
    if (/unhandled|INTERNAL|call_failed|poison/.test(server.stderr())) throw new Error(server.stderr());
  }

  await using server = await startServer({ dataDir });
  await compare(server, "all");
  console.log(`kill: ${kills} kills; compared ${words(compared)}`);
  console.log(`kill: recovery found ${words(recovered)}`);
  console.log(`kill: clients were in ${words(Object.fromEntries(hits))}`);
  for (const phase of phases) expect.soft(hits.get(phase), `kills during: ${phase}`).toBeGreaterThan(0);
  expect(kills).toBeGreaterThanOrEqual(killsMin);
  // Restarts that found something to repair: the kills came at moments that matter.
  expect(recovered.sweptPaths).toBeGreaterThan(0);
  expect(recovered.cutFiles).toBeGreaterThan(0);
  await everythingGoesOn(server, ledgers);
  await server.stop();
  expectNoOrphans(ledgers);
});

/** Every session that is open can be ended: cut uploads go on and are finalized. */
async function everythingGoesOn(server: RunningServer, ledgers: readonly LedgerSequence[][]): Promise<void> {
  using client = new FlightClient(server.port);
  const open = ledgers
    .flat()
    .flatMap(({ sessions }) => sessions)
    .filter(({ finalized, deleted }) => finalized === undefined && deleted === undefined);
  let goneOn = 0;
  for (const session of open) {
    for (const topic of session.topics) {
      if (topic.completed === "acknowledged" || topic.uuid === undefined) continue;
      const rest = [...topic.messages.slice(0, 1), ...topic.messages.slice(1 + topic.batchesShown)];
      await client.put({ locator: topic.locator, uuid: topic.uuid }, rest);
      topic.completed = "acknowledged";
      goneOn += 1;
    }
    if (session.topics.length === 0 || session.topics.some(({ completed }) => completed === undefined)) continue;
    await client.action("session_finalize", { session_uuid: session.uuid });
    session.finalized = "acknowledged";
  }
  console.log(`kill: ${open.length} sessions were open at the end, ${goneOn} cut uploads went on`);
  const compared = nothingCompared();
  for (const sequence of ledgers.flat()) await compareSequence(client, sequence, compared);
}

/** Ends when nothing is left in tail logs. */
async function tailsMoved(): Promise<void> {
  const tail = path.join(dataDir, "tail");
  const untilMs = performance.now() + 10_000;
  while (existsSync(tail) && readdirSync(tail).length > 0) {
    if (performance.now() > untilMs) throw new Error(`${tail} still has ${readdirSync(tail)} after 10 s`);
    await sleep(20);
  }
}

/** Whatever a kill left behind the last commit is cut off: chunk files are as long as the catalog says, and each topic has its document. */
function expectFilesAsShown(ledgers: readonly LedgerSequence[][]): void {
  const sizesOf = new Map<string, number[]>();
  const root = path.join(dataDir, "sessions");
  for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (path.basename(name) !== "topic.json") continue;
    const folder = path.join(root, path.dirname(name));
    const document = readFileSync(path.join(root, name), "utf8");
    // Half written when the kill came; it is replaced before the first commit of the topic.
    if (!document.endsWith("\n")) continue;
    const chunks = readdirSync(folder).filter((file) => file.endsWith(".arrow"));
    const sizes = chunks.map((file) => statSync(path.join(folder, file)).size);
    sizesOf.set((JSON.parse(document) as { locator: string }).locator, sizes);
  }
  for (const { locator, bytesShown, deleted } of ledgers.flat().flatMap(topicsOf)) {
    // A topic without rows has a file without batches, which no count of bytes tells of.
    if (deleted !== undefined || bytesShown === undefined || bytesShown === 0) continue;
    const sizes = sizesOf.get(locator) ?? [];
    if (sizes.reduce((sum, bytes) => sum + bytes, 0) !== bytesShown)
      throw new Error(`${locator} has chunk files of ${sizes.join(" + ")} bytes and says ${bytesShown}`);
  }
}

function topicsOf({ sessions, deleted }: LedgerSequence): LedgerTopic[] {
  const living = deleted === undefined ? sessions.filter((session) => session.deleted === undefined) : [];
  return living.flatMap(({ topics }) => topics);
}

/** After a stop that was not forced, directories are those of living sessions and nothing else. */
function expectNoOrphans(ledgers: readonly LedgerSequence[][]): void {
  const living = ledgers
    .flat()
    .filter(({ deleted }) => deleted === undefined)
    .flatMap(({ sessions }) => sessions)
    .filter(({ deleted, topics }) => deleted === undefined && topics.length > 0);
  const directories = readdirSync(path.join(dataDir, "sessions"));
  expect(directories.length).toBeLessThanOrEqual(living.length);
  expect(readdirSync(path.join(dataDir, "trash"))).toEqual([]);
}

function words(counts: object): string {
  return Object.entries(counts as Record<keyof Compared, number>)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
