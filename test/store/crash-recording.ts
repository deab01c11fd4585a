// A server that is asked for everything it can do, in two lives with a kill between them, inside the shim that writes down all
// it does to its disk. What comes of it lies in a folder, so that any state can be made of it again.

import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ActionSchema, ResultSchema } from "../../src/wire/flight_pb.js";
import { type Call, FlightClient, type PutCall } from "../load/flight-client.ts";
import { type RunningServer, startServer } from "../server.ts";
import type { Recorded } from "./crash-disk.ts";
import {
  type Asked,
  type AskedSequence,
  type AskedSession,
  type AskedTopic,
  type History,
  PlacedHistory,
  type TableSpec,
  tableOf,
} from "./crash-history.ts";
import { buildShim } from "./shim.ts";
import { readTrace } from "./trace.ts";

const chunkBytesMax = 48 * 1024;
/** Longer than the server has to be quiet before it is killed, so that it dies with what it has not committed. */
const commitIntervalMs = 250;
const quietMs = 50;

/** Arguments of every server that opens the recorded directory or one made of it. */
export const recordedArgs = [
  ...["--max-chunk-size-in-bytes", String(chunkBytesMax)],
  ...["--commit-interval-ms", String(commitIntervalMs)],
];

export interface Recording extends Recorded {
  readonly folder: string;
  readonly history: PlacedHistory;
}

const dataIn = (folder: string): string => path.join(folder, "disk/data");
const traceIn = (folder: string): string => path.join(folder, "trace");
const bytesIn = (folder: string): string => path.join(folder, "bytes");
const historyIn = (folder: string): string => path.join(folder, "history.json");

/** @param folder without symbolic links, as the kernel tells paths in the trace */
export async function record(folder: string, seed: number): Promise<void> {
  const root = dataIn(folder);
  mkdirSync(path.dirname(root));
  const env = {
    ...buildShim("trace", folder),
    TRACE_ROOT: path.dirname(root),
    TRACE_FILE: traceIn(folder),
    TRACE_BYTES: bytesIn(folder),
  };
  const history: History = { sequences: [], keys: [], lives: [] };
  const start = (): Promise<RunningServer> => startServer({ dataDir: root, args: recordedArgs, env });
  const life = new Life(history, traceIn(folder), seed);
  {
    await using server = await life.begin(start);
    await firstLife(life);
    await server.kill();
  }
  await using server = await life.begin(start);
  await secondLife(life);
  life.end();
  await server.stop();
  writeFileSync(historyIn(folder), JSON.stringify(history));
}

export function readRecording(folder: string): Recording {
  const text = readFileSync(traceIn(folder), "latin1");
  const events = readTrace(text.slice(0, text.lastIndexOf("\n") + 1));
  const history = new PlacedHistory(JSON.parse(readFileSync(historyIn(folder), "utf8")) as History, events);
  return {
    folder,
    root: dataIn(folder),
    events,
    bytes: readFileSync(bytesIn(folder)),
    starts: history.starts,
    history,
  };
}

/** A stream that is open: its topic, and the batches that the server has said are durable. */
interface OpenPut {
  readonly put: PutCall;
  readonly topic: AskedTopic;
  durable: number;
  readonly answers: Promise<unknown>;
}

/** Asks the server, and notes what it was asked. */
class Life {
  readonly #history: History;
  readonly #traceFile: string;
  #seed: number;
  #client: FlightClient | undefined;

  constructor(history: History, traceFile: string, seed: number) {
    this.#history = history;
    this.#traceFile = traceFile;
    this.#seed = seed;
  }

  get history(): History {
    return this.#history;
  }

  async begin(start: () => Promise<RunningServer>): Promise<RunningServer> {
    this.end();
    this.#history.lives.push(this.#history.lives.length === 0 ? 0 : statSync(this.#traceFile).size);
    const server = await start();
    this.#client = new FlightClient(server.port, undefined, { headers: { "x-mosaico-edge-acks": "1" } });
    return server;
  }

  end(): void {
    this.#client?.[Symbol.dispose]();
  }

  get client(): FlightClient {
    if (this.#client === undefined) throw new Error("nobody lives");
    return this.#client;
  }

  #asked(call: (client: FlightClient) => Call): { call: Call; asked: Asked } {
    const at = statSync(this.#traceFile).size;
    const made = call(this.client);
    return { call: made, asked: { at, life: this.#history.lives.length - 1, stream: made.stream.id ?? 0 } };
  }

  async action(type: string, body: object, note: (asked: Asked) => void = () => undefined): Promise<unknown> {
    const { call, asked } = this.#asked((client) => client.call("DoAction"));
    note(asked);
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    await call.send([toBinary(ActionSchema, create(ActionSchema, { type, body: bytes }))]);
    call.end();
    let answer: unknown;
    for await (const message of call.messages()) {
      const text = Buffer.from(fromBinary(ResultSchema, message).body).toString();
      answer = text === "" ? undefined : (JSON.parse(text) as { response?: unknown }).response;
    }
    return answer;
  }

  async #create<T>(type: string, body: object): Promise<{ answer: T; create: Asked }> {
    let asked: Asked | undefined;
    const answer = (await this.action(type, body, (one) => {
      asked = one;
    })) as T;
    if (asked === undefined) throw new Error(`${type} was not noted`);
    return { answer, create: asked };
  }

  async sequence(name: string): Promise<AskedSequence> {
    const { create } = await this.#create("sequence_create", { locator: name, user_metadata: { a: 1 } });
    const sequence: AskedSequence = { name, create, sessions: [], notifications: [] };
    this.#history.sequences.push(sequence);
    return sequence;
  }

  async session({ name, sessions }: AskedSequence): Promise<AskedSession> {
    const { answer, create } = await this.#create<{ uuid: string }>("session_create", { locator: name });
    const session: AskedSession = { uuid: answer.uuid, create, topics: [] };
    sessions.push(session);
    return session;
  }

  async topic(session: AskedSession, locator: string, table: Omit<TableSpec, "seed">): Promise<AskedTopic> {
    const body = { locator, session_uuid: session.uuid, ontology_tag: "t", serialization_format: "default" };
    const { answer, create } = await this.#create<{ uuid: string }>("topic_create", {
      ...body,
      user_metadata: { a: 1 },
    });
    this.#seed += 1;
    const topic: AskedTopic = { locator, uuid: answer.uuid, table: { seed: this.#seed, ...table }, create, puts: [] };
    session.topics.push(topic);
    return topic;
  }

  async notify({ name, notifications }: AskedSequence, message: string): Promise<void> {
    const body = { locator: name, notification_type: "error", msg: message };
    const { create } = await this.#create("sequence_notification_create", body);
    notifications.push({ message, create });
  }

  async key(): Promise<History["keys"][number]> {
    const body = { permissions: "read", description: "" };
    const { answer, create } = await this.#create<{ api_key_token: string }>("api_key_create", body);
    const [, , fingerprint = ""] = answer.api_key_token.split("_");
    const key = { fingerprint, create };
    this.#history.keys.push(key);
    return key;
  }

  /** Opens a stream, sends the schema and so many batches, and waits until they are durable. */
  async open(topic: AskedTopic, from: number, to: number): Promise<OpenPut> {
    const { put, asked } = this.#openPut(topic);
    topic.puts.push(asked);
    const open: OpenPut = { put, topic, durable: 0, answers: Promise.resolve() };
    const read = async (): Promise<void> => {
      for await (const message of put.call.messages()) {
        const [, batches] = /"batches":(\d+)/.exec(message.toString("latin1")) ?? [];
        open.durable = Math.max(open.durable, Number(batches ?? 0));
      }
    };
    const answers = read().catch((error: unknown) => error);
    Object.assign(open, { answers });
    const [schema] = tableOf(topic.table);
    if (schema !== undefined) await put.sendData(schema);
    await this.send(open, from, to);
    await this.durable(open, to);
    return open;
  }

  #openPut(topic: AskedTopic): { put: PutCall; asked: Asked } {
    let put: PutCall | undefined;
    const { asked } = this.#asked((client) => {
      put = client.openPut(topic, "kept");
      return put.call;
    });
    if (put === undefined) throw new Error("a put is a call");
    return { put, asked };
  }

  async send({ put, topic }: OpenPut, from: number, to: number): Promise<void> {
    for (const message of tableOf(topic.table).slice(1 + from, 1 + to)) await put.sendData(message);
  }

  async durable(open: OpenPut, batches: number): Promise<void> {
    const { locator } = open.topic;
    while (open.durable < batches) {
      if (open.put.call.stream.closed) throw new Error(`${locator} ends early: ${await open.answers}`);
      await sleep(5);
    }
  }

  async finish({ put, topic, answers }: OpenPut): Promise<void> {
    await put.call.sent();
    const [opened] = topic.puts.slice(-1);
    if (opened === undefined) throw new Error("a topic that ends was opened");
    topic.end = { ...opened, at: statSync(this.#traceFile).size };
    put.call.end();
    const error = await answers;
    if (error !== undefined) throw error;
  }

  /** Opens, sends what is left and ends. */
  async put(topic: AskedTopic, from = 0): Promise<void> {
    const open = await this.open(topic, from, from);
    await this.send(open, from, topic.table.batches);
    await this.finish(open);
  }

  /** Ends when the server has done nothing for a while. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== statSync(this.#traceFile).size; ) {
      before = statSync(this.#traceFile).size;
      await sleep(quietMs);
    }
  }
}

const small = { batches: 8, bytes: 300 };
const large = { batches: 6, bytes: 20_000 };

async function firstLife(life: Life): Promise<void> {
  await life.action("version", {});
  const drive = await life.sequence("drive");
  const gone = await life.sequence("gone");
  const key = await life.key();
  await life.key();
  await life.action("api_key_revoke", { api_key_fingerprint: key.fingerprint }, (asked) => {
    Object.assign(key, { revoke: asked });
  });

  // A slow stream goes on in the tail log while others rotate and end.
  const base = await life.session(drive);
  const slow = await life.open(await life.topic(base, "drive/slow", small), 0, 2);
  await Promise.all([
    life.topic(base, "drive/large", large).then((topic) => life.put(topic)),
    life.topic(base, "drive/middle", { batches: 4, bytes: 9_000 }).then((topic) => life.put(topic)),
  ]);
  await life.send(slow, 2, 5);
  await life.durable(slow, 5);
  await life.put(await life.topic(base, "drive/tiny", { batches: 2, bytes: 40 }));
  await life.notify(drive, "first");
  await life.send(slow, 5, 8);
  await life.finish(slow);
  await life.action("session_finalize", { session_uuid: base.uuid }, (asked) => {
    base.finalize = asked;
  });

  // A session with a topic that is deleted, and one whose stream breaks off.
  const labels = await life.session(drive);
  const broken = await life.open(await life.topic(labels, "drive/broken", small), 0, 3);
  const spare = await life.topic(labels, "drive/spare", large);
  await life.put(spare);
  await life.action("topic_delete", { locator: spare.locator }, (asked) => {
    spare.delete = asked;
  });
  await life.send(broken, 3, 5);
  broken.put.call.stream.destroy();
  await broken.answers;

  // Deleted: a finalized session, an open one with a stream in it, and a sequence.
  const old = await life.session(drive);
  await life.put(await life.topic(old, "drive/old", { batches: 3, bytes: 18_000 }));
  await life.action("session_finalize", { session_uuid: old.uuid }, (asked) => {
    old.finalize = asked;
  });
  const cut = await life.session(gone);
  const within = await life.open(await life.topic(cut, "gone/within", small), 0, 2);
  await life.action("session_delete", { session_uuid: old.uuid }, (asked) => {
    old.delete = asked;
  });
  await life.action("session_delete", { session_uuid: cut.uuid }, (asked) => {
    cut.delete = asked;
  });
  within.put.call.end();
  await within.answers;
  await life.put(await life.topic(await life.session(gone), "gone/whole", large));
  await life.action("sequence_delete", { locator: "gone" }, (asked) => {
    gone.delete = asked;
  });

  // For the kill: streams that are committed in part, and have sent more.
  const tail = await life.open(await life.topic(labels, "drive/tail", small), 0, 4);
  const chunk = await life.open(await life.topic(labels, "drive/chunk", large), 0, 2);
  await life.send(tail, 4, 7);
  await life.send(chunk, 2, 5);
  await life.quiet();
}

async function secondLife(life: Life): Promise<void> {
  await life.action("version", {});
  const [drive] = life.history.sequences;
  const labels = drive?.sessions[1];
  if (drive === undefined || labels === undefined) throw new Error("the first life left a session");
  const left = labels.topics.filter((topic) => topic.end === undefined && topic.delete === undefined);
  await Promise.all(
    left.map(async (topic) => {
      const status = (await life.action("edge_topic_status", { topic_uuid: topic.uuid })) as { batches: number };
      await life.put(topic, status.batches);
    }),
  );
  await life.action("session_finalize", { session_uuid: labels.uuid }, (asked) => {
    labels.finalize = asked;
  });
  await life.notify(drive, "second");
  const late = await life.sequence("late");
  const session = await life.session(late);
  await life.put(await life.topic(session, "late/whole", { batches: 3, bytes: 18_000 }));
  const open = await life.open(await life.topic(session, "late/open", small), 0, 3);
  await life.send(open, 3, 6);
}
