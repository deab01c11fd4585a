/**
 * Bytes that are really written and given up when the catalog needs room on a full disk. A file of zeros, or one that was only
 * made longer, may take no room at all where a file system compresses or leaves holes.
 */

import type { Disk } from "./disk.ts";
import { newNoise } from "./entropy.ts";

export class Reserve {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #bytes: number;
  #held = false;

  constructor(disk: Disk, path: string, bytes: number) {
    this.#disk = disk;
    this.#path = path;
    this.#bytes = bytes;
  }

  /** Whether the bytes are there to be given up. */
  get held(): boolean {
    return this.#held;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Looks whether an earlier life of the server has left them. */
  async find(): Promise<void> {
    this.#held = (await this.#disk.exists(this.#path)) && (await sizeOf(this.#disk, this.#path)) >= this.#bytes;
  }

  /** Takes the bytes, unless they are there. @throws Fault overloaded when the disk is too full for them */
  async take(): Promise<void> {
    if (this.#held) return;
    const file = await this.#disk.openWritable(this.#path);
    try {
      const piece = newNoise(1024 * 1024);
      for (let at = await sizeOf(this.#disk, this.#path); at < this.#bytes; at += piece.byteLength) {
        await file.write([piece.subarray(0, Math.min(piece.byteLength, this.#bytes - at))], at);
      }
      await file.sync();
      this.#held = true;
    } catch (error) {
      await file.truncate(0).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Gives the bytes up; whether there were any. */
  async giveUp(): Promise<boolean> {
    if (!this.#held) return false;
    this.#held = false;
    await this.#disk.remove(this.#path);
    return true;
  }
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  const reader = await disk.openReadable(path);
  try {
    return await reader.size();
  } finally {
    await reader.close();
  }
}
