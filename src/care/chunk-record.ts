/**
 * What a chunk file tells of itself: by its footer without reading data; without one by its messages, of which the time column is
 * decoded. A rebuild takes the checksums of the latter as they are, for nothing says what they were.
 */

import { readBatch } from "../arrow/batch.ts";
import { fileMagic } from "../arrow/file.ts";
import { frameHeader, paddedBytes, splitFrame } from "../arrow/frame.ts";
import { readMessage } from "../arrow/message.ts";
import { readSchema, type Schema } from "../arrow/schema.ts";
import { timesOf } from "../arrow/timestamps.ts";
import { crc32 } from "../host/checksum.ts";
import type { ReadDisk } from "../host/disk.ts";
import { type BatchEntry, type Chunk, endOfEntry, sumEntries } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { messageBytes } from "../model/limits.ts";
import type { TimeNs } from "../model/time.ts";
import { chunkFooter, footerBytesOf, footerTailBytes, readChunkFooter } from "../store/chunk-footer.ts";
import { FileScan } from "../store/file-scan.ts";

export interface ChunkRecord {
  readonly chunk: Chunk;
  /** When this is the last chunk of a topic that is complete. */
  readonly completedAtNs: TimeNs | undefined;
  /** Bytes behind the last whole message of a file without a footer. */
  readonly bytesBehind: number;
}

const prefixBytes = 8;
/** A header lists buffers; the longest that is taken in has some millions of columns. */
const headerBytesMax = messageBytes.most;

/** @throws Fault corrupt when the file does not begin with magic and this schema, absent */
export async function readChunkRecord(
  disk: Pick<ReadDisk, "openReadable">,
  place: { path: string; number: number; schemaHeader: Uint8Array },
): Promise<ChunkRecord> {
  const { path, number, schemaHeader } = place;
  await using scan = await FileScan.open(disk, path);
  const head = Buffer.concat([fileMagic, frameHeader(schemaHeader)]);
  if (Buffer.compare(head, await scan.read(0, head.byteLength)) !== 0)
    throw new Fault("corrupt", `${path} does not begin with the magic and the schema of its topic`);
  const sealed = await sealedRecord(scan, number, schemaHeader);
  if (sealed !== undefined) return sealed;
  const batches = await scanMessages(scan, head.byteLength, readSchema(schemaHeader));
  const last = batches.at(-1);
  const bytes = last === undefined ? head.byteLength : endOfEntry(last);
  const chunk = { number, sealed: false, bytes, ...sumEntries(batches), entries: batches.length, batches };
  return { chunk, completedAtNs: undefined, bytesBehind: scan.bytes - bytes };
}

/** Undefined when the file does not end with a whole footer of ours. */
async function sealedRecord(
  scan: FileScan,
  number: number,
  schemaHeader: Uint8Array,
): Promise<ChunkRecord | undefined> {
  try {
    const footerBytes = footerBytesOf(await scan.read(scan.bytes - footerTailBytes, footerTailBytes), scan.bytes);
    const flatbuffer = Buffer.from(await scan.read(scan.bytes - footerTailBytes - footerBytes, footerBytes));
    const { entries, skips, completedAtNs } = readChunkFooter(flatbuffer, schemaHeader);
    const whole = chunkFooter({ schemaHeader, entries, skips, completedAtNs });
    const last = entries.at(-1);
    const end = last === undefined ? fileMagic.byteLength + frameHeader(schemaHeader).byteLength : endOfEntry(last);
    if (end + whole.byteLength !== scan.bytes) return undefined;
    const chunk = {
      number,
      sealed: true,
      bytes: scan.bytes,
      ...sumEntries(entries),
      entries: entries.length,
      batches: entries,
      skips,
    };
    return { chunk, completedAtNs, bytesBehind: 0 };
  } catch (error) {
    if (error instanceof Fault || error instanceof RangeError) return undefined;
    throw error;
  }
}

async function scanMessages(scan: FileScan, start: number, schema: Schema): Promise<BatchEntry[]> {
  const entries: BatchEntry[] = [];
  for (let at = start; ; ) {
    const entry = await readEntry(scan, at, schema);
    if (entry === undefined) return entries;
    entries.push(entry);
    at = endOfEntry(entry);
  }
}

/** Undefined where no whole message begins: at the end of the stream, or where an append was torn. */
export async function readEntry(scan: FileScan, offset: number, schema: Schema): Promise<BatchEntry | undefined> {
  const prefix = await scan.read(offset, prefixBytes);
  if (prefix.byteLength < prefixBytes || prefix.readUInt32LE(0) !== 0xffffffff) return undefined;
  const headerBytes = prefix.readInt32LE(4);
  if (headerBytes <= 0 || headerBytes > headerBytesMax) return undefined;
  const metadataBytes = prefixBytes + headerBytes;
  const metadata = Buffer.from(await scan.read(offset, metadataBytes));
  if (metadata.byteLength < metadataBytes) return undefined;
  try {
    const header = splitFrame(metadata);
    const bodyBytes = paddedBytes(readMessage(header).bodyBytes);
    if (bodyBytes > messageBytes.most || offset + metadataBytes + bodyBytes > scan.bytes) return undefined;
    const body = Buffer.from(await scan.read(offset + metadataBytes, bodyBytes));
    const message = readMessage(header, body.byteLength);
    const place = { offset, metadataBytes, bodyBytes, crc32: crc32([metadata, body]) };
    if (message.kind === "dictionary") return { kind: "dictionary", ...place, rows: 0, sorted: false };
    if (message.kind !== "batch") return undefined;
    const batch = readBatch(schema, message, body);
    const { minNs, maxNs, sorted } = timesOf(schema, batch);
    return { kind: "batch", ...place, rows: batch.rows, sorted, range: { startNs: minNs, endNs: maxNs } };
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

/** The schema message that a chunk file begins with; undefined when it does not. */
export async function readSchemaHeader(
  disk: Pick<ReadDisk, "openReadable">,
  path: string,
): Promise<Uint8Array | undefined> {
  await using scan = await FileScan.open(disk, path);
  const at = fileMagic.byteLength;
  const prefix = Buffer.from(await scan.read(at, prefixBytes));
  if (prefix.byteLength < prefixBytes) return undefined;
  const frameBytes = prefixBytes + prefix.readInt32LE(4);
  if (frameBytes <= prefixBytes || at + frameBytes > scan.bytes) return undefined;
  try {
    const header = Uint8Array.from(splitFrame(Buffer.from(await scan.read(at, frameBytes))));
    readSchema(header);
    return header;
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
