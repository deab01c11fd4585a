/**
 * The IPC file format around the messages of a chunk.
 *
 *   "ARROW1" 00 00, schema message, dictionaries and record batches, FF FF FF FF 00 00 00 00 (end of stream),
 *   Footer (flatbuffer), i32 its length, "ARROW1"
 *
 * The client's schema message is copied whole into the footer, whose schema points into it.
 */

import { Builder } from "flatbuffers";
import { Fault } from "../model/fault.ts";
import { countAt, FlatTable } from "./flatbuffer.ts";
import { embed, keyValue, offsetVector } from "./metadata.ts";
import { checkVersion, type Field, readSchemaTable } from "./schema.ts";

export const fileMagic = Uint8Array.from([...Buffer.from("ARROW1"), 0, 0]);
const endOfStream = Uint8Array.from([255, 255, 255, 255, 0, 0, 0, 0]);
const magicBytes = 6;
/** i32 length and magic at the very end. */
export const tailBytes = 4 + magicBytes;
const blockBytes = 24;
const metadataVersion5 = 4;

/** A message of the file. */
export interface Block {
  readonly offset: number;
  /** Prefix, header and padding. */
  readonly metadataBytes: number;
  readonly bodyBytes: number;
}

export interface FooterParts {
  readonly schemaHeader: Uint8Array;
  readonly dictionaries: readonly Block[];
  readonly batches: readonly Block[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** All bytes behind the last message. */
export function encodeFooter(parts: FooterParts): Uint8Array {
  const builder = new Builder(parts.schemaHeader.byteLength + 64 * (parts.batches.length + 16));
  const old = embed(builder, parts.schemaHeader);
  const metadata = offsetVector(
    builder,
    [...parts.metadata].map(([key, value]) => keyValue(builder, key, value)),
  );
  const dictionaries = blockVector(builder, parts.dictionaries);
  const batches = blockVector(builder, parts.batches);
  builder.startObject(5);
  builder.addFieldInt16(0, metadataVersion5, 0);
  builder.addFieldOffset(1, old.offsetOf(old.schema.position), 0);
  builder.addFieldOffset(2, dictionaries, 0);
  builder.addFieldOffset(3, batches, 0);
  builder.addFieldOffset(4, metadata, 0);
  builder.finish(builder.endObject());
  const footer = builder.asUint8Array();
  const bytes = new Uint8Array(endOfStream.byteLength + footer.byteLength + tailBytes);
  bytes.set(endOfStream);
  bytes.set(footer, endOfStream.byteLength);
  const tail = endOfStream.byteLength + footer.byteLength;
  new DataView(bytes.buffer).setInt32(tail, footer.byteLength, true);
  bytes.set(fileMagic.subarray(0, magicBytes), tail + 4);
  return bytes;
}

function blockVector(builder: Builder, blocks: readonly Block[]): number {
  builder.startVector(blockBytes, blocks.length, 8);
  for (const block of [...blocks].reverse()) {
    builder.prep(8, blockBytes);
    builder.writeInt64(BigInt(block.bodyBytes));
    builder.pad(4);
    builder.writeInt32(block.metadataBytes);
    builder.writeInt64(BigInt(block.offset));
  }
  return builder.endVector();
}

export interface Footer {
  readonly fields: readonly Field[];
  readonly dictionaries: readonly Block[];
  readonly batches: readonly Block[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Length of the footer by the last `tailBytes` of a file. @throws Fault corrupt */
export function readFooterLength(tail: Uint8Array, fileBytes: number): number {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  const magic = Buffer.from(tail.subarray(4)).toString("latin1");
  const length = view.getInt32(0, true);
  if (magic !== "ARROW1" || length <= 0 || length > fileBytes - tailBytes - fileMagic.byteLength) {
    throw new Fault(
      "corrupt",
      `The file ends with ${JSON.stringify(magic)} and a footer of ${length} bytes, expected "ARROW1" and at most ${fileBytes}.`,
    );
  }
  return length;
}

/** @throws Fault invalid, unsupported */
export function readFooter(bytes: Uint8Array): Footer {
  const footer = FlatTable.root(bytes);
  checkVersion(footer);
  const schema = footer.table(1);
  if (schema === undefined) throw new Fault("invalid", "The footer has no schema.");
  const metadata = new Map<string, string>();
  const entries = footer.vector(4, 4);
  for (let index = 0; index < entries.length; index += 1) {
    const entry = footer.element(entries, index);
    metadata.set(Buffer.from(entry.blob(0) ?? []).toString("utf8"), Buffer.from(entry.blob(1) ?? []).toString("utf8"));
  }
  return {
    fields: readSchemaTable(schema),
    dictionaries: readBlocks(footer, 2),
    batches: readBlocks(footer, 3),
    metadata,
  };
}

function readBlocks(footer: FlatTable, slot: number): Block[] {
  const { start, length } = footer.vector(slot, blockBytes);
  return Array.from({ length }, (_none, index) => {
    const at = start + blockBytes * index;
    return {
      offset: countAt(footer.view, at, `the offset of block ${index}`),
      metadataBytes: footer.view.getInt32(at + 8, true),
      bodyBytes: countAt(footer.view, at + 16, `the body of block ${index}`),
    };
  });
}
