// Any bytes in, never a crash: more than ten thousand hostile requests from one seed, most of them Arrow that lies. Each is
// answered with a clear status, nothing of it harms anybody else, and what is taken in spite of it can be read or is refused
// cleanly when it is read.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readMessage } from "../../src/arrow/message.ts";
import { FlightClient, type Outgoing, type PutCall } from "../load/flight-client.ts";
import { randomFrom, randomInteger } from "../load/random.ts";
import { baseTopics, type TopicLoad } from "../load/robot.ts";
import { type RunningServer, startServer } from "../server.ts";
import { compress, encodeSchema, layoutNames, layouts, timestamps, upload } from "./malformed/columns.ts";
import { Lane, type Outcome, tryRead, Wire } from "./malformed/lane.ts";
import { batchOf, kinds, type Mutant, makeMutant, sharedName, timesThatAre } from "./malformed/mutations.ts";

const seed = 20_260_103;
const mutantCount = 10_400;
const laneCount = 48;
const connectionCount = 6;
/** Of the process as a whole: budget, pool, heap, and the messages that unfold. */
const anonymousBytesMax = 640 * 2 ** 20;
const pulseMs = 50;
/** Hundreds of requests wait in front of a pulse; one alone must never take so long. */
const pulseMsMax = 4_000;

/** Sentences of the Arrow checks: what they say of headers, schemas, batches, buffers, dictionaries and columns. */
const arrowSentences =
  /^Batch \d+ of |IPC message header|IPC message of type|metadata version|Unsupported schema|[Cc]ompress|dictionary|second schema|timestamp_ns|Missing schema|column "/;

/** Statuses with which a server refuses what it does not like; 13 and 2 are bugs of its own. */
const refusals = new Set(["1", "3", "4", "5", "7", "8", "9", "12", "15", "16"]);

interface Accepted {
  readonly number: number;
  readonly kind: string;
  readonly locator: string;
}

interface Tally {
  count: number;
  accepted: number;
  reachedArrow: number;
  readonly statuses: Map<string, number>;
}

/** A sequence that was there before, and an upload that goes on all the while. */
class Witness {
  readonly #client: FlightClient;
  readonly #topics: readonly TopicLoad[];
  readonly #sequence: string;
  #digests: readonly string[] = [];
  #sending: Promise<void> = Promise.resolve();
  #open: { put: PutCall; sent: Outgoing[]; locator: string } | undefined;

  constructor(client: FlightClient, sequence: string) {
    this.#client = client;
    this.#sequence = sequence;
    this.#topics = baseTopics({ startNs: 1_700_000_000_000_000_000n, seconds: 3, seed });
  }

  async record(): Promise<void> {
    await this.#client.action("sequence_create", { locator: this.#sequence, user_metadata: {} });
    const session = await this.#session();
    for (const { path: at, messages } of this.#topics) {
      const topic = await this.#topic(session, `${this.#sequence}/${at}`);
      await this.#client.put(topic, messages);
      const sent = messages.filter(({ body }) => body.byteLength > 0);
      const read = await this.#read(topic.locator);
      if (digestOf(read) !== digestOf(sent)) throw new Error(`${topic.locator} does not come back as it was sent`);
    }
    await this.#client.action("session_finalize", { session_uuid: session });
    this.#digests = await this.#digest();
  }

  async begin(): Promise<void> {
    const topic = await this.#topic(await this.#session(), `${this.#sequence}/live`);
    this.#open = { put: this.#client.openPut(topic), sent: [], locator: topic.locator };
  }

  /** One more batch of the upload that goes on, behind those before. */
  async sendOne(): Promise<void> {
    this.#sending = this.#sending.then(() => this.#send());
    await this.#sending;
  }

  async #send(): Promise<void> {
    const { put, sent } = this.#open ?? {};
    const messages = this.#topics[1]?.messages ?? [];
    if (put === undefined || sent === undefined) throw new Error("the upload has not begun");
    // The batches repeat, and so do their times: what is read back is sorted.
    const message = messages[sent.length === 0 ? 0 : 1 + ((sent.length - 1) % (messages.length - 1))];
    if (message === undefined) throw new Error("the robot has batches");
    sent.push(message);
    await put.sendData(message);
  }

  async end(): Promise<{ sentRows: number; shownRows: number }> {
    const { put, sent, locator } = this.#open ?? {};
    if (put === undefined || sent === undefined || locator === undefined) throw new Error("the upload has not begun");
    await put.finish();
    let shownRows = 0;
    for await (const message of this.#client.get(ticketOf(locator))) shownRows += rowsOf(message.header);
    return { sentRows: sent.reduce((rows, { header }) => rows + rowsOf(header), 0), shownRows };
  }

  /** @param client another one than its own after a restart */
  async isUnchanged(client = this.#client): Promise<boolean> {
    return (await this.#digest(client)).every((digest, index) => digest === this.#digests[index]);
  }

  async #digest(client = this.#client): Promise<string[]> {
    const digests: string[] = [];
    for (const topic of this.#topics)
      digests.push(digestOf(await this.#read(`${this.#sequence}/${topic.path}`, client)));
    return digests;
  }

  async #read(locator: string, client = this.#client): Promise<Outgoing[]> {
    const messages: Outgoing[] = [];
    for await (const { header, body } of client.get(ticketOf(locator)))
      messages.push({ header, body: Buffer.from(body) });
    return messages.filter(({ body }) => body.byteLength > 0);
  }

  async #session(): Promise<string> {
    return ((await this.#client.action("session_create", { locator: this.#sequence })) as { uuid: string }).uuid;
  }

  async #topic(session: string, locator: string): Promise<{ locator: string; uuid: string }> {
    const body = { locator, session_uuid: session, ontology_tag: "t", serialization_format: "default" };
    const answer = await this.#client.action("topic_create", { ...body, user_metadata: {} });
    return { locator, uuid: (answer as { uuid: string }).uuid };
  }
}

/** Of the bodies: headers come back with padding. */
function digestOf(messages: readonly Outgoing[]): string {
  const hash = createHash("sha256");
  for (const { body } of messages) hash.update(body);
  return `${messages.length} ${hash.digest("hex")}`;
}

function ticketOf(topic: string, window: object = {}): Uint8Array {
  return Buffer.from(JSON.stringify({ topic, ...window }));
}

function rowsOf(header: Uint8Array): number {
  const message = readMessage(header);
  return message.kind === "batch" ? message.lists.rows : 0;
}

/** Asks the server for its version again and again: the longest wait is how long one request has kept it from all others. */
class Pulse {
  readonly #port: number;
  readonly #stop = new AbortController();
  #beating: Promise<void> = Promise.resolve();
  longestMs = 0;
  beats = 0;

  constructor(port: number) {
    this.#port = port;
  }

  begin(): void {
    this.#beating = this.#beat();
    // Told by `end`; a test that fails before it has its own reason.
    this.#beating.catch(() => undefined);
  }

  /** @throws whatever a call to the server threw */
  async end(): Promise<void> {
    this.#stop.abort();
    await this.#beating;
  }

  async #beat(): Promise<void> {
    using client = new FlightClient(this.#port);
    while (!this.#stop.signal.aborted) {
      const startedMs = performance.now();
      await client.action("version", {});
      this.longestMs = Math.max(this.longestMs, performance.now() - startedMs);
      this.beats += 1;
      await sleep(pulseMs);
    }
  }
}

/** Bytes that are no HTTP/2 at all, or only begin to be. */
async function sendGarbage(port: number, random: () => number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  const preface = random() < 0.6 ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "GET / HTTP/1.1\r\n\r\n";
  socket.write(preface);
  socket.write(Buffer.from(Array.from({ length: randomInteger(random, 400) }, () => randomInteger(random, 256))));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resume();
  setTimeout(() => socket.destroy(), 20);
  await closed;
}

describe("hostile requests", () => {
  let dataDir: string;
  let server: RunningServer;
  let client: FlightClient;
  let witness: Witness;
  let pulse: Pulse;
  let sampler: NodeJS.Timeout;
  let peakBytes = 0;
  const tallies = new Map<string, Tally>();
  const accepted: Accepted[] = [];
  const bugs: string[] = [];

  beforeAll(async () => {
    console.log(`malformed: seed ${seed}, ${mutantCount} mutants`);
    dataDir = await mkdtemp(path.join(tmpdir(), "mosaico-edge-malformed-"));
    server = await startServer({ dataDir, args: ["--log-level", "warning"] });
    client = new FlightClient(server.port);
    sampler = setInterval(() => {
      peakBytes = Math.max(peakBytes, anonymousBytes(server.pid));
    }, 50);
    witness = new Witness(client, "witness");
    pulse = new Pulse(server.port);
    pulse.begin();
    await witness.record();
    await witness.begin();
  });

  afterAll(async () => {
    clearInterval(sampler);
    client?.[Symbol.dispose]();
    await server?.[Symbol.asyncDispose]();
    await rm(dataDir, { recursive: true, force: true });
  });

  test("every layout is valid before it is mutated", async () => {
    const random = randomFrom(seed);
    const lane = new Lane(client, "honest");
    for (const name of layoutNames) {
      for (const compression of ["none", "lz4", "zstd"] as const) {
        const { schema, dictionaries, batch } = upload(layouts[name], 24, compression, random);
        const topic = await lane.topic();
        await client.put(topic, [{ header: schema, body: new Uint8Array(0) }, ...dictionaries, batch]);
        lane.leaveTopic();
        const read = await readWhole(client, topic.locator, 24);
        expect(read, `${name}, ${compression}`).toBe(undefined);
      }
    }
  });

  test("are refused with a clear status, or taken", { timeout: 240_000 }, async () => {
    const wires = Array.from({ length: connectionCount }, () => new Wire(server.port));
    let next = 0;
    const run = async (laneNumber: number): Promise<void> => {
      const lane = new Lane(client, `malformed-${laneNumber}`);
      const wire = wires[laneNumber % connectionCount];
      if (wire === undefined) throw new Error("there are connections");
      while (next < mutantCount) {
        const number = next;
        next += 1;
        const mutant = makeMutant(number, randomFrom(seed + number));
        const outcome = await lane.send(wire, mutant);
        note(mutant, number, outcome);
        if (mutant.method === "DoPut" && outcome.status === "0") {
          accepted.push({ number, kind: mutant.kind, locator: (await lane.topic()).locator });
          lane.leaveTopic();
        }
        if (number % 100 === 0) await witness.sendOne();
        if (number % 200 === 0) await sendGarbage(server.port, randomFrom(seed + number));
      }
    };
    await Promise.all(Array.from({ length: laneCount }, (_none, number) => run(number)));
    for (const wire of wires) wire[Symbol.dispose]();
    const connections = wires.reduce((sum, wire) => sum + wire.connections, 0);
    printTallies(connections);
    const all = [...tallies.values()];
    const sum = (of: (tally: Tally) => number): number => all.reduce((total, tally) => total + of(tally), 0);
    expect(sum(({ count }) => count)).toBe(mutantCount);
    expect(mutantCount).toBeGreaterThanOrEqual(10_000);
    for (const { kind } of kinds) expect.soft(tallies.get(kind)?.count ?? 0, `mutants of: ${kind}`).toBeGreaterThan(0);
    expect(sum(({ reachedArrow }) => reachedArrow)).toBeGreaterThanOrEqual(mutantCount / 2);
    expect(bugs).toEqual([]);
  });

  function note(mutant: Mutant, number: number, { status, details }: Outcome): void {
    const fresh: Tally = { count: 0, accepted: 0, reachedArrow: 0, statuses: new Map() };
    const tally = tallies.get(mutant.kind) ?? fresh;
    tallies.set(mutant.kind, tally);
    tally.count += 1;
    tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
    const isArrow = mutant.method === "DoPut" && (status === "0" || arrowSentences.test(details));
    if (status === "0") tally.accepted += 1;
    if (isArrow) tally.reachedArrow += 1;
    if (status === "0" || refusals.has(status) || mayBeSilent(mutant, status)) return;
    // The words of grpc-js, which serves these calls and takes this for an error of its own.
    if (details.startsWith("Invalid grpc-timeout value")) return;
    bugs.push(`mutant ${number} (${mutant.kind}, ${mutant.method}): status ${status}, ${details}`);
  }

  function printTallies(connections: number): void {
    const lines = [...tallies].map(([kind, { count, accepted: taken, reachedArrow, statuses }]) => {
      const words = [...statuses].sort().map(([status, times]) => `${status}: ${times}`);
      return `  ${kind.padEnd(30)} ${String(count).padStart(5)} ${String(reachedArrow).padStart(6)} ${String(taken).padStart(6)}   ${words.join(", ")}`;
    });
    console.log(`malformed: kind, mutants, of them in the Arrow checks, taken; statuses\n${lines.join("\n")}`);
    const all = [...tallies.values()];
    const reached = all.reduce((sum, tally) => sum + tally.reachedArrow, 0);
    console.log(
      `malformed: ${reached} of ${mutantCount} reached the Arrow checks, ${accepted.length} uploads were taken, ${connections} connections`,
    );
  }

  test("what was taken is read, or refused cleanly", { timeout: 60_000 }, async () => {
    const statuses = new Map<string, number>();
    const found: string[] = [];
    let next = 0;
    const run = async (): Promise<void> => {
      for (let index = next; index < accepted.length; index = next) {
        next += 1;
        const { number, kind, locator } = accepted[index] ?? { number: 0, kind: "", locator: "" };
        const say = (what: string, { status, details }: { status: number; details: string }): void => {
          const key = `${what} ${status}`;
          statuses.set(key, (statuses.get(key) ?? 0) + 1);
          // What was taken has a place in the listings, whatever is in it.
          if (status !== 0 && (what === "info" || !refusals.has(String(status))))
            found.push(`${what} of mutant ${number} (${kind}): ${status}, ${details}`);
        };
        const info = await tryRead(async () => {
          const whole = await client.info({ resource_locator: locator });
          const text = Buffer.from(whole.endpoint[0]?.appMetadata ?? []).toString();
          return (JSON.parse(text) as { data_info: { total_row_count: number } }).data_info.total_row_count;
        });
        say("info", info);
        const whole = await tryRead(() => readWhole(client, locator, info.value ?? 0));
        say("whole", whole);
        if (whole.value !== undefined) found.push(`whole of mutant ${number} (${kind}): ${whole.value}`);
        const window = { timestamp_ns_start: 55, timestamp_ns_end: 145 };
        say("count in a window", await tryRead(() => client.info({ resource_locator: locator, ...window })));
        say("window", await tryRead(() => readWhole(client, locator, undefined, { start_ns: 55, end_ns: 145 })));
      }
    };
    await Promise.all(Array.from({ length: 24 }, run));
    console.log(
      `malformed: reads of ${accepted.length} topics: ${[...statuses]
        .sort()
        .map(([key, times]) => `${key}: ${times}`)
        .join(", ")}`,
    );
    expect(accepted.length).toBeGreaterThan(500);
    for (const what of ["whole 0", "window 0", "whole 15", "window 15"])
      expect.soft(statuses.get(what) ?? 0, `reads that end with: ${what}`).toBeGreaterThan(0);
    expect(found).toEqual([]);
  });

  test("nobody else has noticed", async () => {
    expect(await witness.isUnchanged()).toBe(true);
    const { sentRows, shownRows } = await witness.end();
    expect(shownRows).toBe(sentRows);
    const after = new Witness(client, "after");
    await after.record();
    await pulse.end();
    const log = server.stderr();
    const errors = log.split("\n").filter((line) => /call_failed|unhandled|poison|"level":"error"/.test(line));
    // What lies inside compressed buffers shows when it is read, and is then taken for a broken disk.
    const ours = errors.filter((line) => !line.includes('"status":15'));
    expect(ours.slice(0, 5)).toEqual([]);
    console.log(`malformed: RssAnon at most ${(peakBytes / 2 ** 20).toFixed(0)} MiB; the witness had ${sentRows} rows`);
    console.log(`malformed: ${pulse.beats} pulses, the longest took ${pulse.longestMs.toFixed(0)} ms`);
    expect(pulse.longestMs).toBeLessThanOrEqual(pulseMsMax);
    expect(peakBytes).toBeLessThanOrEqual(anonymousBytesMax);
  });

  test("a schema whose fields share one long name is not unfolded", async () => {
    // 0.3 MB in all; read name by name it would be 512 MiB.
    // A server of its own: one that has grown before shows no growth.
    await using fresh = await startServer();
    using own = new FlightClient(fresh.port);
    const lane = new Lane(own, "shared");
    const messages = [{ header: sharedName(2_048, 256 * 1024), body: new Uint8Array(0) }];
    const { status, moreBytes } = await putWatched(fresh.pid, async () => own.put(await lane.topic(), messages));
    console.log(`malformed: shared names: status ${status}, ${(moreBytes / 2 ** 20).toFixed(0)} MiB more`);
    expect(["0", ...refusals]).toContain(String(status));
    expect(moreBytes).toBeLessThan(96 * 2 ** 20);
  });

  test("a column of times does not unfold to far more than its rows", async () => {
    // 8 kB for 24 rows; taken at its word it would be 256 MiB.
    await using fresh = await startServer();
    using own = new FlightClient(fresh.port);
    const lane = new Lane(own, "bomb");
    const schema = { header: encodeSchema([timestamps]), body: new Uint8Array(0) };
    const bomb = timesThatAre(compress(new Uint8Array(256 * 2 ** 20), "zstd"), "zstd");
    const topic = await lane.topic();
    const { status, moreBytes } = await putWatched(fresh.pid, () => own.put(topic, [schema, bomb]));
    console.log(`malformed: bomb: status ${status}, ${(moreBytes / 2 ** 20).toFixed(0)} MiB more`);
    expect(["0", ...refusals]).toContain(String(status));
    expect(moreBytes).toBeLessThan(96 * 2 ** 20);
  });

  test("a compressed column that is too short for its rows is not filled up when it is cut", async () => {
    const random = randomFrom(seed);
    const lane = new Lane(client, "short");
    for (const compression of ["lz4", "zstd"] as const) {
      const { schema, batch } = upload(layouts.fixed, 24, compression, random);
      const mutated = shortenColumn(batch, compression);
      const topic = await lane.topic();
      const put = await tryRead(() => client.put(topic, [{ header: schema, body: new Uint8Array(0) }, mutated]));
      lane.leaveTopic();
      if (put.status !== 0) continue;
      const read = await tryRead(() => readWhole(client, topic.locator, undefined, { start_ns: 55, end_ns: 145 }));
      expect(read.status, compression).toBe(15);
    }
  });

  test("the server stops, starts again over all of it, and still has everything", async () => {
    client[Symbol.dispose]();
    await server.stop();
    server = await startServer({ dataDir });
    client = new FlightClient(server.port);
    expect(await witness.isUnchanged(client)).toBe(true);
    const [first] = accepted;
    expect(first).not.toBe(undefined);
    await client.info({ resource_locator: first?.locator });
  });
});

/** The values of the column behind the times become 4 bytes, truthfully compressed, where 192 are needed. */
function shortenColumn({ header, body }: Outgoing, compression: "lz4" | "zstd"): Outgoing {
  const message = readMessage(header);
  if (message.kind !== "batch") throw new Error("a batch is shortened");
  const offset = message.lists.bufferOffsets[3] ?? 0;
  const copy = Buffer.from(body);
  Buffer.from(compress(Uint8Array.of(1, 2, 3, 4), compression)).copy(copy, offset);
  const shorter = Buffer.from(header);
  const { start } = batchOf(shorter).vector(2, 16);
  shorter.writeBigInt64LE(BigInt(compress(Uint8Array.of(1, 2, 3, 4), compression).byteLength), start + 16 * 3 + 8);
  return { header: shorter, body: copy };
}

/** A stream that the client leaves has no status; a connection that the server closes for a breach of HTTP/2 has none either. */
function mayBeSilent({ kind, ending }: Mutant, status: string): boolean {
  if (ending === "reset") return status.startsWith("closed");
  return kind.startsWith("headers:") && /^http 4\d\d$/.test(status);
}

/** Reads a topic whole or in a window. Answers a sentence when the rows or their order are wrong. */
async function readWhole(
  client: FlightClient,
  locator: string,
  rows: number | undefined,
  window: object = {},
): Promise<string | undefined> {
  let shown = 0;
  let last = -(2n ** 63n);
  let sorted = true;
  for await (const { header, body } of client.get(ticketOf(locator, window))) {
    const message = readMessage(header);
    if (message.kind !== "batch") continue;
    shown += message.lists.rows;
    if (message.lists.compression !== "none") continue;
    const offset = message.lists.bufferOffsets[1] ?? 0;
    for (let row = 0; row < message.lists.rows; row += 1) {
      const time = Buffer.from(body.buffer, body.byteOffset + offset).readBigInt64LE(8 * row);
      sorted &&= time >= last;
      last = time;
    }
  }
  if (rows !== undefined && shown !== rows) return `${shown} rows were read, the topic has ${rows}`;
  return sorted ? undefined : "the rows are not in the order of their times";
}

/** The status of a put, and the anonymous memory that the server has at most beyond what it had before. */
async function putWatched(pid: number, put: () => Promise<void>): Promise<{ status: number; moreBytes: number }> {
  const beforeBytes = anonymousBytes(pid);
  let mostBytes = beforeBytes;
  const look = (): void => {
    mostBytes = Math.max(mostBytes, anonymousBytes(pid));
  };
  const watch = setInterval(look, 2);
  const { status } = await tryRead(put);
  clearInterval(watch);
  look();
  return { status, moreBytes: mostBytes - beforeBytes };
}

/** 0 when the process has ended. */
function anonymousBytes(pid: number): number {
  try {
    const match = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
