/**
 * One topic while it is uploaded: cuts the stream into chunk files and says what a commit may acknowledge. Chunk files always
 * hold a prefix of the topic, what lies in tail logs comes behind it. There is one writer per topic at most.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { type ChunkCommit, listChunks, putChunk, readChunk } from "../catalog/chunk-rows.ts";
import { findTopic, putTopic } from "../catalog/resources.ts";
import { listTailRuns, putTailRun, removeTailRuns, type TailRun } from "../catalog/tail-rows.ts";
import type { Disk } from "../host/disk.ts";
import { failPoint } from "../host/fail-point.ts";
import { assert } from "../model/assert.ts";
import { type BatchEntry, type ChunkSummary, messageBytesOf } from "../model/chunk.ts";
import { addBatch, addChunk, addExtent } from "../model/extent.ts";
import { Fault } from "../model/fault.ts";
import { chunkBatchesMax, tailTopicBytesMax } from "../model/limits.ts";
import { type Extent, emptyExtent } from "../model/resource.ts";
import type { RowStatistics } from "../model/statistics.ts";
import type { TimeNs, TimeRange } from "../model/time.ts";
import { ChunkWriter, type MessageFacts } from "../store/chunk-writer.ts";
import type { DocumentWriter } from "../store/document-writer.ts";
import { chunkFile, sessionDirectory, sessionsDirectory, topicDirectory } from "../store/layout.ts";
import type { TailLog, TailPlace } from "../store/tail-log.ts";
import type { CommitPart, Participant } from "./group-commit.ts";
import type { SpaceGate } from "./space-gate.ts";
import { TailZones } from "./tail-zones.ts";
import { documentsOf, type TopicPlace } from "./topic-place.ts";

export interface TopicWriterOptions {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly documents: DocumentWriter;
  readonly tail: TailLog;
  readonly space: Pick<SpaceGate, "admit">;
  readonly place: TopicPlace;
  /** The schema message as the client sent it. */
  readonly schemaHeader: Uint8Array;
  /** 0 means unlimited. */
  readonly chunkBytesMax: number;
}

/** What of a topic survives a power cut now. */
export interface Durable {
  readonly rows: number;
  readonly batches: number;
}

interface OpenChunk {
  readonly writer: ChunkWriter;
  /** The chunk as it is committed; undefined until it is for the first time. */
  committed: ChunkSummary | undefined;
  /** Record batches among the committed entries. */
  committedBatches: number;
}

/** What is known of a batch with rows before it lies in a file. */
export interface BatchFacts {
  readonly rows: number;
  readonly sorted: boolean;
  readonly range: TimeRange;
  readonly statistics: RowStatistics | undefined;
}

export class TopicWriter implements Participant {
  readonly #disk: Disk;
  readonly #catalog: Catalog;
  readonly #documents: DocumentWriter;
  readonly #tailLog: TailLog;
  readonly #space: Pick<SpaceGate, "admit">;
  readonly #place: TopicPlace;
  readonly #schemaHeader: Uint8Array;
  readonly #chunkBytesMax: number;
  /** Chunks that are not sealed and committed, in order; the last one grows. */
  readonly #chunks: OpenChunk[] = [];
  /** What the sealed and committed chunks hold. */
  #sealedExtent: Extent = emptyExtent;
  #sealedBatches = 0;
  #nextNumber = 0;
  /** Batches in tail logs, in their order. While there are any, all of the chunk files is whole. */
  #tail: TailPlace[] = [];
  #tailBytes = 0;
  /** What is known of the values of the tail; nothing of what was there before a restart. */
  readonly #tailZones = new TailZones();
  /** Number of the first batch in `#tail`, and of the first behind those that rows name. */
  #tailFirst = 0;
  #tailCommitted = 0;
  /** Batches that lie in the chunk file now, while rows may still name the log. */
  #moved: TailPlace[] = [];
  #unsynced: { documents: string[]; directories: string[] } = { documents: [], directories: [] };
  #completedAtNs: TimeNs | undefined;
  #completionCommitted = false;
  #lost: Fault | undefined;
  #closed = false;
  #durable: Durable = { rows: 0, batches: 0 };
  /** Rows that the transaction has just named. */
  #appliedRows = 0;
  /** Called after each commit that made more of the topic durable. */
  onDurable: (durable: Durable) => void = () => undefined;

  private constructor(options: TopicWriterOptions) {
    this.#disk = options.disk;
    this.#catalog = options.catalog;
    this.#documents = options.documents;
    this.#tailLog = options.tail;
    this.#space = options.space;
    this.#place = options.place;
    this.#schemaHeader = options.schemaHeader;
    this.#chunkBytesMax = options.chunkBytesMax === 0 ? Number.POSITIVE_INFINITY : options.chunkBytesMax;
  }

  /** Opens a topic for writing, behind what is committed of it. Documents and directories are made with the first commit. */
  static async open(options: TopicWriterOptions): Promise<TopicWriter> {
    const writer = new TopicWriter(options);
    try {
      await writer.#resume();
    } catch (error) {
      for (const chunk of writer.#chunks) await chunk.writer.close();
      throw error;
    }
    return writer;
  }

  async #resume(): Promise<void> {
    const { topic } = this.#place;
    await this.#makePlace();
    for (const summary of listChunks(this.#catalog, topic.uuid)) {
      this.#nextNumber = summary.number + 1;
      this.#tailFirst += summary.entries;
      if (!summary.sealed) await this.#resumeChunk(summary.number);
      else {
        this.#sealedExtent = addChunk(this.#sealedExtent, summary);
        this.#sealedBatches += countBatches(readChunk(this.#catalog, topic.uuid, summary.number)?.batches ?? []);
      }
    }
    for (const { log, batches } of listTailRuns(this.#catalog, topic.uuid)) {
      for (const entry of batches) this.#admitTail({ log, entry }, undefined);
    }
    this.#tailCommitted = this.#tailFirst + this.#tail.length;
    const inOpen = this.#chunks.reduce((sum, { committedBatches }) => sum + committedBatches, 0);
    this.#durable = { rows: topic.extent.rows, batches: this.#sealedBatches + inOpen + this.#tail.length };
  }

  get durable(): Durable {
    return this.#durable;
  }

  #admitTail(place: TailPlace, statistics: RowStatistics | undefined): void {
    const bytes = messageBytesOf(place.entry);
    this.#tail.push(place);
    this.#tailBytes += bytes;
    this.#tailZones.add(bytes, statistics);
  }

  async #makePlace(): Promise<void> {
    const { session, topic } = this.#place;
    await this.#disk.makeDirectory(topicDirectory(session.ulid, topic.number));
    // Also what was there already: whoever made it may not have synced it yet, or have gone away.
    this.#unsynced.directories.push(sessionsDirectory, sessionDirectory(session.ulid));
    for (const { file, directory, text } of documentsOf(this.#place, this.#schemaHeader)) {
      await this.#documents.ensure(file, text);
      this.#unsynced.documents.push(file);
      this.#unsynced.directories.push(directory);
    }
  }

  async #resumeChunk(number: number): Promise<void> {
    const { session, topic } = this.#place;
    const chunk = readChunk(this.#catalog, topic.uuid, number);
    assert(chunk !== undefined, "a chunk that is listed can be read");
    const path = chunkFile(session.ulid, topic.number, number);
    const writer = await ChunkWriter.resume(this.#disk, path, chunk, this.#schemaHeader);
    this.#chunks.push({ writer, committed: chunk, committedBatches: countBatches(chunk.batches) });
  }

  /** The growing chunk's entries, for the dictionaries among them. */
  get current(): ChunkWriter | undefined {
    const last = this.#chunks.at(-1)?.writer;
    return last?.sealed === true ? undefined : last;
  }

  pathOf(chunk: ChunkWriter): string {
    return chunkFile(this.#place.session.ulid, this.#place.topic.number, chunk.number);
  }

  /** Whether a message of this size has to go to a new chunk. */
  mustRotate(messageBytes: number): boolean {
    const current = this.current;
    if (current === undefined) return true;
    if (!current.entries.some((entry) => entry.kind === "batch")) return false;
    return current.entries.length >= chunkBatchesMax || current.bytes + messageBytes > this.#chunkBytesMax;
  }

  /** Seals the growing chunk, if there is one; the next append begins another. */
  async seal(): Promise<void> {
    await this.current?.seal();
  }

  /**
   * Seals the growing chunk, if there is one, and begins the next.
   * @param carried entries of the growing chunk that the next one begins with, as copies
   */
  async rotate(carried: readonly BatchEntry[] = []): Promise<void> {
    assert(!this.#closed, "a closed writer writes nothing");
    const last = this.current;
    await this.seal();
    const { session, topic } = this.#place;
    const number = this.#nextNumber;
    const path = chunkFile(session.ulid, topic.number, number);
    const writer = await ChunkWriter.create(this.#disk, path, number, this.#schemaHeader);
    this.#nextNumber = number + 1;
    this.#unsynced.directories.push(topicDirectory(session.ulid, topic.number));
    this.#chunks.push({ writer, committed: undefined, committedBatches: 0 });
    if (last === undefined || carried.length === 0) return;
    const source = await this.#disk.openReadable(this.pathOf(last));
    try {
      await writer.appendCopies(source, carried);
    } finally {
      await source.close();
    }
    this.#tailFirst += carried.length;
  }

  /** Appends to the growing chunk; ends when the bytes are in the file. The tail must have moved before. */
  append(header: Uint8Array, body: Uint8Array, facts: MessageFacts): Promise<void> {
    const current = this.current;
    assert(current !== undefined, "there is a chunk to append to");
    assert(this.#tail.length === 0, "what is in the tail comes before what is appended");
    this.#tailFirst += 1;
    return current.append(header, body, facts);
  }

  /** Whether the chunk file has to be synced by the next commit in any case, so that a small batch may as well go there. */
  get isChunkDirty(): boolean {
    const last = this.#chunks.at(-1);
    return last?.writer.sealed === false && last.writer.entries.length > (last.committed?.entries ?? 0);
  }

  /** Bytes below which a batch may go to a tail log now. */
  get tailBatchBytesMax(): number {
    return this.#tailLog.batchBytesMax;
  }

  /** Bytes of batches in tail logs. */
  get tailBytes(): number {
    return this.#tailBytes;
  }

  usesTailLog(log: number): boolean {
    return this.#tail.some((place) => place.log === log);
  }

  /** Appends a small batch to the tail log, as a copy. @throws Fault overloaded when the disk is full */
  async appendSmall(header: Uint8Array, body: Uint8Array, { statistics, ...facts }: BatchFacts): Promise<void> {
    const { session, topic } = this.#place;
    const index = this.#tailFirst + this.#tail.length;
    this.#admitTail(
      await this.#tailLog.append({ session: session.ulid, topicNumber: topic.number, index, header, body, ...facts }),
      statistics,
    );
  }

  /**
   * Moves what is in tail logs to the chunk file, where it is whole then. What is refused stays in the logs.
   * @throws Fault overloaded, corrupt
   */
  async moveTail(): Promise<void> {
    this.#checkTailLost();
    if (this.#tail.length === 0) return;
    // The logs give their room back later.
    using _admitted = await this.#space.admit(this.#tailBytes);
    while (this.#tail.length > 0) {
      const [first] = this.#tail;
      if (first !== undefined && this.mustRotate(messageBytesOf(first.entry))) await this.rotate();
      const current = this.current;
      assert(current !== undefined, "there is a chunk to move to");
      const group = this.#tail.slice(0, this.#groupLength(current));
      await this.#tailLog.copy(group, (bytes) =>
        current.appendRun(
          bytes,
          group.map(({ entry }) => entry),
          this.#tailZones.first(group.length),
        ),
      );
      failPoint("tail: copied");
      this.#tail.splice(0, group.length);
      this.#tailZones.drop(group.length);
      this.#tailFirst += group.length;
      this.#tailBytes = this.#tail.reduce((sum, { entry }) => sum + messageBytesOf(entry), 0);
      // What was never written was named by no row.
      const named = group.filter((place) => this.#tailLog.isWhole(place));
      this.#tailLog.release(group.filter((place) => !this.#tailLog.isWhole(place)));
      this.#moved.push(...named);
    }
  }

  /** How many batches of the tail fit into one copy and into the chunk; one at least. */
  #groupLength(current: ChunkWriter): number {
    const bytesMax = Math.min(tailTopicBytesMax, this.#chunkBytesMax - current.bytes);
    const entriesMax = chunkBatchesMax - current.entries.length;
    let bytes = 0;
    let length = 0;
    for (const { entry } of this.#tail) {
      bytes += messageBytesOf(entry);
      if (length > 0 && (bytes > bytesMax || length >= entriesMax)) break;
      length += 1;
    }
    return length;
  }

  /** Forgets what a full disk has kept from the log. */
  #checkTailLost(): void {
    const lost = this.#tail.findIndex((place) => this.#tailLog.isLost(place));
    if (lost < 0) return;
    this.#tailLog.release(this.#tail.splice(lost));
    this.#tailZones.keep(lost);
    this.#tailBytes = this.#tail.reduce((sum, { entry }) => sum + messageBytesOf(entry), 0);
    this.#lost ??= new Fault(
      "overloaded",
      `The disk is full: the upload of \`${this.#place.topic.locator}\` ends at its last whole batch. Free space, then continue it.`,
    );
  }

  /**
   * Seals the last chunk and marks the topic as complete, both to be committed. The time stands in the footer of the last file, so
   * a topic without rows gets an empty one, and so does one whose files are all sealed.
   */
  async complete(atNs: TimeNs): Promise<void> {
    if (this.current === undefined) await this.rotate();
    await this.current?.seal(atNs);
    this.#completedAtNs = atNs;
  }

  /** After an append failed or the stream broke off: only whole batches stay. */
  async cutBack(): Promise<void> {
    const current = this.current;
    if (current !== undefined) await current.cutBack();
  }

  /** @throws Fault wrong_state when the topic was deleted meanwhile, so that nothing can be committed any more */
  checkLost(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  get isDeleted(): boolean {
    const { locator, uuid } = this.#place.topic;
    return findTopic(this.#catalog, locator)?.uuid !== uuid;
  }

  deleted(): Fault {
    return new Fault("wrong_state", `Topic \`${this.#place.topic.locator}\` was deleted while it was uploaded.`);
  }

  part(): CommitPart | undefined {
    if (this.#closed) return undefined;
    const commits: ChunkPart[] = [];
    for (const chunk of this.#chunks) {
      const { writer } = chunk;
      const committed = chunk.committed?.entries ?? 0;
      if (writer.wholeCount === committed && !writer.sealed) continue;
      const summary = writer.summary();
      const first = summary.sealed ? 0 : committed;
      const added = countBatches(writer.entries.slice(committed, summary.entries));
      const batches = writer.entries.slice(first, summary.entries);
      const commit = { summary, first, batches, skips: writer.skips };
      commits.push({ chunk, batches: added, commit });
    }
    const tail = this.#tailPart();
    const completedAtNs = this.#completionCommitted ? undefined : this.#completedAtNs;
    if (commits.length === 0 && !tail.changed && completedAtNs === undefined) return undefined;
    const unsynced = this.#unsynced;
    this.#unsynced = { documents: [], directories: [] };
    return {
      files: commits.map(({ chunk }) => chunk.writer.file),
      documents: unsynced.documents,
      directories: unsynced.directories,
      apply: () => this.#apply(commits, tail, completedAtNs),
      committed: () => this.#committed(commits, tail, completedAtNs),
    };
  }

  #tailPart(): TailPart {
    this.#checkTailLost();
    const moved = this.#moved.length;
    const lacking = this.#tail.findIndex((place) => !this.#tailLog.isWhole(place));
    const places = lacking < 0 ? [...this.#tail] : this.#tail.slice(0, lacking);
    // Rows name whole runs: when a part of one has moved, what is left is named anew.
    const named = moved > 0 ? 0 : Math.max(0, this.#tailCommitted - this.#tailFirst);
    return {
      changed: moved > 0 || named < places.length,
      moved,
      batches: places.length,
      end: this.#tailFirst + places.length,
      runs: runsOf(this.#tailFirst + named, places.slice(named)),
      extent: places.reduce((extent, { entry }) => addBatch(extent, entry), emptyExtent),
    };
  }

  #apply(commits: readonly ChunkPart[], tail: TailPart, completedAtNs: TimeNs | undefined): void {
    const { topic } = this.#place;
    const row = findTopic(this.#catalog, topic.locator);
    if (row?.uuid !== topic.uuid) {
      this.#lost = this.deleted();
      return;
    }
    let extent = this.#sealedExtent;
    for (const chunk of this.#chunks) {
      const part = commits.find((one) => one.chunk === chunk);
      if (part !== undefined) putChunk(this.#catalog, topic.uuid, part.commit);
      const summary = part?.commit.summary ?? chunk.committed;
      if (summary !== undefined) extent = addChunk(extent, summary);
    }
    if (tail.moved > 0) removeTailRuns(this.#catalog, topic.uuid);
    for (const run of tail.runs) putTailRun(this.#catalog, topic.uuid, run);
    extent = addExtent(extent, tail.extent);
    this.#appliedRows = extent.rows;
    if (this.#catalog.schemas.get(topic.uuid) === undefined) this.#catalog.schemas.put(topic.uuid, this.#schemaHeader);
    putTopic(this.#catalog, { ...row, extent, completedAtNs: completedAtNs ?? row.completedAtNs });
  }

  async #committed(commits: readonly ChunkPart[], tail: TailPart, completedAtNs: TimeNs | undefined): Promise<void> {
    if (completedAtNs !== undefined) this.#completionCommitted = true;
    this.#tailCommitted = Math.max(this.#tailCommitted, tail.end);
    this.#tailLog.release(this.#moved.splice(0, tail.moved));
    for (const { chunk, batches } of commits) chunk.committedBatches += batches;
    const inOpen = this.#chunks.reduce((sum, { committedBatches }) => sum + committedBatches, 0);
    this.#durable = { rows: this.#appliedRows, batches: this.#sealedBatches + inOpen + tail.batches };
    if (this.#lost === undefined) this.onDurable(this.#durable);
    for (const { chunk, commit } of commits) {
      chunk.committed = commit.summary;
      if (!commit.summary.sealed) continue;
      this.#sealedExtent = addChunk(this.#sealedExtent, commit.summary);
      this.#sealedBatches += chunk.committedBatches;
      this.#chunks.splice(this.#chunks.indexOf(chunk), 1);
      await chunk.writer.close();
    }
  }

  /** What is not committed by now is cut off when the topic is opened again. */
  async close(): Promise<void> {
    this.#closed = true;
    // Rows go on naming the others: they are released when those go.
    this.#tailLog.release(this.#tail.splice(Math.max(0, this.#tailCommitted - this.#tailFirst)));
    for (const { writer, committed } of this.#chunks.splice(0)) {
      await writer.close();
      // A chunk that was begun and got nothing: no row names it, or ever will.
      if (committed === undefined && !writer.sealed && writer.entries.length === 0)
        await this.#disk.remove(this.pathOf(writer)).catch(() => undefined);
    }
  }
}

interface ChunkPart {
  readonly chunk: OpenChunk;
  /** Record batches among the entries that are new in this commit. */
  readonly batches: number;
  readonly commit: ChunkCommit;
}

/** What a commit says of the tail. */
interface TailPart {
  /** Whether rows change. */
  readonly changed: boolean;
  /** How many batches have moved to the chunk file: the rows of all that are left are put anew when there are any. */
  readonly moved: number;
  /** Batches that rows will name, and the number of the first behind them. */
  readonly batches: number;
  readonly end: number;
  readonly runs: readonly TailRun[];
  /** Of all batches that rows will name. */
  readonly extent: Extent;
}

/** Batches as rows have them: those of one log together. */
function runsOf(first: number, places: readonly TailPlace[]): TailRun[] {
  const runs: { first: number; log: number; batches: BatchEntry[] }[] = [];
  for (const [index, { log, entry }] of places.entries()) {
    const last = runs.at(-1);
    if (last?.log === log) last.batches.push(entry);
    else runs.push({ first: first + index, log, batches: [entry] });
  }
  return runs;
}

function countBatches(entries: readonly BatchEntry[]): number {
  return entries.filter(({ kind }) => kind === "batch").length;
}
