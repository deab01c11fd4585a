// A data directory with something of everything, made by the real server and left by kill -9: sequences with several sessions,
// finalized and open, sealed and open chunks, dictionaries, a topic without rows, frames in the tail log, notifications, keys.

import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Dictionary, Int32, Int64, makeData, makeVector, Utf8, vectorFromArray } from "apache-arrow";
import { readMessage } from "../../src/arrow/message.ts";
import { FlightClient, type Outgoing, type PutCall } from "../load/flight-client.ts";
import { type Columns, toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";
import { baseTopics, blobs, labelTopics } from "../load/robot.ts";
import { createTopic, readTopic } from "../round-trip.ts";
import { createKey, startServer } from "../server.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seed: 7 };
export const serverArgs = ["--max-chunk-size-in-bytes", "150000", "--commit-interval-ms", "20"];

export interface Corpus extends Disposable {
  /** Left by kill -9, with frames in tail logs. */
  readonly killed: string;
  /** The same after a start and a stop. */
  readonly closed: string;
  /** Locators of all topics with what was sent, schema first. */
  readonly topics: ReadonlyMap<string, readonly Outgoing[]>;
  /** What a client reads of each topic, message by message. */
  readonly stored: ReadonlyMap<string, readonly string[]>;
  /** A copy that goes away with the corpus. */
  copy(of: "killed" | "closed"): string;
}

/** @param seconds of what a robot's sensors send */
export async function makeCorpus(seconds = 4): Promise<Corpus> {
  const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-corpus-"));
  const killed = path.join(root, "killed");
  const closed = path.join(root, "closed");
  const topics = new Map<string, readonly Outgoing[]>();
  {
    await using server = await startServer({ dataDir: killed, args: serverArgs });
    await createKey(killed, "read");
    await createKey(killed, "manage");
    using client = new FlightClient(server.port);
    await fill(client, topics, seconds);
    for (const [locator, messages] of topics) await untilStored(client, locator, messages);
    await server.kill();
  }
  cpSync(killed, closed, { recursive: true });
  let stored: ReadonlyMap<string, readonly string[]>;
  {
    await using server = await startServer({ dataDir: closed, args: serverArgs });
    // What lay in the tail logs moves to chunk files behind the ready line.
    while (readdirSync(path.join(closed, "tail")).length > 0) await sleep(10);
    stored = await readAll(server.port, topics.keys());
    await server.stop();
  }
  expectStored(stored, topics);
  let copies = 0;
  return {
    killed,
    closed,
    topics,
    stored,
    copy(of) {
      copies += 1;
      const target = path.join(root, `copy-${copies}`);
      cpSync(of === "killed" ? killed : closed, target, { recursive: true });
      return target;
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

async function fill(client: FlightClient, topics: Map<string, readonly Outgoing[]>, seconds: number): Promise<void> {
  await client.action("info", {});
  await client.action("sequence_create", {
    locator: "drive-a",
    user_metadata: { robot: "milo", "7": 1.0, deep: [{ a: null }] },
  });
  const base = await openSession(client, "drive-a");
  for (const { path: below, messages } of baseTopics({ ...drive, seconds }))
    await upload(client, topics, base, `drive-a/${below}`, messages);
  await upload(client, topics, base, "drive-a/words", words(6));
  await upload(client, topics, base, "drive-a/nothing", toMessages([numbers(1, 0, 8)]).slice(0, 1));
  await client.action("session_finalize", { session_uuid: base });
  const labels = await openSession(client, "drive-a");
  for (const { path: below, messages } of labelTopics({ ...drive, seconds: 10 * seconds }))
    await upload(client, topics, labels, `drive-a/${below}`, messages);
  await client.action("session_finalize", { session_uuid: labels });
  await notify(client, "drive-a", "a sensor was late");
  const gone = await openSession(client, "drive-a");
  await upload(client, new Map(), gone, "drive-a/gone", toMessages([numbers(3, 0, 100)]));
  await client.action("session_delete", { session_uuid: gone });

  await client.action("sequence_create", { locator: "drive-b", user_metadata: {} });
  await notify(client, "drive-b", "low battery");
  const open = await openSession(client, "drive-b");
  await upload(client, topics, open, "drive-b/done", toMessages([numbers(40, 0, 1000), numbers(40, 40, 1000)]));
  await upload(client, topics, open, "drive-b/empty", toMessages([numbers(1, 0, 8)]).slice(0, 1));
  // Uploads that are still under way when the server is killed.
  await begin(client, topics, open, "drive-b/large", toMessages(batches(7, 4, 10_000)));
  await begin(client, topics, open, "drive-b/words", words(5));
  await begin(client, topics, open, "drive-b/small", toMessages(batches(9, 3, 40)));
  await begin(client, topics, open, "drive-b/tiny", toMessages(batches(30, 1, 8)));
}

async function openSession(client: FlightClient, sequence: string): Promise<string> {
  const { uuid } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  return uuid;
}

async function notify(client: FlightClient, locator: string, msg: string): Promise<void> {
  await client.action("sequence_notification_create", { locator, notification_type: "error", msg });
}

async function upload(
  client: FlightClient,
  topics: Map<string, readonly Outgoing[]>,
  session: string,
  locator: string,
  messages: readonly Outgoing[],
): Promise<void> {
  topics.set(locator, messages);
  await client.put(await createTopic(client, session, locator), messages);
}

async function begin(
  client: FlightClient,
  topics: Map<string, readonly Outgoing[]>,
  session: string,
  locator: string,
  messages: readonly Outgoing[],
): Promise<PutCall> {
  topics.set(locator, messages);
  const put = client.openPut(await createTopic(client, session, locator));
  for (const message of messages) await put.sendData(message);
  return put;
}

async function untilStored(client: FlightClient, locator: string, messages: readonly Outgoing[]): Promise<void> {
  const rows = messages.reduce((sum, { header }) => {
    const message = readMessage(header);
    return message.kind === "batch" ? sum + message.lists.rows : sum;
  }, 0);
  for (;;) {
    const info = await client.info({ resource_locator: locator });
    const shown = JSON.parse(Buffer.from(info.endpoint[0]?.appMetadata ?? []).toString()) as {
      data_info?: { total_row_count: number };
    };
    if ((shown.data_info?.total_row_count ?? 0) === rows) return;
    await sleep(10);
  }
}

const random = randomFrom(11);

/** Rows from `first` on, with values of so many bytes. */
export function numbers(rows: number, first: number, bytes: number): Columns {
  const times = BigInt64Array.from({ length: rows }, (_none, row) => drive.startNs + BigInt(first + row));
  return {
    timestamp_ns: makeVector(makeData({ type: new Int64(), data: times })),
    data: blobs(Array.from({ length: rows }, () => randomBytes(random, bytes))),
  };
}

function batches(count: number, rows: number, bytes: number): Columns[] {
  return Array.from({ length: count }, (_none, index) => numbers(rows, index * rows, bytes));
}

/** Batches whose text is a dictionary that grows. */
function words(count: number): Outgoing[] {
  const columns = Array.from({ length: count }, (_none, batch): Columns => {
    const times = BigInt64Array.from({ length: 4 }, (_nothing, row) => drive.startNs + BigInt(batch * 4 + row));
    const text = Array.from({ length: 4 }, (_nothing, row) => `word ${(batch * 2 + row) % 9}`);
    return {
      timestamp_ns: makeVector(makeData({ type: new Int64(), data: times })),
      word: vectorFromArray(text, new Dictionary(new Utf8(), new Int32())),
    };
  });
  return toMessages(columns);
}

/** What was sent is what is read, but for dictionaries, which a client gets at other places. */
function expectStored(stored: ReadonlyMap<string, readonly string[]>, topics: Corpus["topics"]): void {
  for (const [locator, [, ...messages]] of topics) {
    const sent = messages.map(({ header, body }) => Buffer.concat([header, body]).toString("base64"));
    if (!locator.endsWith("/words") && stored.get(locator)?.join("\n") !== sent.join("\n"))
      throw new Error(`${locator} is read otherwise than it was sent`);
  }
}

/** All batches of all topics as a client reads them: by topic, each message as one text. */
export async function readAll(port: number, locators: Iterable<string>): Promise<Map<string, string[]>> {
  using client = new FlightClient(port);
  await client.action("info", {});
  const read = new Map<string, string[]>();
  for (const locator of locators) {
    const messages = await readTopic(client, locator);
    read.set(
      locator,
      messages.map(({ header, body }) => Buffer.concat([header, body]).toString("base64")),
    );
  }
  return read;
}
