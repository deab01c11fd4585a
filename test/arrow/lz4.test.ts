// LZ4 frames: what others compress is unfolded, and no length is followed that leads outside.

import lz4 from "lz4js";
import { describe, expect, test } from "vitest";
import { decompressFrame } from "../../src/arrow/lz4.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

/** Magic, version 1 without checksums, blocks of at most 64 KiB, checksum of the header. */
const descriptor = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
const end = [0, 0, 0, 0];
const stored = (size: number): number[] => [size & 255, (size >>> 8) & 255, (size >>> 16) & 255, (size >>> 24) | 0x80];
const packed = (size: number): number[] => [size & 255, (size >>> 8) & 255, (size >>> 16) & 255, size >>> 24];
const frameOf = (...bytes: readonly number[]): Uint8Array => Uint8Array.from([...descriptor, ...bytes]);

describe("frames", () => {
  test.each<[string, Uint8Array, number[]]>([
    ["without blocks", frameOf(...end), []],
    ["with a stored block", frameOf(...stored(3), 1, 2, 3, ...end), [1, 2, 3]],
    ["with two blocks", frameOf(...stored(1), 1, ...stored(2), 2, 3, ...end), [1, 2, 3]],
    ["with literals only", frameOf(...packed(4), 0x30, 1, 2, 3, ...end), [1, 2, 3]],
    ["with a match that overlaps itself", frameOf(...packed(6), 0x11, 7, 1, 0, 0x10, 9, ...end), [7, 7, 7, 7, 7, 7, 9]],
    [
      "with a match into the block before",
      frameOf(...stored(4), 1, 2, 3, 4, ...packed(4), 0x00, 4, 0, 0x00, ...end),
      [1, 2, 3, 4, 1, 2, 3, 4],
    ],
    [
      "with a content size that is not believed",
      Uint8Array.from([
        4,
        0x22,
        0x4d,
        0x18,
        0x68,
        0x40,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        0x82,
        ...stored(1),
        5,
        ...end,
      ]),
      [5],
    ],
    [
      "with block checksums",
      Uint8Array.from([4, 0x22, 0x4d, 0x18, 0x70, 0x40, 0x82, ...stored(1), 5, 1, 2, 3, 4, ...end]),
      [5],
    ],
  ])("%s", (_title, frame, bytes) => expect([...decompressFrame(frame, bytes.length)]).toEqual(bytes));

  test.each<[string, Uint8Array, string]>([
    ["another magic number", Uint8Array.from([5, ...frameOf(...end).subarray(1)]), "magic number"],
    ["another version", Uint8Array.from([4, 0x22, 0x4d, 0x18, 0xa0, 0x40, 0x82, ...end]), "version"],
    ["a dictionary", Uint8Array.from([4, 0x22, 0x4d, 0x18, 0x61, 0x40, 0x82, ...end]), "dictionary"],
    ["no block size", Uint8Array.from([4, 0x22, 0x4d, 0x18, 0x60, 0x00, 0x82, ...end]), "block size"],
    [
      "a stored block of 2^31 - 1 bytes",
      frameOf(255, 255, 255, 255, 1, 2),
      "a block has 2147483647 bytes, at most 65536",
    ],
    ["a packed block of 2^27 bytes", frameOf(0, 0, 0, 8, 0x10, 1), "a block has 134217728 bytes, at most 65536"],
    ["a block beyond its end", frameOf(...stored(9), 1, 2), "ends inside a block of 9 bytes"],
    ["literals beyond the block", frameOf(...packed(3), 0x50, 1, 2, ...end), "ends inside its literals"],
    ["a length without end", frameOf(...packed(3), 0xf0, 255, 255, ...end), "ends inside a sequence"],
    ["a match without distance", frameOf(...packed(3), 0x10, 1, 1, ...end), "ends inside a sequence"],
    ["a match before the first byte", frameOf(...packed(4), 0x10, 1, 2, 0, ...end), "before the first byte"],
    ["a match at no distance", frameOf(...packed(4), 0x10, 1, 0, 0, ...end), "before the first byte"],
    ["a stored block too long", frameOf(...stored(9), 1, 2, 3, 4, 5, 6, 7, 8, 9, ...end), "its prefix says 8"],
    ["literals too long", frameOf(...packed(10), 0x90, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...end), "its prefix says 8"],
    ["a match too long", frameOf(...packed(4), 0x14, 1, 1, 0, ...end), "its prefix says 8"],
    ["too few bytes", frameOf(...stored(2), 1, 2, ...end), "unfolds to 2 bytes, its prefix says 8"],
  ])("with %s are refused", (_title, frame, reason) => expect(() => decompressFrame(frame, 8)).toThrow(reason));

  test("cut anywhere are refused", () => {
    const bytes = Uint8Array.from({ length: 400 }, (_none, index) => (index % 40) * (index % 7));
    const frame = lz4.compress(bytes);
    for (let length = 0; length < frame.byteLength - 4; length += 1) {
      expect(() => decompressFrame(frame.subarray(0, length), bytes.byteLength), `${length} bytes`).toThrow();
    }
  });
});

test("what another library compresses comes back, whatever its size and content", () => {
  const random = new Random("lz4: round trips");
  const coverage = new Coverage("lz4: round trips", ["shortened", "not shortened", "several blocks"]);
  for (const length of [
    0,
    1,
    12,
    13,
    64,
    65_535,
    65_536,
    65_537,
    300_000,
    ...Array.from({ length: 60 }, () => random.below(3_000)),
  ]) {
    const alphabet = random.pick([1, 2, 5, 256]);
    const bytes = Uint8Array.from({ length }, () => random.below(alphabet));
    const frame = lz4.compress(bytes);
    expect(Buffer.from(decompressFrame(frame, length)).equals(Buffer.from(bytes))).toBe(true);
    coverage.hit(frame.byteLength < length ? "shortened" : "not shortened");
    if (length > 65_536) coverage.hit("several blocks");
  }
  coverage.check();
});

test("changed bytes are refused or unfold to as many bytes, quickly", () => {
  const random = new Random("lz4: changed bytes");
  const coverage = new Coverage("lz4: changed bytes", ["unfolded", "refused"]);
  const bytes = Uint8Array.from({ length: 2_000 }, () => random.below(3));
  const original = lz4.compress(bytes);
  let slowestMs = 0;
  for (let round = 0; round < 10_000; round += 1) {
    const frame = Uint8Array.from(original);
    for (let change = random.below(3); change >= 0; change -= 1) {
      frame[random.below(frame.byteLength)] = random.pick([0, 15, 240, 255, random.below(256)]);
    }
    const startedMs = performance.now();
    try {
      expect(decompressFrame(frame, bytes.byteLength).byteLength).toBe(bytes.byteLength);
      coverage.hit("unfolded");
    } catch {
      coverage.hit("refused");
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  expect(slowestMs).toBeLessThan(2_000);
  coverage.check();
});

test("a frame that unfolds to a million times what is expected is refused at once", () => {
  const frame = lz4.compress(new Uint8Array(2 ** 26));
  const startedMs = performance.now();
  expect(() => decompressFrame(frame, 8)).toThrow("its prefix says 8");
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});
