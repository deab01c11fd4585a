/**
 * One chunk file while it grows: an Arrow IPC file whose batches are the client's own bytes. Entries become whole in the
 * order of the file; what is behind the last whole entry is cut off when a write fails, and by recovery after a crash.
 */

import { fileMagic } from "../arrow/file.ts";
import { frameHeader, paddedBytes } from "../arrow/frame.ts";
import { crc32 } from "../host/checksum.ts";
import type { Disk, ReadableFile, WritableFile } from "../host/disk.ts";
import { failPoint } from "../host/fail-point.ts";
import { assert } from "../model/assert.ts";
import { type BatchEntry, type ChunkSummary, endOfEntry, messageBytesOf, sumEntries } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { copyPieceBytes } from "../model/limits.ts";
import type { RowStatistics } from "../model/statistics.ts";
import { type TimeNs, type TimeRange, unionRange } from "../model/time.ts";
import type { ChunkSkips } from "../model/zone-codec.ts";
import { chunkFooter } from "./chunk-footer.ts";
import { ZoneBuilder } from "./zone-builder.ts";

/** What is known of a message before it lies in a file. */
export interface MessageFacts {
  readonly kind: BatchEntry["kind"];
  readonly rows: number;
  readonly sorted: boolean;
  readonly range?: TimeRange | undefined;
  /** What is known of its values; nothing when undefined. A dictionary has none. */
  readonly statistics?: RowStatistics | undefined;
}

/** Batches side by side in a run. */
export interface RunZone {
  readonly entries: number;
  readonly bytes: number;
  /** What is known of their rows, or of more than theirs; nothing when undefined. */
  readonly statistics: RowStatistics | undefined;
}

const padding = new Uint8Array(8);
const nothingKnown: RowStatistics = [];

export class ChunkWriter {
  readonly number: number;
  readonly #file: WritableFile;
  readonly #schemaHeader: Uint8Array;
  readonly #entries: BatchEntry[] = [];
  #wholeCount = 0;
  #settled: Promise<void> = Promise.resolve();
  #bytes: number;
  #rows = 0;
  #range: TimeRange | undefined;
  #sealedBytes: number | undefined;
  readonly #zones = new ZoneBuilder();
  #skips: ChunkSkips | undefined;

  private constructor(number: number, file: WritableFile, schemaHeader: Uint8Array, bytes: number) {
    this.number = number;
    this.#file = file;
    this.#schemaHeader = schemaHeader;
    this.#bytes = bytes;
  }

  /** Begins a new file with magic and schema. @throws Fault overloaded when the disk is full */
  static async create(disk: Disk, path: string, number: number, schemaHeader: Uint8Array): Promise<ChunkWriter> {
    const file = await disk.openWritable(path);
    try {
      // What an unfinished attempt left under this name was never acknowledged.
      await file.truncate(0);
      const schema = frameHeader(schemaHeader);
      await file.write([fileMagic, schema], 0);
      failPoint("chunk: made");
      return new ChunkWriter(number, file, schemaHeader, fileMagic.byteLength + schema.byteLength);
    } catch (error) {
      await file.close();
      // No row names it.
      await disk.remove(path).catch(() => undefined);
      throw error;
    }
  }

  /** Goes on behind the committed entries of an open chunk; bytes behind them are cut off. */
  static async resume(
    disk: Disk,
    path: string,
    chunk: { number: number; bytes: number; batches: readonly BatchEntry[] },
    schemaHeader: Uint8Array,
  ): Promise<ChunkWriter> {
    const file = await disk.openWritable(path);
    try {
      await file.truncate(chunk.bytes);
    } catch (error) {
      await file.close();
      throw error;
    }
    const writer = new ChunkWriter(chunk.number, file, schemaHeader, chunk.bytes);
    for (const entry of chunk.batches) writer.#admit(entry);
    writer.#wholeCount = chunk.batches.length;
    // What was known of their values went with the process that had read them.
    if (chunk.batches.length > 0) writer.#zones.add(chunk.batches.length, chunk.bytes, nothingKnown);
    return writer;
  }

  get file(): WritableFile {
    return this.#file;
  }

  /** Bytes of the file with all appends, also those under way. */
  get bytes(): number {
    return this.#bytes;
  }

  get entries(): readonly BatchEntry[] {
    return this.#entries;
  }

  /** Entries that are whole in the file, though not yet synced. */
  get wholeCount(): number {
    return this.#wholeCount;
  }

  get sealed(): boolean {
    return this.#sealedBytes !== undefined;
  }

  /** Bytes that a message will take in the file. */
  static messageBytes(header: Uint8Array, body: Uint8Array): number {
    return paddedBytes(header.byteLength + 8) + paddedBytes(body.byteLength);
  }

  /**
   * Appends one message; the place is fixed at once, the promise ends when the bytes are in the file. The body must not
   * change until then. After a failure nothing more may be appended before `cutBack`.
   */
  append(header: Uint8Array, body: Uint8Array, facts: MessageFacts): Promise<void> {
    assert(!this.sealed, "a sealed chunk never changes");
    const { statistics, ...known } = facts;
    const metadata = frameHeader(header);
    const pieces = [metadata, body, padding.subarray(0, paddedBytes(body.byteLength) - body.byteLength)];
    const entry: BatchEntry = {
      ...known,
      offset: this.#bytes,
      metadataBytes: metadata.byteLength,
      bodyBytes: paddedBytes(body.byteLength),
      crc32: crc32(pieces),
    };
    this.#admit(entry);
    this.#bytes = endOfEntry(entry);
    const written = this.#file.write(pieces, entry.offset);
    const index = this.#entries.length;
    // Whole in order: an entry counts only when all before it do.
    const whole = Promise.all([this.#settled, written]).then(() => {
      this.#wholeCount = index;
      this.#zones.add(1, messageBytesOf(entry), entry.kind === "batch" ? (statistics ?? nothingKnown) : undefined);
      failPoint("chunk: appended");
    });
    this.#settled = whole;
    whole.catch(() => undefined);
    return whole;
  }

  /**
   * Appends messages that were written elsewhere before, as they lie in `bytes`; ends when they are in the file. Nothing else may
   * be appended meanwhile; after a failure the chunk is as it was.
   * @param batches in their order; offsets are not looked at
   * @param zones of all of them
   */
  async appendRun(bytes: Uint8Array, batches: readonly BatchEntry[], zones: readonly RunZone[]): Promise<void> {
    assert(!this.sealed, "a sealed chunk never changes");
    await this.#settled;
    try {
      await this.#file.write([bytes], this.#bytes);
    } catch (error) {
      await this.#file.truncate(this.#bytes).catch(() => undefined);
      throw error;
    }
    for (const batch of batches) {
      const entry = { ...batch, offset: this.#bytes };
      this.#admit(entry);
      this.#bytes = endOfEntry(entry);
    }
    this.#wholeCount = this.#entries.length;
    for (const zone of zones) this.#zones.add(zone.entries, zone.bytes, zone.statistics ?? nothingKnown);
  }

  /**
   * Appends copies of messages of another chunk, piece by piece; ends when they are in the file. Nothing else may be appended
   * meanwhile; after a failure the chunk is as it was.
   * @param entries where they lie in the source @throws Fault corrupt
   */
  async appendCopies(source: ReadableFile, entries: readonly BatchEntry[]): Promise<void> {
    assert(!this.sealed, "a sealed chunk never changes");
    await this.#settled;
    const copies: BatchEntry[] = [];
    let end = this.#bytes;
    try {
      for (const entry of entries) {
        copies.push({ ...entry, offset: end });
        await this.#copy(source, entry, end);
        end += messageBytesOf(entry);
      }
    } catch (error) {
      await this.#file.truncate(this.#bytes).catch(() => undefined);
      throw error;
    }
    for (const copy of copies) {
      this.#admit(copy);
      this.#zones.add(1, messageBytesOf(copy), copy.kind === "batch" ? nothingKnown : undefined);
    }
    this.#bytes = end;
    this.#wholeCount = this.#entries.length;
  }

  async #copy(source: ReadableFile, entry: BatchEntry, target: number): Promise<void> {
    const bytes = messageBytesOf(entry);
    const buffer = Buffer.allocUnsafe(Math.min(bytes, copyPieceBytes));
    let checksum = 0;
    for (let done = 0; done < bytes; ) {
      const piece = buffer.subarray(0, Math.min(bytes - done, buffer.byteLength));
      await source.read(piece, entry.offset + done);
      checksum = crc32([piece], checksum);
      await this.#file.write([piece], target + done);
      done += piece.byteLength;
    }
    if (checksum === entry.crc32) return;
    throw new Fault(
      "corrupt",
      `Cannot copy a message of ${source.path} at ${entry.offset}: its checksum is ${checksum}, expected ${entry.crc32}`,
    );
  }

  #admit(entry: BatchEntry): void {
    this.#entries.push(entry);
    if (entry.kind === "batch") {
      this.#rows += entry.rows;
      this.#range = unionRange(this.#range, entry.range);
    }
  }

  /** Ends when no write is under way any more, whether they succeeded or not. */
  async settle(): Promise<void> {
    await this.#settled.catch(() => undefined);
  }

  /** After a failed append: forgets what is not whole and cuts it from the file. */
  async cutBack(): Promise<void> {
    await this.settle();
    const whole = this.#entries.slice(0, this.#wholeCount);
    const first = this.#entries[this.#wholeCount];
    if (first !== undefined) this.#bytes = first.offset;
    this.#entries.length = 0;
    this.#rows = 0;
    this.#range = undefined;
    for (const entry of whole) this.#admit(entry);
    this.#settled = Promise.resolve();
    await this.#file.truncate(this.#bytes);
  }

  /**
   * Writes the footer; the file is complete when the promise ends, and durable with the next sync. After a failure the chunk is
   * as it was.
   * @param completedAtNs when this is the last chunk of its topic
   */
  async seal(completedAtNs?: TimeNs): Promise<void> {
    await this.#settled;
    assert(!this.sealed, "a chunk is sealed once");
    const skips = this.#zones.finish();
    const footer = chunkFooter({ schemaHeader: this.#schemaHeader, entries: this.#entries, skips, completedAtNs });
    try {
      await this.#file.write([footer], this.#bytes);
    } catch (error) {
      await this.#file.truncate(this.#bytes).catch(() => undefined);
      throw error;
    }
    failPoint("chunk: footer");
    this.#bytes += footer.byteLength;
    this.#sealedBytes = this.#bytes;
    this.#skips = skips;
  }

  /** What is known of the values of a sealed chunk. */
  get skips(): ChunkSkips | undefined {
    return this.#skips;
  }

  /** The chunk as far as it is whole. */
  summary(): ChunkSummary {
    const complete = this.#wholeCount === this.#entries.length;
    const whole = complete ? this.#entries : this.#entries.slice(0, this.#wholeCount);
    const last = whole.at(-1);
    return {
      number: this.number,
      sealed: this.sealed,
      bytes: this.#sealedBytes ?? (complete ? this.#bytes : last === undefined ? this.#startBytes() : endOfEntry(last)),
      ...(complete ? { rows: this.#rows, range: this.#range } : sumEntries(whole)),
      entries: whole.length,
    };
  }

  #startBytes(): number {
    return fileMagic.byteLength + frameHeader(this.#schemaHeader).byteLength;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
