/** Reads single messages of a chunk file by their entries. Nothing is held between reads but the open file. */

import { splitFrame } from "../arrow/frame.ts";
import { crc32 } from "../host/checksum.ts";
import type { ReadableFile, ReadDisk } from "../host/disk.ts";
import { leaveGarbage } from "../host/young-garbage.ts";
import type { BatchEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { readAheadBytes } from "../model/limits.ts";

export interface StoredMessage {
  /** The bare flatbuffer Message, perhaps with padding behind it. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

export class ChunkReader implements AsyncDisposable {
  readonly #file: ReadableFile;
  /** Bytes of the file from `at` on: small batches are read many at a time. */
  #ahead: { readonly at: number; readonly bytes: Uint8Array } | undefined;

  private constructor(file: ReadableFile) {
    this.#file = file;
  }

  /** @throws Fault absent */
  static async open(disk: Pick<ReadDisk, "openReadable">, path: string): Promise<ChunkReader> {
    return new ChunkReader(await disk.openReadable(path));
  }

  /** The header alone: what is needed to announce a message before its body is read. */
  async readMetadata(entry: BatchEntry): Promise<{ header: Uint8Array; bytes: Uint8Array }> {
    const bytes = Buffer.allocUnsafe(entry.metadataBytes);
    await this.#read(bytes, entry.offset);
    return { header: splitFrame(bytes), bytes };
  }

  /** Reads a part of the body, from its byte `at` on, into `target`. */
  readBody(entry: BatchEntry, at: number, target: Uint8Array): Promise<void> {
    return this.#read(target, entry.offset + entry.metadataBytes + at);
  }

  async #read(target: Uint8Array, position: number): Promise<void> {
    if (this.#fromAhead(target, position)) return;
    if (target.byteLength > readAheadBytes / 2) return await this.#file.read(target, position);
    const size = Math.min(readAheadBytes, (await this.#file.size()) - position);
    if (size < target.byteLength) return await this.#file.read(target, position);
    const bytes = Buffer.allocUnsafeSlow(size);
    leaveGarbage(size);
    await this.#file.read(bytes, position);
    this.#ahead = { at: position, bytes };
    this.#fromAhead(target, position);
  }

  #fromAhead(target: Uint8Array, position: number): boolean {
    const ahead = this.#ahead;
    if (ahead === undefined) return false;
    const start = position - ahead.at;
    if (start < 0 || start + target.byteLength > ahead.bytes.byteLength) return false;
    target.set(ahead.bytes.subarray(start, start + target.byteLength));
    return true;
  }

  /** Reads a whole message and checks it. @throws Fault corrupt when its checksum differs */
  async readMessage(entry: BatchEntry): Promise<StoredMessage> {
    const bytes = Buffer.allocUnsafe(entry.metadataBytes + entry.bodyBytes);
    leaveGarbage(bytes.byteLength);
    await this.#file.read(bytes, entry.offset);
    const found = crc32([bytes]);
    if (found !== entry.crc32) throw this.wrongChecksum(entry, found);
    return { header: splitFrame(bytes.subarray(0, entry.metadataBytes)), body: bytes.subarray(entry.metadataBytes) };
  }

  wrongChecksum(entry: BatchEntry, found: number): Fault {
    return new Fault(
      "corrupt",
      `Cannot read ${this.#file.path} at ${entry.offset}: the checksum of ${entry.metadataBytes + entry.bodyBytes} bytes is ${found}, expected ${entry.crc32}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
