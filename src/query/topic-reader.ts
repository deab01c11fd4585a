/**
 * Reads a topic in the order of `timestamp_ns`, in a window, with memory that does not depend on its size. Batches that are
 * sorted, disjoint and wholly inside the window pass as the bytes that lie on disk; the rest is cut, sorted or merged.
 */

import { readSchema, type Schema } from "../arrow/schema.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { listChunks, readChunk } from "../catalog/chunk-rows.ts";
import { listTailRuns, type TailRun } from "../catalog/tail-rows.ts";
import { crc32 } from "../host/checksum.ts";
import type { Disk } from "../host/disk.ts";
import { assert } from "../model/assert.ts";
import { type BatchEntry, type Chunk, type ChunkSummary, endOfEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { tailLogsMax } from "../model/limits.ts";
import type { Topic } from "../model/resource.ts";
import {
  isEmptyWindow,
  type TimeRange,
  type TimeWindow,
  unionRange,
  windowCovers,
  windowOverlaps,
} from "../model/time.ts";
import { ChunkReader } from "../store/chunk-reader.ts";
import { chunkFile, tailFile } from "../store/layout.ts";
import { SentDictionaries } from "./dictionaries.ts";
import { type MergeMemory, mergeBatches } from "./merge.ts";
import { groupByOverlap } from "./overlap.ts";
import { readStoredMessage } from "./stored-batch.ts";
import type { Verdict } from "./verdict.ts";

/** One IPC message of the answer. The body is read piece by piece, so that nobody has to hold it whole. */
export interface OutgoingMessage {
  readonly header: Uint8Array;
  readonly bodyBytes: number;
  /**
   * Fills `target` with the next bytes of the body. To be called until there are no more before the next message is asked for.
   * @throws Fault corrupt, with the last bytes, when those on disk are not those that were written
   */
  readBody(target: Uint8Array): Promise<void>;
}

export interface ReadParts extends MergeMemory {
  readonly disk: Disk;
  readonly catalog: Catalog;
}

/** A batch of a topic and where it lies. */
export interface PlacedBatch {
  readonly chunk: Chunk;
  readonly entry: BatchEntry;
  readonly range: TimeRange;
  /** What is known of its rows by whoever chose it. */
  readonly verdict: Verdict;
}

/** Which batches are of interest, by what is known without reading them: those of which no row is are left out. */
export interface BatchChoice {
  ofChunk(chunk: ChunkSummary): Verdict;
  /** For each entry of the chunk. */
  ofEntries(chunk: Chunk): readonly Verdict[];
  /** Called between chunks, to let others go first when choosing took long. */
  pause(): Promise<void>;
}

const everyBatch: BatchChoice = {
  ofChunk: () => "all",
  ofEntries: ({ batches }) => batches.map(() => "all"),
  pause: async () => undefined,
};

/** What has to be known of a topic to read it. */
export type ReadableTopic = Omit<Topic, "userMetadata">;

/** Open files of one read: batches of a group come from few chunks, mostly one. Tail logs stay open besides. */
const openFilesMax = 8 + tailLogsMax;

/** A log goes when all of its frames have moved, which takes a commit; nobody is so slow so often. */
const snapshotTriesMax = 10;

export class TopicReader implements AsyncDisposable {
  readonly #parts: ReadParts;
  readonly #topic: ReadableTopic;
  readonly #open = new Map<number, ChunkReader>();
  readonly schema: Schema;

  /** @param schemaHeader the topic's schema message, as the client sent it */
  constructor(parts: ReadParts, topic: ReadableTopic, schemaHeader: Uint8Array) {
    this.#parts = parts;
    this.#topic = topic;
    this.schema = readSchema(schemaHeader);
  }

  /** Messages of all rows in the window, none of them without rows, each dictionary before the batches that refer to it. */
  async *messages(window: TimeWindow, signal: AbortSignal): AsyncGenerator<OutgoingMessage> {
    const dictionaries = new SentDictionaries();
    for await (const group of this.groups(window)) {
      const [first] = group;
      assert(first !== undefined, "a group has a batch");
      const alone = group.length === 1 && first.entry.sorted && windowCovers(window, first.range);
      if (alone) {
        yield* this.#dictionaries(dictionaries, first.chunk);
        yield await this.#passThrough(first.chunk, first.entry);
        continue;
      }
      for await (const { chunk, message } of mergeBatches(this, group, { window, signal, memory: this.#parts })) {
        yield* this.#dictionaries(dictionaries, chunk);
        yield message;
      }
    }
  }

  /** Batches with rows in the window, in groups that are disjoint in time and in order. */
  async *groups(window: TimeWindow, choice: BatchChoice = everyBatch): AsyncGenerator<PlacedBatch[]> {
    if (isEmptyWindow(window)) return;
    const { catalog } = this.#parts;
    const { chunks, tail } = await this.#snapshot();
    const wanted: (ChunkSummary & { readonly range: TimeRange })[] = [];
    for (const chunk of [...chunks, ...tail.values()]) {
      const { range } = chunk;
      if (range === undefined || !windowOverlaps(window, range)) continue;
      if (choice.ofChunk(chunk) !== "no") wanted.push({ ...chunk, range });
      await choice.pause();
    }
    for (const chunkGroup of groupByOverlap(wanted)) {
      const batches: PlacedBatch[] = [];
      for (const { number, entries } of chunkGroup) {
        const chunk = tail.get(number) ?? readChunk(catalog, this.#topic.uuid, number);
        // Deleted or evicted since the list was made.
        if (chunk === undefined) throw this.#deleted();
        // What the chunk got since then lay in the tail, or came later.
        const verdicts = choice.ofEntries(chunk);
        await choice.pause();
        for (const [index, entry] of chunk.batches.slice(0, entries).entries()) {
          const verdict = verdicts[index] ?? "maybe";
          if (verdict !== "no" && entry.range !== undefined && windowOverlaps(window, entry.range))
            batches.push({ chunk, entry, range: entry.range, verdict });
        }
      }
      yield* groupByOverlap(batches);
    }
  }

  /** What the topic has now. Tail logs are opened at once: their frames may move and the logs go while this is read. */
  async #snapshot(): Promise<{ chunks: ChunkSummary[]; tail: Map<number, Chunk> }> {
    const { catalog } = this.#parts;
    for (let tries = 1; ; tries += 1) {
      // Without a pause in between, so that both are of one state of the catalog.
      const chunks = [...listChunks(catalog, this.#topic.uuid)];
      const tail = tailChunks([...listTailRuns(catalog, this.#topic.uuid)]);
      try {
        for (const number of tail.keys()) await this.#reader(number);
        return { chunks, tail };
      } catch (error) {
        if (tries === snapshotTriesMax || !(error instanceof Fault) || error.code !== "absent") throw error;
      }
    }
  }

  async *#dictionaries(sent: SentDictionaries, chunk: Chunk): AsyncGenerator<OutgoingMessage> {
    for (const entry of sent.switchTo(chunk)) yield await this.#passThrough(chunk, entry);
  }

  async #passThrough(chunk: Chunk, entry: BatchEntry): Promise<OutgoingMessage> {
    const reader = await this.#reader(chunk.number);
    const metadata = await reader.readMetadata(entry);
    const { bodyBytes } = readStoredMessage(this.placeOf({ chunk, entry }), metadata.header);
    const tail = entry.bodyBytes - bodyBytes;
    if (tail < 0 || tail > 7) {
      throw new Fault(
        "corrupt",
        `Cannot read ${this.placeOf({ chunk, entry })}: the header says ${bodyBytes} bytes of body, the catalog ${entry.bodyBytes}`,
      );
    }
    let at = 0;
    let checksum = crc32([metadata.bytes]);
    const check = (): void => {
      checksum = crc32([new Uint8Array(tail)], checksum);
      if (checksum !== entry.crc32) throw reader.wrongChecksum(entry, checksum);
    };
    if (bodyBytes === 0) check();
    return {
      header: metadata.header,
      bodyBytes,
      async readBody(target) {
        await reader.readBody(entry, at, target);
        at += target.byteLength;
        checksum = crc32([target], checksum);
        if (at === bodyBytes) check();
      },
    };
  }

  /** A whole batch in memory, its checksum checked. */
  async load({
    chunk,
    entry,
  }: Pick<PlacedBatch, "chunk" | "entry">): Promise<{ header: Uint8Array; body: Uint8Array }> {
    const reader = await this.#reader(chunk.number);
    return await reader.readMessage(entry);
  }

  /** Where a batch lies, for errors. */
  placeOf({ chunk, entry }: Pick<PlacedBatch, "chunk" | "entry">): string {
    return `chunk ${chunk.number} of \`${this.#topic.locator}\` at ${entry.offset}`;
  }

  async #reader(number: number): Promise<ChunkReader> {
    const known = this.#open.get(number);
    if (known !== undefined) return known;
    for (const [oldest, reader] of this.#open) {
      if (this.#open.size < openFilesMax) break;
      if (oldest < 0) continue;
      this.#open.delete(oldest);
      await reader[Symbol.asyncDispose]();
    }
    const reader = await this.#openChunk(number);
    this.#open.set(number, reader);
    return reader;
  }

  async #openChunk(number: number): Promise<ChunkReader> {
    const { disk, catalog } = this.#parts;
    const { session, number: topicNumber, uuid, locator } = this.#topic;
    // One that is gone by now has moved: `#snapshot` looks again.
    if (number < 0) return await ChunkReader.open(disk, tailFile(-number));
    try {
      return await ChunkReader.open(disk, chunkFile(session, topicNumber, number));
    } catch (error) {
      if (!(error instanceof Fault && error.code === "absent")) throw error;
      // Who deletes takes the rows first, so a file that is gone while its row is there was not deleted by us.
      catalog.refresh();
      if (readChunk(catalog, uuid, number) === undefined) throw this.#deleted();
      throw new Fault("corrupt", `Cannot read chunk ${number} of \`${locator}\`: its file is missing`, error);
    }
  }

  #deleted(): Fault {
    return new Fault("absent", `Topic \`${this.#topic.locator}\` was deleted while it was read.`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of this.#open.values()) await reader[Symbol.asyncDispose]();
    this.#open.clear();
  }
}

/** What lies in tail logs as chunks that are not sealed, one per log; their numbers are those of the logs, negative. */
function tailChunks(runs: readonly TailRun[]): Map<number, Chunk> {
  const chunks = new Map<number, Chunk>();
  for (const { log, batches } of runs) {
    const all = [...(chunks.get(-log)?.batches ?? []), ...batches];
    const last = all.at(-1);
    chunks.set(-log, {
      number: -log,
      sealed: false,
      bytes: last === undefined ? 0 : endOfEntry(last),
      rows: all.reduce((rows, batch) => rows + batch.rows, 0),
      entries: all.length,
      range: all.reduce<TimeRange | undefined>((range, batch) => unionRange(range, batch.range), undefined),
      batches: all,
    });
  }
  return chunks;
}
