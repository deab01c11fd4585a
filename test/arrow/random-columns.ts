// Columns of every type that apache-arrow can write, with values where rows are null and items that no list has, and what its own
// getters say is in them.

import * as arrow from "apache-arrow";
import { type Batch, checkBatch, readBatch } from "../../src/arrow/batch.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { readSchema, type Schema } from "../../src/arrow/schema.ts";
import { toMessages } from "../load/messages.ts";
import type { Random } from "../model/random.ts";

/** A value as JavaScript has it: structs as objects, lists as arrays, times as their integers. */
export type Plain = null | number | bigint | string | boolean | readonly Plain[] | { readonly [name: string]: Plain };

/** A column twice: of its type, and with integers in place of times, which apache-arrow's getters would round. */
export interface Made {
  readonly data: arrow.Data;
  readonly shadow: arrow.Data;
}

type Integers =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

interface Maker {
  readonly type: arrow.DataType;
  readonly shadow?: arrow.DataType;
  readonly values: (random: Random, rows: number) => Partial<arrow.Data> | Record<string, unknown>;
}

const ends = (bits: number, signed: boolean): bigint[] =>
  signed ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n] : [0n, 2n ** BigInt(bits) - 1n];

/** Mostly near each other, so that what does not belong to them is seen in the bounds. */
function integers(array: new (length: number) => Integers, bits: number, signed: boolean): Maker["values"] {
  return (random, rows) => {
    const values = new array(rows);
    const wild = random.chance(0.4);
    const base = random.chance(0.3) ? 2n ** 32n - 2n : BigInt(random.below(100));
    for (let row = 0; row < rows; row += 1) {
      const value =
        wild && random.chance(0.2)
          ? random.pick([...ends(bits, signed), random.int64()])
          : base + BigInt(random.below(20));
      const wrapped = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
      values[row] = (bits === 64 ? wrapped : Number(wrapped)) as never;
    }
    return { data: values };
  };
}

const oddFloats = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0];

function floats(array: Float32ArrayConstructor | Float64ArrayConstructor): Maker["values"] {
  return (random, rows) => {
    const odd = random.pick([0, 0, 0.3, 1]);
    const nansOnly = random.chance(0.1);
    const from = random.pick([-50, 0, 50]);
    const next = (): number =>
      nansOnly ? Number.NaN : random.chance(odd) ? random.pick(oddFloats) : from + random.next() * 100 - 50;
    return { data: new array(Array.from({ length: rows }, next)) };
  };
}

/** NaN, infinities, -0 and numbers of 16 bits. */
function halves(random: Random, rows: number): { data: Uint16Array } {
  const odd = random.pick([0, 0.5]);
  return {
    data: Uint16Array.from({ length: rows }, () =>
      random.chance(odd)
        ? random.pick([0x7e00, 0x7c00, 0xfc00, 0x8000, 0])
        : random.below(0x7000) | (random.below(2) << 15),
    ),
  };
}

const words = [
  "",
  "a",
  "ab",
  "b",
  "ä",
  "日本語",
  "😀",
  "base_link",
  "front/camera/left",
  "\uffff",
  "zz",
  "idle",
  "driving",
];

export function randomText(random: Random, few: boolean): string {
  if (few) return random.pick(words.slice(0, 6));
  const text = Array.from({ length: random.below(4) }, () => random.pick(words)).join("");
  return random.chance(0.1) ? text + "x".repeat(random.below(80)) : text;
}

function texts(large: boolean): Maker["values"] {
  return (random, rows) => {
    const few = random.chance(0.5);
    const pieces = Array.from({ length: rows }, () => Buffer.from(randomText(random, few)));
    const offsets = [0];
    for (const { byteLength } of pieces) offsets.push((offsets.at(-1) ?? 0) + byteLength);
    const valueOffsets = large ? BigInt64Array.from(offsets, BigInt) : Int32Array.from(offsets);
    return { valueOffsets, data: Uint8Array.from(Buffer.concat(pieces)) };
  };
}

function views(random: Random, rows: number): { views: Uint8Array; variadicBuffers: Uint8Array[] } {
  const few = random.chance(0.3);
  const data = new Uint8Array(16 * rows);
  const view = new DataView(data.buffer);
  const buffers: Uint8Array[] = [random.bytes(3), random.bytes(3)];
  for (let row = 0; row < rows; row += 1) {
    const text = Buffer.from(randomText(random, few));
    view.setInt32(16 * row, text.byteLength, true);
    if (text.byteLength <= 12) data.set(text, 16 * row + 4);
    else {
      const index = random.below(2);
      const before = buffers[index] ?? new Uint8Array(0);
      data.set(text.subarray(0, 4), 16 * row + 4);
      view.setInt32(16 * row + 8, index, true);
      view.setInt32(16 * row + 12, before.byteLength, true);
      buffers[index] = Buffer.concat([before, text]);
    }
  }
  return { views: data, variadicBuffers: buffers };
}

const long = (type: arrow.DataType): Maker => ({
  type,
  shadow: new arrow.Int64(),
  values: integers(BigInt64Array, 64, true),
});
const short = (type: arrow.DataType): Maker => ({
  type,
  shadow: new arrow.Int32(),
  values: integers(Int32Array, 32, true),
});

export const makers: Readonly<Record<string, Maker>> = {
  int8: { type: new arrow.Int8(), values: integers(Int8Array, 8, true) },
  int16: { type: new arrow.Int16(), values: integers(Int16Array, 16, true) },
  int32: { type: new arrow.Int32(), values: integers(Int32Array, 32, true) },
  int64: { type: new arrow.Int64(), values: integers(BigInt64Array, 64, true) },
  uint8: { type: new arrow.Uint8(), values: integers(Uint8Array, 8, false) },
  uint16: { type: new arrow.Uint16(), values: integers(Uint16Array, 16, false) },
  uint32: { type: new arrow.Uint32(), values: integers(Uint32Array, 32, false) },
  uint64: { type: new arrow.Uint64(), values: integers(BigUint64Array, 64, false) },
  float16: { type: new arrow.Float16(), values: halves },
  float32: { type: new arrow.Float32(), values: floats(Float32Array) },
  float64: { type: new arrow.Float64(), values: floats(Float64Array) },
  date32: short(new arrow.DateDay()),
  date64: long(new arrow.DateMillisecond()),
  time32: short(new arrow.TimeMillisecond()),
  time64: long(new arrow.TimeNanosecond()),
  timestamp: long(new arrow.TimestampNanosecond()),
  duration: long(new arrow.DurationMicrosecond()),
  bool: {
    type: new arrow.Bool(),
    values: (random, rows) => ({ data: random.chance(0.3) ? new Uint8Array(rows) : random.bytes(Math.ceil(rows / 8)) }),
  },
  utf8: { type: new arrow.Utf8(), values: texts(false) },
  largeUtf8: { type: new arrow.LargeUtf8(), values: texts(true) },
  utf8View: { type: new arrow.Utf8View(), values: views },
};

export const nestings = [
  "top",
  "struct",
  "struct in struct",
  "list",
  "large list",
  "fixed list",
  "list in list",
  "list of structs",
  "struct with list",
] as const;
export type Nesting = (typeof nestings)[number];

interface Bits {
  readonly nullBitmap?: Uint8Array;
  readonly nullCount: number;
}

/** Which rows are null: none, or some, sometimes all. */
function randomNulls(random: Random, rows: number, nulls: boolean): Bits {
  if (!nulls) return { nullCount: 0 };
  const bits = new Uint8Array(Math.ceil(rows / 8));
  const probability = random.pick([0.1, 0.5, 0.9, 1]);
  let count = 0;
  for (let row = 0; row < rows; row += 1) {
    if (random.chance(probability)) count += 1;
    else bits[row >>> 3] = (bits[row >>> 3] ?? 0) | (1 << (row & 7));
  }
  return { nullBitmap: bits, nullCount: count };
}

const dataOf = (type: arrow.DataType, parts: object): arrow.Data =>
  arrow.makeData({ type, ...parts } as never) as arrow.Data;

interface Shape {
  readonly nulls: boolean;
  readonly rows: number;
}

/** Of these apache-arrow 21 writes none of the values when it has to slice them. */
export const unsliced = "utf8View";

function leaf(random: Random, name: string, { nulls, rows }: Shape): Made {
  const maker = makers[name];
  if (maker === undefined) throw new RangeError(`there is a maker of ${name}`);
  const parts = { length: rows, offset: 0, ...randomNulls(random, rows, nulls), ...maker.values(random, rows) };
  const data = dataOf(maker.type, parts);
  return { data, shadow: maker.shadow === undefined ? data : dataOf(maker.shadow, parts) };
}

/** The same for the column and its shadow. */
function both(made: Made, make: (child: arrow.Data) => arrow.Data): Made {
  return { data: make(made.data), shadow: made.shadow === made.data ? make(made.data) : make(made.shadow) };
}

const fieldOf = (name: string, { type }: arrow.Data): arrow.Field => new arrow.Field(name, type, true);

function structOf(random: Random, child: Made, { nulls, rows }: Shape): Made {
  const bits = randomNulls(random, rows, nulls);
  const other = leaf(random, "int16", { nulls, rows });
  return both(child, (data) =>
    dataOf(new arrow.Struct([fieldOf("first", other.data), fieldOf("x", data)]), {
      length: rows,
      ...bits,
      children: [other.data, data],
    }),
  );
}

/** Some lists are empty; null ones may have items all the same, and there may be items behind the last. */
function listOf(
  random: Random,
  { nulls, rows, first, large }: Shape & { readonly first: number; readonly large: boolean },
  child: (rows: number) => Made,
): Made {
  const bits = randomNulls(random, rows, nulls);
  const offsets = [first];
  for (let row = 0; row < rows; row += 1) offsets.push((offsets.at(-1) ?? 0) + random.pick([0, 0, 1, 2, 5]));
  const items = child((offsets.at(-1) ?? 0) + random.below(3));
  return both(items, (data) =>
    dataOf(large ? new arrow.LargeList(fieldOf("item", data)) : new arrow.List(fieldOf("item", data)), {
      length: rows,
      ...bits,
      valueOffsets: large ? BigInt64Array.from(offsets, BigInt) : Int32Array.from(offsets),
      child: data,
    }),
  );
}

export function randomColumn(random: Random, name: string, nesting: Nesting, shape: Shape): Made {
  const { nulls, rows } = shape;
  const inner = (count: number): Made => leaf(random, name, { nulls, rows: count });
  const list = (count: number, child: (rows: number) => Made, large = false): Made =>
    listOf(random, { nulls, rows: count, first: name === unsliced ? 0 : random.below(3), large }, child);
  switch (nesting) {
    case "top":
      return inner(rows);
    case "struct":
      return structOf(random, inner(rows), shape);
    case "struct in struct":
      return structOf(random, structOf(random, inner(rows), shape), shape);
    case "list":
      return list(rows, inner);
    case "large list":
      return list(rows, inner, true);
    case "fixed list": {
      const size = random.below(4);
      const bits = randomNulls(random, rows, nulls);
      return both(inner(rows * size), (data) =>
        dataOf(new arrow.FixedSizeList(size, fieldOf("item", data)), { length: rows, ...bits, child: data }),
      );
    }
    case "list in list":
      return list(rows, (count) => list(count, inner));
    case "list of structs":
      return list(rows, (count) => structOf(random, inner(count), { nulls, rows: count }));
    case "struct with list":
      return structOf(random, list(rows, inner), shape);
  }
}

export interface Column {
  readonly schema: Schema;
  readonly batch: Batch;
  /** By row, as apache-arrow's getters say. */
  readonly values: readonly Plain[];
  readonly type: arrow.DataType;
}

/** A batch of one column, its body at any alignment. */
export function columnOf(random: Random, { data, shadow }: Made, start = 0, end = data.length): Column {
  const vector = new arrow.Vector([data]).slice(start, end);
  const [head, ...messages] = toMessages([{ c: vector }]);
  const message = messages.at(-1);
  if (head === undefined || message === undefined) throw new RangeError("a stream begins with its schema");
  const schema = readSchema(head.header);
  const shift = random.below(9);
  const body = new Uint8Array(message.body.byteLength + shift).subarray(shift);
  body.set(message.body);
  const shadows = new arrow.Vector([shadow]).slice(start, end);
  const values = Array.from({ length: end - start }, (_none, row) => plainOf(shadows.get(row), shadow.type));
  return {
    schema,
    batch: readBatch(schema, readMessage(message.header, body.byteLength), body),
    values,
    type: shadow.type,
  };
}

/** What a getter of apache-arrow gives, as plain JavaScript. */
export function plainOf(value: unknown, type: arrow.DataType): Plain {
  if (value === null || value === undefined) return null;
  if (arrow.DataType.isStruct(type)) {
    const row = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(type.children.map((field) => [field.name, plainOf(row[field.name], field.type)]));
  }
  const [item] = type.children ?? [];
  if (item !== undefined && !arrow.DataType.isDictionary(type)) {
    const list = value as arrow.Vector;
    return Array.from({ length: list.length }, (_none, index) => plainOf(list.get(index), item.type));
  }
  return value as Plain;
}

/** A batch laid out by hand: each buffer on a multiple of 8, at any alignment of the body. */
export function handmade(
  schema: Pick<Schema, "fields">,
  {
    rows,
    nodes,
    buffers,
    variadicCounts = [],
    shift = 0,
    compression = "none",
  }: {
    readonly rows: number;
    /** Length and nulls. */
    readonly nodes: readonly (readonly [number, number])[];
    readonly buffers: readonly Uint8Array[];
    readonly variadicCounts?: readonly number[];
    readonly shift?: number;
    readonly compression?: Batch["compression"];
  },
): Batch {
  const offsets: number[] = [];
  let at = 0;
  for (const { byteLength } of buffers) {
    offsets.push(at);
    at += (byteLength + 7) & ~7;
  }
  const body = new Uint8Array(at + shift).subarray(shift);
  buffers.forEach((bytes, index) => {
    body.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), offsets[index]);
  });
  const lists = {
    rows,
    nodeLengths: Float64Array.from(nodes, ([length]) => length),
    nodeNulls: Float64Array.from(nodes, ([, nulls]) => nulls),
    bufferOffsets: Float64Array.from(offsets),
    bufferLengths: Float64Array.from(buffers, ({ byteLength }) => byteLength),
    variadicCounts: Float64Array.from(variadicCounts),
    compression,
  };
  return checkBatch(schema.fields, lists, body);
}

/** The bytes of a typed array. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
