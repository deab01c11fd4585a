// Compressed bodies: each buffer unfolds to what its prefix says, or the batch is refused. That pyarrow's are read is shown in
// gather.test.ts; hostile LZ4 frames are in lz4.test.ts.

import { zstdCompressSync } from "node:zlib";
import lz4 from "lz4js";
import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/arrow/batch.ts";
import { decompressBatch, readBuffer, unfoldBatch, unfoldedBytes } from "../../src/arrow/compression.ts";
import { Random } from "../model/random.ts";

type Codec = "lz4" | "zstd";
const codecs: readonly Codec[] = ["lz4", "zstd"];
const compress = (codec: Codec, bytes: Uint8Array): Uint8Array =>
  codec === "zstd" ? zstdCompressSync(bytes) : lz4Compress(bytes);
const lz4Compress = (lz4 as unknown as { compress(bytes: Uint8Array): Uint8Array }).compress;

function prefixed(length: bigint, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + content.byteLength);
  new DataView(bytes.buffer).setBigInt64(0, length, true);
  bytes.set(content, 8);
  return bytes;
}

function batchOf(compression: Batch["compression"], buffers: readonly Uint8Array[]): Batch {
  const bufferOffsets = new Float64Array(buffers.length);
  let at = 0;
  buffers.forEach(({ byteLength }, index) => {
    bufferOffsets[index] = at;
    at += (byteLength + 7) & ~7;
  });
  const body = new Uint8Array(at);
  buffers.forEach((bytes, index) => {
    body.set(bytes, bufferOffsets[index]);
  });
  return {
    rows: 1,
    nodeLengths: Float64Array.of(1),
    nodeNulls: Float64Array.of(0),
    bufferOffsets,
    bufferLengths: Float64Array.from(buffers, ({ byteLength }) => byteLength),
    variadicCounts: new Float64Array(0),
    columns: [{ node: 0, buffer: 0, variadic: 0 }],
    compression,
    body,
  };
}

const random = new Random("compression: buffers");
const text = Buffer.from("a text that says the same thing again and again ".repeat(40));
const noise = random.bytes(5_000);

describe.each(codecs)("%s", (codec) => {
  const whole = (bytes: Uint8Array): Uint8Array => prefixed(BigInt(bytes.byteLength), compress(codec, bytes));

  test("unfolds every buffer, stored ones and empty ones too", () => {
    const batch = batchOf(codec, [
      whole(text),
      new Uint8Array(0),
      prefixed(-1n, noise),
      whole(noise),
      prefixed(-1n, new Uint8Array(0)),
    ]);
    const plain = decompressBatch(batch, 100_000);
    const found = Array.from(plain.bufferOffsets, (offset, index) =>
      plain.body.subarray(offset, offset + (plain.bufferLengths[index] ?? 0)),
    );
    expect(found.map((bytes) => Buffer.from(bytes).toString("hex"))).toEqual(
      [text, new Uint8Array(0), noise, noise, new Uint8Array(0)].map((bytes) => Buffer.from(bytes).toString("hex")),
    );
    expect(plain.compression).toBe("none");
    expect(plain.bufferOffsets.every((offset) => offset % 8 === 0)).toBe(true);
    expect(Buffer.from(readBuffer(batch, 0, 100_000))).toEqual(text);
  });

  test.each([
    ["one byte too many", BigInt(text.byteLength) + 1n],
    ["far too many", 90_000n],
  ])("a prefix that says %s is refused", (_title, length) => {
    const batch = batchOf(codec, [prefixed(length, compress(codec, text))]);
    expect(() => decompressBatch(batch, 100_000)).toThrow(
      expect.objectContaining({
        code: "invalid",
        message: expect.stringContaining(`unfolds to ${text.byteLength} bytes, its prefix says ${length}`),
      }),
    );
  });

  test.each([2n ** 62n, 100_001n, -2n, -(2n ** 63n)])("a prefix of %s is refused before memory is taken", (length) => {
    expect(() => decompressBatch(batchOf(codec, [prefixed(length, compress(codec, text))]), 100_000)).toThrow(
      expect.objectContaining({
        code: "overloaded",
        message: `A compressed buffer says that it unfolds to ${length} bytes, at most 100000 are allowed here.`,
      }),
    );
  });

  test("the limit is for all buffers together", () => {
    const batch = batchOf(codec, [whole(text), whole(text)]);
    expect(decompressBatch(batch, 2 * text.byteLength + 8).body.byteLength).toBe(2 * text.byteLength);
    expect(() => decompressBatch(batch, 2 * text.byteLength - 1)).toThrow(
      expect.objectContaining({ code: "overloaded" }),
    );
  });

  test("bytes that are not compressed data are refused", () => {
    expect(() => decompressBatch(batchOf(codec, [prefixed(100n, noise)]), 100_000)).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringMatching(`^A buffer is no ${codec} data: `) }),
    );
  });
});

describe.each(codecs)("%s in pieces", (codec) => {
  const large = Buffer.concat(Array.from({ length: 40 }, () => random.bytes(60_000)).flatMap((bytes) => [bytes, text]));
  const whole = (bytes: Uint8Array): Uint8Array => prefixed(BigInt(bytes.byteLength), compress(codec, bytes));

  test("is the same as at once, and others have their turn", async () => {
    const batch = batchOf(codec, [whole(large), whole(text), prefixed(-1n, noise), new Uint8Array(0), whole(large)]);
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    const plain = await unfoldBatch(batch, 2 ** 23);
    clearInterval(timer);
    const atOnce = decompressBatch(batch, 2 ** 23);
    expect(Buffer.compare(plain.body, atOnce.body)).toBe(0);
    expect({ ...plain, body: 0 }).toEqual({ ...atOnce, body: 0 });
    expect(plain.body.byteLength).toBe(unfoldedBytes(batch, 2 ** 23));
    expect(turns).toBeGreaterThan(0);
  });

  test.each([-1, 1, 1_000_000])("a prefix that is off by %i is refused", async (off) => {
    const batch = batchOf(codec, [prefixed(BigInt(large.byteLength + off), compress(codec, large))]);
    await expect(unfoldBatch(batch, 2 ** 23)).rejects.toMatchObject({ code: "invalid" });
  });

  test("data cut short, and bytes that are none, are refused", async () => {
    const content = compress(codec, large);
    for (const broken of [content.subarray(0, content.byteLength / 2), random.bytes(1_000)]) {
      const batch = batchOf(codec, [prefixed(BigInt(large.byteLength), broken)]);
      await expect(unfoldBatch(batch, 2 ** 23)).rejects.toMatchObject({ code: "invalid" });
    }
  });

  test("nothing is allocated for what is too much in all", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const buffers = Array.from({ length: 10 }, () => prefixed(2n ** 27n, compress(codec, text)));
    await expect(unfoldBatch(batchOf(codec, buffers), 2 ** 30)).rejects.toMatchObject({ code: "overloaded" });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });
});

test("zstd that unfolds to more than its prefix says is refused", () => {
  const bomb = zstdCompressSync(new Uint8Array(2 ** 24));
  expect(() => decompressBatch(batchOf("zstd", [prefixed(8n, bomb)]), 100_000)).toThrow(
    expect.objectContaining({ code: "invalid" }),
  );
});

test("zstd data cut short is refused", () => {
  const content = zstdCompressSync(noise);
  const half = content.subarray(0, content.byteLength / 2);
  expect(() => decompressBatch(batchOf("zstd", [prefixed(BigInt(noise.byteLength), half)]), 100_000)).toThrow(
    expect.objectContaining({ code: "invalid" }),
  );
});

test("a batch that is not compressed is itself", () => {
  const batch = batchOf("none", [text]);
  expect(decompressBatch(batch, 0)).toBe(batch);
  expect(Buffer.from(readBuffer(batch, 0, 0))).toEqual(text);
});
