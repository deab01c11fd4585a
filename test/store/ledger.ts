// What a server was asked and what it acknowledged, kept outside of it, and the comparison with what it shows after a restart.
// What was acknowledged must be there, what was not asked must not be, and what was asked without an answer may be either,
// whole or not at all.

import { crc32 } from "node:zlib";
import { CallError, type FlightClient, type Outgoing } from "../load/flight-client.ts";
import { splitStream } from "../load/messages.ts";

/** Asked for without an answer, or answered with OK. */
export type Trust = "asked" | "acknowledged";

export interface LedgerTopic {
  readonly locator: string;
  /** Undefined while its creation is not acknowledged. */
  uuid: string | undefined;
  /** What is uploaded to it: the schema, then batches in order of time. */
  readonly messages: readonly Outgoing[];
  /** Of the end of its do_put; undefined while that has not been asked for. */
  completed: Trust | undefined;
  deleted: Trust | undefined;
  /** Batches that the server has shown after a restart, and must show from then on. */
  batchesShown: number;
  /** Bytes of its chunk files, as the server has said after the last restart. */
  bytesShown: number | undefined;
}

export interface LedgerSession {
  uuid: string | undefined;
  readonly topics: LedgerTopic[];
  finalized: Trust | undefined;
  deleted: Trust | undefined;
}

export interface LedgerSequence {
  readonly name: string;
  created: Trust;
  deleted: Trust | undefined;
  /** Whether it was used since it was last compared. */
  touched: boolean;
  readonly sessions: LedgerSession[];
  readonly notifications: { readonly message: string; trust: Trust }[];
}

interface ShownSession {
  readonly uuid: string;
  readonly completed_at_ns: number | null;
  readonly topics: readonly string[];
}

interface ShownTopic {
  readonly resource_locator: string;
  readonly completed_at_ns: number | null;
  readonly data_info: { readonly total_row_count: number; readonly total_bytes: number };
}

/** How much was compared. */
export interface Compared {
  sequences: number;
  sessions: number;
  topics: number;
  batches: number;
  bytes: number;
  notifications: number;
}

export function nothingCompared(): Compared {
  return { sequences: 0, sessions: 0, topics: 0, batches: 0, bytes: 0, notifications: 0 };
}

const notFound = 5;

/**
 * Compares a sequence with what the server shows of it, then settles what was in doubt: the ledger takes over what is shown.
 * @throws Error naming what was promised and what is shown
 */
export async function compareSequence(
  client: FlightClient,
  sequence: LedgerSequence,
  compared: Compared,
): Promise<void> {
  compared.sequences += 1;
  const shown = await showSequence(client, sequence.name);
  if (shown === undefined) {
    if (sequence.deleted === undefined && sequence.created === "acknowledged")
      throw new Error(`sequence ${sequence.name} was acknowledged and is gone`);
    if (sequence.created === "acknowledged") sequence.deleted = "acknowledged";
    forget(sequence);
    return;
  }
  if (sequence.deleted === "acknowledged") throw new Error(`sequence ${sequence.name} was deleted and is there`);
  sequence.created = "acknowledged";
  sequence.deleted = undefined;
  adoptSessions(sequence, shown.sessions);
  for (const session of sequence.sessions) await compareSession(client, session, shown, compared);
  await compareNotifications(client, sequence, compared);
}

function forget(sequence: LedgerSequence): void {
  sequence.sessions.length = 0;
  sequence.notifications.length = 0;
}

interface ShownSequence {
  readonly sessions: readonly ShownSession[];
  readonly topics: ReadonlyMap<string, { readonly shown: ShownTopic; readonly ticket: Uint8Array }>;
}

async function showSequence(client: FlightClient, name: string): Promise<ShownSequence | undefined> {
  try {
    const info = await client.info({ resource_locator: name });
    const { sessions } = JSON.parse(Buffer.from(info.appMetadata).toString()) as { sessions: ShownSession[] };
    const topics = info.endpoint.map(({ appMetadata, ticket }) => {
      const shown = JSON.parse(Buffer.from(appMetadata).toString()) as ShownTopic;
      return [shown.resource_locator, { shown, ticket: ticket?.ticket ?? new Uint8Array(0) }] as const;
    });
    return { sessions, topics: new Map(topics) };
  } catch (error) {
    if (error instanceof CallError && error.code === notFound) return undefined;
    throw error;
  }
}

/** A session whose creation was not answered may be there, under a UUID that nobody was told. */
function adoptSessions(sequence: LedgerSequence, shown: readonly ShownSession[]): void {
  const known = new Set(sequence.sessions.map(({ uuid }) => uuid));
  const inDoubt = sequence.sessions.filter(({ uuid }) => uuid === undefined);
  for (const { uuid, topics } of shown) {
    if (known.has(uuid)) continue;
    const session = inDoubt.pop();
    if (session === undefined || topics.length > 0)
      throw new Error(`sequence ${sequence.name} shows a session that nobody created, of ${topics.length} topics`);
    session.uuid = uuid;
  }
  remove(sequence.sessions, ({ uuid }) => uuid === undefined);
}

async function compareSession(
  client: FlightClient,
  session: LedgerSession,
  sequence: ShownSequence,
  compared: Compared,
): Promise<void> {
  const shown = sequence.sessions.find(({ uuid }) => uuid === session.uuid);
  const name = session.topics[0]?.locator ?? "without topics";
  compared.sessions += 1;
  if (shown === undefined) {
    if (session.deleted === undefined) throw new Error(`the session (${name}) was acknowledged and is gone`);
    const left = session.topics.filter(({ locator }) => sequence.topics.has(locator));
    if (left.length > 0) throw new Error(`the session is deleted and its topic ${left[0]?.locator} is there`);
    session.deleted = "acknowledged";
    session.topics.length = 0;
    return;
  }
  if (session.deleted === "acknowledged") throw new Error(`the session (${name}) was deleted and is there`);
  session.deleted = undefined;
  const isFinalized = shown.completed_at_ns !== null;
  if (isFinalized && session.finalized === undefined) throw new Error(`nobody finalized the session (${name})`);
  if (!isFinalized && session.finalized === "acknowledged")
    throw new Error(`the finalize of the session (${name}) was acknowledged, and it is open`);
  session.finalized = isFinalized ? "acknowledged" : undefined;
  const strange = shown.topics.filter((locator) => !session.topics.some((topic) => topic.locator === locator));
  if (strange.length > 0) throw new Error(`the session shows ${strange.join(", ")}, which nobody created there`);
  for (const topic of session.topics) await compareTopic(client, topic, sequence, compared);
  remove(session.topics, ({ deleted }) => deleted === "acknowledged");
  if (isFinalized && session.topics.some(({ completed }) => completed !== "acknowledged"))
    throw new Error(`the session (${name}) is finalized with an open topic`);
}

async function compareTopic(
  client: FlightClient,
  topic: LedgerTopic,
  sequence: ShownSequence,
  compared: Compared,
): Promise<void> {
  const { locator } = topic;
  const found = sequence.topics.get(locator);
  compared.topics += 1;
  if (found === undefined) {
    if (topic.uuid !== undefined && topic.deleted === undefined)
      throw new Error(`topic ${locator} was acknowledged and is gone`);
    topic.deleted = "acknowledged";
    return;
  }
  if (topic.deleted === "acknowledged") throw new Error(`topic ${locator} was deleted and is there`);
  topic.deleted = undefined;
  const isComplete = found.shown.completed_at_ns !== null;
  if (!isComplete && topic.completed === "acknowledged")
    throw new Error(`the do_put of ${locator} ended with OK, and the topic is open`);
  if (isComplete && topic.completed === undefined) throw new Error(`nobody ended the upload of ${locator}`);
  topic.completed = isComplete ? "acknowledged" : undefined;
  const batches = await compareBatches(client, topic, found.ticket, compared);
  const expected = topic.messages.length - 1;
  if (isComplete && batches !== expected)
    throw new Error(`${locator} is complete with ${batches} of ${expected} batches`);
  if (batches < topic.batchesShown)
    throw new Error(`${locator} showed ${topic.batchesShown} batches before, and ${batches} now`);
  topic.batchesShown = batches;
  topic.bytesShown = found.shown.data_info.total_bytes;
  const rows = batches * rowsOfBatch(topic);
  if (found.shown.data_info.total_row_count !== rows)
    throw new Error(`${locator} has ${rows} rows and says ${found.shown.data_info.total_row_count}`);
}

/** All batches of a ledger have equally many rows. */
export const rowsPerBatch = 4;

function rowsOfBatch(topic: LedgerTopic): number {
  return topic.messages.length > 1 ? rowsPerBatch : 0;
}

/** Reads the topic back: what is there must be the first batches of what was sent, byte for byte. Returns how many. */
async function compareBatches(
  client: FlightClient,
  { locator, messages }: LedgerTopic,
  ticket: Uint8Array,
  compared: Compared,
): Promise<number> {
  let index = 0;
  for await (const { header, body } of client.get(ticket)) {
    const sent = messages[index];
    if (sent === undefined) throw new Error(`${locator} has more batches than were sent`);
    // The schema comes back with metadata of the server.
    if (index > 0) {
      const same = crcOf(header.subarray(0, sent.header.byteLength), body) === crcOf(sent.header, sent.body);
      if (!same) throw new Error(`${locator}: batch ${index - 1} is not the one that was sent`);
      compared.batches += 1;
      compared.bytes += body.byteLength;
    }
    index += 1;
  }
  if (index > 1) await compareSchema(client, locator, messages);
  return Math.max(0, index - 1);
}

async function compareSchema(client: FlightClient, locator: string, [sent]: readonly Outgoing[]): Promise<void> {
  const [stored] = splitStream(await client.schema({ resource_locator: locator }));
  const same =
    sent !== undefined &&
    stored !== undefined &&
    Buffer.compare(sent.header, stored.header.subarray(0, sent.header.byteLength)) === 0;
  if (!same) throw new Error(`${locator} has another schema than was sent`);
}

function crcOf(header: Uint8Array, body: Uint8Array): number {
  return crc32(body, crc32(header));
}

async function compareNotifications(
  client: FlightClient,
  { name, notifications }: LedgerSequence,
  compared: Compared,
): Promise<void> {
  const answer = await client.action("sequence_notification_list", { locator: name });
  const shown = (answer as { notifications: { msg: string }[] }).notifications.map(({ msg }) => msg);
  const known = new Map(notifications.map((notification) => [notification.message, notification]));
  for (const message of shown) {
    if (!known.has(message)) throw new Error(`${name} has the notification ${message}, which nobody left`);
  }
  for (const { message, trust } of notifications) {
    compared.notifications += 1;
    const times = shown.filter((one) => one === message).length;
    if (times > 1 || (times === 0 && trust === "acknowledged"))
      throw new Error(`${name} shows the notification ${message} ${times} times, it is ${trust}`);
  }
  remove(notifications, ({ message }) => !shown.includes(message));
  for (const notification of notifications) notification.trust = "acknowledged";
}

function remove<T>(list: T[], test: (item: T) => boolean): void {
  const kept = list.filter((item) => !test(item));
  list.splice(0, list.length, ...kept);
}
