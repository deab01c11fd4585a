// Schemas and batches made by hand, for tests that need bytes no writer would write.

import { Builder } from "flatbuffers";
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

/** The header of a batch whose buffers are compressed by zstd, which nothing of ours writes. */
export function encodeZstdHeader({ rows, nodes, buffers, bodyBytes }: BatchParts): Uint8Array {
  const builder = new Builder(256);
  const pairs = (list: readonly (readonly [number, number])[]): number => {
    builder.startVector(16, list.length, 8);
    for (const [first, second] of [...list].reverse()) {
      builder.writeInt64(BigInt(second));
      builder.writeInt64(BigInt(first));
    }
    return builder.endVector();
  };
  const bufferVector = pairs(buffers.map(({ offset, length }) => [offset, length] as const));
  const nodeVector = pairs(nodes.map(({ length, nulls }) => [length, nulls] as const));
  builder.startObject(2);
  builder.addFieldInt8(0, 1, 0);
  const compression = builder.endObject();
  builder.startObject(5);
  builder.addFieldInt64(0, BigInt(rows), 0n);
  builder.addFieldOffset(1, nodeVector, 0);
  builder.addFieldOffset(2, bufferVector, 0);
  builder.addFieldOffset(3, compression, 0);
  const batch = builder.endObject();
  builder.startObject(5);
  builder.addFieldInt16(0, 4, 0);
  builder.addFieldInt8(1, 3, 0);
  builder.addFieldOffset(2, batch, 0);
  builder.addFieldInt64(3, BigInt(bodyBytes), 0n);
  builder.finish(builder.endObject());
  return builder.asUint8Array();
}
