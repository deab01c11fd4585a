// Columns whose contents lie: a vector is values or a refusal that names the column, statistics are never an exception, and what
// they claim is true of whatever a reader gets to see.

import { describe, expect, test } from "vitest";
import { type Batch, checkBatch } from "../../src/arrow/batch.ts";
import { leavesOf } from "../../src/arrow/leaf.ts";
import type { Schema } from "../../src/arrow/schema.ts";
import { batchStatistics } from "../../src/arrow/statistics.ts";
import { readVector, type Vector } from "../../src/arrow/vector.ts";
import { Fault } from "../../src/model/fault.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { expectTrue } from "./leaf-values.ts";
import { fieldOf, int, schemaOf } from "./made.ts";
import { bytesOf, columnOf, handmade, makers, nestings, type Plain, randomColumn } from "./random-columns.ts";
import { valuesOf } from "./vector-values.ts";

const bytesMax = 2 ** 20;
const refusals = ["corrupt", "invalid", "overloaded"] as const;

/** A column as values, or the code of why not. Any other exception is thrown. */
function tryRead(schema: Schema, batch: Batch, chain: readonly number[]): Plain[] | (typeof refusals)[number] {
  let vector: Vector;
  try {
    vector = readVector({ schema, batch, dictionaries: new Map(), bytesMax }, chain);
  } catch (error) {
    const code = error instanceof Fault ? refusals.find((known) => known === error.code) : undefined;
    if (code === undefined) throw error;
    return code;
  }
  return valuesOf(vector);
}

/** Values of a leaf out of those of rows, of which a chain has made nested lists: null lists are one null. */
function flat(values: readonly Plain[], levels: number): Plain[] {
  let found = [...values];
  for (let level = 0; level < levels; level += 1)
    found = found.flatMap((value) => (Array.isArray(value) ? value : [null]));
  return found;
}

test("bytes changed anywhere: what statistics claim is true of what is read", () => {
  const random = new Random("hostile columns");
  const cells = combinations({ name: Object.keys(makers), nesting: nestings });
  const coverage = new Coverage("hostile columns", [
    ...cells.map(({ name, nesting }) => `${name}, ${nesting}`),
    "read, known",
    "refused, nothing known",
    "refused, counts known",
    "corrupt",
  ]);
  for (const { name, nesting } of cells) {
    for (let round = 0; round < 12; round += 1) {
      const made = randomColumn(random, name, nesting, { nulls: random.chance(0.5), rows: 1 + random.below(20) });
      const { schema, batch } = columnOf(random, made);
      const body = Uint8Array.from(batch.body);
      for (let change = random.below(4); change >= 0 && body.byteLength > 0; change -= 1) {
        body[random.below(body.byteLength)] = random.pick([0, 1, 2, 127, 128, 255, random.below(256)]);
      }
      const nodeNulls = batch.nodeNulls.map((nulls) => (random.chance(0.1) ? 0 : nulls));
      const hostile = checkBatch(schema.fields, { ...batch, nodeNulls }, body);
      const leaves = leavesOf(schema);
      const statistics = batchStatistics(leaves, hostile);
      leaves.list.forEach(({ chain, path, kind }, index) => {
        const found = statistics[index];
        const read = tryRead(schema, hostile, chain);
        if (typeof read === "string") {
          if (read === "corrupt") coverage.hit("corrupt");
          coverage.hit(found === undefined ? "refused, nothing known" : "refused, counts known");
          // Items that no list has may be what is refused: statistics do not look at them.
          if (!path.includes("[]")) expect(found?.range, `${name}, ${nesting}: ${path}`).toBeUndefined();
          return;
        }
        if (found === undefined) return;
        coverage.hit("read, known");
        const values = flat(read, path.split("[]").length - 1);
        // A text that is no UTF-8 looks otherwise once it is decoded.
        const isBroken = kind === "text" && values.some((value) => String(value).includes("\ufffd"));
        expectTrue(isBroken ? { ...found, range: undefined } : found, values, `${name}, ${nesting}: ${path}`);
      });
      coverage.hit(`${name}, ${nesting}`);
    }
  }
  coverage.check();
});

const none = new Uint8Array(0);
const utf8 = schemaOf(fieldOf("a", { kind: "utf8", offsetBits: 32 }));
const largeUtf8 = schemaOf(fieldOf("a", { kind: "utf8", offsetBits: 64 }));
const view = schemaOf(fieldOf("a", { kind: "utf8View" }));
const lists = schemaOf(fieldOf("a", { kind: "list", offsetBits: 32 }, [fieldOf("item", int(8))]));
const listViews = schemaOf(fieldOf("a", { kind: "listView", offsetBits: 32 }, [fieldOf("item", int(8))]));
const runEnds = schemaOf(fieldOf("a", { kind: "runEnd" }, [fieldOf("run_ends", int(16)), fieldOf("values", int(8))]));

const offsets = (...values: readonly number[]): Uint8Array => bytesOf(Int32Array.from(values));
const textBatch = (...values: readonly number[]): Batch =>
  handmade(utf8, {
    rows: values.length - 1,
    nodes: [[values.length - 1, 0]],
    buffers: [none, offsets(...values), Buffer.from("abcd")],
  });
const largeBatch = (...values: readonly bigint[]): Batch =>
  handmade(largeUtf8, {
    rows: values.length - 1,
    nodes: [[values.length - 1, 0]],
    buffers: [none, bytesOf(BigInt64Array.from(values)), Buffer.from("abcd")],
  });
const viewBatch = (...words: readonly number[]): Batch =>
  handmade(view, {
    rows: 1,
    nodes: [[1, 0]],
    buffers: [none, offsets(...words), Buffer.alloc(20, "a")],
    variadicCounts: [1],
  });
const listBatch = (...values: readonly number[]): Batch =>
  handmade(lists, {
    rows: values.length - 1,
    nodes: [
      [values.length - 1, 0],
      [4, 0],
    ],
    buffers: [none, offsets(...values), none, Uint8Array.of(1, 2, 3, 4)],
  });
const listViewBatch = (offset: number, size: number): Batch =>
  handmade(listViews, {
    rows: 1,
    nodes: [
      [1, 0],
      [4, 0],
    ],
    buffers: [none, offsets(offset), offsets(size), none, Uint8Array.of(1, 2, 3, 4)],
  });
const runEndBatch = (...ends: readonly number[]): Batch =>
  handmade(runEnds, {
    rows: 10,
    nodes: [
      [10, 0],
      [ends.length, 0],
      [ends.length, 0],
    ],
    buffers: [none, bytesOf(Int16Array.from(ends)), none, new Uint8Array(ends.length)],
  });

describe("contents that point outside are refused in words, and nothing is known of them", () => {
  test.each<[string, Schema, Batch, string]>([
    ["a negative offset", utf8, textBatch(-1, 2), "row 0 starts at -1"],
    ["a descending one", utf8, textBatch(0, 3, 2, 4), "row 1 goes from 3 to 2 of 4 bytes"],
    ["one behind the data", utf8, textBatch(0, 2, 5), "its last row ends at 5 of 4 bytes"],
    ["a large one", largeUtf8, largeBatch(0n, 2n ** 40n), "its last row ends at 1099511627776 of 4 bytes"],
    ["a large negative one", largeUtf8, largeBatch(0n, -1n), "row 0 goes from 0 to -1 of 4 bytes"],
    [
      "the largest of all",
      largeUtf8,
      largeBatch(0n, 2n ** 63n - 1n),
      "its last row ends at 9223372036854776000 of 4 bytes",
    ],
    ["a view of negative length", view, viewBatch(-1, 0, 0, 0), "row 0 has -1 bytes"],
    ["a view of no data buffer", view, viewBatch(13, 0, 1, 0), "row 0 lies in data buffer 1 of 1"],
    ["a view of a negative data buffer", view, viewBatch(13, 0, -1, 0), "row 0 lies in data buffer -1 of 1"],
    ["a view behind its data", view, viewBatch(13, 0, 0, 8), "row 0 lies at 8 to 21 of 20 bytes of data buffer 0"],
    ["a view before its data", view, viewBatch(13, 0, 0, -1), "row 0 lies at -1 to 12 of 20 bytes of data buffer 0"],
    ["a list that descends", lists, listBatch(0, 3, 2), "row 1 goes from 3 to 2 of 4 items"],
    ["a list behind its items", lists, listBatch(0, 5), "its last row ends at 5 of 4 items"],
    ["a list view behind its items", listViews, listViewBatch(3, 2), "row 0 has 2 of 4 items from 3 on"],
    ["a list view of negative size", listViews, listViewBatch(3, -2), "row 0 has -2 of 4 items from 3 on"],
    ["runs that end too soon", runEnds, runEndBatch(3, 9), "its run 2 of 2 ends at NaN, expected beyond 9"],
    ["runs that go back", runEnds, runEndBatch(3, 3, 10), "its run 1 of 3 ends at 3, expected beyond 3"],
    ["runs that end before they begin", runEnds, runEndBatch(-1, 10), "its run 0 of 2 ends at -1, expected beyond 0"],
  ])("%s", (_title, schema, batch, problem) => {
    const refused = expect.objectContaining({ code: "corrupt", message: `Column "a" cannot be read: ${problem}.` });
    expect(() => readVector({ schema, batch, dictionaries: new Map(), bytesMax }, [0])).toThrow(refused);
    const [own, items] = batchStatistics(leavesOf(schema), batch);
    expect(own?.range).toBeUndefined();
    expect(items).toBeUndefined();
  });
});

describe("lengths that no bytes stand for", () => {
  const many = 2 ** 45;
  const nothing = fieldOf("item", { kind: "null" });
  const structs = fieldOf("item", { kind: "struct" }, [fieldOf("n", { kind: "null" })]);
  const empty = fieldOf("item", { kind: "fixedList", size: 0 }, [fieldOf("item", int(8))]);
  const largeList = (item: typeof nothing) => schemaOf(fieldOf("a", { kind: "list", offsetBits: 64 }, [item]));
  const batchOf = (schema: Schema, nodes: readonly (readonly [number, number])[], buffers: readonly Uint8Array[]) =>
    handmade(schema, {
      rows: 1,
      nodes: [[1, 0], ...nodes],
      buffers: [none, bytesOf(BigInt64Array.of(0n, BigInt(many))), ...buffers],
    });

  test("are counted without being walked", () => {
    const list = { values: 1, nulls: 0, nans: 0 };
    const ofNulls = largeList(nothing);
    expect(batchStatistics(leavesOf(ofNulls), batchOf(ofNulls, [[many, many]], []))).toEqual([
      list,
      { values: many, nulls: many, nans: 0 },
    ]);
    const ofStructs = largeList(structs);
    const structNodes = [
      [many, 0],
      [many, many],
    ] as const;
    expect(batchStatistics(leavesOf(ofStructs), batchOf(ofStructs, structNodes, [none]))).toEqual([
      list,
      { values: many, nulls: many, nans: 0 },
    ]);
    const ofEmpty = largeList(empty);
    const emptyNodes = [
      [many, 0],
      [0, 0],
    ] as const;
    expect(batchStatistics(leavesOf(ofEmpty), batchOf(ofEmpty, emptyNodes, [none, none, none]))).toEqual([
      list,
      { values: many, nulls: 0, nans: 0 },
      { values: 0, nulls: 0, nans: 0 },
    ]);
  });

  test("are refused by a vector that would need memory for each", () => {
    const tooMuch = expect.objectContaining({
      code: "overloaded",
      message: 'Column "a[]" cannot be read: it takes more memory than is allowed here.',
    });
    const ofNulls = largeList(nothing);
    const nulls = batchOf(ofNulls, [[many, many]], []);
    expect(() => readVector({ schema: ofNulls, batch: nulls, dictionaries: new Map(), bytesMax }, [0, 0])).toThrow(
      tooMuch,
    );
    const ofEmpty = largeList(empty);
    const lists = batchOf(
      ofEmpty,
      [
        [many, 0],
        [0, 0],
      ],
      [none, none, none],
    );
    expect(() => readVector({ schema: ofEmpty, batch: lists, dictionaries: new Map(), bytesMax }, [0, 0])).toThrow(
      tooMuch,
    );
  });
});

test("columns that share their bytes are looked at as long as there is room, the others are not known", () => {
  const columns = 200;
  const rows = 20_000;
  const schema = schemaOf(...Array.from({ length: columns }, (_none, index) => fieldOf(`c${index}`, int(64))));
  const lists = {
    rows,
    nodeLengths: new Float64Array(columns).fill(rows),
    nodeNulls: new Float64Array(columns),
    bufferOffsets: new Float64Array(2 * columns),
    bufferLengths: Float64Array.from({ length: 2 * columns }, (_none, index) => (index % 2) * 8 * rows),
    variadicCounts: new Float64Array(0),
    compression: "none",
  } as const;
  const batch = checkBatch(schema.fields, lists, new Uint8Array(8 * rows));
  const known = batchStatistics(leavesOf(schema), batch).filter((leaf) => leaf !== undefined).length;
  expect(known).toBe(4);
});

test("texts that share their bytes are looked at as long as there is room", () => {
  const rows = 60_000;
  const views = new Int32Array(4 * rows);
  for (let row = 0; row < rows; row += 1) views.set([64 + (row % 3), 0, 0, row % 7], 4 * row);
  const batch = handmade(view, {
    rows,
    nodes: [[rows, 0]],
    buffers: [none, bytesOf(views), Buffer.alloc(100, "a")],
    variadicCounts: [1],
  });
  expect(batchStatistics(leavesOf(view), batch)).toEqual([undefined]);
});

describe("compressed bodies", () => {
  const schema = schemaOf(fieldOf("f", { kind: "float", bits: 64 }), fieldOf("i", int(32)));
  const stored = (bytes: Uint8Array): Uint8Array => Buffer.concat([new Uint8Array(8).fill(0xff), bytes]);
  const batchOf = (validity: Uint8Array, compression: "lz4" | "zstd"): Batch =>
    handmade(schema, {
      rows: 3,
      nodes: [
        [3, 0],
        [3, 2],
      ],
      buffers: [none, stored(new Uint8Array(24)), validity, stored(new Uint8Array(12))],
      compression,
    });

  test.each(["lz4", "zstd"] as const)("of %s only nulls are counted, where no NaN can be", (compression) => {
    expect(batchStatistics(leavesOf(schema), batchOf(stored(Uint8Array.of(0b100)), compression))).toEqual([
      undefined,
      { values: 3, nulls: 2, nans: 0 },
    ]);
  });

  test.each(["lz4", "zstd"] as const)("what is no %s data is not known", (compression) => {
    const broken = Buffer.concat([bytesOf(BigInt64Array.of(8n)), Buffer.from("nothing of that kind")]);
    expect(batchStatistics(leavesOf(schema), batchOf(broken, compression))).toEqual([undefined, undefined]);
    const read = tryRead(schema, batchOf(broken, compression), [1]);
    expect(read).toBe("invalid");
  });

  test("a buffer that unfolds to less than its rows need is refused", () => {
    const short = batchOf(stored(none), "zstd");
    expect(() => readVector({ schema, batch: short, dictionaries: new Map(), bytesMax }, [1])).toThrow(
      expect.objectContaining({
        code: "corrupt",
        message: 'Column "i" cannot be read: it has 0 bytes of validity, expected 1.',
      }),
    );
  });

  test("what unfolds too far is refused before it does", () => {
    const bomb = Buffer.concat([bytesOf(BigInt64Array.of(2n ** 40n)), new Uint8Array(8)]);
    expect(tryRead(schema, batchOf(bomb, "zstd"), [1])).toBe("overloaded");
    expect(batchStatistics(leavesOf(schema), batchOf(bomb, "zstd"))).toEqual([undefined, undefined]);
  });
});
