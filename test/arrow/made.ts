// Schemas and batches made by hand, for tests that need bytes no writer would write.

import type { BatchParts } from "../../src/arrow/batch-header.ts";
import { encodeBatchHeader } from "../../src/arrow/batch-header.ts";
import { type Message, readMessage } from "../../src/arrow/message.ts";
import type { Field, Schema } from "../../src/arrow/schema.ts";
import type { ArrowType } from "../../src/arrow/type.ts";

export function fieldOf(name: string, type: ArrowType, children: readonly Field[] = []): Field {
  return { name, nullable: true, type, children };
}

export function schemaOf(...fields: readonly Field[]): Schema {
  return { fields, header: new Uint8Array(0), position: 0 };
}

export const int = (bits: 8 | 16 | 32 | 64): ArrowType => ({ kind: "int", bits, signed: true });
export const timestampField: Field = fieldOf("timestamp_ns", int(64));

/** The header of a batch whose buffers lie one behind the other, each on a multiple of 8. */
export function partsOf(
  rows: number,
  nodes: BatchParts["nodes"],
  lengths: readonly number[],
  variadicCounts: readonly number[] = [],
): BatchParts {
  let at = 0;
  const buffers = lengths.map((length) => {
    const offset = at;
    at += (length + 7) & ~7;
    return { offset, length };
  });
  return { rows, nodes, buffers, variadicCounts, bodyBytes: at };
}

export function messageOf(parts: BatchParts): Message {
  return readMessage(encodeBatchHeader(parts));
}
