// Valid Arrow of every layout, made by hand from the format's specification: what is mutated must be known to the byte, and
// apache-arrow cannot write views, run ends and list views.

import { zstdCompressSync } from "node:zlib";
import { Builder } from "flatbuffers";
import lz4 from "lz4js";
import type { Outgoing } from "../../load/flight-client.ts";
import { randomInteger } from "../../load/random.ts";

export type Random = () => number;
export type Compression = "none" | "lz4" | "zstd";

/** What a column becomes in a batch: in the order of the schema, its children behind it. */
interface Parts {
  readonly nodes: { length: number; nulls: number }[];
  readonly buffers: Uint8Array[];
  readonly variadic: number[];
}

export interface Column {
  readonly name: string;
  /** Number in the union `Type`, and the table of that type. */
  readonly code: number;
  readonly table: (builder: Builder) => number;
  readonly children: readonly Column[];
  readonly dictionary?: { readonly id: bigint; readonly values: Column };
  /** Adds nodes and buffers of `rows` rows. */
  readonly fill: (parts: Parts, rows: number, random: Random) => void;
}

type Fill = Column["fill"];

function emptyTable(builder: Builder): number {
  builder.startObject(0);
  return builder.endObject();
}

function int32Table(...values: readonly number[]) {
  return (builder: Builder): number => {
    builder.startObject(values.length);
    values.forEach((value, slot) => {
      builder.addFieldInt32(slot, value, 0);
    });
    return builder.endObject();
  };
}

function intTable(bits: number) {
  return (builder: Builder): number => {
    builder.startObject(2);
    builder.addFieldInt32(0, bits, 0);
    builder.addFieldInt8(1, 1, 0);
    return builder.endObject();
  };
}

/** Half of the columns have a null now and then, the others none and no bitmap. */
function addValidity({ nodes, buffers }: Parts, rows: number, random: Random): void {
  if (random() < 0.5 || rows === 0) {
    nodes.push({ length: rows, nulls: 0 });
    buffers.push(new Uint8Array(0));
    return;
  }
  const bits = new Uint8Array(Math.ceil(rows / 8));
  let nulls = 0;
  for (let row = 0; row < rows; row += 1) {
    if (random() < 0.2) nulls += 1;
    else bits[row >> 3] = (bits[row >> 3] ?? 0) | (1 << (row & 7));
  }
  nodes.push({ length: rows, nulls });
  buffers.push(bits);
}

function bytesOf(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => randomInteger(random, 256));
}

/** Offsets of so many values of 0 to 6 items each. */
function offsetsOf(random: Random, rows: number): number[] {
  const offsets = [0];
  for (let row = 0; row < rows; row += 1) offsets.push((offsets[row] ?? 0) + randomInteger(random, 7));
  return offsets;
}

function integers(values: readonly number[], bits: 32 | 64): Uint8Array {
  return new Uint8Array(bits === 32 ? Int32Array.from(values).buffer : BigInt64Array.from(values, BigInt).buffer);
}

function fixed(name: string, code: number, table: Column["table"], bytes: number): Column {
  return {
    name,
    code,
    table,
    children: [],
    fill(parts, rows, random) {
      addValidity(parts, rows, random);
      parts.buffers.push(bytesOf(random, rows * bytes));
    },
  };
}

/** Times in no order, all different. */
export const timestamps: Column = {
  name: "timestamp_ns",
  code: 2,
  table: intTable(64),
  children: [],
  fill(parts, rows, random) {
    parts.nodes.push({ length: rows, nulls: 0 });
    const times = Array.from({ length: rows }, (_none, row) => row * 10);
    for (let row = rows - 1; row > 0; row -= 1) {
      const other = randomInteger(random, row + 1);
      [times[row], times[other]] = [times[other] ?? 0, times[row] ?? 0];
    }
    parts.buffers.push(new Uint8Array(0), integers(times, 64));
  },
};

const int16 = (name: string): Column => fixed(name, 2, intTable(16), 2);
const int32 = (name: string): Column => fixed(name, 2, intTable(32), 4);
const int64 = (name: string): Column => fixed(name, 2, intTable(64), 8);

function float64(name: string): Column {
  const table = (builder: Builder): number => {
    builder.startObject(1);
    builder.addFieldInt16(0, 2, 0);
    return builder.endObject();
  };
  return fixed(name, 3, table, 8);
}

function bool(name: string): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, random);
    parts.buffers.push(bytesOf(random, Math.ceil(rows / 8)));
  };
  return { name, code: 6, table: emptyTable, children: [], fill };
}

function none(name: string): Column {
  const fill: Fill = (parts, rows) => parts.nodes.push({ length: rows, nulls: rows });
  return { name, code: 1, table: emptyTable, children: [], fill };
}

function text(name: string, code: 4 | 5 | 19 | 20): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, random);
    const offsets = offsetsOf(random, rows);
    const letters = Uint8Array.from({ length: offsets.at(-1) ?? 0 }, () => 97 + randomInteger(random, 26));
    parts.buffers.push(integers(offsets, code < 19 ? 32 : 64), letters);
  };
  return { name, code, table: emptyTable, children: [], fill };
}

/** Every second value is too long for its view and lies in one of two data buffers. */
function view(name: string, code: 23 | 24): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, random);
    const views = new Uint8Array(rows * 16);
    const cursor = new DataView(views.buffer);
    const used = [0, 0];
    for (let row = 0; row < rows; row += 1) {
      const length = row % 2 === 0 ? randomInteger(random, 13) : 13 + randomInteger(random, 10);
      cursor.setInt32(row * 16, length, true);
      for (let byte = 0; byte < Math.min(length, 12); byte += 1) cursor.setUint8(row * 16 + 4 + byte, 97);
      if (length <= 12) continue;
      const buffer = randomInteger(random, 2);
      cursor.setInt32(row * 16 + 8, buffer, true);
      cursor.setInt32(row * 16 + 12, used[buffer] ?? 0, true);
      used[buffer] = (used[buffer] ?? 0) + length;
    }
    parts.buffers.push(views, ...used.map((bytes) => new Uint8Array(bytes).fill(97)));
    parts.variadic.push(used.length);
  };
  return { name, code, table: emptyTable, children: [], fill };
}

function list(name: string, code: 12 | 17 | 21, item: Column): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, random);
    const offsets = offsetsOf(random, rows);
    parts.buffers.push(integers(offsets, code === 21 ? 64 : 32));
    item.fill(parts, offsets.at(-1) ?? 0, random);
  };
  return { name, code, table: emptyTable, children: [item], fill };
}

/** Rows share items. */
function listView(name: string, code: 25 | 26, item: Column): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, random);
    const items = 2 * rows;
    const sizes = Array.from({ length: rows }, () => randomInteger(random, 5));
    const offsets = sizes.map((size) => randomInteger(random, items - size + 1));
    const bits = code === 25 ? 32 : 64;
    parts.buffers.push(integers(offsets, bits), integers(sizes, bits));
    item.fill(parts, items, random);
  };
  return { name, code, table: emptyTable, children: [item], fill };
}

function fixedList(name: string, size: number, item: Column): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, random);
    item.fill(parts, rows * size, random);
  };
  return { name, code: 16, table: int32Table(size), children: [item], fill };
}

/** A map's entries too, whose struct and keys are never null. */
function struct(name: string, children: readonly Column[], nullable = true): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, nullable ? random : () => 0);
    for (const child of children) child.fill(parts, rows, random);
  };
  return { name, code: 13, table: emptyTable, children, fill };
}

function union(name: string, mode: "sparse" | "dense", children: readonly Column[]): Column {
  const fill: Fill = (parts, rows, random) => {
    parts.nodes.push({ length: rows, nulls: 0 });
    const ids = Uint8Array.from({ length: rows }, () => randomInteger(random, children.length));
    parts.buffers.push(ids);
    const counts = children.map(() => 0);
    if (mode === "dense") {
      const offsets = Array.from(ids, (id) => {
        const at = counts[id] ?? 0;
        counts[id] = at + 1;
        return at;
      });
      parts.buffers.push(integers(offsets, 32));
    }
    children.forEach((child, index) => {
      child.fill(parts, mode === "sparse" ? rows : (counts[index] ?? 0), random);
    });
  };
  const table = (builder: Builder): number => {
    builder.startVector(4, children.length, 4);
    for (let id = children.length - 1; id >= 0; id -= 1) builder.addInt32(id);
    const ids = builder.endVector();
    builder.startObject(2);
    builder.addFieldInt16(0, mode === "sparse" ? 0 : 1, 0);
    builder.addFieldOffset(1, ids, 0);
    return builder.endObject();
  };
  return { name, code: 14, table, children, fill };
}

function runEnds(name: string, values: Column): Column {
  const ends: Column = int32("run_ends");
  const fill: Fill = (parts, rows, random) => {
    parts.nodes.push({ length: rows, nulls: 0 });
    const list: number[] = [];
    for (let end = 0; end < rows; ) {
      end = Math.min(rows, end + 1 + randomInteger(random, 4));
      list.push(end);
    }
    parts.nodes.push({ length: list.length, nulls: 0 });
    parts.buffers.push(new Uint8Array(0), integers(list, 32));
    values.fill(parts, list.length, random);
  };
  return { name, code: 22, table: emptyTable, children: [ends, values], fill };
}

/** Indices of 16 bits into a dictionary of 9 values. */
function dictionary(name: string, id: bigint, values: Column): Column {
  const fill: Fill = (parts, rows, random) => {
    addValidity(parts, rows, random);
    parts.buffers.push(new Uint8Array(Int16Array.from({ length: rows }, () => randomInteger(random, 9)).buffer));
  };
  return { name, code: values.code, table: values.table, children: values.children, dictionary: { id, values }, fill };
}

/** Columns behind the time, by name. */
export const layouts = {
  fixed: [
    float64("f"),
    int32("i"),
    bool("b"),
    fixed("s", 15, int32Table(6), 6),
    fixed("d", 7, int32Table(9, 2, 128), 16),
    none("n"),
  ],
  text: [text("u", 5), text("bin", 4), text("lu", 20), text("lbin", 19)],
  views: [view("uv", 24), view("bv", 23)],
  lists: [list("l", 12, int32("item")), list("ll", 21, text("item", 5)), fixedList("fl", 3, int16("item"))],
  maps: [
    list("m", 17, struct("entries", [text("key", 5), int64("value")], false)),
    list("deep", 12, list("item", 12, bool("item"))),
  ],
  listViews: [listView("lv", 25, int32("item")), listView("llv", 26, text("item", 5))],
  structs: [struct("position", [float64("x"), float64("y"), struct("inner", [text("name", 5), bool("ok")])])],
  unions: [
    union("sparse", "sparse", [int32("a"), text("b", 5)]),
    union("dense", "dense", [float64("a"), text("b", 5), none("c")]),
  ],
  runEnds: [runEnds("r", text("values", 5)), runEnds("rl", list("values", 12, int16("item")))],
  dictionaries: [dictionary("word", 7n, text("values", 5)), dictionary("number", 9n, int64("values"))],
} as const satisfies Record<string, readonly Column[]>;
export type Layout = keyof typeof layouts;
export const layoutNames = Object.keys(layouts) as Layout[];

/** A schema, its dictionaries and a batch. */
export interface Upload {
  readonly schema: Uint8Array;
  readonly dictionaries: readonly Outgoing[];
  readonly batch: Outgoing;
}

export function upload(columns: readonly Column[], rows: number, compression: Compression, random: Random): Upload {
  const all = [timestamps, ...columns];
  const dictionaries = all.flatMap(({ dictionary }) =>
    dictionary === undefined
      ? []
      : [encodeBatch([dictionary.values], 9, { compression, random, dictionaryId: dictionary.id })],
  );
  return { schema: encodeSchema(all), dictionaries, batch: encodeBatch(all, rows, { compression, random }) };
}

const version5 = 4;

export interface MessageParts {
  readonly version?: number;
  readonly type: number;
  readonly content: number;
  readonly bodyBytes: number;
}

export function finishMessage(
  builder: Builder,
  { version = version5, type, content, bodyBytes }: MessageParts,
): Uint8Array {
  builder.startObject(5);
  builder.addFieldInt16(0, version, 0);
  builder.addFieldInt8(1, type, 0);
  builder.addFieldOffset(2, content, 0);
  builder.addFieldInt64(3, BigInt(bodyBytes), 0n);
  builder.finish(builder.endObject());
  return builder.asUint8Array();
}

export function encodeSchema(
  columns: readonly Column[],
  { version = version5, bigEndian = false }: { version?: number; bigEndian?: boolean } = {},
): Uint8Array {
  const builder = new Builder(1024);
  const fields = fieldVector(builder, columns);
  builder.startObject(4);
  builder.addFieldInt16(0, bigEndian ? 1 : 0, 0);
  builder.addFieldOffset(1, fields, 0);
  return finishMessage(builder, { version, type: 1, content: builder.endObject(), bodyBytes: 0 });
}

export function fieldVector(builder: Builder, columns: readonly Column[]): number {
  const fields = columns.map((column) => encodeField(builder, column));
  return offsetVector(builder, fields);
}

export function offsetVector(builder: Builder, offsets: readonly number[]): number {
  builder.startVector(4, offsets.length, 4);
  for (const offset of [...offsets].reverse()) builder.addOffset(offset);
  return builder.endVector();
}

function encodeField(builder: Builder, { name, code, table, children, dictionary }: Column): number {
  const childVector = fieldVector(builder, children);
  const nameText = builder.createString(name);
  const type = table(builder);
  let encoding = 0;
  if (dictionary !== undefined) {
    const index = intTable(16)(builder);
    builder.startObject(4);
    builder.addFieldInt64(0, dictionary.id, 0n);
    builder.addFieldOffset(1, index, 0);
    encoding = builder.endObject();
  }
  builder.startObject(7);
  builder.addFieldOffset(0, nameText, 0);
  builder.addFieldInt8(1, 1, 0);
  builder.addFieldInt8(2, code, 0);
  builder.addFieldOffset(3, type, 0);
  builder.addFieldOffset(4, encoding, 0);
  builder.addFieldOffset(5, childVector, 0);
  return builder.endObject();
}

interface BatchOptions {
  readonly compression: Compression;
  readonly random: Random;
  readonly dictionaryId?: bigint;
  readonly isDelta?: boolean;
}

export function encodeBatch(columns: readonly Column[], rows: number, options: BatchOptions): Outgoing {
  const parts: Parts = { nodes: [], buffers: [], variadic: [] };
  for (const column of columns) column.fill(parts, rows, options.random);
  const { body, places } = layOut(parts.buffers, options.compression);
  const builder = new Builder(1024);
  let variadic = 0;
  if (parts.variadic.length > 0) {
    builder.startVector(8, parts.variadic.length, 8);
    for (const count of [...parts.variadic].reverse()) builder.addInt64(BigInt(count));
    variadic = builder.endVector();
  }
  const buffers = pairVector(builder, places);
  const nodes = pairVector(
    builder,
    parts.nodes.map(({ length, nulls }) => [length, nulls] as const),
  );
  const compression = options.compression === "none" ? 0 : compressionTable(builder, options.compression);
  builder.startObject(5);
  builder.addFieldInt64(0, BigInt(rows), 0n);
  builder.addFieldOffset(1, nodes, 0);
  builder.addFieldOffset(2, buffers, 0);
  builder.addFieldOffset(3, compression, 0);
  builder.addFieldOffset(4, variadic, 0);
  let content = builder.endObject();
  if (options.dictionaryId !== undefined) {
    builder.startObject(3);
    builder.addFieldInt64(0, options.dictionaryId, 0n);
    builder.addFieldOffset(1, content, 0);
    builder.addFieldInt8(2, options.isDelta === true ? 1 : 0, 0);
    content = builder.endObject();
  }
  const type = options.dictionaryId === undefined ? 3 : 2;
  return { header: finishMessage(builder, { type, content, bodyBytes: body.byteLength }), body };
}

/** The codec is always written, also where it is the default: a mutation finds its byte then. */
function compressionTable(builder: Builder, compression: "lz4" | "zstd"): number {
  builder.startObject(2);
  builder.forceDefaults(true);
  builder.addFieldInt8(0, compression === "lz4" ? 0 : 1, 0);
  builder.addFieldInt8(1, 0, 0);
  builder.forceDefaults(false);
  return builder.endObject();
}

function pairVector(builder: Builder, pairs: readonly (readonly [number, number])[]): number {
  builder.startVector(16, pairs.length, 8);
  for (const [first, second] of [...pairs].reverse()) {
    builder.writeInt64(BigInt(second));
    builder.writeInt64(BigInt(first));
  }
  return builder.endVector();
}

function layOut(
  buffers: readonly Uint8Array[],
  compression: Compression,
): { body: Uint8Array; places: (readonly [number, number])[] } {
  const stored = buffers.map((bytes) => (compression === "none" ? bytes : compress(bytes, compression)));
  const places: (readonly [number, number])[] = [];
  let at = 0;
  for (const { byteLength } of stored) {
    places.push([at, byteLength]);
    at += Math.ceil(byteLength / 8) * 8;
  }
  const body = new Uint8Array(at);
  stored.forEach((bytes, index) => {
    body.set(bytes, places[index]?.[0] ?? 0);
  });
  return { body, places };
}

/** The length before compression, then the compressed bytes. */
export function compress(bytes: Uint8Array, compression: "lz4" | "zstd"): Uint8Array {
  if (bytes.byteLength === 0) return bytes;
  const content = compression === "zstd" ? zstdCompressSync(bytes) : Uint8Array.from(lz4.compress(bytes));
  const whole = new Uint8Array(8 + content.byteLength);
  new DataView(whole.buffer).setBigInt64(0, BigInt(bytes.byteLength), true);
  whole.set(content, 8);
  return whole;
}
