// Headers of IPC messages: kinds, versions, and flatbuffers that point where they must not.

import { Builder } from "flatbuffers";
import { describe, expect, test } from "vitest";
import { encodeBatchHeader } from "../../src/arrow/batch-header.ts";
import { frameHeader, paddedBytes, splitFrame } from "../../src/arrow/frame.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { emptySchema } from "../../src/arrow/metadata.ts";
import { readSchema } from "../../src/arrow/schema.ts";
import { Fault } from "../../src/model/fault.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { partsOf } from "./made.ts";

/** A Message table; `content` makes the table of its header. */
function message(
  fields: { version?: number; type?: number; bodyBytes?: bigint },
  content?: (builder: Builder) => number,
): Uint8Array {
  const builder = new Builder(64);
  const table = content?.(builder);
  builder.startObject(5);
  builder.addFieldInt16(0, fields.version ?? 4, 0);
  builder.addFieldInt8(1, fields.type ?? 3, 0);
  if (table !== undefined) builder.addFieldOffset(2, table, 0);
  builder.addFieldInt64(3, fields.bodyBytes ?? 0n, 0n);
  builder.finish(builder.endObject());
  return builder.asUint8Array();
}

function emptyTable(builder: Builder): number {
  builder.startObject(1);
  return builder.endObject();
}

/** A RecordBatch with a BodyCompression. */
const compressed =
  (codec: number, method: number) =>
  (builder: Builder): number => {
    builder.startObject(2);
    builder.addFieldInt8(0, codec, 0);
    builder.addFieldInt8(1, method, 0);
    const compression = builder.endObject();
    builder.startObject(5);
    builder.addFieldOffset(3, compression, 0);
    return builder.endObject();
  };

test.each([
  ["the version V4", message({ version: 3 }, emptyTable), "unsupported", "Arrow metadata version V4, expected V5"],
  ["the version V1", message({ version: 0 }, emptyTable), "unsupported", "Arrow metadata version V1, expected V5"],
  ["a tensor", message({ type: 4 }, emptyTable), "unsupported", "IPC message of type 4"],
  ["a sparse tensor", message({ type: 5 }, emptyTable), "unsupported", "IPC message of type 5"],
  ["a type of tomorrow", message({ type: 99 }, emptyTable), "unsupported", "IPC message of type 99"],
  ["no content", message({}), "invalid", "it has no content"],
  ["a dictionary without data", message({ type: 2 }, emptyTable), "invalid", "a dictionary without data"],
  ["a negative body", message({ bodyBytes: -1n }, emptyTable), "invalid", "bodyLength is -1"],
  ["a body beyond 2^53", message({ bodyBytes: 2n ** 53n }, emptyTable), "invalid", "bodyLength is 9007199254740992"],
  ["a codec of tomorrow", message({}, compressed(2, 0)), "unsupported", "codec 2 and method 0"],
  ["a compression method of tomorrow", message({}, compressed(0, 1)), "unsupported", "codec 0 and method 1"],
  ["nothing at all", new Uint8Array(0), "invalid", "4 bytes at 0 are outside its 0 bytes"],
  ["three bytes", new Uint8Array(3), "invalid", "outside its 3 bytes"],
  ["zeros", new Uint8Array(64), "invalid", "has a vtable of 0 bytes"],
  ["ones", new Uint8Array(64).fill(255), "invalid", "outside its 64 bytes"],
])("a header with %s is refused", (_title, header, code, reason) => {
  expect(() => readMessage(header)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(reason) }),
  );
});

test("compressions are LZ4 and ZSTD by buffer", () => {
  const found = [0, 1].map((codec) => {
    const read = readMessage(message({}, compressed(codec, 0)));
    return read.kind === "batch" ? read.lists.compression : read.kind;
  });
  expect(found).toEqual(["lz4", "zstd"]);
});

test("a schema is asked for and nothing else will do", () => {
  expect(() => readSchema(message({}, emptyTable))).toThrow(
    expect.objectContaining({ code: "invalid", message: "Missing schema." }),
  );
  expect(() => readSchema(message({ type: 1 }))).toThrow("Missing schema.");
  expect(readSchema(emptySchema(new Map())).fields).toEqual([]);
});

test("our own headers are read as they were meant", () => {
  const random = new Random("message: round trips");
  const coverage = new Coverage("message: headers", [
    "batch",
    "dictionary",
    "delta",
    "with data buffers",
    "without buffers",
  ]);
  for (let round = 0; round < 200; round += 1) {
    const parts = partsOf(
      random.below(2 ** 40),
      Array.from({ length: random.below(5) }, () => ({ length: random.below(2 ** 50), nulls: random.below(1000) })),
      Array.from({ length: random.below(6) }, () => random.below(10_000)),
      Array.from({ length: random.below(3) }, () => random.below(100)),
    );
    const dictionary = random.chance(0.5) ? { id: random.int64(), isDelta: random.chance(0.5) } : undefined;
    const read = readMessage(encodeBatchHeader({ ...parts, dictionary }));
    if (read.kind === "schema") throw new Error("a batch is no schema");
    coverage.hit(read.kind === "dictionary" && read.isDelta ? "delta" : read.kind);
    if (parts.variadicCounts.length > 0) coverage.hit("with data buffers");
    if (parts.buffers.length === 0) coverage.hit("without buffers");
    expect(read).toEqual({
      ...(dictionary === undefined ? { kind: "batch" } : { kind: "dictionary", ...dictionary }),
      bodyBytes: parts.bodyBytes,
      lists: {
        rows: parts.rows,
        nodeLengths: Float64Array.from(parts.nodes, ({ length }) => length),
        nodeNulls: Float64Array.from(parts.nodes, ({ nulls }) => nulls),
        bufferOffsets: Float64Array.from(parts.buffers, ({ offset }) => offset),
        bufferLengths: Float64Array.from(parts.buffers, ({ length }) => length),
        variadicCounts: Float64Array.from(parts.variadicCounts),
        compression: "none",
      },
    });
  }
  coverage.check();
});

test("random bytes are refused or read, never worse", () => {
  const random = new Random("message: random bytes");
  const coverage = new Coverage("message: random bytes", ["read", "refused"]);
  const original = encodeBatchHeader(partsOf(3, [{ length: 3, nulls: 1 }], [1, 12]));
  for (let round = 0; round < 20_000; round += 1) {
    const header = Uint8Array.from(original);
    for (let change = random.below(5); change >= 0; change -= 1)
      header[random.below(header.byteLength)] = random.below(256);
    try {
      readMessage(header, 24);
      coverage.hit("read");
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      coverage.hit("refused");
    }
  }
  coverage.check();
});

describe("frames", () => {
  test.each([0, 1, 7, 8, 9, 200])("a header of %i bytes is padded to a multiple of 8 and comes back", (length) => {
    const header = Uint8Array.from({ length }, (_none, index) => index + 1);
    const frame = frameHeader(header);
    expect(frame.byteLength % 8).toBe(0);
    expect(frame.byteLength - length - 8).toBeLessThan(8);
    expect([...frame.subarray(0, 4)]).toEqual([255, 255, 255, 255]);
    const back = splitFrame(frame);
    expect(back.subarray(0, length)).toEqual(header);
    expect(back.byteLength).toBe(paddedBytes(length));
    expect(back.subarray(length).every((byte) => byte === 0)).toBe(true);
  });

  test.each([
    ["nothing", new Uint8Array(0), "does not start with FF FF FF FF"],
    ["seven bytes", new Uint8Array(7).fill(255), "does not start with FF FF FF FF"],
    ["an old prefix", Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0), "does not start with FF FF FF FF"],
    ["one byte more than it says", Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 0), "has 0 bytes, expected 1"],
    ["fewer bytes than it says", Uint8Array.of(255, 255, 255, 255, 8, 0, 0, 0), "has 8 bytes, expected 0"],
    ["a negative length", Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255), "has -1 bytes, expected 0"],
  ])("%s is no frame", (_title, frame, reason) => {
    expect(() => splitFrame(frame)).toThrow(
      expect.objectContaining({ code: "corrupt", message: expect.stringContaining(reason) }),
    );
  });
});
