/**
 * Rows of one topic that satisfy a predicate: only batches that may have some are read, and only as long as somebody asks. Of a
 * batch only the columns asked for are looked at, but all of it is read: its checksum is one, and what has none is not believed.
 */

import { type Batch, readBatch } from "../arrow/batch.ts";
import { readDictionary } from "../arrow/dictionary.ts";
import { readMessage } from "../arrow/message.ts";
import { timeColumn } from "../arrow/timestamps.ts";
import { type Dictionary, openDictionary } from "../arrow/vector.ts";
import type { Chunk } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { includesTime, type TimeRange, type TimeWindow, unionRange, windowCovers } from "../model/time.ts";
import type { BoundPredicate } from "./bind.ts";
import { Columns } from "./columns.ts";
import { dictionariesOf } from "./dictionaries.ts";
import type { Effort } from "./effort.ts";
import { matchRows } from "./match-rows.ts";
import { mergeBatches } from "./merge.ts";
import { readStoredBatch } from "./stored-batch.ts";
import type { OutgoingMessage, PlacedBatch, ReadParts, TopicReader } from "./topic-reader.ts";
import type { TopicSkips } from "./topic-skips.ts";

export interface ScanCounts {
  batches: number;
  /** Of messages that were read. */
  bytes: number;
  rowsTested: number;
  rowsMatched: number;
}

export interface ScanParts {
  readonly memory: ReadParts;
  readonly reader: TopicReader;
  readonly skips: TopicSkips;
  readonly predicate: BoundPredicate;
  readonly effort: Effort;
  readonly signal: AbortSignal;
  readonly counts: ScanCounts;
}

/** A batch in memory with what its indices refer to. */
interface Loaded {
  readonly batch: Batch;
  readonly dictionaries: ReadonlyMap<bigint, Dictionary>;
  /** Where it lies, for errors. */
  readonly place: string;
}

/** What columns that have to be made plain may take beside the batch itself. */
const extraBytes = 2 ** 20;

export class TopicScan {
  readonly #parts: ScanParts;
  /** Of the chunk that was read last. */
  #dictionaries: { chunk: Chunk; opened: ReadonlyMap<bigint, Dictionary> } | undefined;

  constructor(parts: ScanParts) {
    this.#parts = parts;
  }

  /** Whether any row in the window matches. */
  async matchesAny(window: TimeWindow): Promise<boolean> {
    const { reader, skips } = this.#parts;
    for await (const group of reader.groups(window, skips)) {
      for (const placed of group) {
        if (placed.verdict === "all" && windowCovers(window, placed.range)) return true;
        const times = await this.#timesIn(placed, window);
        if (times.length > 0) return true;
      }
    }
    return false;
  }

  /** From the first to the last row in the window that matches. */
  async range(window: TimeWindow): Promise<TimeRange | undefined> {
    const { reader, skips } = this.#parts;
    let range: TimeRange | undefined;
    for await (const group of reader.groups(window, skips)) {
      for (const placed of group) {
        if (placed.verdict === "all" && windowCovers(window, placed.range)) range = unionRange(range, placed.range);
        else
          for (const atNs of extremes(await this.#timesIn(placed, window)))
            range = unionRange(range, { startNs: atNs, endNs: atNs });
      }
    }
    return range;
  }

  /** Times of all matching rows in the window, in order, some at once. */
  async *times(window: TimeWindow): AsyncGenerator<BigInt64Array> {
    const { reader, skips, memory, signal } = this.#parts;
    for await (const group of reader.groups(window, skips)) {
      const [first] = group;
      if (first === undefined) continue;
      if (group.length === 1) {
        yield (await this.#timesIn(first, window)).sort();
        continue;
      }
      // Batches that overlap come as rows in order, of all batches together.
      for await (const { chunk, message } of mergeBatches(reader, group, { window, signal, memory })) {
        const body = await bodyOf(message);
        const batch = readBatch(reader.schema, readMessage(message.header), body);
        yield await this.#match(
          { batch, dictionaries: await this.#dictionariesOf(chunk), place: reader.placeOf(first) },
          window,
        );
      }
    }
  }

  async #timesIn(placed: PlacedBatch, window: TimeWindow): Promise<BigInt64Array> {
    const { memory, reader, signal, counts } = this.#parts;
    const { mergeBudget } = memory;
    const { chunk, entry } = placed;
    const dictionaryBytes = dictionariesOf(chunk).reduce((sum, { bodyBytes }) => sum + bodyBytes, 0);
    const wanted = 2 * (entry.metadataBytes + entry.bodyBytes + dictionaryBytes) + extraBytes;
    using _held = await mergeBudget.take(Math.min(wanted, mergeBudget.limitBytes), signal);
    const place = reader.placeOf(placed);
    const batch = readStoredBatch(place, reader.schema, await reader.load(placed));
    counts.batches += 1;
    counts.bytes += entry.metadataBytes + entry.bodyBytes;
    return await this.#match({ batch, dictionaries: await this.#dictionariesOf(chunk), place }, window);
  }

  /** Dictionaries that the batches of a chunk refer to. */
  async #dictionariesOf(chunk: Chunk): Promise<ReadonlyMap<bigint, Dictionary>> {
    const entries = dictionariesOf(chunk);
    if (entries.length === 0) return new Map();
    if (this.#dictionaries?.chunk === chunk) return this.#dictionaries.opened;
    const { reader, memory } = this.#parts;
    const parts = new Map<bigint, Batch[]>();
    for (const entry of entries) {
      const { header, body } = await reader.load({ chunk, entry });
      const message = readMessage(header, body.byteLength);
      if (message.kind !== "dictionary")
        throw new Fault("corrupt", `Cannot read ${reader.placeOf({ chunk, entry })}: it is no dictionary`);
      const before = message.isDelta ? (parts.get(message.id) ?? []) : [];
      parts.set(message.id, [...before, readDictionary(reader.schema, message, body)]);
    }
    const opened = new Map(
      [...parts].map(([id, batches]) => [
        id,
        openDictionary(reader.schema, id, batches, memory.mergeBudget.limitBytes),
      ]),
    );
    this.#dictionaries = { chunk, opened };
    return opened;
  }

  /** Times of the rows that match, in the order of the batch. Lets others go first when the batch took long. */
  async #match(loaded: Loaded, window: TimeWindow): Promise<BigInt64Array> {
    const times = await this.#matchingTimes(loaded, window);
    await this.#parts.effort.pause();
    return times;
  }

  async #matchingTimes({ batch, dictionaries, place }: Loaded, window: TimeWindow): Promise<BigInt64Array> {
    const { reader, predicate, effort, memory, counts } = this.#parts;
    try {
      const { schema } = reader;
      const source = { schema, batch, dictionaries, bytesMax: memory.mergeBudget.limitBytes };
      const found = await matchRows(predicate, new Columns(source, effort), effort);
      const times = timeColumn(schema, batch);
      counts.rowsTested += batch.rows;
      const matching = times.filter((timeNs, row) => found[row] === 1 && includesTime(window, timeNs));
      counts.rowsMatched += matching.length;
      return matching;
    } catch (error) {
      if (!(error instanceof Fault) || error.code === "overloaded") throw error;
      throw new Fault("corrupt", `Cannot read ${place}: ${error.message}`, error);
    }
  }
}

function extremes(times: BigInt64Array): bigint[] {
  if (times.length === 0) return [];
  let [least, most] = [times[0] ?? 0n, times[0] ?? 0n];
  for (const timeNs of times) {
    if (timeNs < least) least = timeNs;
    if (timeNs > most) most = timeNs;
  }
  return [least, most];
}

async function bodyOf(message: OutgoingMessage): Promise<Uint8Array> {
  const body = new Uint8Array(message.bodyBytes);
  if (body.byteLength > 0) await message.readBody(body);
  return body;
}
