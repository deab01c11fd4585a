// Acknowledged is on disk. A kill keeps the page cache, so that what was not synced is found by no restart: here every call of
// the server to the system is written down, and when the first byte of an OK is about to leave the socket, every file and
// directory that was touched below the data directory must have been synced after it was touched.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Dictionary, Int32, Int64, makeData, makeVector, Utf8, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ActionSchema, ResultSchema } from "../../src/wire/flight_pb.js";
import { FlightClient, type Outgoing, type PutCall } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";
import { blobs } from "../load/robot.ts";
import { type RunningServer, type ServerOptions, startServer } from "../server.ts";
import { failPointProgram } from "../torture/campaign.ts";
import { buildShim, noShims } from "./shim.ts";
import {
  exempt,
  firstAnswers,
  type JudgeOptions,
  judge,
  kindOf,
  readTrace,
  type SyncedKind,
  syncedKinds,
  type TraceEvent,
  writtenBytes,
} from "./trace.ts";

const seed = 20_260_101;
const chunkBytesMax = 48 * 1024;
const commitIntervalMs = 20;
/** A trace that has not grown for so long is at its end. */
const quietMs = 3 * commitIntervalMs;

if (noShims !== undefined) console.warn(`sync.test.ts is skipped: ${noShims}`);

/** A call that was answered with OK. */
interface Step {
  readonly name: string;
  /** Length of the trace file when the call began. */
  readonly at: number;
  readonly stream: number;
  /** Paths that streams which were open at the same time may leave unsynced. */
  readonly others?: RegExp;
}

interface FinishOptions {
  readonly others?: RegExp;
  readonly at?: number;
}

interface Topic {
  readonly locator: string;
  readonly uuid: string;
}

/** A server inside the shim, one connection to it, and the calls made so far. */
class TracedServer implements AsyncDisposable {
  readonly steps: Step[] = [];
  readonly #server: RunningServer;
  readonly #client: FlightClient;
  readonly #traceFile: string;
  readonly readyAt: number;

  private constructor(server: RunningServer, traceFile: string) {
    this.#server = server;
    this.#client = new FlightClient(server.port);
    this.#traceFile = traceFile;
    this.readyAt = this.length();
  }

  /** @param alone another program than the one under test */
  static async start(
    dataDir: string,
    traceFile: string,
    shim: Record<string, string>,
    alone?: ServerOptions["alone"],
  ): Promise<TracedServer> {
    // One above: the server makes the data directory itself, and has to sync the name of that, too.
    const env = { ...shim, TRACE_ROOT: path.dirname(dataDir), TRACE_FILE: traceFile };
    const args = [
      ...["--max-chunk-size-in-bytes", String(chunkBytesMax)],
      ...["--commit-interval-ms", String(commitIntervalMs)],
    ];
    const options = { dataDir, args, env, ...(alone === undefined ? {} : { alone }) };
    return new TracedServer(await startServer(options), traceFile);
  }

  events(): TraceEvent[] {
    const text = readFileSync(this.#traceFile, "latin1");
    // A server that is killed may leave half a line.
    return readTrace(text.slice(0, text.lastIndexOf("\n") + 1));
  }

  /** Calls an action when nothing else goes on; its answer. */
  async action(type: string, body: object, name = type, others?: RegExp): Promise<Record<string, unknown>> {
    await this.quiet();
    const at = this.length();
    const call = this.#client.call("DoAction");
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    await call.send([toBinary(ActionSchema, create(ActionSchema, { type, body: bytes }))]);
    call.end();
    let answer: Record<string, unknown> = {};
    for await (const message of call.messages()) {
      const text = Buffer.from(fromBinary(ResultSchema, message).body).toString();
      answer = (JSON.parse(text) as { response?: Record<string, unknown> }).response ?? {};
    }
    this.steps.push({ name, at, stream: call.stream.id ?? 0, ...(others === undefined ? {} : { others }) });
    return answer;
  }

  /** Opens a put and sends messages; ends when the server has taken all of them and committed them. `finish` makes a step of it. */
  async openPut(topic: Topic, messages: readonly Outgoing[]): Promise<PutCall> {
    const made = this.#documents();
    const put = this.#client.openPut(topic);
    for (const message of messages) await put.sendData(message);
    const sentRows = (messages.length - 1) * rows;
    while (sentRows > 0 ? (await this.#committedRows(topic)) < sentRows : this.#documents() === made)
      await sleep(commitIntervalMs);
    await this.quiet();
    return put;
  }

  async #committedRows({ locator }: Topic): Promise<number> {
    const info = await this.#client.info({ resource_locator: locator });
    const shown = Buffer.from(info.endpoint[0]?.appMetadata ?? []).toString();
    return (JSON.parse(shown) as { data_info: { total_row_count: number } }).data_info.total_row_count;
  }

  /** How many topics have got their document. */
  #documents(): number {
    return this.events().filter((event) => event.kind === "writeEnd" && event.path.endsWith("/topic.json")).length;
  }

  /** `at`: where the trace was when the upload began, to judge all of it; else what ends it is judged. */
  async finish(put: PutCall, name: string, { others, at = this.length() }: FinishOptions = {}): Promise<void> {
    await put.finish();
    this.steps.push({ name, at, stream: put.call.stream.id ?? 0, ...(others === undefined ? {} : { others }) });
  }

  /** The server may not have seen yet that a stream before is gone: then it is tried again. */
  async put(topic: Topic, messages: readonly Outgoing[], name: string): Promise<void> {
    for (;;) {
      await this.quiet();
      const at = this.length();
      const put = this.#client.openPut(topic);
      for (const message of messages) await put.sendData(message);
      put.call.end();
      const { code, details } = await put.call.status();
      if (details.includes("is being uploaded by another stream")) continue;
      if (code !== 0) throw new Error(`${name}: status ${code}, ${details}`);
      this.steps.push({ name, at, stream: put.call.stream.id ?? 0 });
      return;
    }
  }

  /** Ends when the server has done nothing for a while. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.length(); ) {
      before = this.length();
      await sleep(quietMs);
    }
  }

  async session(sequence: string): Promise<string> {
    return String((await this.action("session_create", { locator: sequence }))["uuid"]);
  }

  async topic(session: string, locator: string): Promise<Topic> {
    const body = { locator, session_uuid: session, ontology_tag: "t", serialization_format: "default" };
    const answer = await this.action("topic_create", { ...body, user_metadata: { a: 1 } });
    return { locator, uuid: String(answer["uuid"]) };
  }

  async kill(): Promise<void> {
    await this.#server.kill();
  }

  /** Fires when the process has ended. */
  get died(): Promise<void> {
    return this.#server.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
  }

  /** Length of the trace file, bytes. */
  length(): number {
    return statSync(this.#traceFile).size;
  }
}

const random = randomFrom(seed);

/** Batches of about `bytes` each, one row in ten of them. */
function table(batches: number, bytes: number): Outgoing[] {
  return toMessages(
    Array.from({ length: batches }, (_none, index) => ({
      timestamp_ns: times(index),
      data: blobs(Array.from({ length: rows }, () => randomBytes(random, Math.ceil(bytes / rows)))),
    })),
  );
}

/** Each batch has a dictionary of its own, so that each begins a chunk. */
function words(batches: number): Outgoing[] {
  const type = new Dictionary(new Utf8(), new Int32(), 7);
  return toMessages(
    Array.from({ length: batches }, (_none, index) => {
      const values = Array.from({ length: rows }, (_nothing, row) => `word ${index} ${row % 3}`);
      return { timestamp_ns: times(index), word: vectorFromArray(values, type) };
    }),
  );
}

/** Written in the background: what is learnt of a client by its first call, and bytes that say nothing until there is room enough. */
const besides = /^catalog\/data\.mdb$/;

const rows = 10;

function times(batch: number) {
  const values = BigInt64Array.from({ length: rows }, (_none, row) => BigInt(batch * rows + row));
  return makeVector(makeData({ type: new Int64(), data: values }));
}

/** Every call that changes something, uploads of each shape, one after the other and side by side. */
async function everyCall(server: TracedServer): Promise<Topic> {
  await server.action("version", {}, "version (changes nothing)", besides);
  await server.action("sequence_create", { locator: "drive", user_metadata: {} });
  const base = await server.session("drive");
  const large = await server.topic(base, "drive/large");
  await server.put(large, table(6, 20_000), "do_put, four chunks");
  await server.put(await server.topic(base, "drive/small"), table(3, 200), "do_put, one chunk");
  await server.put(await server.topic(base, "drive/words"), words(4), "do_put, dictionaries");
  await server.put(await server.topic(base, "drive/none"), table(1, 10).slice(0, 1), "do_put, only a schema");
  const note = { notification_type: "error", msg: "m" };
  await server.action("sequence_notification_create", { locator: "drive", ...note });
  await server.action("topic_notification_create", { locator: "drive/large", ...note });
  await server.action("sequence_notification_purge", { locator: "drive" });
  await server.action("topic_notification_purge", { locator: "drive/large" });
  await server.action("session_finalize", { session_uuid: base });
  await server.action("session_finalize", { session_uuid: base }, "session_finalize again", besides);

  // The first topic of a session makes its directory, and is not the first to be acknowledged.
  const labels = await server.session("drive");
  const first = await server.topic(labels, "drive/first");
  const second = await server.topic(labels, "drive/second");
  const firstPut = await server.openPut(first, table(2, 200).slice(0, 1));
  const secondPut = await server.openPut(second, table(2, 200));
  await server.finish(secondPut, "do_put beside one that made the directory", { others: /^sessions\/\w+\/0(\/|$)/ });
  for (const message of table(2, 200).slice(1)) await firstPut.sendData(message);
  await server.finish(firstPut, "do_put that was the first of its session");

  // Side by side. A commit of the others may be under way when one of them is answered.
  const puts: { put: PutCall; number: number; rest: readonly Outgoing[] }[] = [];
  for (let number = 2; number < 8; number += 1) {
    const messages = table(5, 15_000);
    const put = await server.openPut(await server.topic(labels, `drive/many/${number}`), messages.slice(0, 3));
    puts.push({ put, number, rest: messages.slice(3) });
  }
  await Promise.all(
    puts.map(async ({ put, number, rest }) => {
      for (const message of rest) await put.sendData(message);
      const others = new RegExp(`^catalog|^tail|^sessions/\\w+/(?!${number}(/|$))\\d+(/|$)`);
      await server.finish(put, "do_put side by side", { others });
    }),
  );

  // Small batches that are committed while their stream goes on lie in the tail log; the chunk file gets them at the end.
  const small = await server.topic(labels, "drive/slow");
  await server.quiet();
  const at = server.length();
  const slow = await server.openPut(small, table(2, 200));
  await server.finish(slow, "do_put in between", { at });

  // Broken off and gone on with.
  const broken = await server.topic(labels, "drive/broken");
  const call = await server.openPut(broken, table(4, 20_000));
  call.call.stream.destroy();
  await server.put(broken, table(4, 20_000), "do_put, going on");
  await server.action("session_finalize", { session_uuid: labels }, "session_finalize of many");

  // Broken off before anything was committed: the directories are there, and nobody has synced them.
  const again = await server.session("drive");
  const restart = await server.topic(again, "drive/restart");
  const lost = await server.openPut(restart, table(2, 200).slice(0, 1));
  lost.call.stream.destroy();
  await server.put(restart, table(2, 200), "do_put after one that broke off at once");
  await server.action("session_delete", { session_uuid: again }, "session_delete, complete");

  const spare = await server.session("drive");
  const gone = await server.topic(spare, "drive/gone");
  await server.put(gone, table(2, 200), "do_put, one chunk");
  await server.put(await server.topic(spare, "drive/gone/too"), table(1, 200), "do_put, one chunk");
  await server.action("topic_delete", { locator: "drive/gone" });
  await server.action("session_delete", { session_uuid: spare }, "session_delete, open");
  await server.action("session_delete", { session_uuid: labels }, "session_delete, finalized");
  await server.action("sequence_create", { locator: "other", user_metadata: {} });
  const other = await server.session("other");
  await server.put(await server.topic(other, "other/a"), table(2, 200), "do_put, one chunk");
  await server.action("sequence_delete", { locator: "other" });
  const key = await server.action("api_key_create", { permissions: "read", description: "" });
  const [, , fingerprint] = String(key["api_key_token"]).split("_");
  await server.action("api_key_revoke", { api_key_fingerprint: fingerprint });

  // For the kill: an open topic, committed in part and not answered.
  const cut = await server.topic(await server.session("drive"), "drive/cut");
  await server.openPut(cut, table(3, 20_000));
  return cut;
}

/** Calls that need no sync of their own: documents that were written before, a catalog and a tail log that other calls write to as well. */
const unfindable: Readonly<Record<SyncedKind, ReadonlySet<string>>> = {
  chunk: new Set(),
  // What ends has moved to its chunk file: an OK needs the tail log only for what others have in it.
  tail: new Set(["do_put side by side"]),
  document: new Set(["do_put, going on"]),
  directory: new Set(),
  catalog: new Set(["do_put side by side"]),
};

/** Calls whose OK the issue names, and those beside them that change something. */
const promised = [
  "sequence_create",
  "session_create",
  "topic_create",
  "do_put",
  "session_finalize",
  "sequence_notification_create",
  "topic_notification_create",
  "sequence_notification_purge",
  "topic_notification_purge",
  "topic_delete",
  "session_delete",
  "sequence_delete",
  "api_key_create",
  "api_key_revoke",
];

interface Run {
  readonly events: readonly TraceEvent[];
  readonly steps: readonly PlacedStep[];
}

interface PlacedStep {
  readonly step: Step;
  /** Index of the first event of the call. */
  readonly from: number;
  /** Index of the event with which the first byte of its answer leaves. */
  readonly moment: number;
  /** Index of the event with which the catalog's last transaction of the call becomes valid, if it has one. */
  readonly row: number | undefined;
}

/** Places calls and their answers among the events. */
function toRun(server: TracedServer): Run {
  const events = server.events();
  const answers = new Map(firstAnswers(events).map(({ stream, event }) => [stream, event]));
  const steps = server.steps.map((step) => {
    const moment = answers.get(step.stream);
    if (moment === undefined) throw new Error(`The trace has no answer of ${step.name}.`);
    const from = events.findIndex(({ at }) => at >= step.at);
    // LMDB writes the page that makes a transaction valid through a descriptor that syncs.
    const row = events.findLastIndex(
      (event, index) => index >= from && index < moment && event.kind === "writeBegin" && event.sync,
    );
    return { step, from, moment, row: row < 0 ? undefined : row };
  });
  return { events, steps };
}

/** What was not synced before the OK of a call, a sentence each. */
function findings({ events, steps }: Run, options: Omit<JudgeOptions, "moments">): string[] {
  const { unsynced } = judge(events, { ...options, moments: new Set(steps.map(({ moment }) => moment)) });
  return steps.flatMap(({ step, moment }) =>
    (unsynced.get(moment) ?? [])
      .filter(({ path: at }) => step.others?.test(at) !== true)
      .map(({ path: at, kind, change }) => `OK of ${step.name} (event ${moment}): ${kind} ${at}: ${change} not synced`),
  );
}

/** What a transaction of the catalog made valid before it was synced. */
function earlyRows({ events, steps }: Run, options: Omit<JudgeOptions, "moments">): string[] {
  const placed = steps.flatMap(({ step, row }) => (row === undefined ? [] : [{ step, row }]));
  const { unsynced } = judge(events, { ...options, moments: new Set(placed.map(({ row }) => row)) });
  return placed.flatMap(({ step, row }) =>
    (unsynced.get(row) ?? [])
      .filter(({ path: at }) => step.others?.test(at) !== true)
      .map(({ path: at, kind, change }) => `row of ${step.name} (event ${row}): ${kind} ${at}: ${change} not synced`),
  );
}

/** What is found in a trace without some syncs, and not in the trace as it is. */
function finderWithout(run: Run, root: string): (ignored: ReadonlySet<number>) => string[] {
  const known = new Set(findings(run, { root }));
  return (ignored) => findings(run, { root, ignored }).filter((one) => !known.has(one));
}

/** The ends of syncs of a kind between two events. */
function syncsOf({ events }: Run, root: string, [from, to]: readonly [number, number], kind: SyncedKind): number[] {
  return events.flatMap((event, index) =>
    event.kind === "syncEnd" && index >= from && index < to && kindOf(path.relative(root, event.path)) === kind
      ? [index]
      : [],
  );
}

describe.skipIf(noShims !== undefined)("synced before it is acknowledged", () => {
  let folder: string;
  let root: string;
  let first: Run;
  let restarted: Run;
  let restartedFrom: number;

  beforeAll(async () => {
    console.log(`sync: seed ${seed}`);
    // Paths in the trace are those that the kernel tells: without symbolic links.
    folder = realpathSync(mkdtempSync(path.join(tmpdir(), "mosaico-edge-sync-")));
    root = path.join(folder, "disk/data");
    mkdirSync(path.dirname(root));
    const shim = buildShim("trace", folder);
    let cut: Topic;
    {
      await using server = await TracedServer.start(root, path.join(folder, "first.trace"), shim);
      cut = await everyCall(server);
      first = toRun(server);
      await server.kill();
    }
    await using server = await TracedServer.start(root, path.join(folder, "restarted.trace"), shim);
    await server.action("version", {}, "version (changes nothing)", besides);
    await server.put(cut, table(2, 20_000), "do_put, going on after a kill");
    restarted = toRun(server);
    restartedFrom = restarted.events.findIndex(({ at }) => at >= server.readyAt);
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("the trace saw everything", () => {
    const { events } = first;
    // What goes past the C library, or through shared memory, would not be in the trace.
    expect(events.filter(({ kind }) => kind === "rawCall")).toEqual([]);
    const mapped = events.flatMap((event) => (event.kind === "mapped" ? [path.relative(root, event.path)] : []));
    expect(new Set(mapped)).toEqual(new Set(["catalog/lock.mdb"]));
    // Every file that is there now has come into being and grown to its size under the eyes of the shim.
    const all = [...events, ...restarted.events];
    const born = new Set(
      all.flatMap((event) => (event.kind === "nameCame" || event.kind === "directoryMade" ? [event.inode] : [])),
    );
    const written = writtenBytes(all);
    const counts = { files: 0, chunks: 0 };
    for (const name of readdirSync(root, { recursive: true, encoding: "utf8" })) {
      const facts = statSync(path.join(root, name));
      expect.soft(born.has(String(facts.ino)), `${name} came into being unseen`).toBe(true);
      counts.files += 1;
      if (!name.endsWith(".arrow")) continue;
      counts.chunks += 1;
      expect.soft(written.get(String(facts.ino)), `bytes of ${name} that were seen`).toBe(facts.size);
    }
    console.log(`sync: ${all.length} events; ${counts.files} paths in the end, ${counts.chunks} of them chunk files`);
    expect(counts.chunks).toBeGreaterThan(5);
  });

  test("before every OK, everything that was touched was synced", () => {
    const moments = new Set(first.steps.map(({ moment }) => moment));
    const { touched } = judge(first.events, { root, moments });
    const counts = syncedKinds.map((kind) => `${kind} ${touched.get(kind)?.size ?? 0}`);
    const names = Map.groupBy(first.steps, ({ step }) => step.name.split(",")[0] ?? "");
    console.log(`sync: paths touched, from the trace: ${counts.join(", ")}`);
    console.log(`sync: OKs judged: ${[...names].map(([name, steps]) => `${name} ${steps.length}`).join(", ")}`);
    console.log(exempt.map(({ pattern, reason }) => `sync: not looked at: ${pattern.source} - ${reason}`).join("\n"));
    for (const kind of syncedKinds) expect.soft(touched.get(kind)?.size, `touched of kind ${kind}`).toBeGreaterThan(0);
    for (const name of promised) expect.soft(names.get(name)?.length ?? 0, `OKs of ${name}`).toBeGreaterThan(0);
    expect(findings(first, { root })).toEqual([]);
  });

  test("the catalog's row comes last: what it names was synced before", () => {
    const rows = first.steps.filter(({ row }) => row !== undefined).length;
    console.log(`sync: transactions judged: ${rows}`);
    expect(rows).toBeGreaterThan(promised.length);
    expect(earlyRows(first, { root })).toEqual([]);
    const chunkSyncs = syncsOf(first, root, [0, first.events.length], "chunk");
    expect(earlyRows(first, { root, ignored: new Set(chunkSyncs) }).length).toBeGreaterThan(promised.length);
  });

  test("also after a kill and a restart, from the ready line on", () => {
    // What recovery cuts and sweeps before, it would cut and sweep again.
    expect(restarted.steps.map(({ step }) => step.name)).toContain("do_put, going on after a kill");
    expect(findings(restarted, { root, from: restartedFrom })).toEqual([]);
  });

  // The row in the catalog is what repeats a delete. When it goes, the delete has to be on disk, whoever made its steps.
  test("a delete that a kill has cut between rename and sync, when its row goes", { timeout: 30_000 }, async () => {
    expect(existsSync(failPointProgram), `${failPointProgram}: node build/bundle.mjs --fail-points makes it`).toBe(
      true,
    );
    const place = path.join(folder, "killed");
    const data = path.join(place, "data");
    mkdirSync(place);
    const shim = buildShim("trace", folder);
    const events: TraceEvent[] = [];
    {
      const env = { ...shim, PATH: process.env["PATH"] ?? "", MOSAICO_FAIL_POINT: "remove: renamed:1" };
      const alone = { file: process.execPath, args: [failPointProgram] };
      await using server = await TracedServer.start(data, path.join(place, "dies.trace"), env, alone);
      await server.action("sequence_create", { locator: "drive", user_metadata: {} });
      const session = await server.session("drive");
      await server.put(await server.topic(session, "drive/gone"), table(2, 20_000), "do_put");
      await server.action("session_finalize", { session_uuid: session });
      await expect(server.action("session_delete", { session_uuid: session })).rejects.toThrow();
      await server.died;
      events.push(...server.events());
    }
    const killed = events.length;
    await using server = await TracedServer.start(data, path.join(place, "restarted.trace"), shim);
    await server.quiet();
    events.push(...server.events());
    const moved = events.findIndex(
      (event) => event.kind === "nameCame" && /^trash\/[^/]+$/.test(path.relative(data, event.path)),
    );
    expect(moved).toBeLessThan(killed);
    const emptied = events.findIndex(
      (event, index) =>
        index > moved && event.kind === "nameWent" && path.relative(data, event.path).startsWith("trash/"),
    );
    // LMDB writes the page that makes a transaction valid through a descriptor that syncs.
    const forgotten = events.findIndex((event, index) => index > emptied && event.kind === "writeBegin" && event.sync);
    expect([moved, emptied, forgotten].every((index) => index >= 0)).toBe(true);
    const { unsynced } = judge(events, { root: data, moments: new Set([forgotten]) });
    const names = (unsynced.get(forgotten) ?? []).filter(({ path: at }) => /^(sessions|trash)$/.test(at));
    expect(names).toEqual([]);
  });

  test("a trace in which the syncs of one kind were not made during one call is found", { timeout: 60_000 }, () => {
    const foundWithout = finderWithout(first, root);
    const table = syncedKinds.map((kind) => {
      let removed = 0;
      const missed: string[] = [];
      for (const { step, from, moment } of first.steps) {
        const syncs = syncsOf(first, root, [from, moment], kind);
        if (syncs.length === 0) continue;
        removed += 1;
        const found = foundWithout(new Set(syncs)).filter((one) =>
          one.startsWith(`OK of ${step.name} (event ${moment}): ${kind}`),
        );
        if (found.length === 0) missed.push(step.name);
      }
      return { kind, removed, red: removed - missed.length, missed };
    });
    for (const { kind, removed, red, missed } of table) {
      console.log(
        `sync: without the syncs of ${kind} in one call: ${red} of ${removed} red${missed.length > 0 ? `; not ${missed.join(", ")}` : ""}`,
      );
      if (kind !== "tail") expect.soft(red, `calls without a sync of ${kind} that are found`).toBeGreaterThan(0);
      expect.soft(new Set(missed), `calls without a sync of ${kind} that are not found`).toEqual(unfindable[kind]);
    }
  });

  test("a trace without one single sync is found, for each kind", { timeout: 60_000 }, () => {
    const foundWithout = finderWithout(first, root);
    const start = first.steps[0]?.from ?? 0;
    for (const kind of syncedKinds) {
      const syncs = syncsOf(first, root, [start, first.events.length], kind);
      const red = syncs.filter((index) => foundWithout(new Set([index])).length > 0);
      console.log(`sync: without one sync of ${kind}: ${red.length} of ${syncs.length} red`);
      expect.soft(red.length, `single syncs of ${kind} whose loss is found`).toBeGreaterThan(0);
    }
  });
});
