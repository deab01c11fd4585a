// Packed statistics: what is written is read again, one leaf without the others, and damage is never more than a fault.

import { describe, expect, test } from "vitest";
import { Fault } from "../../src/model/fault.ts";
import type { LeafStatistics, ValueRange } from "../../src/model/statistics.ts";
import { decodeLeaf, decodeStatistics, encodeStatistics } from "../../src/model/statistics-codec.ts";
import { Coverage, combinations } from "./coverage.ts";
import { Random } from "./random.ts";

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));

describe("bytes", () => {
  test("the layout of two leaves, the first unknown", () => {
    const range: ValueRange = { kind: "number", least: -1n, most: 2n };
    expect(
      Buffer.from(encodeStatistics([undefined, { values: 1, nulls: 2, nans: 0, range, distinct: ["é"] }])).toString(
        "hex",
      ),
    ).toBe(
      "01000000" +
        "02000000" +
        "00000000" +
        "10000000" + // head, places
        "11010000" +
        "00000000" +
        "000000000000f03f" +
        "0000000000000040" +
        "0000000000000000" +
        "ffffffffffffffff" +
        "0200000000000000" +
        "02c3a9",
    );
  });

  test("no leaves", () => {
    expect(decodeStatistics(encodeStatistics([]))).toEqual([]);
    expect(decodeLeaf(encodeStatistics([]), 0)).toBeUndefined();
  });
});

const ranges = ["none", "int64", "uint64", "float", "text", "open text"] as const;

test("random statistics come back, leaf by leaf", () => {
  const random = new Random("statistics codec");
  const cells = combinations({ range: ranges, distinct: ["none", "some"] });
  const coverage = new Coverage("leaves", [
    "unknown",
    ...cells.map(({ range, distinct }) => `${range}, distinct ${distinct}`),
  ]);
  const leafOf = (): LeafStatistics | undefined => {
    if (random.chance(0.1)) {
      coverage.hit("unknown");
      return undefined;
    }
    const { range, distinct } = random.pick(cells);
    coverage.hit(`${range}, distinct ${distinct}`);
    return {
      values: random.below(1e9),
      nulls: random.below(1e9),
      nans: random.below(3),
      range: rangeOf(range, random),
      distinct:
        distinct === "none" ? undefined : Array.from({ length: random.below(17) }, (_none, at) => `${at}ü`.repeat(at)),
    };
  };
  for (let round = 0; round < 500; round += 1) {
    const statistics = Array.from({ length: random.below(20) }, leafOf);
    const bytes = encodeStatistics(statistics);
    expect(decodeStatistics(bytes)).toEqual(statistics);
    const index = random.below(20);
    expect(decodeLeaf(bytes, index)).toEqual(statistics[index]);
  }
  coverage.check();
});

function rangeOf(kind: (typeof ranges)[number], random: Random): ValueRange | undefined {
  const ordered = (a: bigint, b: bigint) => (a < b ? { least: a, most: b } : { least: b, most: a });
  switch (kind) {
    case "none":
      return undefined;
    case "int64":
      return { kind: "number", ...ordered(random.int64(), random.int64()) };
    case "uint64":
      return { kind: "number", least: random.pick([0n, 5n, 2n ** 63n]), most: 2n ** 64n - 1n };
    case "float":
      return { kind: "number", least: random.pick([-Infinity, -0, 5e-324]), most: random.pick([Infinity, 1.5]) };
    case "text":
      return { kind: "text", least: random.bytes(random.below(65)), most: random.bytes(random.below(65)) };
    case "open text":
      return { kind: "text", least: text(""), most: undefined };
  }
}

test("cut and changed bytes are faults or other statistics, nothing else", () => {
  const random = new Random("statistics damage");
  const coverage = new Coverage("damage", ["cut: fault", "cut: read", "changed: fault", "changed: read"]);
  const whole = encodeStatistics([
    { values: 3, nulls: 0, nans: 0, range: { kind: "text", least: text("a"), most: text("b") }, distinct: ["a", "b"] },
    { values: 3, nulls: 0, nans: 0, range: { kind: "number", least: 1n, most: 2n } },
    undefined,
  ]);
  for (let round = 0; round < 2_000; round += 1) {
    const kind = random.pick(["cut", "changed"]);
    const bytes = whole.slice(0, kind === "cut" ? random.below(whole.byteLength) : whole.byteLength);
    if (kind === "changed") bytes[random.below(bytes.byteLength)] = random.below(256);
    try {
      decodeLeaf(bytes, random.below(3));
      coverage.hit(`${kind}: read`);
    } catch (error) {
      expect(error).toBeInstanceOf(Fault);
      expect((error as Fault).code).toBe("corrupt");
      coverage.hit(`${kind}: fault`);
    }
  }
  coverage.check();
});
