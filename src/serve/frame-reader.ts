/**
 * gRPC messages out of an HTTP/2 stream, with the memory budget asked before the first byte of a message is kept. grpc-js
 * assembles messages before anybody sees their length and prefetches up to 16 per stream; here a stream whose next message
 * is not admitted is simply not read, and its window makes the client wait.
 *
 *   u8 flag (1 = compressed by the call's encoding), u32 length (big-endian), then so many bytes
 */

import type { ServerHttp2Stream } from "node:http2";
import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import type { Budget, Held } from "../flow/budget.ts";
import { BufferPool, type Lease } from "../flow/buffer-pool.ts";
import { leaveGarbage } from "../host/young-garbage.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { smallMessageBytes } from "../model/limits.ts";
import { Pace, type PaceGroup, type PaceLimits, paceGroupOf } from "./pace.ts";

export const messageEncodings = ["identity", "gzip", "deflate"] as const;
export type MessageEncoding = (typeof messageEncodings)[number];

/** One message; `release` gives its memory back. */
export interface Frame {
  readonly bytes: Uint8Array;
  release(): void;
}

/** What the messages of a request may be, and what they may hold up. */
export interface RequestLimits {
  readonly budget: Budget;
  /** What messages up to `smallMessageBytes` take theirs from instead. */
  readonly smallBudget?: Budget;
  /** Messages up to this many bytes take nothing from the budget. */
  readonly freeBytesMax: number;
  readonly messageBytesMax: number;
  /** The setting that `messageBytesMax` comes from, for whoever is refused. */
  readonly setting?: string;
  /** Time without a byte after which a message under way is given up, in milliseconds. */
  readonly stallMs: number;
  /** The same in front of a message; undefined where a client may rest as long as it likes. */
  readonly restMs: number | undefined;
  /** How fast a message under way has to come while others wait for the budget; undefined where `stallMs` is all. */
  readonly pace: PaceLimits | undefined;
}

export interface FrameReaderOptions extends RequestLimits {
  readonly pool: BufferPool;
  readonly encoding: MessageEncoding;
  readonly signal: AbortSignal;
}

interface Assembly {
  readonly compressed: boolean;
  readonly length: number;
  readonly lease: Lease;
  readonly held: Held | undefined;
  readonly pace: Pace | undefined;
  filled: number;
}

interface RawFrame extends Frame {
  readonly compressed: boolean;
}

const prefixBytes = 5;
const decompress = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;

export class FrameReader {
  readonly #stream: ServerHttp2Stream;
  readonly #options: FrameReaderOptions;
  readonly #group: PaceGroup;
  /** Bytes that arrived and are not consumed yet: what came in one piece with the end of a message. */
  #rest: Buffer | undefined;
  readonly #prefix = Buffer.alloc(prefixBytes);
  #prefixFilled = 0;
  #assembly: Assembly | undefined;
  #ready: RawFrame | undefined;
  #ended = false;
  #messages = 0;
  #memoryWaitMs = 0;
  #memoryWaitSinceMs: number | undefined;
  #failure: unknown;
  #wake: (() => void) | undefined;
  /** Runs while bytes are waited for that have to come: those of a message under way, which holds memory. */
  #stall: NodeJS.Timeout | undefined;

  constructor(stream: ServerHttp2Stream, options: FrameReaderOptions) {
    this.#stream = stream;
    this.#options = options;
    // Without a session the stream has ended.
    this.#group = paceGroupOf(stream.session ?? stream);
    stream.on("data", this.#onData);
    stream.on("end", () => {
      this.#ended = true;
      this.#wakeUp();
    });
    stream.pause();
    options.signal.addEventListener("abort", () => this.#fail(options.signal.reason), { once: true });
  }

  /**
   * The next message, undefined when the client has closed its side after a whole one.
   * @throws Fault overloaded (message too large), invalid (cut in mid-message, bad compression), or what the signal says
   */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const ready = this.#ready;
      if (ready !== undefined) {
        this.#ready = undefined;
        return ready.compressed ? await this.#inflate(ready) : ready;
      }
      await this.#consume();
      if (this.#ready !== undefined || this.#failure !== undefined) continue;
      if (this.#ended && this.#rest === undefined) return this.#atEnd();
      await this.#arrival();
    }
  }

  #atEnd(): undefined {
    if (this.#prefixFilled > 0 || this.#assembly !== undefined) {
      throw new Fault(
        "invalid",
        `The stream ends inside a message: ${this.#assembly?.filled ?? 0} of ${this.#assembly?.length ?? "unknown"} bytes have arrived.`,
      );
    }
    return undefined;
  }

  /** Messages that have come whole. */
  get messages(): number {
    return this.#messages;
  }

  /** Time that messages have waited for their memory, in milliseconds. */
  get memoryWaitMs(): number {
    const sinceMs = this.#memoryWaitSinceMs;
    return this.#memoryWaitMs + (sinceMs === undefined ? 0 : performance.now() - sinceMs);
  }

  /** Gives back what a message under way holds, and takes no more. */
  close(): void {
    this.#stream.off("data", this.#onData);
    this.#assembly?.lease[Symbol.dispose]();
    this.#assembly?.held?.[Symbol.dispose]();
    this.#assembly?.pace?.[Symbol.dispose]();
    this.#assembly = undefined;
    this.#ready?.release();
    this.#ready = undefined;
    this.#rest = undefined;
  }

  async #arrival(): Promise<void> {
    const { stallMs, restMs } = this.#options;
    const [waitMs, where] =
      this.#assembly === undefined ? [restMs, "in front of a message"] : [stallMs, "in the middle of a message"];
    if (waitMs !== undefined) this.#stall = setTimeout(() => this.#fail(stalled(waitMs, where)), waitMs);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#stream.resume();
    });
    this.#wake = undefined;
    clearTimeout(this.#stall);
    this.#stall = undefined;
  }

  #wakeUp(): void {
    this.#wake?.();
  }

  #fail(error: unknown): void {
    this.#failure ??= error ?? new Fault("cancelled", "The call was cancelled.");
    this.#wakeUp();
  }

  /** Straight into the message under way as long as there is one; everything else waits for `next`. */
  readonly #onData = (bytes: Buffer): void => {
    this.#stall?.refresh();
    leaveGarbage(bytes.byteLength);
    const assembly = this.#assembly;
    if (assembly !== undefined && this.#rest === undefined) {
      const used = fill(assembly, bytes);
      if (used < bytes.byteLength) this.#rest = bytes.subarray(used);
      if (assembly.filled < assembly.length) return;
    } else this.#rest = this.#rest === undefined ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#stream.pause();
    this.#wakeUp();
  };

  /** Takes from what has arrived until a message is whole or bytes are missing. */
  async #consume(): Promise<void> {
    while (this.#ready === undefined) {
      if (this.#assembly === undefined) {
        this.#takePrefix();
        if (this.#prefixFilled < prefixBytes) return;
        this.#assembly = await this.#admit();
        this.#prefixFilled = 0;
      }
      const assembly = this.#assembly;
      if (this.#rest !== undefined) {
        const used = fill(assembly, this.#rest);
        this.#rest = used === this.#rest.byteLength ? undefined : this.#rest.subarray(used);
      }
      if (assembly.filled < assembly.length) return;
      this.#assembly = undefined;
      this.#ready = toFrame(assembly);
      this.#messages += 1;
    }
  }

  #takePrefix(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    const used = Math.min(prefixBytes - this.#prefixFilled, rest.byteLength);
    rest.copy(this.#prefix, this.#prefixFilled, 0, used);
    this.#prefixFilled += used;
    this.#rest = used === rest.byteLength ? undefined : rest.subarray(used);
  }

  /** Checks the length before anything is allocated, then waits for its memory. */
  async #admit(): Promise<Assembly> {
    const { freeBytesMax, pool, messageBytesMax, setting, encoding } = this.#options;
    const flag = this.#prefix.readUInt8(0);
    const length = this.#prefix.readUInt32BE(1);
    if (flag > 1) throw new Fault("invalid", `A gRPC message starts with flag ${flag}, expected 0 or 1.`);
    const compressed = flag === 1;
    if (compressed && encoding === "identity") {
      throw new Fault("invalid", "A gRPC message is compressed, but the call names no encoding.");
    }
    if (length > messageBytesMax) {
      throw new Fault(
        "overloaded",
        `Received message larger than max: ${length} bytes, at most ${messageBytesMax} are allowed${named(setting)}.`,
      );
    }
    // A compressed message may unfold to the limit.
    const bytes = BufferPool.classBytes(length) + (compressed ? messageBytesMax : 0);
    const budget = this.#budgetOf(bytes);
    // What has come whole already waits for nobody's link.
    const pace = (this.#rest?.byteLength ?? 0) < length ? this.#pace(budget) : undefined;
    const held = bytes <= freeBytesMax ? undefined : await this.#take(bytes, { budget, pace });
    pace?.begin();
    return { compressed, length, lease: pool.lease(length), held, pace, filled: 0 };
  }

  #budgetOf(bytes: number): Budget {
    const { budget: large, smallBudget = large } = this.#options;
    return bytes <= smallMessageBytes ? smallBudget : large;
  }

  async #take(bytes: number, { budget, pace }: { budget: Budget; pace: Pace | undefined }): Promise<Held> {
    const { signal } = this.#options;
    const sinceMs = performance.now();
    this.#memoryWaitSinceMs = sinceMs;
    try {
      return await budget.take(Math.min(bytes, budget.limitBytes), signal, pace?.wanted);
    } finally {
      this.#memoryWaitSinceMs = undefined;
      this.#memoryWaitMs += performance.now() - sinceMs;
    }
  }

  #pace(budget: Budget): Pace | undefined {
    const { pace } = this.#options;
    if (pace === undefined) return undefined;
    return new Pace({
      ...pace,
      group: this.#group,
      isWanted: () => budget.use().waiting > 0,
      late: () =>
        this.#fail(new Fault("overloaded", "The message came too slowly while others waited for the memory.")),
    });
  }

  async #inflate(frame: RawFrame): Promise<Frame> {
    const { encoding, messageBytesMax, setting } = this.#options;
    assert(encoding !== "identity", "identity is never compressed");
    try {
      const bytes = await decompress[encoding](frame.bytes, { maxOutputLength: messageBytesMax });
      return { bytes, release: frame.release };
    } catch (error) {
      frame.release();
      if (error instanceof RangeError) {
        throw new Fault(
          "overloaded",
          `A ${encoding} message unfolds to more than ${messageBytesMax} bytes${named(setting)}.`,
          error,
        );
      }
      throw new Fault(
        "invalid",
        `A message is no ${encoding} data: ${error instanceof Error ? error.message : ""}`,
        error,
      );
    }
  }
}

function stalled(stallMs: number, where: string): Fault {
  return new Fault("expired", `The client sent nothing for ${stallMs} ms ${where}.`);
}

function named(setting: string | undefined): string {
  return setting === undefined ? "" : ` (${setting})`;
}

/** Copies what is missing; returns how many bytes of `source` were used. */
function fill(assembly: Assembly, source: Uint8Array): number {
  const used = Math.min(assembly.length - assembly.filled, source.byteLength);
  assembly.lease.bytes.set(used === source.byteLength ? source : source.subarray(0, used), assembly.filled);
  assembly.filled += used;
  assembly.pace?.moved(used);
  return used;
}

function toFrame({ compressed, length, lease, held, pace }: Assembly): RawFrame {
  // From here on it is ours to be fast.
  pace?.[Symbol.dispose]();
  return {
    compressed,
    bytes: lease.bytes.subarray(0, length),
    release() {
      lease[Symbol.dispose]();
      held?.[Symbol.dispose]();
    },
  };
}
