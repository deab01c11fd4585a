/**
 * Sends messages in slices, as the client takes them. A stream that is not read holds two slices, never a message: a client
 * that opens many topics and reads one of them first would otherwise hold all memory with the others.
 */

import type { Budget, Held } from "../flow/budget.ts";
import type { BufferPool, Lease } from "../flow/buffer-pool.ts";
import { readSliceBytes } from "../model/limits.ts";
import type { ResponseStream } from "./response-stream.ts";

interface Slice {
  readonly lease: Lease;
  readonly held: Held | undefined;
  readonly bytes: Uint8Array;
  filled: number;
  /** Up to the end of the last whole message. */
  whole: number;
}

export class SliceWriter {
  readonly #response: ResponseStream;
  readonly #budget: Budget;
  readonly #pool: BufferPool;
  #slice: Slice | undefined;
  /** The write under way: one slice goes out while the next is filled. */
  #sending: Promise<void> = Promise.resolve();

  constructor(response: ResponseStream, budget: Budget, pool: BufferPool) {
    this.#response = response;
    this.#budget = budget;
    this.#pool = pool;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; ) {
      const room = await this.#room();
      const part = bytes.subarray(at, at + room.byteLength);
      room.set(part);
      this.#advance(part.byteLength);
      at += part.byteLength;
    }
  }

  /** Writes `bytes` bytes that `fill` provides, piece by piece. */
  async writeFrom(bytes: number, fill: (target: Uint8Array) => Promise<void>): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const target = (await this.#room()).subarray(0, left);
      await fill(target);
      this.#advance(target.byteLength);
      left -= target.byteLength;
    }
  }

  /** What was written so far ends with a whole message. */
  endMessage(): void {
    if (this.#slice !== undefined) this.#slice.whole = this.#slice.filled;
  }

  /** Sends the whole messages alone, when there will be no more. */
  async flushWhole(): Promise<void> {
    if (this.#slice !== undefined) this.#slice.filled = this.#slice.whole;
    await this.flush();
  }

  /** Ends when the socket has taken everything. */
  async flush(): Promise<void> {
    await this.#send();
    await this.#sending;
  }

  /** Gives back what is held; what is still on its way is left alone. */
  close(): void {
    this.#slice?.held?.[Symbol.dispose]();
    this.#slice?.lease[Symbol.dispose]();
    this.#slice = undefined;
  }

  async #room(): Promise<Uint8Array> {
    const full = this.#slice !== undefined && this.#slice.filled === this.#slice.bytes.byteLength;
    if (full) await this.#send();
    this.#slice ??= this.#open();
    return this.#slice.bytes.subarray(this.#slice.filled);
  }

  #advance(bytes: number): void {
    if (this.#slice !== undefined) this.#slice.filled += bytes;
  }

  /** Never waits for memory: when none is free, small slices keep every stream going. */
  #open(): Slice {
    const held = this.#budget.tryTake(readSliceBytes.most);
    const size = held === undefined ? readSliceBytes.least : readSliceBytes.most;
    const lease = this.#pool.lease(size);
    return { lease, held, bytes: lease.bytes.subarray(0, size), filled: 0, whole: 0 };
  }

  async #send(): Promise<void> {
    await this.#sending;
    const slice = this.#slice;
    if (slice === undefined || slice.filled === 0) return;
    this.#slice = undefined;
    this.#sending = this.#response
      .write(slice.bytes.subarray(0, slice.filled))
      // After a failure the bytes may still be on their way: the buffer is left to the collector, not used again.
      .then(() => slice.lease[Symbol.dispose]())
      .finally(() => slice.held?.[Symbol.dispose]());
    this.#sending.catch(() => undefined);
  }
}
