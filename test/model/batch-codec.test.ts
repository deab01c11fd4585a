// Packed batch entries: they lie in catalogs and in footers of chunk files, so their bytes are pinned.

import { expect, test } from "vitest";
import { batchEntryBytes, decodeBatches, encodeBatches } from "../../src/model/batch-codec.ts";
import type { BatchEntry } from "../../src/model/chunk.ts";
import { Coverage } from "./coverage.ts";
import { Random } from "./random.ts";

const entry: BatchEntry = {
  kind: "batch",
  offset: 0x0102030405,
  metadataBytes: 0x1020,
  bodyBytes: 0x40,
  rows: 3,
  crc32: 0xdeadbeef,
  sorted: true,
  range: { startNs: -1n, endNs: 2n ** 63n - 1n },
};

test("the layout, byte by byte", () => {
  expect(Buffer.from(encodeBatches([entry])).toString("hex")).toBe(
    [
      "06000000", // flags: sorted, has range
      "efbeadde", // crc32
      "000050403020f041", // offset, f64
      "20100000", // metadata bytes
      "03000000", // rows
      "0000000000005040", // body bytes, f64
      "ffffffffffffffff", // start
      "ffffffffffffff7f", // end
    ].join(""),
  );
});

test("no entries are no bytes", () => {
  expect(encodeBatches([]).byteLength).toBe(0);
  expect(decodeBatches(new Uint8Array(0))).toEqual([]);
});

test("random entries come back", () => {
  const random = new Random("batch codec: round trips");
  const coverage = new Coverage("batch codec: entries", [
    "batch",
    "dictionary",
    "sorted",
    "not sorted",
    "with range",
    "without range",
    "beyond 4 GiB",
  ]);
  for (let round = 0; round < 100; round += 1) {
    const entries = Array.from({ length: random.below(30) }, (): BatchEntry => {
      const first = random.int64();
      const second = random.int64();
      const made: BatchEntry = {
        kind: random.pick(["batch", "dictionary"]),
        offset: random.below(2 ** 48),
        metadataBytes: random.below(2 ** 32),
        bodyBytes: random.below(2 ** 40),
        rows: random.below(2 ** 32),
        crc32: random.below(2 ** 32),
        sorted: random.chance(0.5),
        range: random.chance(0.5)
          ? { startNs: first < second ? first : second, endNs: first < second ? second : first }
          : undefined,
      };
      coverage.hit(made.kind);
      coverage.hit(made.sorted ? "sorted" : "not sorted");
      coverage.hit(made.range === undefined ? "without range" : "with range");
      if (made.offset > 2 ** 32) coverage.hit("beyond 4 GiB");
      return made;
    });
    const bytes = encodeBatches(entries);
    expect(bytes.byteLength).toBe(entries.length * batchEntryBytes);
    // Also from the middle of something larger, as in a row of the catalog.
    const larger = new Uint8Array(bytes.byteLength + 13);
    larger.set(bytes, 13);
    expect(decodeBatches(larger.subarray(13))).toEqual(entries);
  }
  coverage.check();
});

test.each([1, batchEntryBytes - 1, batchEntryBytes + 1])("%i bytes are no entries", (length) => {
  expect(() => decodeBatches(new Uint8Array(length))).toThrow(
    expect.objectContaining({
      code: "corrupt",
      message: `Cannot read batch entries: ${length} bytes are no multiple of ${batchEntryBytes}`,
    }),
  );
});
