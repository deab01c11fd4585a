/** Reads one file from its beginning to its end in large pieces, however small the parts that are asked for. */

import { crc32 } from "../host/checksum.ts";
import type { ReadableFile, ReadDisk } from "../host/disk.ts";
import { scanBlockBytes } from "../model/limits.ts";

export class FileScan implements AsyncDisposable {
  readonly bytes: number;
  readonly #file: ReadableFile;
  /** Most files are small: a whole block for each would keep the collector busy more than all else. */
  readonly #block: Buffer;
  #blockAt = 0;
  #blockBytes = 0;

  private constructor(file: ReadableFile, bytes: number) {
    this.#file = file;
    this.bytes = bytes;
    this.#block = Buffer.allocUnsafe(Math.min(scanBlockBytes, bytes));
  }

  /** @throws Fault absent */
  static async open(disk: Pick<ReadDisk, "openReadable">, path: string): Promise<FileScan> {
    const file = await disk.openReadable(path);
    try {
      return new FileScan(file, await file.size());
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Bytes of the file, fewer where it ends. Borrowed until the next read when they are not more than a block. */
  async read(at: number, length: number): Promise<Buffer> {
    const end = Math.min(at + length, this.bytes);
    if (end <= at) return Buffer.alloc(0);
    if (end - at > this.#block.byteLength) {
      const bytes = Buffer.allocUnsafe(end - at);
      await this.#file.read(bytes, at);
      return bytes;
    }
    if (at < this.#blockAt || end > this.#blockAt + this.#blockBytes) {
      const blockBytes = Math.min(this.#block.byteLength, this.bytes - at);
      this.#blockBytes = 0;
      await this.#file.read(this.#block.subarray(0, blockBytes), at);
      this.#blockAt = at;
      this.#blockBytes = blockBytes;
    }
    return this.#block.subarray(at - this.#blockAt, end - this.#blockAt);
  }

  /** Undefined when the file ends before. */
  async checksum(at: number, length: number): Promise<number | undefined> {
    if (at < 0 || length < 0 || at + length > this.bytes) return undefined;
    let value = 0;
    for (let done = 0; done < length; ) {
      const piece = await this.read(at + done, Math.min(this.#block.byteLength, length - done));
      value = crc32([piece], value);
      done += piece.byteLength;
    }
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
