/** Reads single messages of a chunk file by their entries. Nothing is held between reads but the open file. */

import { splitFrame } from "../arrow/frame.ts";
import { crc32 } from "../host/checksum.ts";
import type { Disk, ReadableFile } from "../host/disk.ts";
import type { BatchEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";

export interface StoredMessage {
  /** The bare flatbuffer Message, perhaps with padding behind it. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

export class ChunkReader implements AsyncDisposable {
  readonly #file: ReadableFile;

  private constructor(file: ReadableFile) {
    this.#file = file;
  }

  /** @throws Fault absent */
  static async open(disk: Disk, path: string): Promise<ChunkReader> {
    return new ChunkReader(await disk.openReadable(path));
  }

  /** The header alone: what is needed to lay out a message before its body is read into place. */
  async readMetadata(entry: BatchEntry): Promise<{ header: Uint8Array; bytes: Uint8Array }> {
    const bytes = Buffer.allocUnsafe(entry.metadataBytes);
    await this.#file.read(bytes, entry.offset);
    return { header: splitFrame(bytes), bytes };
  }

  /** Reads the first bytes of the body into `target`. */
  readBody(entry: BatchEntry, target: Uint8Array): Promise<void> {
    return this.#file.read(target, entry.offset + entry.metadataBytes);
  }

  /** Reads a whole message and checks it. @throws Fault corrupt when its checksum differs */
  async readMessage(entry: BatchEntry): Promise<StoredMessage> {
    const bytes = Buffer.allocUnsafe(entry.metadataBytes + entry.bodyBytes);
    await this.#file.read(bytes, entry.offset);
    const found = crc32([bytes]);
    if (found !== entry.crc32) throw this.wrongChecksum(entry, found);
    return { header: splitFrame(bytes.subarray(0, entry.metadataBytes)), body: bytes.subarray(entry.metadataBytes) };
  }

  wrongChecksum(entry: BatchEntry, found: number): Fault {
    return new Fault("corrupt", `Cannot read ${this.#file.path} at ${entry.offset}: the checksum of ${entry.metadataBytes + entry.bodyBytes} bytes is ${found}, expected ${entry.crc32}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
