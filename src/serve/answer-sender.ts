/**
 * Sends the one message of an answer. Its bytes are taken from a budget before it is built: listings may have any size. While the
 * client does not read they go back when somebody else waits, and the answer is built anew when it reads on: who does not read
 * holds up nobody.
 */

import type { Budget } from "../flow/budget.ts";
import type { BufferPool } from "../flow/buffer-pool.ts";
import { Loan } from "../flow/loan.ts";
import { crc32 } from "../host/checksum.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { answerBytesMax, freeMessageBytes } from "../model/limits.ts";
import type { TakenCall } from "./call-door.ts";
import { SliceWriter } from "./slice-writer.ts";

export interface AnswerParts {
  /** What answers take that are not small. */
  readonly answerBudget: Budget;
  readonly sendBudget: Budget;
  readonly pool: BufferPool;
  /** Time that an answer keeps its memory though others wait, in milliseconds. */
  readonly loanLeastMs: number;
}

export interface Answer {
  /** About how many bytes it will have, from what the catalog has for it. */
  readonly estimateBytes: number;
  /** May be called again, and answers the same as long as nothing has changed. */
  build(): Uint8Array | Promise<Uint8Array>;
}

const prefixBytes = 5;
/** What is copied out of an answer at once: all of it that a client holds that does not read, beside its slices. */
const stepBytes = 64 * 1024;

/**
 * Ends when the socket has taken everything.
 * @throws Fault overloaded (too large), unavailable (it changed while the client took its time), what the call's signal says
 */
export async function sendAnswer(parts: AnswerParts, call: TakenCall, answer: Answer): Promise<void> {
  const { estimateBytes } = answer;
  if (estimateBytes > answerBytesMax) {
    throw new Fault(
      "overloaded",
      `The answer would have about ${estimateBytes} bytes, at most ${answerBytesMax} are sent: ask for less at once.`,
    );
  }
  if (estimateBytes <= freeMessageBytes) {
    // A little more than it should have been is no harm.
    await call.response.write(frame(await answer.build()));
    return;
  }
  using source = new LentMessage(parts, answer, call.signal);
  const slices = new SliceWriter(call.response, parts.sendBudget, parts.pool);
  try {
    const bytes = await source.ready();
    await slices.write(prefixOf(bytes));
    for (let at = 0; at < bytes; at += stepBytes) {
      await source.ready();
      // The message itself has no name here: a function that waits keeps what it has a name for.
      const step = source.copy(at, at + stepBytes);
      source.pause();
      await slices.write(step);
      source.resume();
    }
    source.pause();
    await slices.flush();
  } finally {
    slices.close();
  }
}

/** The message as long as its memory is not wanted by others, and again when it is asked for. */
class LentMessage implements Disposable {
  readonly #answer: Answer;
  readonly #signal: AbortSignal;
  readonly #loan: Loan;
  #message: Uint8Array | undefined;
  #sum: number | undefined;

  constructor({ answerBudget, loanLeastMs }: AnswerParts, answer: Answer, signal: AbortSignal) {
    this.#answer = answer;
    this.#signal = signal;
    this.#loan = new Loan(answerBudget, {
      leastMs: loanLeastMs,
      dropWork: () => {
        this.#message = undefined;
      },
    });
  }

  /** Ends when the message is there to be copied from, until the next pause. How many bytes it has. */
  async ready(): Promise<number> {
    if (this.#message !== undefined) return this.#message.byteLength;
    this.#loan[Symbol.dispose]();
    await this.#loan.take(this.#answer.estimateBytes, this.#signal);
    const message = await this.#answer.build();
    const sum = crc32([message]);
    if (this.#sum !== undefined && this.#sum !== sum) {
      throw new Fault("unavailable", "What is listed has changed while the answer was read, ask again.");
    }
    this.#sum = sum;
    this.#message = message;
    return message.byteLength;
  }

  copy(start: number, end: number): Uint8Array {
    assert(this.#message !== undefined, "what is copied from is ready");
    return Uint8Array.from(this.#message.subarray(start, end));
  }

  pause(): void {
    this.#loan.pause();
  }

  resume(): void {
    this.#loan.resume();
  }

  [Symbol.dispose](): void {
    this.#loan[Symbol.dispose]();
    this.#message = undefined;
  }
}

/** Messages one behind the other, each as gRPC frames it. */
export function frame(...messages: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(messages.flatMap((message) => [prefixOf(message.byteLength), message]));
}

function prefixOf(bytes: number): Uint8Array {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(bytes, 1);
  return prefix;
}
