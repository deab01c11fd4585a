/**
 * Digests of what is in a topic, here and at a remote. Both are made here: what a remote says of itself proves nothing. Messages are
 * read one after the other, with memory for each, and captures go first. Dictionaries in force are held besides, up to a part of what
 * there is for messages: who holds memory while it waits for more waits for whoever does the same.
 */

import { type Batch, checkBatch, readBatch } from "../arrow/batch.ts";
import { unfoldBatch, unfoldedBytes } from "../arrow/compression.ts";
import { readDictionary } from "../arrow/dictionary.ts";
import { type Message, readMessage } from "../arrow/message.ts";
import { type Digest, RowDigest } from "../arrow/row-digest.ts";
import { readSchema, type Schema } from "../arrow/schema.ts";
import { listChunks, readChunk } from "../catalog/chunk-rows.ts";
import type { GetStream } from "../client/get-stream.ts";
import type { Remote } from "../client/remote.ts";
import { type BatchEntry, messageBytesOf } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { uploadPace } from "../model/limits.ts";
import type { Topic, Uuid } from "../model/resource.ts";
import { comparedBytes, compareWindows, messageFrameBytes, remoteCallMs } from "../model/sync-limits.ts";
import { everything, type TimeWindow, timeNsMax } from "../model/time.ts";
import { dictionariesOf, SentDictionaries } from "../query/dictionaries.ts";
import { readFlightData } from "../wire/flight-data.ts";
import { ChunkSource, deletedMeanwhile } from "./chunk-source.ts";
import type { StreamParts } from "./topic-stream.ts";

export interface ContentsParts extends StreamParts {
  /** Lets captures go first, while nothing is held. */
  yield(): Promise<void>;
}

export interface KnownDigest {
  readonly digest: Digest;
  /** Bytes of the largest message of the topic. */
  readonly messageBytes: number;
}

/** The digest of the topic that was looked at last: a link that breaks off does not make it anew. */
export class KnownDigests {
  #last: { readonly topic: Uuid; readonly known: KnownDigest } | undefined;

  async of(topic: Uuid, make: () => Promise<KnownDigest>): Promise<KnownDigest> {
    if (this.#last?.topic === topic) return this.#last.known;
    const known = await make();
    this.#last = { topic, known };
    return known;
  }
}

/** Of what is held of a message while it is digested: as it came, or unfolded, and what reading makes beside. */
const heldTimes = 2;

/**
 * Of a finalized topic with rows, as they are stored.
 * @throws Fault corrupt, absent when it is deleted meanwhile, unsupported when it takes more memory than there is
 */
export async function digestHere(parts: ContentsParts, topic: Topic, signal: AbortSignal): Promise<KnownDigest> {
  const { catalog, budget } = parts;
  const header = catalog.schemas.get(topic.uuid);
  if (header === undefined) throw deletedMeanwhile(topic);
  const schema = readSchema(header);
  const digest = new RowDigest(schema, comparedBytes.dictionaryShare * budget.limitBytes);
  const dictionaries = new SentDictionaries();
  let messageBytes = 0;
  for (const { number } of [...listChunks(catalog, topic.uuid)]) {
    const chunk = readChunk(catalog, topic.uuid, number);
    if (chunk === undefined) throw deletedMeanwhile(topic);
    await using source = await ChunkSource.open(parts, { topic, schema, chunk });
    for (const entry of dictionaries.switchTo(chunk))
      await digestEntry(parts, { source, schema, entry, digest, signal });
    const known = new Set(dictionariesOf(chunk));
    for (const entry of chunk.batches) {
      if (known.has(entry) || entry.rows === 0) continue;
      messageBytes = Math.max(messageBytes, messageBytesOf(entry));
      await digestEntry(parts, { source, schema, entry, digest, signal });
    }
  }
  return { digest: digest.digest(), messageBytes };
}

interface StoredEntry {
  readonly source: ChunkSource;
  readonly schema: Schema;
  readonly entry: BatchEntry;
  readonly digest: RowDigest;
  readonly signal: AbortSignal;
}

async function digestEntry(
  parts: ContentsParts,
  { source, schema, entry, digest, signal }: StoredEntry,
): Promise<void> {
  const limitBytes = largestBytes(parts);
  const bytes = messageBytesOf(entry);
  const read = async (): Promise<{ message: Message; batch: Batch }> => {
    const { header, body } = await source.reader.readMessage(entry);
    return readRows(schema, readMessage(header, body.byteLength), body);
  };
  try {
    await parts.yield();
    let plainBytes: number;
    {
      using _held = await take(parts, heldTimes * bytes, signal);
      const { message, batch } = await read();
      if (batch.compression === "none") return await addMessage(digest, message, batch);
      plainBytes = unfoldedBytes(batch, limitBytes);
    }
    // What was held was given back first.
    using _held = await take(parts, bytes + heldTimes * plainBytes, signal);
    const { message, batch } = await read();
    await addMessage(digest, message, await unfold(schema, { message, batch, limitBytes }));
  } catch (error) {
    if (!(error instanceof Fault) || error.code === "corrupt") throw error;
    const problem = `Cannot compare ${source.placeOf(entry)}: ${error.message}`;
    // They were checked when they were stored: bytes or catalog have changed since, unless it is for want of memory.
    throw new Fault(error.code === "invalid" ? "corrupt" : "unsupported", problem, error);
  }
}

export interface ReadBack {
  readonly remote: Remote;
  readonly topic: Topic;
  /** Of the largest message here: there they are about as large. */
  readonly messageBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Of a topic as a remote gives it back, in whatever order. Its messages count as sent.
 * @throws Fault as the remote says, corrupt when it has lost data; invalid when what it gives cannot be read
 */
export async function digestThere(parts: ContentsParts, back: ReadBack): Promise<Digest> {
  const { remote, topic } = back;
  const messageBytesMax = messageFrameBytes + Math.min(remote.version.messageBytesMax, largestBytes(parts));
  let digest: RowDigest | undefined;
  for (const window of remote.isEdge ? [everything] : windowsOf(topic)) {
    using stream = await remote.openGet(topic.locator, window, messageBytesMax);
    digest = await digestStream(parts, { back, stream, digest });
  }
  return (digest ?? new RowDigest({ fields: [], header: new Uint8Array(0), position: 0 }, 0)).digest();
}

/** Windows of a topic that have about so many bytes each: the central daemon sorts what it is asked for in memory. */
export function windowsOf({ extent: { bytes, range } }: Pick<Topic, "extent">): TimeWindow[] {
  if (range === undefined) return [everything];
  const { startNs, endNs } = range;
  const span = endNs - startNs + 1n;
  const wanted = BigInt(Math.min(compareWindows.most, Math.ceil(bytes / compareWindows.bytes)));
  const count = wanted < span ? wanted : span;
  if (count <= 1n) return [everything];
  return Array.from({ length: Number(count) }, (_none, index) => ({
    startNs: startNs + (span * BigInt(index)) / count,
    // The end of times is no end, and then the last row is in.
    endNs:
      BigInt(index) + 1n === count && endNs === timeNsMax ? timeNsMax : startNs + (span * BigInt(index + 1)) / count,
  }));
}

interface StreamOfRows {
  readonly back: ReadBack;
  readonly stream: GetStream;
  /** Of the windows before. */
  readonly digest: RowDigest | undefined;
}

async function digestStream(parts: ContentsParts, { back, stream, digest }: StreamOfRows): Promise<RowDigest> {
  const { signal } = back;
  let expected = Math.max(comparedBytes.expected, back.messageBytes);
  const waitMs = remoteCallMs + (1000 * back.messageBytes) / uploadPace.bytesPerSecond;
  let reading: { readonly schema: Schema; readonly digest: RowDigest } | undefined;
  for (let lastBytes = 0; ; ) {
    await parts.admit(lastBytes);
    let bytes: Buffer | undefined;
    {
      using _held = await take(parts, expected, signal);
      bytes = await stream.next(waitMs);
    }
    if (bytes === undefined) break;
    lastBytes = bytes.byteLength;
    expected = Math.max(expected, lastBytes);
    const found = readForeign(stream, reading?.schema, bytes);
    if (found === undefined) continue;
    if (found.kind === "rows" && reading !== undefined) {
      await digestForeign(parts, { stream, found, ...reading, signal });
      continue;
    }
    if (found.kind !== "schema") throw stream.unreadable(new Fault("invalid", "rows come without a schema"));
    reading = { schema: found.schema, digest: goOn(parts, { stream, schema: found.schema, digest }) };
  }
  if (reading === undefined) throw stream.unreadable(new Fault("invalid", "it ends without a schema"));
  return reading.digest;
}

type Foreign =
  | { readonly kind: "schema"; readonly schema: Schema }
  | { readonly kind: "rows"; readonly message: Message; readonly batch: Batch; readonly bytes: number };

/** A message; undefined for one that says nothing of rows. @throws Fault invalid, naming the remote */
function readForeign(stream: GetStream, schema: Schema | undefined, bytes: Buffer): Foreign | undefined {
  return ofRemote(stream, () => {
    const { header, body } = readFlightData(bytes);
    if (header.byteLength === 0) return undefined;
    const message = readMessage(header, body.byteLength);
    if (message.kind === "schema" && schema === undefined) return { kind: "schema", schema: readSchema(header) };
    if (message.kind === "schema" || schema === undefined)
      throw new Fault("invalid", "expected one schema, and that before all rows");
    return { kind: "rows", bytes: bytes.byteLength, ...readRows(schema, message, body) };
  });
}

function goOn(
  { budget }: ContentsParts,
  { stream, schema, digest }: Pick<StreamOfRows, "stream" | "digest"> & { readonly schema: Schema },
): RowDigest {
  if (digest === undefined) return new RowDigest(schema, comparedBytes.dictionaryShare * budget.limitBytes);
  return ofRemote(stream, () => {
    digest.goOn(schema);
    return digest;
  });
}

interface ForeignRows {
  readonly stream: GetStream;
  readonly found: Extract<Foreign, { kind: "rows" }>;
  readonly schema: Schema;
  readonly digest: RowDigest;
  readonly signal: AbortSignal;
}

async function digestForeign(
  parts: ContentsParts,
  { stream, found, schema, digest, signal }: ForeignRows,
): Promise<void> {
  const limitBytes = largestBytes(parts);
  const { message, batch, bytes } = found;
  const isPlain = batch.compression === "none";
  const plainBytes = ofRemote(stream, () => (isPlain ? batch.body.byteLength : unfoldedBytes(batch, limitBytes)));
  using _held = await take(parts, heldTimes * plainBytes + bytes, signal);
  try {
    await addMessage(digest, message, isPlain ? batch : await unfold(schema, { message, batch, limitBytes }));
  } catch (error) {
    throw foreignFault(stream, error);
  }
}

function ofRemote<T>(stream: GetStream, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw foreignFault(stream, error);
  }
}

/** Whatever is wrong with what a remote sends: it would be the same the next time. */
function foreignFault(stream: GetStream, error: unknown): Fault {
  if (!(error instanceof Fault)) return stream.unreadable(error);
  return stream.unreadable(new Fault("invalid", error.message, error));
}

function readRows(schema: Schema, message: Message, body: Uint8Array): { message: Message; batch: Batch } {
  if (message.kind === "dictionary") return { message, batch: readDictionary(schema, message, body) };
  return { message, batch: readBatch(schema, message, body) };
}

async function unfold(
  schema: Schema,
  { message, batch, limitBytes }: { message: Message; batch: Batch; limitBytes: number },
): Promise<Batch> {
  const plain = await unfoldBatch(batch, limitBytes);
  return message.kind === "dictionary"
    ? readDictionary(schema, { ...message, lists: plain }, plain.body)
    : checkBatch(schema.fields, plain, plain.body);
}

async function addMessage(digest: RowDigest, message: Message, plain: Batch): Promise<void> {
  if (message.kind === "dictionary") digest.addDictionary(message.id, plain, { isDelta: message.isDelta });
  else await digest.add(plain);
}

/** Bytes of one message, unfolded too. What is larger than all memory for messages takes all of that. */
function largestBytes({ budget }: ContentsParts): number {
  return Math.max(budget.limitBytes, comparedBytes.most);
}

async function take({ budget }: ContentsParts, bytes: number, signal: AbortSignal): Promise<Disposable> {
  return await budget.take(Math.min(bytes, budget.limitBytes), signal);
}
