// Statistics of batches against the same made slowly out of what apache-arrow's getters give.

import { describe, expect, test } from "vitest";
import type { Batch } from "../../src/arrow/batch.ts";
import { leavesOf } from "../../src/arrow/leaf.ts";
import type { Schema } from "../../src/arrow/schema.ts";
import { batchStatistics } from "../../src/arrow/statistics.ts";
import { byteValuesMax } from "../../src/model/limits.ts";
import type { RowStatistics } from "../../src/model/statistics.ts";
import { mergeStatistics } from "../../src/model/statistics-merge.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { exactly, expectExact, expectTrue, leafValues, ordered } from "./leaf-values.ts";
import { fieldOf, int, schemaOf } from "./made.ts";
import {
  bytesOf,
  type Column,
  columnOf,
  handmade,
  makers,
  nestings,
  randomColumn,
  unsliced,
} from "./random-columns.ts";

const cells = combinations({ name: Object.keys(makers), nesting: nestings, nulls: [false, true] });
const cellOf = ({ name, nesting, nulls }: (typeof cells)[number]): string =>
  `${name}, ${nesting}, ${nulls ? "nulls" : "none"}`;

const statisticsOf = (schema: Schema, batch: Batch): RowStatistics => batchStatistics(leavesOf(schema), batch);

function expectAllExact({ schema, batch, values, type }: Column, title: string): RowStatistics {
  const found = statisticsOf(schema, batch);
  const leaves = leavesOf(schema).list;
  const wanted = leafValues(values, type);
  expect(found.length).toBe(wanted.length);
  wanted.forEach((leaf, index) => {
    const isList = leaves[index]?.kind === "unordered";
    expectExact(found[index], exactly(leaf, isList), `${title}: ${leaves[index]?.path}`);
  });
  return found;
}

test("every type in every nesting: counts, least and most, and the texts that there are", () => {
  const random = new Random("statistics: columns");
  const kinds = ["NaN", "only NaN", "infinite", "zero", "int64 end", "cut", "few texts", "many texts", "all null"];
  const coverage = new Coverage("statistics: columns", [...cells.map(cellOf), ...kinds, "slice", "several blocks"]);
  for (const cell of cells) {
    for (let round = 0; round < 4; round += 1) {
      const rows = round === 3 && cell.nesting === "top" ? 2_000 + random.below(3_000) : 1 + random.below(40);
      const made = randomColumn(random, cell.name, cell.nesting, { nulls: cell.nulls, rows });
      const start = random.chance(0.5) && cell.name !== unsliced ? random.below(rows) : 0;
      const column = columnOf(random, made, start);
      const found = expectAllExact(column, cellOf(cell));
      coverage.hit(cellOf(cell));
      if (start > 0) coverage.hit("slice");
      if (rows > 2_048) coverage.hit("several blocks");
      for (const leaf of found) {
        if (leaf === undefined) continue;
        if (leaf.nans > 0) coverage.hit(leaf.nans + leaf.nulls < leaf.values ? "NaN" : "only NaN");
        if (leaf.nulls === leaf.values) coverage.hit("all null");
        const { range } = leaf;
        if (range?.kind === "number") {
          if (range.most === Number.POSITIVE_INFINITY) coverage.hit("infinite");
          if (range.least === 0 || range.most === 0) coverage.hit("zero");
          if (range.least === -(2n ** 63n) || range.most === 2n ** 64n - 1n) coverage.hit("int64 end");
        } else if (range?.kind === "text") {
          if (range.most?.byteLength === 64) coverage.hit("cut");
          coverage.hit(leaf.distinct === undefined ? "many texts" : "few texts");
        }
      }
    }
  }
  coverage.check();
});

test("statistics of parts, merged, are those of the whole", () => {
  const random = new Random("statistics: merges");
  const coverage = new Coverage("statistics: merges", [...cells.map(cellOf), "empty part", "texts lost", "texts kept"]);
  for (const cell of cells) {
    if (cell.name === unsliced) {
      coverage.hit(cellOf(cell));
      continue;
    }
    for (let round = 0; round < 3; round += 1) {
      const rows = 1 + random.below(60);
      const made = randomColumn(random, cell.name, cell.nesting, { nulls: cell.nulls, rows });
      const whole = columnOf(random, made);
      const cuts = [0, random.below(rows + 1), random.below(rows + 1), rows].sort((a, b) => a - b);
      const parts = cuts.slice(1).map((end, index) => columnOf(random, made, cuts[index] ?? 0, end));
      if (parts.some(({ batch }) => batch.rows === 0)) coverage.hit("empty part");
      const merged = parts.map(({ schema, batch }) => statisticsOf(schema, batch)).reduce(mergeStatistics);
      const wanted = statisticsOf(whole.schema, whole.batch);
      leafValues(whole.values, whole.type).forEach((values, index) => {
        const leaf = merged[index];
        if (leaf === undefined) throw new Error(`${cellOf(cell)}: leaf ${index} is lost`);
        expectTrue(leaf, values, cellOf(cell));
        // Bounds of texts too: a bound that was raised is the greater of two in both.
        expect(leaf.range, cellOf(cell)).toEqual(wanted[index]?.range);
        const texts = wanted[index]?.distinct;
        expect(leaf.distinct === undefined ? undefined : [...leaf.distinct].sort(), cellOf(cell)).toEqual(
          texts === undefined ? undefined : [...texts].sort(),
        );
        if (ordered(values).some((value) => typeof value === "string"))
          coverage.hit(texts === undefined ? "texts lost" : "texts kept");
      });
      coverage.hit(cellOf(cell));
    }
  }
  coverage.check();
});

describe("merging", () => {
  const counts = { values: 3, nulls: 1, nans: 0 };
  const number = { kind: "number", least: 1, most: 2 } as const;
  const text = (least: string, most: string | undefined) =>
    ({ kind: "text", least: Buffer.from(least), most: most === undefined ? undefined : Buffer.from(most) }) as const;
  test.each([
    ["nothing is known where one knows nothing", [undefined], [counts], [undefined]],
    [
      "a range that is not kept takes the other",
      [{ ...counts, range: number }],
      [counts],
      [{ values: 6, nulls: 2, nans: 0 }],
    ],
    [
      "no values leave the other range",
      [{ ...counts, range: number }],
      [{ values: 2, nulls: 1, nans: 1 }],
      [{ values: 5, nulls: 2, nans: 1, range: number }],
    ],
    [
      "nothing above stays nothing above",
      [{ ...counts, range: text("b", undefined) }],
      [{ ...counts, range: text("a", "c") }],
      [{ values: 6, nulls: 2, nans: 0, range: text("a", undefined) }],
    ],
    [
      "17 texts are too many",
      [{ ...counts, distinct: Array.from({ length: 9 }, (_none, index) => `a${index}`) }],
      [{ ...counts, distinct: Array.from({ length: 8 }, (_none, index) => `b${index}`) }],
      [{ values: 6, nulls: 2, nans: 0 }],
    ],
    [
      "numbers of both kinds",
      [{ ...counts, range: { kind: "number", least: -5n, most: 2n ** 63n - 1n } as const }],
      [{ ...counts, range: { kind: "number", least: -(2n ** 63n), most: 0n } as const }],
      [{ values: 6, nulls: 2, nans: 0, range: { kind: "number", least: -(2n ** 63n), most: 2n ** 63n - 1n } as const }],
    ],
    [
      "counts beyond what is exact are not known",
      [{ values: 2 ** 53 - 1, nulls: 0, nans: 0 }],
      [{ values: 1, nulls: 0, nans: 0 }],
      [undefined],
    ],
  ] satisfies [string, RowStatistics, RowStatistics, RowStatistics][])("%s", (_title, a, b, both) => {
    expect(mergeStatistics(a, b)).toEqual(both);
    const flipped = mergeStatistics(b, a);
    expect(flipped.map((leaf) => leaf && { ...leaf, distinct: leaf.distinct && [...leaf.distinct].sort() })).toEqual(
      both,
    );
  });
});

describe("texts", () => {
  const schema = schemaOf(fieldOf("a", { kind: "utf8", offsetBits: 32 }));
  const statisticsOfTexts = (...texts: readonly Uint8Array[]) => {
    const offsets = [0];
    for (const { byteLength } of texts) offsets.push((offsets.at(-1) ?? 0) + byteLength);
    const batch = handmade(schema, {
      rows: texts.length,
      nodes: [[texts.length, 0]],
      buffers: [new Uint8Array(0), bytesOf(Int32Array.from(offsets)), Buffer.concat(texts)],
    });
    return statisticsOf(schema, batch)[0];
  };
  const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString("hex");
  const ff = (count: number): Uint8Array => new Uint8Array(count).fill(0xff);
  const most = (...texts: readonly Uint8Array[]): string | undefined => {
    const range = statisticsOfTexts(...texts)?.range;
    return range?.kind === "text" ? hex(range.most) : "no range";
  };

  test("the most is raised when it is cut, past bytes that cannot be", () => {
    expect(most(Buffer.alloc(64, "a"))).toBe("61".repeat(64));
    expect(most(Buffer.alloc(65, "a"))).toBe(`${"61".repeat(63)}62`);
    expect(most(Buffer.concat([Buffer.from("ab"), ff(70)]))).toBe("6163");
    expect(most(ff(64))).toBe("ff".repeat(64));
    expect(most(ff(65))).toBeUndefined();
  });

  test("a text of 64 bytes does not hide that another goes on behind them", () => {
    const short = Buffer.alloc(64, "a");
    expect(most(short, Buffer.alloc(65, "a"))).toBe(`${"61".repeat(63)}62`);
    expect(most(Buffer.alloc(65, "a"), short)).toBe(`${"61".repeat(63)}62`);
  });

  test("what is no UTF-8 has bounds, but is not among the texts", () => {
    const found = statisticsOfTexts(ff(2), Buffer.from("a"));
    expect(found).toEqual({
      values: 2,
      nulls: 0,
      nans: 0,
      range: { kind: "text", least: Uint8Array.of(0x61), most: ff(2) },
      distinct: undefined,
    });
  });

  test("a byte order mark is part of a text", () => {
    expect(statisticsOfTexts(Buffer.from("\ufeffa"))?.distinct).toEqual(["\ufeffa"]);
  });

  test("16 texts of 64 bytes are kept, a 17th or a longer one ends that", () => {
    const sixteen = Array.from({ length: 16 }, (_none, index) => Buffer.alloc(64, String.fromCharCode(97 + index)));
    expect(statisticsOfTexts(...sixteen, ...sixteen)?.distinct?.length).toBe(16);
    expect(statisticsOfTexts(...sixteen, Buffer.from("x"))?.distinct).toBeUndefined();
    expect(statisticsOfTexts(Buffer.alloc(65, "a"))?.distinct).toBeUndefined();
  });

  test("bounds do not change with the body", () => {
    const batch = handmade(schema, {
      rows: 1,
      nodes: [[1, 0]],
      buffers: [new Uint8Array(0), bytesOf(Int32Array.of(0, 2)), Buffer.from("ab")],
    });
    const [found] = statisticsOf(schema, batch);
    batch.body.fill(0);
    expect(found?.range).toEqual({ kind: "text", least: Uint8Array.of(97, 98), most: Uint8Array.of(97, 98) });
  });
});

test("of very many bytes only their type is known", () => {
  for (const [signed, least, most] of [
    [true, -128, 127],
    [false, 0, 255],
  ] as const) {
    const schema = schemaOf(fieldOf("a", { kind: "int", bits: 8, signed }));
    for (const rows of [byteValuesMax, byteValuesMax + 1]) {
      const batch = handmade(schema, { rows, nodes: [[rows, 0]], buffers: [new Uint8Array(0), new Uint8Array(rows)] });
      const range = rows > byteValuesMax ? { kind: "number", least, most } : { kind: "number", least: 0, most: 0 };
      expect(statisticsOf(schema, batch)).toEqual([{ values: rows, nulls: 0, nans: 0, range }]);
    }
  }
});

test("list views: items in any order are counted once, shared ones leave nothing known of the items", () => {
  const schema = schemaOf(fieldOf("a", { kind: "listView", offsetBits: 32 }, [fieldOf("item", int(16))]));
  const viewsOf = (offsets: readonly number[], sizes: readonly number[]) =>
    handmade(schema, {
      rows: offsets.length,
      nodes: [
        [offsets.length, 0],
        [6, 0],
      ],
      buffers: [
        new Uint8Array(0),
        bytesOf(Int32Array.from(offsets)),
        bytesOf(Int32Array.from(sizes)),
        new Uint8Array(0),
        bytesOf(Int16Array.of(100, 1, 2, 3, 4, -100)),
      ],
    });
  const lists = { values: 3, nulls: 0, nans: 0 };
  const range = { kind: "number", least: 1, most: 4 } as const;
  expect(statisticsOf(schema, viewsOf([3, 99, 1], [2, 0, 2]))).toEqual([lists, { ...lists, values: 4, range }]);
  expect(statisticsOf(schema, viewsOf([1, 99, 3], [2, 0, 2]))).toEqual([lists, { ...lists, values: 4, range }]);
  expect(statisticsOf(schema, viewsOf([1, 1, 3], [2, 2, 2]))).toEqual([lists, undefined]);
  expect(statisticsOf(schema, viewsOf([0, 0, 0], [6, 6, 6]))).toEqual([lists, undefined]);
});

test.each(["union", "run ends", "dictionary"] as const)(
  "of a %s nothing is known, of what stands behind it all",
  (kind) => {
    const behind = fieldOf("b", int(16));
    const first = {
      union: fieldOf("a", { kind: "union", mode: "sparse", typeIds: [0] }, [fieldOf("x", int(8))]),
      "run ends": fieldOf("a", { kind: "runEnd" }, [fieldOf("ends", int(16)), fieldOf("x", int(8))]),
      dictionary: {
        ...fieldOf("a", { kind: "struct" }, [fieldOf("x", int(8)), fieldOf("y", int(8))]),
        dictionary: { id: 1n, indexType: { kind: "int", bits: 8, signed: true }, ordered: false },
      } as const,
    }[kind];
    const none = new Uint8Array(0);
    const own = {
      union: {
        nodes: [
          [2, 0],
          [2, 0],
        ],
        buffers: [Uint8Array.of(0, 0), none, Uint8Array.of(1, 2)],
      },
      "run ends": {
        nodes: [
          [2, 0],
          [1, 0],
          [1, 0],
        ],
        buffers: [none, bytesOf(Int16Array.of(2)), none, Uint8Array.of(9)],
      },
      dictionary: { nodes: [[2, 1]], buffers: [Uint8Array.of(1), Uint8Array.of(0, 0)] },
    }[kind] as { nodes: [number, number][]; buffers: Uint8Array[] };
    const schema = schemaOf(first, behind);
    const batch = handmade(schema, {
      rows: 2,
      nodes: [...own.nodes, [2, 0]],
      buffers: [...own.buffers, none, bytesOf(Int16Array.of(7, 8))],
    });
    const range = { kind: "number", least: 7, most: 8 };
    expect(statisticsOf(schema, batch)).toEqual([undefined, { values: 2, nulls: 0, nans: 0, range }]);
  },
);
