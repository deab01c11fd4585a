/**
 * One frame of a tail log: which topic a small batch belongs to, and the batch as its chunk file will hold it.
 *
 *   u32 magic "MTF1", u32 crc32 (over the message, then the header's bytes from 8 on), u32 metadata bytes, u32 body bytes,
 *   u32 topic number, u32 rows, f64 number of the batch in its topic, i64 start, i64 end, 26 bytes session ULID, u8 flags
 *   (1 sorted), u8 kind (0 batch), 4 x u8 0, then the message: prefix, header, padding, body, padding
 *
 * All little-endian; frames lie one behind the other from the start of the file. Every batch in a log has rows and a time range,
 * so that a catalog can be rebuilt without decoding. Dictionaries never come here: topics that have them write to their chunk
 * file, since a dictionary must lie before its batches in the same file.
 */

import { crc32 } from "../host/checksum.ts";
import type { Ulid } from "../model/resource.ts";
import type { TimeRange } from "../model/time.ts";

export const tailHeaderBytes = 80;
/** Frames begin at multiples of this: their header and the message in them are padded to it. */
export const tailFrameAlignment = 8;
const magic = 0x3146544d;
const magicBytes = Buffer.from("MTF1", "latin1");
const ulidBytes = 26;
const ulidAt = 48;
const sortedFlag = 1;

/** Where a frame belongs and what its batch is. */
export interface TailFrame {
  readonly session: Ulid;
  readonly topicNumber: number;
  /** Number of the batch in its topic, from 0, chunk files included. */
  readonly index: number;
  /** Bytes of the message's prefix, header and padding. */
  readonly metadataBytes: number;
  /** Bytes of the body with its padding. */
  readonly bodyBytes: number;
  readonly rows: number;
  readonly sorted: boolean;
  readonly range: TimeRange;
}

/** Writes the header to the front of `target`. @param messageCrc32 over the bytes of the message */
export function writeTailHeader(target: Uint8Array, frame: TailFrame, messageCrc32: number): void {
  const header = Buffer.from(target.buffer, target.byteOffset, tailHeaderBytes);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(frame.metadataBytes, 8);
  header.writeUInt32LE(frame.bodyBytes, 12);
  header.writeUInt32LE(frame.topicNumber, 16);
  header.writeUInt32LE(frame.rows, 20);
  header.writeDoubleLE(frame.index, 24);
  header.writeBigInt64LE(frame.range.startNs, 32);
  header.writeBigInt64LE(frame.range.endNs, 40);
  header.write(frame.session, ulidAt, ulidBytes, "latin1");
  header.writeUInt8(frame.sorted ? sortedFlag : 0, ulidAt + ulidBytes);
  header.fill(0, ulidAt + ulidBytes + 1);
  header.writeUInt32LE(crc32([header.subarray(8)], messageCrc32), 4);
}

export interface ReadTailFrame extends TailFrame {
  readonly crc32: number;
}

/** Reads a header; undefined when these bytes begin no frame, as where a log ends. */
export function readTailHeader(bytes: Uint8Array): ReadTailFrame | undefined {
  if (bytes.byteLength < tailHeaderBytes) return undefined;
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, tailHeaderBytes);
  if (header.readUInt32LE(0) !== magic) return undefined;
  return {
    crc32: header.readUInt32LE(4),
    metadataBytes: header.readUInt32LE(8),
    bodyBytes: header.readUInt32LE(12),
    topicNumber: header.readUInt32LE(16),
    rows: header.readUInt32LE(20),
    index: header.readDoubleLE(24),
    range: { startNs: header.readBigInt64LE(32), endNs: header.readBigInt64LE(40) },
    session: header.toString("latin1", ulidAt, ulidAt + ulidBytes) as Ulid,
    sorted: (header.readUInt8(ulidAt + ulidBytes) & sortedFlag) !== 0,
  };
}

/** Where a header may begin in bytes that begin where one may; undefined when nowhere. */
export function findTailMagic(bytes: Buffer): number | undefined {
  for (let at = bytes.indexOf(magicBytes); at >= 0; at = bytes.indexOf(magicBytes, at + 1)) {
    if (at % tailFrameAlignment === 0) return at;
  }
  return undefined;
}

/** Whether header and message are as they were written. @param messageCrc32 over the bytes of the message as they are now */
export function isWholeTailFrame(header: Uint8Array, frame: ReadTailFrame, messageCrc32: number): boolean {
  return crc32([header.subarray(8, tailHeaderBytes)], messageCrc32) === frame.crc32;
}
