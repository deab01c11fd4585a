// IPC streams as pyarrow writes them, for tests: split into messages, and put together again.

import type { Batch } from "../../src/arrow/batch.ts";
import { readBatch } from "../../src/arrow/batch.ts";
import { frameHeader, paddedBytes } from "../../src/arrow/frame.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { readSchema, type Schema } from "../../src/arrow/schema.ts";

export interface StreamMessage {
  /** The flatbuffer with its padding. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** The messages of a stream, the schema first. */
export function splitStream(stream: Uint8Array): StreamMessage[] {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const messages: StreamMessage[] = [];
  for (let at = 0; at + 8 <= stream.byteLength; ) {
    const length = view.getInt32(at + 4, true);
    if (length === 0) break;
    const header = stream.subarray(at + 8, at + 8 + length);
    const bodyStart = at + 8 + length;
    const { bodyBytes } = readMessage(header);
    messages.push({ header, body: stream.subarray(bodyStart, bodyStart + bodyBytes) });
    at = bodyStart + bodyBytes;
  }
  return messages;
}

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
