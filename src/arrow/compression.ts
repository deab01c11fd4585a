/** Compressed IPC bodies: each buffer by itself, behind an int64 with its length before compression (-1 = stored as it is). */

import { zstdDecompressSync } from "node:zlib";
import { Fault } from "../model/fault.ts";
import { type Batch, compressedPrefixBytes } from "./batch.ts";
import { paddedBytes } from "./frame.ts";
import { decompressFrame } from "./lz4.ts";
import type { Compression } from "./message.ts";

/** The bytes of one buffer, decompressed; borrows from the body when it was not compressed. @throws Fault invalid, overloaded */
export function readBuffer(batch: Batch, index: number, bytesMax: number): Uint8Array {
  const offset = batch.bufferOffsets[index] ?? 0;
  const length = batch.bufferLengths[index] ?? 0;
  const bytes = batch.body.subarray(offset, offset + length);
  return batch.compression === "none" || length === 0 ? bytes : decompress(batch.compression, bytes, bytesMax);
}

/** The batch with all its buffers decompressed; the batch itself when they were. @throws Fault invalid, overloaded */
export function decompressBatch(batch: Batch, bytesMax: number): Batch {
  if (batch.compression === "none") return batch;
  const count = batch.bufferLengths.length;
  const buffers: Uint8Array[] = [];
  let total = 0;
  for (let index = 0; index < count; index += 1) {
    const bytes = readBuffer(batch, index, bytesMax - total);
    buffers.push(bytes);
    total += paddedBytes(bytes.byteLength);
  }
  const body = new Uint8Array(total);
  const bufferOffsets = new Float64Array(count);
  const bufferLengths = new Float64Array(count);
  let at = 0;
  buffers.forEach((bytes, index) => {
    body.set(bytes, at);
    bufferOffsets[index] = at;
    bufferLengths[index] = bytes.byteLength;
    at += paddedBytes(bytes.byteLength);
  });
  return { ...batch, body, bufferOffsets, bufferLengths, compression: "none" };
}

function decompress(compression: Exclude<Compression, "none">, bytes: Uint8Array, bytesMax: number): Uint8Array {
  const length = new DataView(bytes.buffer, bytes.byteOffset, compressedPrefixBytes).getBigInt64(0, true);
  const content = bytes.subarray(compressedPrefixBytes);
  if (length === -1n) return content;
  if (length < 0n || length > BigInt(bytesMax)) {
    throw new Fault(
      "overloaded",
      `A compressed buffer says that it unfolds to ${length} bytes, at most ${bytesMax} are allowed here.`,
    );
  }
  const expected = Number(length);
  const found = unfold(compression, content, expected);
  if (found.byteLength !== expected) {
    throw new Fault(
      "invalid",
      `A compressed buffer unfolds to ${found.byteLength} bytes, its prefix says ${expected}.`,
    );
  }
  return found;
}

function unfold(compression: Exclude<Compression, "none">, content: Uint8Array, expected: number): Uint8Array {
  try {
    if (compression === "zstd") return zstdDecompressSync(content, { maxOutputLength: Math.max(1, expected) });
    return decompressFrame(content, expected);
  } catch (error) {
    throw new Fault(
      "invalid",
      `A buffer is no ${compression} data: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}
