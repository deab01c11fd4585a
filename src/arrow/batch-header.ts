/** Writes the header of a record batch or dictionary whose body is uncompressed. */

import { Builder } from "flatbuffers";

const metadataVersion5 = 4;
const headerDictionary = 2;
const headerBatch = 3;

export interface BatchParts {
  readonly rows: number;
  readonly nodes: readonly { readonly length: number; readonly nulls: number }[];
  /** Places of the buffers in the body. */
  readonly buffers: readonly { readonly offset: number; readonly length: number }[];
  readonly variadicCounts: readonly number[];
  readonly bodyBytes: number;
  /** For a dictionary message. */
  readonly dictionary?: DictionaryPart | undefined;
}

export interface DictionaryPart {
  readonly id: bigint;
  readonly isDelta: boolean;
}

/** @returns a Message flatbuffer */
export function encodeBatchHeader(parts: BatchParts): Uint8Array {
  const builder = new Builder(256 + 16 * (parts.nodes.length + parts.buffers.length));
  let variadic: number | undefined;
  if (parts.variadicCounts.length > 0) {
    builder.startVector(8, parts.variadicCounts.length, 8);
    for (const count of [...parts.variadicCounts].reverse()) builder.addInt64(BigInt(count));
    variadic = builder.endVector();
  }
  const buffers = pairVector(
    builder,
    parts.buffers.map(({ offset, length }) => [offset, length] as const),
  );
  const nodes = pairVector(
    builder,
    parts.nodes.map(({ length, nulls }) => [length, nulls] as const),
  );
  builder.startObject(5);
  builder.addFieldInt64(0, BigInt(parts.rows), 0n);
  builder.addFieldOffset(1, nodes, 0);
  builder.addFieldOffset(2, buffers, 0);
  if (variadic !== undefined) builder.addFieldOffset(4, variadic, 0);
  let content = builder.endObject();
  if (parts.dictionary !== undefined) {
    builder.startObject(3);
    builder.addFieldInt64(0, parts.dictionary.id, 0n);
    builder.addFieldOffset(1, content, 0);
    builder.addFieldInt8(2, parts.dictionary.isDelta ? 1 : 0, 0);
    content = builder.endObject();
  }
  builder.startObject(5);
  builder.addFieldInt16(0, metadataVersion5, 0);
  builder.addFieldInt8(1, parts.dictionary === undefined ? headerBatch : headerDictionary, 0);
  builder.addFieldOffset(2, content, 0);
  builder.addFieldInt64(3, BigInt(parts.bodyBytes), 0n);
  builder.finish(builder.endObject());
  return builder.asUint8Array();
}

function pairVector(builder: Builder, pairs: readonly (readonly [number, number])[]): number {
  builder.startVector(16, pairs.length, 8);
  for (const [first, second] of [...pairs].reverse()) {
    builder.writeInt64(BigInt(second));
    builder.writeInt64(BigInt(first));
  }
  return builder.endVector();
}
