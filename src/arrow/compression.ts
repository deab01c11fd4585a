/**
 * Compressed IPC bodies: each buffer by itself, behind an int64 with its length before compression (-1 = stored as it is). A few
 * bytes may unfold to thousands of times as many, so what they announce is summed up before anything is allocated.
 */

import { setImmediate as turn } from "node:timers/promises";
import { createZstdDecompress, zstdDecompressSync } from "node:zlib";
import { Fault } from "../model/fault.ts";
import { unfoldAtOnceBytesMax } from "../model/limits.ts";
import { type Batch, compressedPrefixBytes } from "./batch.ts";
import { paddedBytes } from "./frame.ts";
import { decompressFrame, unfoldFrame } from "./lz4.ts";
import type { Compression } from "./message.ts";

type Codec = Exclude<Compression, "none">;

/** The bytes of one buffer, decompressed; borrows from the body when it was not compressed. @throws Fault invalid, overloaded */
export function readBuffer(batch: Batch, index: number, bytesMax: number): Uint8Array {
  const bytes = bufferOf(batch, index);
  if (batch.compression === "none" || bytes.byteLength === 0) return bytes;
  const { length, content, isStored } = openBuffer(bytes, bytesMax);
  return isStored ? content : unfold(batch.compression, content, length);
}

/** The length that one buffer has when it is decompressed, as it announces. @throws Fault overloaded when that is above `bytesMax` */
export function bufferBytes(batch: Batch, index: number, bytesMax: number): number {
  const bytes = bufferOf(batch, index);
  return batch.compression === "none" || bytes.byteLength === 0 ? bytes.byteLength : openBuffer(bytes, bytesMax).length;
}

/** Bytes of the body of the decompressed batch. @throws Fault overloaded when that is above `bytesMax` */
export function unfoldedBytes(batch: Batch, bytesMax: number): number {
  let total = 0;
  for (let index = 0; index < batch.bufferLengths.length; index += 1) {
    total += paddedBytes(bufferBytes(batch, index, bytesMax - total));
  }
  return total;
}

/** The batch with all its buffers decompressed; the batch itself when they were. @throws Fault invalid, overloaded */
export function decompressBatch(batch: Batch, bytesMax: number): Batch {
  const { compression } = batch;
  if (compression === "none") return batch;
  const { plain, parts } = layOut(batch, bytesMax);
  for (const { content, isStored, target } of parts) {
    target.set(isStored ? content : unfold(compression, content, target.byteLength));
  }
  return plain;
}

/** `decompressBatch` in pieces, so that other calls go on. The body must not change meanwhile. @throws Fault invalid, overloaded */
export async function unfoldBatch(batch: Batch, bytesMax: number): Promise<Batch> {
  const { compression } = batch;
  if (compression === "none") return batch;
  const { plain, parts } = layOut(batch, bytesMax);
  let pieceBytes = 0;
  for (const { content, isStored, target } of parts) {
    if (isStored) target.set(content);
    else if (target.byteLength <= unfoldAtOnceBytesMax) target.set(unfold(compression, content, target.byteLength));
    else await unfoldInPieces(compression, content, target);
    pieceBytes += target.byteLength;
    if (pieceBytes <= unfoldAtOnceBytesMax) continue;
    pieceBytes = 0;
    await turn();
  }
  return plain;
}

interface OpenBuffer {
  /** After decompression. */
  readonly length: number;
  readonly content: Uint8Array;
  /** Whether the content is not compressed after all. */
  readonly isStored: boolean;
}

interface Part extends OpenBuffer {
  readonly target: Uint8Array;
}

/** The decompressed batch, its body still empty, and what is to be put where. */
function layOut(batch: Batch, bytesMax: number): { plain: Batch; parts: Part[] } {
  const body = new Uint8Array(unfoldedBytes(batch, bytesMax));
  const count = batch.bufferLengths.length;
  const bufferOffsets = new Float64Array(count);
  const bufferLengths = new Float64Array(count);
  const parts: Part[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    const bytes = bufferOf(batch, index);
    const open =
      bytes.byteLength === 0 ? { length: 0, content: bytes, isStored: true } : openBuffer(bytes, body.byteLength - at);
    bufferOffsets[index] = at;
    bufferLengths[index] = open.length;
    parts.push({ ...open, target: body.subarray(at, at + open.length) });
    at += paddedBytes(open.length);
  }
  return { plain: { ...batch, body, bufferOffsets, bufferLengths, compression: "none" }, parts };
}

function bufferOf(batch: Batch, index: number): Uint8Array {
  const offset = batch.bufferOffsets[index] ?? 0;
  return batch.body.subarray(offset, offset + (batch.bufferLengths[index] ?? 0));
}

function openBuffer(bytes: Uint8Array, bytesMax: number): OpenBuffer {
  const announced = new DataView(bytes.buffer, bytes.byteOffset, compressedPrefixBytes).getBigInt64(0, true);
  const content = bytes.subarray(compressedPrefixBytes);
  const isStored = announced === -1n;
  const length = isStored ? BigInt(content.byteLength) : announced;
  if (length < 0n || length > BigInt(bytesMax)) {
    throw new Fault(
      "overloaded",
      `A compressed buffer says that it unfolds to ${length} bytes, at most ${bytesMax} are allowed here.`,
    );
  }
  return { length: Number(length), content, isStored };
}

function unfold(codec: Codec, content: Uint8Array, expected: number): Uint8Array {
  let found: Uint8Array;
  try {
    found =
      codec === "zstd"
        ? zstdDecompressSync(content, { maxOutputLength: Math.max(1, expected) })
        : decompressFrame(content, expected);
  } catch (error) {
    throw noData(codec, error);
  }
  checkLength(found.byteLength, expected);
  return found;
}

async function unfoldInPieces(codec: Codec, content: Uint8Array, target: Uint8Array): Promise<void> {
  let filled = 0;
  try {
    if (codec === "zstd") {
      for await (const piece of zstdPieces(content)) {
        // Not a byte more than was announced is kept, or unfolded for long.
        if (piece.byteLength > target.byteLength - filled) throw new Error("it unfolds to more than its prefix says");
        target.set(piece, filled);
        filled += piece.byteLength;
      }
    } else {
      for (const _block of unfoldFrame(content, target)) await turn();
      filled = target.byteLength;
    }
  } catch (error) {
    throw noData(codec, error);
  }
  checkLength(filled, target.byteLength);
}

function zstdPieces(content: Uint8Array): AsyncIterable<Uint8Array> {
  const stream = createZstdDecompress({ chunkSize: unfoldAtOnceBytesMax });
  stream.end(content);
  return stream;
}

function checkLength(found: number, expected: number): void {
  if (found === expected) return;
  throw new Fault("invalid", `A compressed buffer unfolds to ${found} bytes, its prefix says ${expected}.`);
}

function noData(codec: Codec, error: unknown): Fault {
  const reason = error instanceof Error ? error.message : String(error);
  return new Fault("invalid", `A buffer is no ${codec} data: ${reason}`, error);
}
