// IPC streams as pyarrow writes them, for tests: read into batches, and put together out of messages.

import type { Batch } from "../../src/arrow/batch.ts";
import { readBatch } from "../../src/arrow/batch.ts";
import { frameHeader, paddedBytes } from "../../src/arrow/frame.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { readSchema, type Schema } from "../../src/arrow/schema.ts";
import type { Outgoing } from "../load/flight-client.ts";
import { splitStream } from "../load/messages.ts";

/** The header is the flatbuffer with its padding. */
export type StreamMessage = Outgoing;

export function joinStream(messages: readonly StreamMessage[]): Uint8Array {
  return Buffer.concat([
    ...messages.flatMap(({ header, body }) => [
      frameHeader(header),
      body,
      new Uint8Array(paddedBytes(body.byteLength) - body.byteLength),
    ]),
    Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0),
  ]);
}

export interface ReadStream {
  readonly schema: Schema;
  /** All messages but the batches. */
  readonly before: readonly StreamMessage[];
  readonly batches: readonly Batch[];
}

export function readStream(stream: Uint8Array): ReadStream {
  const messages = splitStream(stream);
  const kinds = messages.map(({ header, body }) => ({ header, body, message: readMessage(header, body.byteLength) }));
  const [first] = messages;
  if (first === undefined) throw new RangeError("a stream begins with its schema");
  const schema = readSchema(first.header);
  return {
    schema,
    before: kinds.filter(({ message }) => message.kind !== "batch"),
    batches: kinds
      .filter(({ message }) => message.kind === "batch")
      .map(({ message, body }) => readBatch(schema, message, body)),
  };
}
