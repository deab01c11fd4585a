/** Sequences, sessions and topics in the catalog. Functions named put and remove are to be called inside a transaction. */

import { queryPage } from "../model/limits.ts";
import type { SequenceName, TopicLocator } from "../model/locator.ts";
import type { Sequence, Session, Topic, Ulid, Uuid } from "../model/resource.ts";
import type { Catalog, Key } from "./catalog.ts";
import { removeChunks } from "./chunk-rows.ts";
import { keyPages } from "./key-pages.ts";
import { removeNotifications } from "./notifications.ts";
import { decodeRow, encodeRow } from "./row.ts";
import { keysOfSequence, keysOfTopic, replaceSearchKeys } from "./search-keys.ts";
import { addStoredBytes } from "./store-facts.ts";
import { removeTailRuns } from "./tail-rows.ts";
import { type DeletedWhere, removeClaims, removeTransfers } from "./transfer-rows.ts";

// Locators are ASCII, so this is behind every key that starts with a given text.
const behindAscii = "\u007f";
// Locators have no control characters, so with this a locator is before all others that follow it.
const leastSuffix = "\u0001";

export function findSequence(catalog: Catalog, name: SequenceName): Sequence | undefined {
  const row = catalog.sequences.get(name);
  return row === undefined ? undefined : decodeRow<Sequence>(row);
}

/** All sequences in the order of their names. */
export function* listSequences(catalog: Catalog): Generator<Sequence> {
  for (const { value } of catalog.sequences.range("\u0001", behindAscii)) yield decodeRow<Sequence>(value);
}

/** All sequences in the order of their names, as many at a time as may be held. In between nothing of the catalog is held open. */
export function* sequencePages(catalog: Catalog): Generator<Sequence[]> {
  for (let start = "\u0001"; ; ) {
    const rows = page(catalog.sequences.range(start, behindAscii)).map((row) => decodeRow<Sequence>(row));
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    start = `${last.name}${leastSuffix}`;
  }
}

/** Names of all sequences in order, some at a time. In between nothing of the catalog is held open. */
export function sequenceNamePages(catalog: Catalog): Generator<SequenceName[]> {
  return keyPages(catalog.sequences, leastSuffix, behindAscii) as Generator<SequenceName[]>;
}

/** Up to `limit` names of sequences behind a given one, in order. */
export function listSequenceNames(catalog: Catalog, behind: string, limit: number): SequenceName[] {
  return catalog.sequences.keys(`${behind}${leastSuffix}`, behindAscii, limit) as SequenceName[];
}

/** Bytes of the rows of a sequence, its sessions and its topics. */
export function rowBytesOfSequence(catalog: Catalog, { name, ulid }: Sequence): number {
  let bytes = Buffer.byteLength(catalog.sequences.get(name) ?? "");
  for (const { value } of catalog.sessions.range([ulid, ""], [ulid, behindAscii])) bytes += Buffer.byteLength(value);
  for (const { value } of catalog.topics.range(`${name}/`, `${name}/${behindAscii}`)) bytes += Buffer.byteLength(value);
  return bytes;
}

/** Bytes of the row of a topic and of its schema. */
export function rowBytesOfTopic(catalog: Catalog, { locator, uuid }: Topic): { row: number; schema: number } {
  return {
    row: Buffer.byteLength(catalog.topics.get(locator) ?? ""),
    schema: catalog.schemas.get(uuid)?.byteLength ?? 0,
  };
}

export function putSequence(catalog: Catalog, sequence: Sequence): void {
  const before = findSequence(catalog, sequence.name);
  replaceSearchKeys(catalog, before === undefined ? [] : keysOfSequence(before), keysOfSequence(sequence));
  catalog.sequences.put(sequence.name, encodeRow(sequence));
}

export function removeSequence(catalog: Catalog, sequence: Sequence): void {
  removeNotifications(catalog, sequence.uuid);
  replaceSearchKeys(catalog, keysOfSequence(sequence), []);
  removeClaims(catalog, sequence);
  catalog.sequences.remove(sequence.name);
}

/** Finds a session by its UUID, its alias, its locator or its ULID. */
export function findSession(catalog: Catalog, id: string): Session | undefined {
  const key = catalog.sessionKeys.get(id);
  if (key === undefined) return undefined;
  const row = catalog.sessions.get(JSON.parse(key) as Key);
  return row === undefined ? undefined : decodeRow<Session>(row);
}

/** Sessions of a sequence in the order of their creation. */
export function* listSessions(catalog: Catalog, sequence: Ulid): Generator<Session> {
  for (const { value } of catalog.sessions.range([sequence, ""], [sequence, behindAscii]))
    yield decodeRow<Session>(value);
}

export function* listAllSessions(catalog: Catalog): Generator<Session> {
  for (const { value } of catalog.sessions.range(["", ""], [behindAscii, ""])) yield decodeRow<Session>(value);
}

export function putSession(catalog: Catalog, session: Session): void {
  const key: Key = [session.sequenceUlid, session.ulid];
  catalog.sessions.put(key, encodeRow(session));
  for (const id of idsOf(session)) catalog.sessionKeys.put(id, JSON.stringify(key));
}

export function removeSession(catalog: Catalog, session: Session, where: DeletedWhere): void {
  catalog.sessions.remove([session.sequenceUlid, session.ulid]);
  removeTransfers(catalog, session, where);
  for (const id of idsOf(session)) catalog.sessionKeys.remove(id);
}

function idsOf(session: Session): string[] {
  return [session.uuid, session.alias, session.locator, session.ulid];
}

export function findTopic(catalog: Catalog, locator: TopicLocator): Topic | undefined {
  const row = catalog.topics.get(locator);
  return row === undefined ? undefined : decodeRow<Topic>(row);
}

export function findTopicByUuid(catalog: Catalog, uuid: Uuid): Topic | undefined {
  const locator = catalog.topicLocators.get(uuid);
  return locator === undefined ? undefined : findTopic(catalog, locator as TopicLocator);
}

/** Topics of a sequence, all sessions, in the order of their locators. */
export function* listTopics(catalog: Catalog, sequence: SequenceName): Generator<Topic> {
  for (const { value } of catalog.topics.range(`${sequence}/`, `${sequence}/${behindAscii}`))
    yield decodeRow<Topic>(value);
}

/** Locators of the topics of a sequence, or of all, as `sequenceNamePages` does. */
export function topicLocatorPages(catalog: Catalog, sequence?: SequenceName): Generator<TopicLocator[]> {
  const below = sequence === undefined ? "" : `${sequence}/`;
  return keyPages(catalog.topics, below, `${below}${behindAscii}`) as Generator<TopicLocator[]>;
}

/** The first rows, one at least. The range is closed with that: it holds on to the state of the catalog that it saw. */
function page(range: Iterable<{ value: string }>): string[] {
  const rows: string[] = [];
  let characters = 0;
  for (const { value } of range) {
    rows.push(value);
    characters += value.length;
    if (rows.length >= queryPage.rows || characters >= queryPage.characters) break;
  }
  return rows;
}

export function* listAllTopics(catalog: Catalog): Generator<Topic> {
  for (const { value } of catalog.topics.range("\u0001", behindAscii)) yield decodeRow<Topic>(value);
}

export function listTopicsOfSession(catalog: Catalog, session: Session): Topic[] {
  return [...listTopics(catalog, session.sequence)].filter((topic) => topic.session === session.ulid);
}

export function putTopic(catalog: Catalog, topic: Topic): void {
  const before = findTopic(catalog, topic.locator);
  addStoredBytes(catalog, topic.extent.bytes - (before?.extent.bytes ?? 0));
  if (before === undefined || !isSoughtAlike(before, topic))
    replaceSearchKeys(catalog, before === undefined ? [] : keysOfTopic(before), keysOfTopic(topic));
  catalog.topics.put(topic.locator, encodeRow(topic));
  catalog.topicLocators.put(topic.uuid, topic.locator);
}

/** Each commit puts the rows of its topics anew, and hardly ever with other keys. */
function isSoughtAlike(a: Topic, b: Topic): boolean {
  return a.ontologyTag === b.ontologyTag && a.userMetadata === b.userMetadata && a.createdAtNs === b.createdAtNs;
}

export function removeTopic(catalog: Catalog, topic: Topic): void {
  addStoredBytes(catalog, -topic.extent.bytes);
  removeChunks(catalog, topic.uuid);
  removeTailRuns(catalog, topic.uuid);
  removeNotifications(catalog, topic.uuid);
  replaceSearchKeys(catalog, keysOfTopic(topic), []);
  catalog.schemas.remove(topic.uuid);
  catalog.topicLocators.remove(topic.uuid);
  catalog.topics.remove(topic.locator);
}
