// Kills a server again and again under clients that do at random what clients do, with a ledger outside of it: whatever was
// acknowledged is there after each restart, with equal bytes, nothing half of the rest is visible, and uploads that were cut go on.
// One data directory lives through all kills. Killed from outside when a client comes into a phase, or by the server itself at a
// fail point between two durable steps.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import type { FailPoint } from "../../src/host/fail-point.ts";
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
} from "../store/ledger.ts";

import { expectRebuiltEqual, type Rebuilt } from "./rebuilt.ts";
import { type Death, nothingLost, Recorder } from "./recorder.ts";

const chunkBytesMax = 64 * 1024;
/** The program with fail points; `node build/bundle.mjs --fail-points` makes it. */
export const failPointProgram = path.resolve(import.meta.dirname, "../../dist/fail-points/mosaico-edge.cjs");

/** What a client is doing. The words "after" mean that the OK has arrived and the next call has not been made. */
export const phases = [
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
export type Phase = (typeof phases)[number];

/** Uploads are made of a few tables, each with a stamp of its own, as random bytes take longer than all the rest. */
class Tables {
  readonly #tables: readonly Outgoing[][];
  #stamps = 0;

  constructor(random: () => number) {
    this.#tables = Array.from({ length: 24 }, (_none, index) => randomTable(random, index));
  }

  /** A number that no other has. */
  stamp(): number {
    this.#stamps += 1;
    return this.#stamps;
  }

  /** A table whose batches are like no others: the last bytes of each body are the end of its last value. */
  stamped(own: () => number): Outgoing[] {
    const [schema, ...batches] = this.#tables[randomInteger(own, this.#tables.length)] ?? [];
    if (schema === undefined) throw new Error("a table has a schema");
    const stamp = this.stamp();
    return [
      schema,
      ...batches.map(({ header, body }) => {
        const copy = Buffer.from(body);
        copy.writeBigUInt64LE(BigInt(stamp), copy.byteLength - 8);
        return { header, body: copy };
      }),
    ];
  }
}

/** Of 1 to 8 batches; small, middle and large ones, so that chunks are rotated after many, few and each. */
function randomTable(random: () => number, index: number): Outgoing[] {
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

/** Kills when a client comes into the phase for the n-th time, or a little later; or the server dies at a fail point. */
type Plan =
  | { readonly kind: "phase"; readonly phase: Phase; readonly nth: number; readonly delayMs: number }
  | { readonly kind: "point"; readonly point: FailPoint; readonly nth: number };

class Killer {
  readonly #server: RunningServer;
  readonly #plan: Plan;
  readonly #current = new Map<number, Phase>();
  readonly #dead = Promise.withResolvers<void>();
  #times = 0;
  killed = false;
  killedAtMs = Number.NaN;
  /** The server refuses what begins now, and may do so in the middle of a call. */
  stopping = false;
  /** What each client was doing when the server died. */
  readonly hits: Phase[] = [];

  constructor(server: RunningServer, plan: Plan) {
    this.#server = server;
    this.#plan = plan;
    void server.exited.then(() => this.kill());
  }

  get dead(): Promise<void> {
    return this.#dead.promise;
  }

  /** Says what a client begins to do, before it does. */
  enter(worker: number, phase: Phase): void {
    this.#current.set(worker, phase);
    const plan = this.#plan;
    if (plan.kind !== "phase" || phase !== plan.phase) return;
    this.#times += 1;
    if (this.#times !== plan.nth) return;
    if (plan.delayMs === 0) this.kill();
    else setTimeout(() => this.kill(), plan.delayMs);
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
    this.killedAtMs = performance.now();
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

interface WorkerParts {
  readonly number: number;
  readonly port: number;
  readonly killer: Killer;
  readonly seed: number;
  readonly ledger: LedgerSequence[];
  readonly tables: Tables;
}

/** A client that does at random what clients do, until the server dies under it. */
class Worker implements Disposable {
  readonly #number: number;
  readonly #client: FlightClient;
  readonly #killer: Killer;
  readonly #random: () => number;
  readonly #ledger: LedgerSequence[];
  readonly #tables: Tables;

  constructor(parts: WorkerParts) {
    this.#number = parts.number;
    this.#client = new FlightClient(parts.port);
    this.#killer = parts.killer;
    this.#random = randomFrom(parts.seed);
    this.#ledger = parts.ledger;
    this.#tables = parts.tables;
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
      // Its connections break before a process is known to have ended.
      for (let wait = 0; wait < 100 && !this.#killer.killed && !this.#killer.stopping; wait += 1) await sleep(10);
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
    const stamp = this.#tables.stamp();
    const sequence: LedgerSequence = {
      name: `w${this.#number}-${stamp}`,
      created: "asked",
      deleted: undefined,
      touched: true,
      sessions: [],
      notifications: [],
    };
    this.#ledger.push(sequence);
    await this.#call("sequence_create", { locator: sequence.name, user_metadata: { stamp } }, "create");
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
      const topic: LedgerTopic = {
        locator: `${sequence.name}/sensors/${this.#tables.stamp()}`,
        uuid: undefined,
        messages: this.#tables.stamped(this.#random),
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
    const message = `note ${this.#tables.stamp()}`;
    const notification: LedgerSequence["notifications"][number] = { message, trust: "asked" };
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

export interface CampaignOptions {
  readonly dataDir: string;
  readonly seed: number;
  readonly workers: number;
}

/** One data directory and what its clients know of it, through any number of kills. */
export class Campaign {
  readonly #dataDir: string;
  readonly #random: () => number;
  readonly #ledgers: LedgerSequence[][];
  readonly #tables: Tables;
  readonly compared = nothingCompared();
  readonly recovered = { openSessions: 0, sweptPaths: 0, cutFiles: 0 };
  readonly phaseHits = new Map<Phase, number>(phases.map((phase) => [phase, 0]));
  readonly pointHits = new Map<FailPoint, number>();
  readonly loss = nothingLost();
  /** The stream that the last death cut, until the next life has told what is left of it. */
  #cut: { readonly recorder: Recorder; readonly death: Death } | undefined;
  kills = 0;

  constructor({ dataDir, seed, workers }: CampaignOptions) {
    this.#dataDir = dataDir;
    this.#random = randomFrom(seed);
    this.#tables = new Tables(this.#random);
    this.#ledgers = Array.from({ length: workers }, () => []);
  }

  /** Kills once while a client is in a phase. */
  async killInPhase(phase: Phase): Promise<void> {
    const random = this.#random;
    if (phase === "start") {
      await killWhileStarting(this.#dataDir, 40 + randomInteger(random, 120));
      this.kills += 1;
      this.phaseHits.set(phase, (this.phaseHits.get(phase) ?? 0) + 1);
    }
    // At once behind an OK; while a call is under way also a little into it.
    const immediate = phase.startsWith("after") || random() < 0.3;
    await this.#round({
      kind: "phase",
      phase: phase === "start" ? "mid-upload" : phase,
      nth: 1 + randomInteger(random, phase.includes("upload") || phase.includes("put") ? 16 : 5),
      delayMs: immediate ? 0 : 1 + randomInteger(random, 8),
    });
  }

  /** Lets the server die at a fail point; whether it came there. */
  async dieAt(point: FailPoint, nth: number): Promise<boolean> {
    const before = this.pointHits.get(point) ?? 0;
    const [left, times] = leaves[point] ?? [];
    if (left !== undefined && times !== undefined) await this.dieAt(left, times);
    // A start comes to some of its points once.
    if (point.startsWith("recover: ")) await this.#dieWhileStarting(point, 1);
    else await this.#round({ kind: "point", point, nth });
    return (this.pointHits.get(point) ?? 0) > before;
  }

  async #round(plan: Plan): Promise<void> {
    const random = this.#random;
    const interval = [5, 50, 200][randomInteger(random, 3)] ?? 200;
    const args = [
      ...["--max-chunk-size-in-bytes", String(chunkBytesMax)],
      ...["--commit-interval-ms", String(interval)],
    ];
    const options = plan.kind === "point" ? failing(plan) : {};
    await using server = await startServer({ dataDir: this.#dataDir, args, ...options }).catch((error: unknown) => {
      // Some points are met while the server starts.
      if (plan.kind === "point" && String(error).includes("ended with SIGKILL")) return undefined;
      throw error;
    });
    if (server === undefined) return this.#died(plan, []);
    for (const key of ["openSessions", "sweptPaths", "cutFiles"] as const)
      this.recovered[key] += Number(server.ready[key]);
    // A fail point may be met before any client comes: when what was left in the tail log moves.
    if (!(await this.#checkStart(server, plan.kind))) return this.#died(plan, []);
    const killer = new Killer(server, plan);
    const workers = this.#ledgers.map(
      (ledger, number) =>
        new Worker({
          number,
          port: server.port,
          killer,
          seed: randomInteger(random, 2 ** 32),
          ledger,
          tables: this.#tables,
        }),
    );
    const connected = await Promise.allSettled(workers.map((worker) => worker.connect()));
    if (connected.some(({ status }) => status === "rejected")) {
      await Promise.race([server.exited, sleep(1_000)]);
      if (!server.diedByItself()) throw new Error(`a client cannot connect: ${server.stderr()}`);
    }
    if (plan.kind === "phase" && plan.phase === "stop")
      setTimeout(() => killer.stop(randomInteger(random, 30)), 40 + randomInteger(random, 60));
    const giveUp = setTimeout(() => killer.kill(), plan.kind === "point" ? 1_500 : 4_000);
    const recorder = new Recorder(`recorder-${this.#tables.stamp()}`, [64, 20_000][randomInteger(random, 2)] ?? 64);
    const recording = recorder.run(server.port);
    const outcomes = await Promise.allSettled(workers.map((worker) => worker.run()));
    clearTimeout(giveUp);
    killer.kill();
    await killer.dead;
    await recording;
    this.#cut = { recorder, death: { diedAtMs: killer.killedAtMs, intervalMs: interval } };
    for (const worker of workers) worker[Symbol.dispose]();
    const failed = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (failed.length > 0) throw failed[0];
    if (/unhandled|INTERNAL|call_failed|poison/.test(server.stderr())) throw new Error(server.stderr());
    this.#died(plan, plan.kind === "phase" && plan.phase === "stop" ? ["stop"] : killer.hits);
    if (plan.kind === "point" && server.diedByItself()) this.#metPoint(plan.point);
  }

  /** What a start must leave; false when the server died of its fail point meanwhile. */
  async #checkStart(server: RunningServer, kind: Plan["kind"]): Promise<boolean> {
    try {
      // Also while what the last life left in the tail log moves to chunk files.
      if (this.#random() < 0.3) await this.#compare(server, "touched, once more later");
      await tailsMoved(this.#dataDir, server);
      await this.#compare(server, "touched");
      await this.#settleCut(server);
    } catch (error) {
      await sleep(20);
      if (kind === "point" && server.diedByItself()) return false;
      throw error;
    }
    expectFilesAsShown(this.#dataDir, this.#ledgers);
    return true;
  }

  async #settleCut({ port }: RunningServer): Promise<void> {
    if (this.#cut === undefined) return;
    using client = new FlightClient(port);
    await client.action("version", {});
    await this.#cut.recorder.settle(client, this.#cut.death, this.loss);
    this.#cut = undefined;
  }

  #died(plan: Plan, hits: readonly Phase[]): void {
    this.kills += 1;
    for (const hit of hits) this.phaseHits.set(hit, (this.phaseHits.get(hit) ?? 0) + 1);
    if (plan.kind === "point" && hits.length === 0) this.#metPoint(plan.point);
  }

  #metPoint(point: FailPoint): void {
    this.pointHits.set(point, (this.pointHits.get(point) ?? 0) + 1);
  }

  async #dieWhileStarting(point: FailPoint, nth: number): Promise<void> {
    const { alone, env } = failing({ point, nth });
    const child = spawn(alone.file, [...alone.args, "run", "--data-dir", this.#dataDir, "--port", "0"], {
      env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(child, "exit");
    await Promise.race([ended, once(child.stdout, "data")]);
    await sleep(50);
    if (child.signalCode === "SIGKILL") {
      this.kills += 1;
      this.#metPoint(point);
    } else child.kill("SIGKILL");
    await ended;
  }

  /** Compares what was used since the last time and some of the rest, or all. */
  async #compare(server: RunningServer, extent: "touched" | "touched, once more later" | "all"): Promise<void> {
    using client = new FlightClient(server.port);
    await client.action("version", {});
    const compareLedger = async (ledger: LedgerSequence[]): Promise<void> => {
      for (const sequence of [...ledger]) {
        if (!sequence.touched && extent !== "all" && this.#random() > 0.1) continue;
        await compareSequence(client, sequence, this.compared);
        sequence.touched = extent === "touched, once more later";
        // It never came into being, and nobody will ask for its name again.
        if (sequence.created === "asked") ledger.splice(ledger.indexOf(sequence), 1);
      }
    };
    await Promise.all(this.#ledgers.map(compareLedger));
  }

  /**
   * Leaves the store as a kill and a recovery leave it, with open topics and frames in tail logs, and compares its catalog with
   * one that is made of the directories.
   */
  async compareRebuilt(): Promise<Rebuilt> {
    for (let tries = 0; ; tries += 1) {
      await this.killInPhase("mid-upload");
      // What lay behind the last commit is cut off; what lies in tail logs has not moved yet.
      await this.dieAt("recover: done", 1);
      const rebuilt = await expectRebuiltEqual(this.#dataDir);
      if (rebuilt.openTopics > 0 && (rebuilt.equal["tails"] ?? 0) > 0) return rebuilt;
      if (tries === 10) throw new Error(`after ${tries} kills there was no open topic with frames in a tail log`);
    }
  }

  /** Compares everything; every session that is open can be ended. Answers what was done, in words. */
  async end(): Promise<string> {
    await using server = await startServer({ dataDir: this.#dataDir });
    await this.#compare(server, "all");
    await this.#settleCut(server);
    const said = await everythingGoesOn(server, this.#ledgers);
    const living = await listSessions(server, this.#ledgers);
    await server.stop();
    expectNoOrphans(this.#dataDir, living);
    return said;
  }
}

/** Where a server dies so that the next one comes to a fail point: those of its recovery, and of what moves after it. */
const leaves: Readonly<Partial<Record<FailPoint, readonly [FailPoint, number]>>> = {
  "tail: removed": ["commit: committed", 4],
  "recover: trash": ["remove: renamed", 1],
  "recover: swept": ["chunk: made", 2],
  "recover: cut": ["tail: written", 6],
  "recover: done": ["commit: begun", 2],
};

function failing({ point, nth }: { point: FailPoint; nth: number }) {
  return {
    alone: { file: process.execPath, args: [failPointProgram] },
    env: { PATH: process.env["PATH"] ?? "", MOSAICO_FAIL_POINT: `${point}:${nth}` },
  };
}

/** Every session that is open can be ended: cut uploads go on and are finalized. */
async function everythingGoesOn(server: RunningServer, ledgers: readonly LedgerSequence[][]): Promise<string> {
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
  const compared = nothingCompared();
  for (const sequence of ledgers.flat()) await compareSequence(client, sequence, compared);
  return `${open.length} sessions were open at the end, ${goneOn} cut uploads went on`;
}

/** A disk may stand still for seconds, and then nothing moves; what takes longer than any such stall hangs. */
const tailsMovedMs = 60_000;

/** Ends when nothing is left in tail logs. */
async function tailsMoved(dataDir: string, server: RunningServer): Promise<void> {
  const tail = path.join(dataDir, "tail");
  const startedMs = performance.now();
  while (existsSync(tail) && readdirSync(tail).length > 0) {
    if (server.diedByItself()) throw new Error("the server has died");
    if (performance.now() > startedMs + tailsMovedMs) {
      const threads = readdirSync(`/proc/${server.pid}/task`).map((thread) => {
        const of = (name: string): string => readFileSync(`/proc/${server.pid}/task/${thread}/${name}`, "utf8").trim();
        return `${of("comm")} ${of("wchan")}`;
      });
      const seconds = tailsMovedMs / 1000;
      throw new Error(
        `${tail} still has ${readdirSync(tail)} after ${seconds} s; threads: ${threads.join(", ")}; ${server.stderr()}`,
      );
    }
    await sleep(20);
  }
  const tookMs = performance.now() - startedMs;
  if (tookMs > 5_000) console.log(`torture: tails moved after ${Math.round(tookMs)} ms`);
}

/** Whatever a kill left behind the last commit is cut off: chunk files are as long as the catalog says, and each topic has its document. */
function expectFilesAsShown(dataDir: string, ledgers: readonly LedgerSequence[][]): void {
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

/** ULIDs of all sessions that the server knows, of sequences that clients have asked for. */
async function listSessions(server: RunningServer, ledgers: readonly LedgerSequence[][]): Promise<Set<string>> {
  using client = new FlightClient(server.port);
  const known = new Set<string>();
  for (const { name } of ledgers.flat()) {
    const info = await client.info({ resource_locator: name }).catch((error: unknown) => {
      if (error instanceof CallError && error.code === 5) return undefined;
      throw error;
    });
    if (info === undefined) continue;
    const shown = JSON.parse(Buffer.from(info.appMetadata).toString()) as { sessions: { locator: string }[] };
    for (const { locator } of shown.sessions) known.add(locator.slice(locator.indexOf(":") + 1));
  }
  return known;
}

/** After a stop that was not forced, directories are those of living sessions and nothing else. */
function expectNoOrphans(dataDir: string, living: ReadonlySet<string>): void {
  const orphans = readdirSync(path.join(dataDir, "sessions")).filter((name) => !living.has(name));
  const trash = readdirSync(path.join(dataDir, "trash"));
  if (orphans.length + trash.length > 0) throw new Error(`directories without a session: ${orphans}; trash: ${trash}`);
}

export function words(counts: object): string {
  return Object.entries(counts as Record<keyof Compared, number>)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
