/** What the directory of a session tells: everything that the catalog has to know of its data. */

import { fileMagic } from "../arrow/file.ts";
import { frameHeader } from "../arrow/frame.ts";
import type { TailRun } from "../catalog/tail-rows.ts";
import type { ReadDisk } from "../host/disk.ts";
import { newUlid, newUuid } from "../host/entropy.ts";
import { type Chunk, type ChunkSummary, sumEntries } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { type SequenceName, type SessionLocator, sequenceOfTopic } from "../model/locator.ts";
import { isUlid, type Session, type Topic, type Ulid } from "../model/resource.ts";
import type { TimeNs } from "../model/time.ts";
import { chunkFooter } from "../store/chunk-footer.ts";
import { type ManifestTopic, type ReadSession, readSessionDocument, readTopicDocument } from "../store/documents.ts";
import {
  chunkFile,
  sessionDirectory,
  sessionFile,
  sessionsDirectory,
  topicDirectory,
  topicFile,
} from "../store/layout.ts";
import { readChunkRecord, readSchemaHeader } from "./chunk-record.ts";
import { extentOf, hasFiles } from "./session-books.ts";
import { type TailGap, type TailRecords, tailRunsOf } from "./tail-record.ts";

export interface TopicRecord {
  readonly topic: Topic;
  readonly schemaHeader: Uint8Array;
  readonly chunks: readonly Chunk[];
  /** Behind a gap they keep their numbers. */
  readonly tails: readonly TailRun[];
  readonly gaps: readonly TailGap[];
  /** What is lost, or may be, each as the object of a sentence about the topic. */
  readonly lost: readonly string[];
}

export interface SessionRecord {
  readonly session: Session;
  readonly topics: readonly TopicRecord[];
  /** Topics that cannot be taken, each as the object of a sentence about the session. */
  readonly lost: readonly string[];
}

export interface RecordParts {
  readonly disk: ReadDisk;
  readonly tails: TailRecords;
  /** Hears of a path that is of no use as it is, and why. */
  onUnusable(path: string, reason: string): void;
  /** Hears of what is taken though it is damaged: verify will find it, and repair mend it. */
  onDamaged(path: string, reason: string): void;
  /** Hears of a file of which only the first bytes are of use: a kill may leave the others, or something has damaged them. */
  onUnread(path: string, from: number): void;
}

/** A directory whose document cannot be read: the session may be known by its topics. */
export interface UnreadSession {
  readonly ulid: Ulid;
  readonly reason: string;
  /** What there is of the document. */
  readonly text: string;
}

/** Undefined when the directory is no session's; that has been heard of then. */
export async function readSessionRecord(
  parts: RecordParts,
  name: string,
): Promise<SessionRecord | UnreadSession | undefined> {
  const { disk, onUnusable } = parts;
  const directory = `${sessionsDirectory}/${name}`;
  if (!isUlid(name) || (await disk.stateOf(directory))?.kind !== "directory") {
    onUnusable(directory, "it is not the directory of a session");
    return undefined;
  }
  const path = sessionFile(name);
  let text = "";
  let document: ReadSession;
  try {
    text = await disk.readText(path);
    document = readSessionDocument(text, path);
  } catch (error) {
    return { ulid: name, reason: reasonOf(error), text };
  }
  const { session, topics: manifest } = document;
  if (session.ulid !== name) {
    onUnusable(directory, `it has the document of ${session.ulid}`);
    return undefined;
  }
  const { topics, lost } = await readTopics(parts, name, manifest);
  return { session: manifest === undefined ? { ...session, topicNumberNext: nextOf(topics) } : session, topics, lost };
}

/**
 * Of a session without a document: its directory's name is the ULID, locators of topics say which sequence it is of, footers whether
 * topics are complete. The rest gets fresh values. Undefined when no topic has a row: then there is nothing to be saved.
 * @param sequenceUlidOf of a sequence that has a document or another session
 */
export async function recoverSessionRecord(
  parts: RecordParts,
  { ulid, reason, text }: UnreadSession,
  sequenceUlidOf: (name: SequenceName) => Ulid | undefined,
): Promise<SessionRecord | undefined> {
  const { topics: found, lost } = await readTopics(parts, ulid, undefined);
  const [first] = found;
  const topics = found.filter(({ topic }) => {
    if (first === undefined || sequenceOfTopic(topic.locator) === sequenceOfTopic(first.topic.locator)) return true;
    parts.onUnusable(topicDirectory(ulid, topic.number), `${topic.locator} is not of the sequence of the others`);
    return false;
  });
  if (first === undefined || topics.every(({ topic }) => topic.extent.rows === 0)) {
    parts.onUnusable(sessionDirectory(ulid), reason);
    return undefined;
  }
  parts.onDamaged(sessionFile(ulid), reason);
  const sequence = sequenceOfTopic(first.topic.locator);
  const times = topics.map(({ topic }) => topic.completedAtNs);
  // Only a manifest has this. Where something is missing nobody can vouch for the whole.
  const wasFinalized = text.includes('"completed_at_ns"');
  const isWhole =
    lost.length === 0 &&
    topics.every(({ topic, lost: ofTopic }) => topic.completedAtNs !== undefined && ofTopic.length === 0);
  const session: Session = {
    ulid,
    uuid: newUuid(),
    alias: newUuid(),
    locator: `${sequence}:${ulid}` as SessionLocator,
    sequence,
    sequenceUlid: sequenceUlidOf(sequence) ?? newUlid(Number(first.topic.createdAtNs / 1_000_000n)),
    createdAtNs: topics.reduce((least, { topic }) => minNs(least, topic.createdAtNs), first.topic.createdAtNs),
    topicNumberNext: nextOf(topics),
    ...(wasFinalized && isWhole
      ? { completedAtNs: times.reduce<TimeNs>((most, time) => maxNs(most, time ?? most), 0n) }
      : {}),
  };
  const state = session.completedAtNs === undefined ? "is open" : "is finalized, as its topics are complete,";
  const fresh = `its document: it has other UUIDs and times now, no creator, and ${state} with what is there of its topics`;
  return { session, topics, lost: [fresh, ...lost] };
}

function minNs(a: TimeNs, b: TimeNs): TimeNs {
  return a < b ? a : b;
}

function maxNs(a: TimeNs, b: TimeNs): TimeNs {
  return a > b ? a : b;
}

/** Numbers of topics that have left nothing are free again: nothing on the disk has them. */
function nextOf(topics: readonly TopicRecord[]): number {
  return Math.max(0, ...topics.map(({ topic }) => topic.number + 1));
}

async function readTopics(
  parts: RecordParts,
  ulid: Ulid,
  manifest: readonly ManifestTopic[] | undefined,
): Promise<Pick<SessionRecord, "topics" | "lost">> {
  const topics: TopicRecord[] = [];
  const lost: string[] = [];
  for (const number of await numbersIn(parts.disk, ulid, manifest)) {
    const listed = manifest?.find(({ topic }) => topic.number === number);
    const topic = await readTopic(parts, ulid, number, listed);
    if (topic !== undefined) topics.push(topic);
    else if (listed !== undefined) lost.push(`topic \`${listed.topic.locator}\` with ${sumRows(listed.chunks)} rows`);
    else if (await hasData(parts, ulid, number)) lost.push(`the topic of ${topicDirectory(ulid, number)}`);
  }
  return { topics, lost };
}

/** Whether there is more of a topic than the directory in which an upload was about to begin. */
async function hasData({ disk, tails }: RecordParts, ulid: Ulid, number: number): Promise<boolean> {
  if (tails.topics.has(`${ulid}/${number}`)) return true;
  return (await disk.list(topicDirectory(ulid, number))).some((name) => name.endsWith(".arrow"));
}

function sumRows(chunks: readonly ChunkSummary[]): number {
  return chunks.reduce((sum, { rows }) => sum + rows, 0);
}

async function numbersIn(
  disk: ReadDisk,
  ulid: Ulid,
  manifest: readonly ManifestTopic[] | undefined,
): Promise<number[]> {
  if (manifest !== undefined) return manifest.map(({ topic }) => topic.number);
  const names = await disk.list(sessionDirectory(ulid));
  return names
    .filter((name) => /^(0|[1-9][0-9]*)$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);
}

async function readTopic(
  parts: RecordParts,
  ulid: Ulid,
  number: number,
  listed: ManifestTopic | undefined,
): Promise<TopicRecord | undefined> {
  const named = await readName(parts, ulid, number, listed);
  if (named === undefined) return undefined;
  const { schemaHeader } = named;
  const { chunks, completedAtNs, lost } = await readChunks(parts, named, listed);
  const first = chunks.reduce((sum, { entries }) => sum + entries, 0);
  const topic = { ...named.topic, completedAtNs: listed?.topic.completedAtNs ?? completedAtNs };
  // What is complete has nothing in tail logs any more.
  const records = topic.completedAtNs === undefined ? parts.tails.topics.get(`${ulid}/${number}`) : undefined;
  const { runs: tails, gaps } = tailRunsOf(records ?? [], first);
  const missing = gaps.reduce((sum, { batches }) => sum + batches, 0);
  if (missing > 0)
    lost.push(`${missing} ${missing === 1 ? "batch" : "batches"} in front of others that are in tail logs`);
  const extent = extentOf({ topic, schemaHeader, chunks, tails });
  const goneRows = listed === undefined ? 0 : Math.max(0, sumRows(listed.chunks) - extent.rows);
  const lostRows = (topic.lostRows ?? 0) + goneRows;
  return {
    topic: { ...topic, extent, ...(lostRows > 0 ? { lostRows } : {}) },
    schemaHeader,
    chunks,
    tails,
    gaps,
    lost,
  };
}

/** Which topic it is, and its schema: by its document, or by the manifest and the first file that has one. */
async function readName(
  { disk, onUnusable, onDamaged }: RecordParts,
  ulid: Ulid,
  number: number,
  listed: ManifestTopic | undefined,
): Promise<{ topic: Topic; schemaHeader: Uint8Array } | undefined> {
  const path = topicFile(ulid, number);
  try {
    const named = readTopicDocument(await disk.readText(path), path, ulid);
    if (named.topic.number === number && (listed === undefined || named.topic.uuid === listed.topic.uuid)) return named;
    throw new Fault("corrupt", `${path} is of another topic: ${named.topic.locator}`);
  } catch (error) {
    const reason = reasonOf(error);
    for (const chunk of listed?.chunks ?? []) {
      const file = chunkFile(ulid, number, chunk.number);
      if ((await disk.stateOf(file))?.kind !== "file") continue;
      const schemaHeader = await readSchemaHeader(disk, file);
      if (listed === undefined || schemaHeader === undefined) continue;
      onDamaged(path, reason);
      return { topic: listed.topic, schemaHeader };
    }
    onUnusable(
      topicDirectory(ulid, number),
      `${reason}; nothing else says which topic it is, and its chunks can be read as Arrow files`,
    );
    return undefined;
  }
}

async function readChunks(
  parts: RecordParts,
  { topic, schemaHeader }: { topic: Topic; schemaHeader: Uint8Array },
  listed: ManifestTopic | undefined,
): Promise<{ chunks: Chunk[]; completedAtNs: TimeNs | undefined; lost: string[] }> {
  const { disk, onUnusable, onDamaged } = parts;
  const directory = topicDirectory(topic.session, topic.number);
  const names = await disk.list(directory);
  const found = names.flatMap((name) => /^([0-9]{5,})\.arrow$/.exec(name)?.[1] ?? []).map(Number);
  const count = listed?.chunks.length ?? Math.max(0, ...found.map((number) => number + 1));
  const chunks: Chunk[] = [];
  const lost: string[] = [];
  let completedAtNs: TimeNs | undefined;
  for (let number = 0; number < count; number += 1) {
    const path = chunkFile(topic.session, topic.number, number);
    const isLast = number === count - 1;
    const completedThen = isLast ? listed?.topic.completedAtNs : undefined;
    let chunk: Chunk;
    let unread = 0;
    try {
      const record = await readChunkRecord(disk, { path, number, schemaHeader });
      chunk = record.chunk;
      unread = record.bytesBehind;
      completedAtNs = record.completedAtNs;
      const mustBeSealed = listed !== undefined || !isLast;
      if (mustBeSealed && !chunk.sealed) onDamaged(path, "it has no sound footer");
      else if (unread > 0) parts.onUnread(path, chunk.bytes);
      if (mustBeSealed) chunk = sealedChunk(chunk, schemaHeader, completedThen);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if ((await disk.stateOf(path)) !== undefined) onUnusable(path, error.message);
      onDamaged(path, error.message);
      const empty = { number, sealed: true, bytes: 0, rows: 0, entries: 0, batches: [] };
      chunk = sealedChunk(empty, schemaHeader, completedThen);
      if (listed === undefined) lost.push(`whatever was in ${path}`);
    }
    chunks.push(chunk);
    const manifested = listed?.chunks.find((one) => one.number === number);
    if (manifested !== undefined) lost.push(...missingRows(path, manifested, chunk));
    else if (unread > 0) lost.push(`whatever was in ${unread} bytes at the end of ${path}`);
  }
  return { chunks, completedAtNs, lost };
}

/** What a manifest lists and the file does not have. */
function missingRows(path: string, { rows, range }: ChunkSummary, chunk: Chunk): string[] {
  if (chunk.rows >= rows) return [];
  const when = range === undefined ? "" : `, which had times from ${range.startNs} to ${range.endNs}`;
  return [`${rows - chunk.rows} rows of ${path}${when}`];
}

/** The chunk as it is with its footer; repair writes that when the file has none. */
function sealedChunk(chunk: Chunk, schemaHeader: Uint8Array, completedAtNs: TimeNs | undefined): Chunk {
  if (chunk.sealed && chunk.bytes > 0) return chunk;
  const footer = chunkFooter({ schemaHeader, entries: chunk.batches, skips: chunk.skips, completedAtNs });
  const last = chunk.batches.at(-1);
  const end =
    last === undefined
      ? fileMagic.byteLength + frameHeader(schemaHeader).byteLength
      : last.offset + last.metadataBytes + last.bodyBytes;
  return { ...chunk, ...sumEntries(chunk.batches), sealed: true, bytes: end + footer.byteLength };
}

/** Whether rows of chunks, tails or completion stand for the topic. */
export function isCommitted(record: TopicRecord): boolean {
  return hasFiles(record);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
