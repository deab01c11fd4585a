/**
 * One topic while it is uploaded: cuts the stream into chunk files and says what a commit may acknowledge. Chunk files always
 * hold a prefix of the topic. There is one writer per topic at most.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { type ChunkCommit, listChunks, putChunk, readChunk } from "../catalog/chunk-rows.ts";
import { findTopic, putTopic } from "../catalog/resources.ts";
import type { Disk } from "../host/disk.ts";
import { assert } from "../model/assert.ts";
import type { ChunkSummary } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { chunkBatchesMax } from "../model/limits.ts";
import { type Extent, emptyExtent, type Sequence, type Session, type Topic } from "../model/resource.ts";
import { type TimeNs, unionRange } from "../model/time.ts";
import { ChunkWriter, type MessageFacts } from "../store/chunk-writer.ts";
import type { DocumentWriter } from "../store/document-writer.ts";
import { sequenceDocument, sessionDocument, topicDocument } from "../store/documents.ts";
import {
  chunkFile,
  sequenceFile,
  sequencesDirectory,
  sessionDirectory,
  sessionFile,
  sessionsDirectory,
  topicDirectory,
  topicFile,
} from "../store/layout.ts";
import type { CommitPart, Participant } from "./group-commit.ts";

export interface TopicPlace {
  readonly sequence: Sequence;
  readonly session: Session;
  readonly topic: Topic;
}

export interface TopicWriterOptions {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly documents: DocumentWriter;
  readonly place: TopicPlace;
  /** The schema message as the client sent it. */
  readonly schemaHeader: Uint8Array;
  /** 0 means unlimited. */
  readonly chunkBytesMax: number;
}

interface OpenChunk {
  readonly writer: ChunkWriter;
  /** The chunk as it is committed; undefined until it is for the first time. */
  committed: ChunkSummary | undefined;
}

export class TopicWriter implements Participant {
  readonly #disk: Disk;
  readonly #catalog: Catalog;
  readonly #documents: DocumentWriter;
  readonly #place: TopicPlace;
  readonly #schemaHeader: Uint8Array;
  readonly #chunkBytesMax: number;
  /** Chunks that are not sealed and committed, in order; the last one grows. */
  readonly #chunks: OpenChunk[] = [];
  /** What the sealed and committed chunks hold. */
  #sealedExtent: Extent = emptyExtent;
  #nextNumber = 0;
  #unsynced: { documents: string[]; directories: string[] } = { documents: [], directories: [] };
  #completedAtNs: TimeNs | undefined;
  #completionCommitted = false;
  #lost: Fault | undefined;
  #closed = false;

  private constructor(options: TopicWriterOptions) {
    this.#disk = options.disk;
    this.#catalog = options.catalog;
    this.#documents = options.documents;
    this.#place = options.place;
    this.#schemaHeader = options.schemaHeader;
    this.#chunkBytesMax = options.chunkBytesMax === 0 ? Number.POSITIVE_INFINITY : options.chunkBytesMax;
  }

  /** Opens a topic for writing, behind what is committed of it. Documents and directories are made with the first commit. */
  static async open(options: TopicWriterOptions): Promise<TopicWriter> {
    const { catalog, place } = options;
    const writer = new TopicWriter(options);
    await writer.#makePlace();
    for (const summary of listChunks(catalog, place.topic.uuid)) {
      writer.#nextNumber = summary.number + 1;
      if (summary.sealed) writer.#sealedExtent = addChunk(writer.#sealedExtent, summary);
      else await writer.#resumeChunk(summary.number);
    }
    return writer;
  }

  async #makePlace(): Promise<void> {
    const { sequence, session, topic } = this.#place;
    await this.#disk.makeDirectory(topicDirectory(session.ulid, topic.number));
    const documents = [
      { file: sequenceFile(sequence.ulid), directory: sequencesDirectory, text: sequenceDocument(sequence) },
      { file: sessionFile(session.ulid), directory: sessionDirectory(session.ulid), text: sessionDocument(session) },
      {
        file: topicFile(session.ulid, topic.number),
        directory: topicDirectory(session.ulid, topic.number),
        text: topicDocument(topic),
      },
    ];
    // Also what was there already: whoever made it may not have synced it yet, or have gone away.
    this.#unsynced.directories.push(sessionsDirectory, sessionDirectory(session.ulid));
    for (const { file, directory, text } of documents) {
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
    this.#chunks.push({ writer, committed: chunk });
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

  /** Seals the growing chunk, if there is one, and begins the next. */
  async rotate(): Promise<void> {
    await this.current?.seal();
    const { session, topic } = this.#place;
    const number = this.#nextNumber;
    const path = chunkFile(session.ulid, topic.number, number);
    const writer = await ChunkWriter.create(this.#disk, path, number, this.#schemaHeader);
    this.#nextNumber = number + 1;
    this.#unsynced.directories.push(topicDirectory(session.ulid, topic.number));
    this.#chunks.push({ writer, committed: undefined });
  }

  /** Appends to the growing chunk; ends when the bytes are in the file. */
  append(header: Uint8Array, body: Uint8Array, facts: MessageFacts): Promise<void> {
    const current = this.current;
    assert(current !== undefined, "there is a chunk to append to");
    return current.append(header, body, facts);
  }

  /** Seals the last chunk and marks the topic as complete, both to be committed. A topic without rows gets an empty file. */
  async complete(atNs: TimeNs): Promise<void> {
    if (this.current === undefined && this.#nextNumber === 0) await this.rotate();
    await this.current?.seal();
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

  part(): CommitPart | undefined {
    if (this.#closed) return undefined;
    const commits: { chunk: OpenChunk; commit: ChunkCommit }[] = [];
    for (const chunk of this.#chunks) {
      const { writer } = chunk;
      const committed = chunk.committed?.entries ?? 0;
      if (writer.wholeCount === committed && !writer.sealed) continue;
      const summary = writer.summary();
      const first = summary.sealed ? 0 : committed;
      commits.push({ chunk, commit: { summary, first, batches: writer.entries.slice(first, summary.entries) } });
    }
    const completedAtNs = this.#completionCommitted ? undefined : this.#completedAtNs;
    if (commits.length === 0 && completedAtNs === undefined) return undefined;
    const unsynced = this.#unsynced;
    this.#unsynced = { documents: [], directories: [] };
    return {
      files: commits.map(({ chunk }) => chunk.writer.file),
      documents: unsynced.documents,
      directories: unsynced.directories,
      apply: () =>
        this.#apply(
          commits.map(({ commit }) => commit),
          completedAtNs,
        ),
      committed: () => this.#committed(commits, completedAtNs),
    };
  }

  #apply(commits: readonly ChunkCommit[], completedAtNs: TimeNs | undefined): void {
    const { topic } = this.#place;
    const row = findTopic(this.#catalog, topic.locator);
    if (row?.uuid !== topic.uuid) {
      this.#lost = new Fault("wrong_state", `Topic \`${topic.locator}\` was deleted while it was uploaded.`);
      return;
    }
    let extent = this.#sealedExtent;
    for (const chunk of this.#chunks) {
      const commit = commits.find(({ summary }) => summary.number === chunk.writer.number);
      if (commit !== undefined) putChunk(this.#catalog, topic.uuid, commit);
      const summary = commit?.summary ?? chunk.committed;
      if (summary !== undefined) extent = addChunk(extent, summary);
    }
    if (this.#catalog.schemas.get(topic.uuid) === undefined) this.#catalog.schemas.put(topic.uuid, this.#schemaHeader);
    putTopic(this.#catalog, { ...row, extent, completedAtNs: completedAtNs ?? row.completedAtNs });
  }

  async #committed(
    commits: readonly { chunk: OpenChunk; commit: ChunkCommit }[],
    completedAtNs: TimeNs | undefined,
  ): Promise<void> {
    if (completedAtNs !== undefined) this.#completionCommitted = true;
    for (const { chunk, commit } of commits) {
      chunk.committed = commit.summary;
      if (!commit.summary.sealed) continue;
      this.#sealedExtent = addChunk(this.#sealedExtent, commit.summary);
      this.#chunks.splice(this.#chunks.indexOf(chunk), 1);
      await chunk.writer.close();
    }
  }

  /** What is not committed by now is cut off when the topic is opened again. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { writer } of this.#chunks.splice(0)) await writer.close();
  }
}

function addChunk(extent: Extent, chunk: ChunkSummary): Extent {
  if (chunk.rows === 0) return extent;
  return {
    rows: extent.rows + chunk.rows,
    bytes: extent.bytes + chunk.bytes,
    chunks: extent.chunks + 1,
    range: unionRange(extent.range, chunk.range),
  };
}
