/** Sends the one message of an answer, as the client takes it. */

import type { Budget } from "../flow/budget.ts";
import type { BufferPool } from "../flow/buffer-pool.ts";
import { freeMessageBytes } from "../model/limits.ts";
import type { TakenCall } from "./call-door.ts";
import { SliceWriter } from "./slice-writer.ts";

export interface AnswerParts {
  readonly sendBudget: Budget;
  readonly pool: BufferPool;
}

const prefixBytes = 5;

/** Ends when the socket has taken everything. @throws what the call's signal says */
export async function sendAnswer(parts: AnswerParts, call: TakenCall, message: Uint8Array): Promise<void> {
  if (message.byteLength <= freeMessageBytes) {
    await call.response.write(frame(message));
    return;
  }
  // Slices are copies: what a socket keeps of an answer that is broken off is not the whole of it.
  const slices = new SliceWriter(call.response, parts.sendBudget, parts.pool);
  try {
    await slices.write(prefixOf(message));
    await slices.write(message);
    await slices.flush();
  } finally {
    slices.close();
  }
}

/** Messages one behind the other, each as gRPC frames it. */
export function frame(...messages: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(messages.flatMap((message) => [prefixOf(message), message]));
}

function prefixOf(message: Uint8Array): Uint8Array {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(message.byteLength, 1);
  return prefix;
}
