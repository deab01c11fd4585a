/**
 * Custom metadata merged into a schema message without rebuilding it: a flatbuffer refers forward only and is written from
 * its end, so the client's bytes are copied whole to the end and new Message and Schema tables in front point into them.
 * Whatever a future Arrow puts into a field comes back unchanged.
 */

import { Builder } from "flatbuffers";
import { FlatTable } from "./flatbuffer.ts";
import { paddedBytes } from "./frame.ts";

const metadataVersion5 = 4;
const headerSchema = 1;

/** Schema table: 0 endianness, 1 fields, 2 custom_metadata, 3 features. */
const schemaSlots = 4;

/**
 * The schema message with `entries` merged into its metadata; entries of the same key are replaced.
 * @param keep `utf8` leaves out the client's entries whose key or value is not UTF-8
 * @returns a Message flatbuffer
 */
export function withMetadata(
  header: Uint8Array,
  entries: ReadonlyMap<string, string>,
  keep: "all" | "utf8",
): Uint8Array {
  const builder = new Builder(header.byteLength + 1024);
  const old = embed(builder, header);
  const schema = old.schema;
  const kept: number[] = [];
  const metadata = schema.vector(2, 4);
  for (let index = 0; index < metadata.length; index += 1) {
    const entry = schema.element(metadata, index);
    const key = entry.blob(0) ?? new Uint8Array(0);
    const value = entry.blob(1) ?? new Uint8Array(0);
    if (entries.has(Buffer.from(key).toString("utf8"))) continue;
    if (keep === "utf8" && !(isUtf8(key) && isUtf8(value))) continue;
    kept.push(old.offsetOf(entry.position));
  }
  const added = [...entries].map(([key, value]) => keyValue(builder, key, value));
  const fields = schema.vector(1, 4);
  const features = schema.vector(3, 8);
  return finishSchema(builder, {
    metadata: [...kept, ...added],
    fields: fields.length === 0 ? undefined : old.offsetOf(fields.start - 4),
    features: features.length === 0 ? undefined : old.offsetOf(features.start - 4),
  });
}

/** The value of a key in the metadata of a schema message; undefined when it has none. */
export function schemaMetadata(header: Uint8Array, key: string): string | undefined {
  const schema = FlatTable.root(header).table(2);
  const metadata = schema?.vector(2, 4);
  if (schema === undefined || metadata === undefined) return undefined;
  for (let index = 0; index < metadata.length; index += 1) {
    const entry = schema.element(metadata, index);
    if (Buffer.from(entry.blob(0) ?? []).toString("utf8") !== key) continue;
    return Buffer.from(entry.blob(1) ?? []).toString("utf8");
  }
  return undefined;
}

/** A schema message without fields. */
export function emptySchema(entries: ReadonlyMap<string, string>): Uint8Array {
  const builder = new Builder(1024);
  const metadata = [...entries].map(([key, value]) => keyValue(builder, key, value));
  builder.startVector(4, 0, 4);
  return finishSchema(builder, { metadata, fields: builder.endVector(), features: undefined });
}

export interface Embedded {
  readonly schema: FlatTable;
  /** The builder's offset of what lies at `position` of the embedded bytes. */
  offsetOf(position: number): number;
}

/** Copies a schema message to the end of a builder that is still empty. */
export function embed(builder: Builder, header: Uint8Array): Embedded {
  const message = FlatTable.root(header);
  const schema = message.table(2);
  if (schema === undefined) throw new RangeError("a schema message has a schema");
  const length = paddedBytes(header.byteLength);
  builder.prep(8, length);
  for (let index = length - 1; index >= 0; index -= 1)
    builder.writeInt8(index < header.byteLength ? (header[index] ?? 0) : 0);
  return { schema, offsetOf: (position) => length - position };
}

export function keyValue(builder: Builder, key: string, value: string): number {
  const keyOffset = builder.createString(key);
  const valueOffset = builder.createString(value);
  builder.startObject(2);
  builder.addFieldOffset(0, keyOffset, 0);
  builder.addFieldOffset(1, valueOffset, 0);
  return builder.endObject();
}

export function offsetVector(builder: Builder, offsets: readonly number[]): number {
  builder.startVector(4, offsets.length, 4);
  for (const offset of [...offsets].reverse()) builder.addOffset(offset);
  return builder.endVector();
}

function finishSchema(
  builder: Builder,
  parts: { metadata: readonly number[]; fields: number | undefined; features: number | undefined },
): Uint8Array {
  const metadata = offsetVector(builder, parts.metadata);
  builder.startObject(schemaSlots);
  if (parts.fields !== undefined) builder.addFieldOffset(1, parts.fields, 0);
  builder.addFieldOffset(2, metadata, 0);
  if (parts.features !== undefined) builder.addFieldOffset(3, parts.features, 0);
  const schema = builder.endObject();
  builder.startObject(5);
  builder.addFieldInt16(0, metadataVersion5, 0);
  builder.addFieldInt8(1, headerSchema, 0);
  builder.addFieldOffset(2, schema, 0);
  builder.addFieldInt64(3, 0n, 0n);
  builder.finish(builder.endObject());
  return builder.asUint8Array();
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
