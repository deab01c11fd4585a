// Columns read by row, against apache-arrow's getters for what it can write and against plain values for what it cannot.

import { zstdCompressSync } from "node:zlib";
import * as arrow from "apache-arrow";
import lz4 from "lz4js";
import { describe, expect, test } from "vitest";
import { type Batch, checkBatch, readBatch } from "../../src/arrow/batch.ts";
import { readDictionary } from "../../src/arrow/dictionary.ts";
import { leavesOf } from "../../src/arrow/leaf.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { type Field, readSchema } from "../../src/arrow/schema.ts";
import { type Dictionary, openDictionary, readVector } from "../../src/arrow/vector.ts";
import { splitStream } from "../load/messages.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { fieldOf, int, schemaOf } from "./made.ts";
import {
  bytesOf,
  columnOf,
  handmade,
  makers,
  nestings,
  type Plain,
  randomColumn,
  randomText,
  unsliced,
} from "./random-columns.ts";
import { something, valuesOf } from "./vector-values.ts";

const bytesMax = 2 ** 24;
const none: ReadonlyMap<bigint, Dictionary> = new Map();

/** What is at the end of a chain, out of the value of a whole row. */
function project(value: Plain, type: arrow.DataType, chain: readonly number[]): Plain {
  if (value === null) return null;
  const [step, ...rest] = chain;
  if (step === undefined) return (type.children ?? []).length > 0 ? something : value;
  const child = type.children[step];
  if (child === undefined) throw new RangeError("the chain leads to a child");
  if (arrow.DataType.isStruct(type)) {
    return project((value as { readonly [name: string]: Plain })[child.name] ?? null, child.type, rest);
  }
  return (value as readonly Plain[]).map((item) => project(item, child.type, rest));
}

type Codec = "lz4" | "zstd";
const lz4Compress = (lz4 as unknown as { compress(bytes: Uint8Array): Uint8Array }).compress;

/** The same batch, each buffer compressed; empty ones stay empty, short ones are stored. */
function compressed(fields: readonly Field[], batch: Batch, codec: Codec): Batch {
  const buffers = Array.from(batch.bufferLengths, (length, index) => {
    if (length === 0) return new Uint8Array(0);
    const offset = batch.bufferOffsets[index] ?? 0;
    const bytes = Uint8Array.from(batch.body.subarray(offset, offset + length));
    const prefix = new Uint8Array(8);
    new DataView(prefix.buffer).setBigInt64(0, length < 8 ? -1n : BigInt(length), true);
    const packed = length < 8 ? bytes : codec === "zstd" ? zstdCompressSync(bytes) : lz4Compress(bytes);
    return Buffer.concat([prefix, packed]);
  });
  const body = Buffer.concat(buffers);
  let at = 0;
  const bufferOffsets = Float64Array.from(buffers, ({ byteLength }) => {
    at += byteLength;
    return at - byteLength;
  });
  const bufferLengths = Float64Array.from(buffers, ({ byteLength }) => byteLength);
  return checkBatch(fields, { ...batch, bufferOffsets, bufferLengths, compression: codec }, body);
}

test("every type in every nesting has the values that apache-arrow's getters give", () => {
  const random = new Random("vector: columns");
  const cells = combinations({ name: Object.keys(makers), nesting: nestings, nulls: [false, true] });
  const cellOf = ({ name, nesting, nulls }: (typeof cells)[number]): string =>
    `${name}, ${nesting}, ${nulls ? "nulls" : "none"}`;
  const forms = ["plain", "slice", "lz4", "zstd"] as const;
  const coverage = new Coverage("vector: columns", [...cells.map(cellOf), ...forms, "unaligned", "null", "value"]);
  for (const cell of cells) {
    for (const form of forms) {
      const rows = 1 + random.below(40);
      const made = randomColumn(random, cell.name, cell.nesting, { nulls: cell.nulls, rows });
      const start = form === "slice" && cell.name !== unsliced ? random.below(rows) : 0;
      const { schema, batch, values, type } = columnOf(random, made, start);
      const read = form === "lz4" || form === "zstd" ? compressed(schema.fields, batch, form) : batch;
      for (const { chain, path } of leavesOf(schema).list) {
        const vector = readVector({ schema, batch: read, dictionaries: none, bytesMax }, chain);
        const wanted = values.map((value) => project(value, type, chain.slice(1)));
        expect(valuesOf(vector), `${cellOf(cell)}, ${form}: ${path}`).toEqual(wanted);
        for (const value of wanted) coverage.hit(value === null ? "null" : "value");
      }
      coverage.hit(cellOf(cell));
      coverage.hit(form);
      if (batch.body.byteOffset % 8 !== 0) coverage.hit("unaligned");
    }
  }
  coverage.check();
});

describe("layouts that apache-arrow does not write", () => {
  const rounds = 100;

  test("list views: in any order, sharing items, anything where they are null or empty", () => {
    const random = new Random("vector: list views");
    for (let round = 0; round < rounds; round += 1) {
      const bits = random.pick([32, 64] as const);
      const schema = schemaOf(fieldOf("a", { kind: "listView", offsetBits: bits }, [fieldOf("item", int(16))]));
      const items = Int16Array.from({ length: 1 + random.below(20) }, () => random.below(1000));
      const wild = 2n ** 31n - 1n;
      const lists = Array.from({ length: 1 + random.below(20) }, () => {
        const start = random.below(items.length);
        const size = random.below(items.length - start + 1);
        if (random.chance(0.2)) return { start: wild, size: random.pick([0n, wild, -1n]), value: null };
        if (size === 0) return { start: random.pick([wild, -5n]), size: 0n, value: [] };
        return { start: BigInt(start), size: BigInt(size), value: [...items.subarray(start, start + size)] };
      });
      const validity = new Uint8Array(Math.ceil(lists.length / 8));
      lists.forEach(({ value }, row) => {
        if (value !== null) validity[row >>> 3] = (validity[row >>> 3] ?? 0) | (1 << (row & 7));
      });
      const nulls = lists.filter(({ value }) => value === null).length;
      const pack = (values: readonly bigint[]): Uint8Array =>
        bytesOf(bits === 32 ? Int32Array.from(values, Number) : BigInt64Array.from(values));
      const batch = handmade(schema, {
        rows: lists.length,
        nodes: [
          [lists.length, nulls],
          [items.length, 0],
        ],
        buffers: [
          validity,
          pack(lists.map(({ start }) => start)),
          pack(lists.map(({ size }) => size)),
          new Uint8Array(0),
          bytesOf(items),
        ],
        shift: random.below(8),
      });
      const vector = readVector({ schema, batch, dictionaries: none, bytesMax }, [0, 0]);
      expect(valuesOf(vector)).toEqual(lists.map(({ value }) => value));
    }
  });

  test.each([16, 32, 64] as const)("run ends of %i bits", (bits) => {
    const random = new Random(`vector: run ends ${bits}`);
    const schema = schemaOf(
      fieldOf("a", { kind: "runEnd" }, [
        fieldOf("run_ends", int(bits)),
        fieldOf("values", { kind: "utf8", offsetBits: 32 }),
      ]),
    );
    for (let round = 0; round < rounds; round += 1) {
      const runs = Array.from({ length: 1 + random.below(6) }, () => ({
        length: 1 + random.below(5),
        value: random.chance(0.3) ? null : randomText(random, false),
      }));
      let rows = 0;
      const runEnds = runs.map(({ length }) => {
        rows += length;
        return rows;
      });
      const texts = runs.map(({ value }) => Buffer.from(value ?? "anything"));
      const offsets = [0];
      for (const { byteLength } of texts) offsets.push((offsets.at(-1) ?? 0) + byteLength);
      const validity = runs.reduce((byte, { value }, index) => byte | (value === null ? 0 : 1 << index), 0);
      const batch = handmade(schema, {
        rows,
        nodes: [
          [rows, 0],
          [runs.length, 0],
          [runs.length, runs.filter(({ value }) => value === null).length],
        ],
        buffers: [
          new Uint8Array(0),
          bytesOf(
            bits === 16
              ? Int16Array.from(runEnds)
              : bits === 32
                ? Int32Array.from(runEnds)
                : BigInt64Array.from(runEnds, BigInt),
          ),
          Uint8Array.of(validity),
          bytesOf(Int32Array.from(offsets)),
          Buffer.concat(texts),
        ],
        shift: random.below(8),
      });
      expect(valuesOf(readVector({ schema, batch, dictionaries: none, bytesMax }, [0]))).toEqual(
        runs.flatMap(({ length, value }) => Array.from({ length }, () => value)),
      );
    }
  });
});

describe("dictionaries", () => {
  /** A stream of apache-arrow with one column, its dictionaries opened. */
  function readDictionaries(vector: arrow.Vector): { values: Plain[]; schema: ReturnType<typeof readSchema> } {
    const [head, ...messages] = splitStream(arrow.tableToIPC(new arrow.Table({ a: vector }), "stream"));
    if (head === undefined) throw new RangeError("a stream begins with its schema");
    const schema = readSchema(head.header);
    const parts = new Map<bigint, Batch[]>();
    const values: Plain[] = [];
    for (const { header, body } of messages) {
      const message = readMessage(header, body.byteLength);
      if (message.kind === "dictionary") {
        const known = message.isDelta ? (parts.get(message.id) ?? []) : [];
        parts.set(message.id, [...known, readDictionary(schema, message, body)]);
      }
      if (message.kind !== "batch") continue;
      const dictionaries = new Map([...parts].map(([id, list]) => [id, openDictionary(schema, id, list, bytesMax)]));
      const batch = readBatch(schema, message, body);
      values.push(...valuesOf(readVector({ schema, batch, dictionaries, bytesMax }, [0])));
    }
    return { values, schema };
  }

  test("of every index type, with nulls in the column and in the dictionary", () => {
    const random = new Random("vector: dictionaries");
    const indexTypes = [
      [new arrow.Int8(), Int8Array],
      [new arrow.Int16(), Int16Array],
      [new arrow.Int32(), Int32Array],
      [new arrow.Uint8(), Uint8Array],
      [new arrow.Uint16(), Uint16Array],
      [new arrow.Uint32(), Uint32Array],
    ] as const;
    const coverage = new Coverage("vector: dictionaries", ["null index", "null value", "value"]);
    for (const [indexType, array] of indexTypes) {
      for (const values of [
        ["x", null, "", "日本"],
        [1.5, null, Number.NaN],
      ] as const) {
        const valueType = typeof values[0] === "string" ? new arrow.Utf8() : new arrow.Float64();
        const dictionary = arrow.vectorFromArray(values as readonly (string | number | null)[], valueType);
        const rows = 40;
        const nullBitmap = random.bytes(5);
        const indices = new array(Array.from({ length: rows }, () => random.below(values.length)));
        const isNull = (row: number): boolean => (((nullBitmap[row >>> 3] ?? 0) >>> (row & 7)) & 1) === 0;
        // Where a row is null its index may be anything.
        for (let row = 0; row < rows; row += 1) if (isNull(row)) indices[row] = 100;
        const wanted = Array.from(indices, (index, row) => (isNull(row) ? null : (values[index] ?? null)));
        const data = arrow.makeData({
          type: new arrow.Dictionary(valueType, indexType as arrow.Int32, 7),
          length: rows,
          nullCount: -1,
          nullBitmap,
          data: indices as Int32Array,
          dictionary,
        } as never);
        expect(readDictionaries(arrow.makeVector(data as arrow.Data) as arrow.Vector).values).toEqual(wanted);
        wanted.forEach((value, row) => {
          coverage.hit(value !== null ? "value" : isNull(row) ? "null index" : "null value");
        });
      }
    }
    coverage.check();
  });

  const encoded: Field = {
    ...fieldOf("a", { kind: "utf8", offsetBits: 32 }),
    dictionary: { id: 1n, indexType: { kind: "int", bits: 8, signed: true }, ordered: false },
  };
  const schema = schemaOf(encoded);
  const values = (...texts: readonly string[]): Batch => {
    const offsets = [0];
    for (const text of texts) offsets.push((offsets.at(-1) ?? 0) + text.length);
    return handmade(schemaOf(fieldOf("a", { kind: "utf8", offsetBits: 32 })), {
      rows: texts.length,
      nodes: [[texts.length, 0]],
      buffers: [new Uint8Array(0), bytesOf(Int32Array.from(offsets)), Buffer.from(texts.join(""))],
    });
  };
  const rowsOf = (...indices: readonly number[]): Batch =>
    handmade(schema, {
      rows: indices.length,
      nodes: [[indices.length, 0]],
      buffers: [new Uint8Array(0), bytesOf(Int8Array.from(indices))],
    });

  test("a delta goes on where the values before end", () => {
    const dictionaries = new Map([
      [1n, openDictionary(schema, 1n, [values("x", "y"), values("z"), values()], bytesMax)],
    ]);
    const vector = readVector({ schema, batch: rowsOf(2, 0, 1, 2), dictionaries, bytesMax }, [0]);
    expect(valuesOf(vector)).toEqual(["z", "x", "y", "z"]);
  });

  test.each([[2], [-1], [127]])("the index %i is refused, naming column, row and what was expected", (index) => {
    const dictionaries = new Map([[1n, openDictionary(schema, 1n, [values("x", "y")], bytesMax)]]);
    expect(() => readVector({ schema, batch: rowsOf(0, index), dictionaries, bytesMax }, [0])).toThrow(
      expect.objectContaining({
        code: "corrupt",
        message: `Column "a" cannot be read: row 1 has the index ${index}, its dictionary has 2 values.`,
      }),
    );
  });

  test("a dictionary that is missing is named", () => {
    expect(() => readVector({ schema, batch: rowsOf(0), dictionaries: none, bytesMax }, [0])).toThrow(
      expect.objectContaining({ code: "corrupt", message: 'Column "a" cannot be read: dictionary 1 is missing.' }),
    );
  });

  test("structs that a dictionary holds are opened", () => {
    const point = fieldOf("p", { kind: "struct" }, [fieldOf("x", int(32))]);
    const points = schemaOf({ ...point, dictionary: encoded.dictionary });
    const batch = handmade(schemaOf(point), {
      rows: 3,
      nodes: [
        [3, 1],
        [3, 0],
      ],
      buffers: [Uint8Array.of(0b101), new Uint8Array(0), bytesOf(Int32Array.of(5, 6, 7))],
    });
    const dictionaries = new Map([[1n, openDictionary(points, 1n, [batch], bytesMax)]]);
    const vector = readVector({ schema: points, batch: rowsOf(2, 1, 0), dictionaries, bytesMax }, [0, 0]);
    expect(valuesOf(vector)).toEqual([7, null, 5]);
  });
});
