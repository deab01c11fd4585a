/**
 * The tail log: small batches of all topics one behind the other, so that one sync makes all of them durable. Frames are copied
 * into a buffer and written together; those that move to a chunk file before, as when a short stream ends, are never written.
 * A log whose frames have all moved is removed; a new one begins when the current one is long enough, and with each start.
 */

import { frameHeader, paddedBytes } from "../arrow/frame.ts";
import { crc32 } from "../host/checksum.ts";
import type { Disk, WritableFile } from "../host/disk.ts";
import { isDiskFull, isOutOfFiles } from "../host/errno.ts";
import { failPoint } from "../host/fail-point.ts";
import { assert } from "../model/assert.ts";
import { type BatchEntry, endOfEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import {
  slowSyncMs,
  tailBatchBytes,
  tailBufferBytes,
  tailLogBytesMax,
  tailLogsMax,
  tailTopicBytesMax,
} from "../model/limits.ts";
import type { Ulid } from "../model/resource.ts";
import type { TimeRange } from "../model/time.ts";
import { tailDirectory, tailFile } from "./layout.ts";
import { tailHeaderBytes, writeTailHeader } from "./tail-frame.ts";

/** A batch as it comes, and where it belongs. */
export interface SmallBatch {
  readonly session: Ulid;
  readonly topicNumber: number;
  /** Number of the batch in its topic. */
  readonly index: number;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  readonly rows: number;
  readonly sorted: boolean;
  readonly range: TimeRange;
}

/** A batch in a log; the entry's offset is that of its message. */
export interface TailPlace {
  readonly log: number;
  readonly entry: BatchEntry;
}

/** A log of an earlier life of the server. */
export interface FoundLog {
  readonly number: number;
  /** Bytes up to the last frame that a row names. */
  readonly bytes: number;
  /** Offsets of the messages in it that rows name. */
  readonly offsets: readonly number[];
}

export interface TailUse {
  readonly logs: number;
  readonly bytes: number;
  /** Batches that lie nowhere else. */
  readonly frames: number;
  /** Batches below this many bytes go to a log now. */
  readonly batchBytesMax: number;
}

interface Log {
  readonly number: number;
  /** Undefined until something is written; nothing is appended to a log that was found. */
  file: WritableFile | undefined;
  /** Bytes of all frames, those in the buffer included. */
  bytes: number;
  /** Bytes that are in the file. */
  written: number;
  /** Offsets of messages that nobody has moved or given up: one is given up once, whoever says it again. */
  readonly live: Set<number>;
  /** A write failed: what was not written by then never will be. */
  failed: boolean;
  /** What it failed with. */
  failure?: unknown;
  synced: boolean;
}

export interface TailLogOptions {
  /** Logs that rows name; new ones get numbers above theirs. */
  readonly found: readonly FoundLog[];
  /** A write failed for another reason than a full disk. */
  onFailure(error: unknown): void;
  /** There are many logs: the frames that are left in this one are to be moved. */
  onCrowded(log: number): void;
}

export class TailLog implements AsyncDisposable {
  readonly #disk: Disk;
  readonly #options: TailLogOptions;
  readonly #logs = new Map<number, Log>();
  #nextNumber = 1;
  #current: Log | undefined;
  /** Frames that are not on their way to the file yet; they all belong to the current log. */
  #filling: Buffer = Buffer.allocUnsafeSlow(tailBufferBytes);
  #filled = 0;
  /** How many of them are live. */
  #fillingLive = 0;
  #spare: Buffer | undefined = Buffer.allocUnsafeSlow(tailBufferBytes);
  #writing: Promise<void> = Promise.resolve();
  readonly #copyBuffer: Buffer = Buffer.allocUnsafeSlow(tailTopicBytesMax);
  #copying: Promise<void> = Promise.resolve();
  #opening: Promise<void> | undefined;
  /** Ends when logs that nobody needs any more are gone. */
  #removing: Promise<void> = Promise.resolve();
  #directoryUnsynced = false;
  #syncMs = 0;

  constructor(disk: Disk, options: TailLogOptions) {
    this.#disk = disk;
    this.#options = options;
    for (const { number, bytes, offsets } of options.found) {
      const live = new Set(offsets);
      const log = { number, file: undefined, bytes, written: bytes, live, failed: false, synced: true };
      this.#logs.set(number, log);
      this.#nextNumber = Math.max(this.#nextNumber, number + 1);
    }
  }

  use(): TailUse {
    const logs = [...this.#logs.values()];
    return {
      logs: logs.length,
      bytes: logs.reduce((sum, { bytes }) => sum + bytes, 0),
      frames: logs.reduce((sum, { live }) => sum + live.size, 0),
      batchBytesMax: this.batchBytesMax,
    };
  }

  /** Bytes below which a batch is better off here than in its chunk file, as syncs are now. */
  get batchBytesMax(): number {
    return this.#syncMs < slowSyncMs ? tailBatchBytes.least : tailBatchBytes.most;
  }

  /** Tells what syncs of chunk files cost: milliseconds of each, on average. */
  noteSyncMs(syncMs: number): void {
    // One slow sync among fast ones says little.
    this.#syncMs += (syncMs - this.#syncMs) / 8;
  }

  /** Bytes that a message takes in a chunk file, which it takes here too. */
  static #messageBytes({ header, body }: Pick<SmallBatch, "header" | "body">): number {
    return paddedBytes(header.byteLength + 8) + paddedBytes(body.byteLength);
  }

  /** Takes a copy of the batch; it is in the file after the next `flush`. @throws Fault overloaded when the disk is full */
  async append(batch: SmallBatch): Promise<TailPlace> {
    const bytes = tailHeaderBytes + TailLog.#messageBytes(batch);
    assert(bytes <= tailBufferBytes, "a small batch fits into the buffer");
    for (;;) {
      const log = this.#current;
      if (log === undefined || log.failed || log.bytes >= tailLogBytesMax) await this.#openNext();
      else if (this.#filled + bytes > tailBufferBytes) await this.#writeOut();
      else return this.#copy(log, batch, bytes);
    }
  }

  #copy(log: Log, batch: SmallBatch, bytes: number): TailPlace {
    const metadata = frameHeader(batch.header);
    const frame = this.#filling.subarray(this.#filled, this.#filled + bytes);
    const message = frame.subarray(tailHeaderBytes);
    message.set(metadata);
    message.set(batch.body, metadata.byteLength);
    message.fill(0, metadata.byteLength + batch.body.byteLength);
    const checksum = crc32([message]);
    const bodyBytes = message.byteLength - metadata.byteLength;
    writeTailHeader(frame, { ...batch, metadataBytes: metadata.byteLength, bodyBytes }, checksum);
    const { rows, sorted, range } = batch;
    const offset = log.bytes + tailHeaderBytes;
    this.#filled += bytes;
    this.#fillingLive += 1;
    log.bytes += bytes;
    log.live.add(offset);
    return {
      log: log.number,
      entry: {
        kind: "batch",
        offset,
        metadataBytes: metadata.byteLength,
        bodyBytes,
        rows,
        crc32: checksum,
        sorted,
        range,
      },
    };
  }

  /** Begins the next log; many may ask at once. */
  #openNext(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    // What the buffer holds belongs to the log before.
    await this.flush();
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const log: Log = { number, file: undefined, bytes: 0, written: 0, live: new Set(), failed: false, synced: true };
    this.#logs.set(number, log);
    this.#current = log;
    const [oldest] = this.#logs.keys();
    if (this.#logs.size > tailLogsMax && oldest !== undefined) this.#options.onCrowded(oldest);
    await this.#removeEmpty();
  }

  /** Hands the buffer to the file. Ends when there is another one to fill. */
  async #writeOut(): Promise<void> {
    const log = this.#current;
    if (this.#fillingLive === 0 && log !== undefined) log.bytes -= this.#dropFilling();
    if (this.#filled === 0 || log === undefined) return;
    if (this.#spare === undefined) return await this.#writing;
    const buffer = this.#filling;
    const bytes = buffer.subarray(0, this.#filled);
    const position = log.bytes - this.#filled;
    this.#filling = this.#spare;
    this.#spare = undefined;
    this.#dropFilling();
    this.#writing = this.#write(log, bytes, position).then(() => {
      this.#spare = buffer;
    });
  }

  #dropFilling(): number {
    const bytes = this.#filled;
    this.#filled = 0;
    this.#fillingLive = 0;
    return bytes;
  }

  async #write(log: Log, bytes: Uint8Array, position: number): Promise<void> {
    if (log.failed) return;
    try {
      log.file ??= await this.#create(log.number);
      await log.file.write([bytes], position);
      log.written = position + bytes.byteLength;
      log.synced = false;
      failPoint("tail: written");
    } catch (error) {
      log.failed = true;
      log.failure = error;
      if (!isDiskFull(error) && !isOutOfFiles(error)) this.#options.onFailure(error);
      // What is behind the last whole write is of no use; when it stays, no row names it.
      else await log.file?.truncate(log.written).catch(() => undefined);
    }
  }

  async #create(number: number): Promise<WritableFile> {
    for (const created of await this.#disk.makeDirectory(tailDirectory)) await this.#disk.syncDirectory(created);
    const file = await this.#disk.openWritable(tailFile(number));
    this.#directoryUnsynced = true;
    return file;
  }

  /** Ends when all that was appended by now is in the files, or lost with a full disk: `isWhole` says which. */
  async flush(): Promise<void> {
    const log = this.#current;
    for (const end = log?.bytes ?? 0; log !== undefined && !log.failed && log.written < Math.min(end, log.bytes); ) {
      await this.#writeOut();
      await this.#writing;
    }
    // What is left in the buffer of a log that failed has no place any more.
    if (log?.failed === true && log === this.#current) this.#dropFilling();
  }

  /** Whether a batch is in its file. */
  isWhole({ log, entry }: TailPlace): boolean {
    return endOfEntry(entry) <= (this.#logs.get(log)?.written ?? 0);
  }

  /** The message of a batch that is not on its way to the file yet. */
  #inBuffer({ log, entry }: TailPlace): Uint8Array | undefined {
    if (this.#current?.number !== log || this.#current.failed) return undefined;
    const start = entry.offset - (this.#current.bytes - this.#filled);
    return start < 0 ? undefined : this.#filling.subarray(start, start + entry.metadataBytes + entry.bodyBytes);
  }

  /** Whether a batch was given up because the disk was full. */
  isLost(place: TailPlace): boolean {
    return (this.#logs.get(place.log)?.failed ?? true) && !this.isWhole(place);
  }

  /** What has to be synced before a row may name what is in the files now. */
  takeUnsynced(): { files: WritableFile[]; directories: string[] } {
    const unsynced = [...this.#logs.values()].filter((log) => !log.synced);
    for (const log of unsynced) log.synced = true;
    const directories = this.#directoryUnsynced ? [tailDirectory] : [];
    this.#directoryUnsynced = false;
    return { files: unsynced.flatMap(({ file }) => file ?? []), directories };
  }

  /**
   * Reads messages one behind the other and hands them to `use`; they are borrowed until that ends. One copy at a time: there is
   * one buffer for it.
   * @throws Fault corrupt, what kept a message from its file, what `use` throws
   */
  copy(places: readonly TailPlace[], use: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    const run = this.#copying.then(() => this.#read(places)).then(use);
    this.#copying = run.catch(() => undefined);
    return run;
  }

  async #read(places: readonly TailPlace[]): Promise<Uint8Array> {
    // The last ones are those that may still be in the buffer; there they are taken before anybody writes it out.
    let at = places.reduce((sum, { entry }) => sum + entry.metadataBytes + entry.bodyBytes, 0);
    assert(at <= this.#copyBuffer.byteLength, "what is copied at once fits into the buffer");
    const bytes = this.#copyBuffer.subarray(0, at);
    let rest = places.length;
    for (let place = places[rest - 1]; place !== undefined; place = places[rest - 1]) {
      const message = this.#inBuffer(place);
      if (message === undefined) break;
      at -= message.byteLength;
      bytes.set(message, at);
      rest -= 1;
    }
    if (rest > 0) await this.#readFiles(places.slice(0, rest), bytes.subarray(0, at));
    return bytes;
  }

  async #readFiles(places: readonly TailPlace[], target: Uint8Array): Promise<void> {
    if (!places.every((place) => this.isWhole(place))) await this.#writing;
    for (const place of places) {
      const log = this.#logs.get(place.log);
      if (log?.failed === true && !this.isWhole(place)) throw log.failure;
    }
    let at = 0;
    for (let next = 0; next < places.length; ) {
      const log = places[next]?.log ?? 0;
      const file = await this.#disk.openReadable(tailFile(log));
      try {
        for (let place = places[next]; place?.log === log; place = places[next]) {
          const message = target.subarray(at, at + place.entry.metadataBytes + place.entry.bodyBytes);
          await file.read(message, place.entry.offset);
          checkCopy(message, place);
          at += message.byteLength;
          next += 1;
        }
      } finally {
        await file.close();
      }
    }
  }

  /** Says that frames have moved or are given up, and that no row names them. */
  release(places: readonly TailPlace[]): void {
    for (const place of places) {
      const known = this.#logs.get(place.log);
      if (known?.live.delete(place.entry.offset) !== true) continue;
      if (this.#inBuffer(place) !== undefined) this.#fillingLive -= 1;
    }
    this.#removing = this.#removing.then(() => this.#removeEmpty());
  }

  async #removeEmpty(): Promise<void> {
    for (const log of [...this.#logs.values()]) {
      if (log.live.size > 0 || log === this.#current || (log.written !== log.bytes && !log.failed)) continue;
      this.#logs.delete(log.number);
      await this.#remove(log);
    }
  }

  async #remove(log: Log): Promise<void> {
    await log.file?.close().catch(() => undefined);
    // What stays is removed at the next start, for no row names it.
    await this.#disk.remove(tailFile(log.number)).catch(() => undefined);
    failPoint("tail: removed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    await this.#removing;
    for (const log of this.#logs.values()) {
      if (log.live.size === 0) await this.#remove(log);
      else await log.file?.close();
    }
    this.#logs.clear();
  }
}

/** @throws Fault corrupt */
function checkCopy(bytes: Uint8Array, { log, entry }: TailPlace): void {
  const found = crc32([bytes]);
  if (found === entry.crc32) return;
  throw new Fault(
    "corrupt",
    `Cannot move a batch from ${tailFile(log)} at ${entry.offset}: its checksum is ${found}, expected ${entry.crc32}`,
  );
}
