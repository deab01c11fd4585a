/**
 * A session of a bundle as rows of a catalog, after everything in it was looked at: that its documents say what they can say and nothing
 * else, that its chunk files are what they say of themselves, message by message, and that all of it is what the manifest lists. Who has
 * signed it may have been lied to: what is not so is refused before anything of the session goes anywhere.
 */

import { readSchema } from "../arrow/schema.ts";
import { type ChunkPlace, checkChunkFile, checkChunkRow } from "../care/chunk-check.ts";
import { readEntry } from "../care/chunk-record.ts";
import { describeFinding, type Finding } from "../care/finding.ts";
import { readSessionRecord, type SessionRecord, type TopicRecord } from "../care/session-record.ts";
import type { ReadDisk } from "../host/disk.ts";
import type { BundleSession } from "../model/bundle.ts";
import type { BatchEntry, Chunk } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { parseJson } from "../model/json.ts";
import { actionBytesMax, messageBytes, ontologyTagCharactersMax } from "../model/limits.ts";
import { parseSequenceName, parseTopicLocator, sequenceOfSession, sequenceOfTopic } from "../model/locator.ts";
import {
  isUlid,
  type JsonText,
  type Sequence,
  type Session,
  serializationFormats,
  type Topic,
  type Uuid,
} from "../model/resource.ts";
import { manifestDocument, readSequenceDocument, sequenceDocument, topicDocument } from "../store/documents.ts";
import { FileScan } from "../store/file-scan.ts";
import { chunkFile, sequenceFile, sessionDirectory, sessionFile, topicDirectory, topicFile } from "../store/layout.ts";
import { notesName, printable, shown } from "./member-name.ts";
import { readNotesDocument, type SessionNotes } from "./notes.ts";

export interface SessionContent {
  readonly sequence: Sequence;
  readonly record: SessionRecord;
  readonly notes: SessionNotes;
}

/** @param onBytes hears how many bytes of chunk files have been read @throws Fault corrupt naming the member */
export async function readSessionContent(
  disk: ReadDisk,
  listed: BundleSession,
  onBytes: (bytes: number) => void,
): Promise<SessionContent> {
  try {
    const sequence = await readSequence(disk, listed);
    const record = await readRecord(disk, listed);
    await checkSession(disk, sequence, listed, record);
    checkTopics(sequence, record.topics);
    const notes = await readNotes(disk, listed, record);
    for (const topic of record.topics) await checkTopic(disk, topic, onBytes);
    await checkListed(disk, listed, record);
    return { sequence, record, notes };
  } catch (error) {
    // Numbers of a stranger may lead anywhere that a reader of bytes does not expect.
    if (!(error instanceof Fault) && !(error instanceof RangeError)) throw error;
    throw new Fault("corrupt", `Session \`${listed.locator}\`: ${printable(error.message)}`, error);
  }
}

function wrong(where: string, expected: string, found: string): Fault {
  return new Fault("corrupt", `${where}: expected ${expected}, found ${found}`);
}

async function readSequence(disk: ReadDisk, { locator, sequenceUlid }: BundleSession): Promise<Sequence> {
  const path = sequenceFile(sequenceUlid);
  const text = await disk.readText(path);
  const sequence = readSequenceDocument(text, path);
  const { name, uuid, ulid } = sequence;
  if (ulid !== sequenceUlid || name !== sequenceOfSession(locator) || parsed(path, parseSequenceName, name) !== name)
    throw wrong(path, `the sequence of ${locator}`, `that of ${shown(name)}`);
  checkUuids(path, uuid);
  checkMetadata(path, sequence.userMetadata);
  checkText(path, sequenceDocument(sequence), text);
  return sequence;
}

async function readRecord(disk: ReadDisk, { ulid }: BundleSession): Promise<SessionRecord> {
  const refuse = (path: string, reason: string): never => {
    throw new Fault("corrupt", reason.includes(path) ? reason : `${path}: ${reason}`);
  };
  const record = await readSessionRecord(
    {
      disk,
      tails: { topics: new Map(), breaks: [] },
      onUnusable: refuse,
      onDamaged: refuse,
      onUnread: (path) => refuse(path, "it goes on behind its footer"),
    },
    ulid,
  );
  const path = sessionFile(ulid);
  if (record === undefined) throw wrong(path, "the document of a session", "none");
  if (!("session" in record)) throw new Fault("corrupt", record.reason);
  const [lost] = [...record.lost, ...record.topics.flatMap((topic) => topic.lost)];
  if (lost !== undefined) throw wrong(path, "a whole session", `one that lacks ${lost}`);
  return record;
}

async function checkSession(
  disk: ReadDisk,
  sequence: Sequence,
  { ulid, locator }: BundleSession,
  { session, topics }: SessionRecord,
): Promise<void> {
  const path = sessionFile(ulid);
  const { uuid, alias, completedAtNs, creator } = session;
  checkUuids(path, uuid, alias);
  if (!isUlid(session.ulid) || session.locator !== locator)
    throw wrong(path, `session ${locator}`, shown(session.locator));
  if (session.sequence !== sequence.name || session.sequenceUlid !== sequence.ulid)
    throw wrong(path, `sequence ${sequence.name}`, shown(session.sequence));
  if (completedAtNs === undefined) throw wrong(path, "a finalized session", "an open one");
  if (creator !== undefined) throw wrong(path, "no creator", "one");
  checkText(path, manifestDocument(session, completedAtNs, topics), await disk.readText(path));
  checkTopicNumbers(path, session, topics);
}

function checkTopicNumbers(path: string, { topicNumberNext }: Session, topics: readonly TopicRecord[]): void {
  const numbers = new Set(topics.map(({ topic }) => topic.number));
  if (numbers.size !== topics.length) throw wrong(path, "topics with numbers of their own", "one number twice");
  if ([...numbers].some((number) => number >= topicNumberNext))
    throw wrong(path, `numbers of topics below ${topicNumberNext}`, `${Math.max(...numbers)}`);
}

function checkTopics({ name }: Sequence, topics: readonly TopicRecord[]): void {
  const uuids = new Set<Uuid>();
  const locators = new Set<string>();
  for (const { topic } of topics) {
    const path = topicFile(topic.session, topic.number);
    checkUuids(path, topic.uuid);
    if (parsed(path, parseTopicLocator, topic.locator) !== topic.locator || sequenceOfTopic(topic.locator) !== name)
      throw wrong(path, `a topic below ${name}`, shown(topic.locator));
    if (uuids.has(topic.uuid) || locators.has(topic.locator))
      throw wrong(path, "a topic of its own", "one that was before");
    uuids.add(topic.uuid);
    locators.add(topic.locator);
    checkKind(path, topic);
    checkMetadata(path, topic.userMetadata);
  }
}

function checkKind(path: string, { ontologyTag, serializationFormat, completedAtNs }: Topic): void {
  if (!serializationFormats.includes(serializationFormat))
    throw wrong(path, `one of ${serializationFormats.join(", ")}`, shown(serializationFormat));
  if (ontologyTag.length > ontologyTagCharactersMax)
    throw wrong(path, `a tag of at most ${ontologyTagCharactersMax} characters`, `one of ${ontologyTag.length}`);
  if (completedAtNs === undefined) throw wrong(path, "a topic that is complete", "one that is not");
}

async function readNotes(disk: ReadDisk, { ulid }: BundleSession, { topics }: SessionRecord): Promise<SessionNotes> {
  const path = notesName(ulid);
  const notes = readNotesDocument(await disk.readText(path), path);
  const numbers = new Set(topics.map(({ topic }) => topic.number));
  for (const number of notes.topics.keys())
    if (!numbers.has(number)) throw wrong(path, "notifications of topics of the session", `topic ${number}`);
  return notes;
}

async function checkTopic(disk: ReadDisk, record: TopicRecord, onBytes: (bytes: number) => void): Promise<void> {
  const { topic, schemaHeader, chunks } = record;
  const path = topicFile(topic.session, topic.number);
  checkText(path, topicDocument(topic, schemaHeader), await disk.readText(path));
  if (chunks.length === 0) throw wrong(path, "a topic with a chunk file", "none");
  for (const chunk of chunks) {
    const isLast = chunk.number === chunks.length - 1;
    const place = {
      path: chunkFile(topic.session, topic.number, chunk.number),
      session: topic.session,
      schemaHeader,
      completedAtNs: isLast ? topic.completedAtNs : undefined,
    };
    await checkChunk(disk, place, chunk);
    onBytes(chunk.bytes);
  }
}

async function checkChunk(disk: ReadDisk, place: ChunkPlace, chunk: Chunk): Promise<void> {
  if (!chunk.sealed) throw wrong(place.path, "a sealed chunk", "an open one");
  refuse(checkChunkRow(place, chunk));
  const tooLarge = chunk.batches.find((entry) => entry.metadataBytes + entry.bodyBytes > messageBytes.most);
  if (tooLarge !== undefined)
    throw wrong(`${place.path}@${tooLarge.offset}`, `a message of at most ${messageBytes.most} bytes`, "a larger one");
  refuse((await checkChunkFile(disk, place, chunk, { state: "closed", onBytes: () => undefined })).findings);
  const schema = readSchema(place.schemaHeader);
  await using scan = await FileScan.open(disk, place.path);
  for (const entry of chunk.batches) {
    const found = await readEntry(scan, entry.offset, schema);
    if (found === undefined || entryText(found) !== entryText(entry))
      throw wrong(
        `${place.path}@${entry.offset}`,
        `a ${entryText(entry)}`,
        found === undefined ? "none" : entryText(found),
      );
  }
}

function entryText({ kind, metadataBytes, bodyBytes, rows, sorted, range, crc32 }: BatchEntry): string {
  const times =
    range === undefined ? "" : `, ${sorted ? "sorted" : "unsorted"} from ${range.startNs} to ${range.endNs}`;
  return `${kind} of ${metadataBytes} and ${bodyBytes} bytes with ${rows} rows${times}, CRC-32 ${crc32}`;
}

function refuse([first]: readonly Finding[]): void {
  if (first !== undefined) throw new Fault("corrupt", describeFinding(first));
}

/** What the manifest says of the session, and that no member is left over. */
async function checkListed(disk: ReadDisk, listed: BundleSession, record: SessionRecord): Promise<void> {
  const { ulid, topics, rows, bytes } = listed;
  const chunks = record.topics.flatMap((topic) => topic.chunks);
  const found = {
    topics: record.topics.length,
    rows: chunks.reduce((sum, chunk) => sum + chunk.rows, 0),
    bytes: chunks.reduce((sum, chunk) => sum + chunk.bytes, 0),
  };
  const path = sessionFile(ulid);
  if (found.topics !== topics || found.rows !== rows || found.bytes !== bytes)
    throw wrong(
      path,
      `${topics} topics, ${rows} rows and ${bytes} bytes, as bundle.json says,`,
      `${found.topics}, ${found.rows} and ${found.bytes}`,
    );
  const known = [path, notesName(ulid), ...record.topics.map(({ topic }) => topicDirectory(ulid, topic.number))];
  await checkNames(disk, sessionDirectory(ulid), known);
  for (const { topic, chunks: own } of record.topics) {
    const files = own.map(({ number }) => chunkFile(ulid, topic.number, number));
    await checkNames(disk, topicDirectory(ulid, topic.number), [topicFile(ulid, topic.number), ...files]);
  }
}

async function checkNames(disk: ReadDisk, directory: string, known: readonly string[]): Promise<void> {
  const paths = new Set(known);
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    if (!paths.has(path)) throw wrong(path, "a member that the session knows", "one that it does not");
  }
}

function checkText(path: string, expected: string, found: string): void {
  if (expected !== found) throw wrong(path, "it in the form in which it is written", "another one, or other facts");
}

function checkUuids(path: string, ...uuids: readonly Uuid[]): void {
  for (const uuid of uuids)
    if (!/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid))
      throw wrong(path, "a UUID", "another text");
}

/** Any JSON: clients may send what they like. */
function checkMetadata(path: string, text: JsonText): void {
  if (text.length > actionBytesMax)
    throw wrong(path, `user metadata of at most ${actionBytesMax} characters`, `${text.length}`);
  parsed(path, (given) => parseJson(given, "user metadata"), text);
}

function parsed<Value>(path: string, parse: (text: string) => Value, text: string): Value {
  try {
    return parse(text);
  } catch (error) {
    throw new Fault("corrupt", `${path}: ${error instanceof Error ? error.message : error}`, error);
  }
}
