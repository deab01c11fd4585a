// Requests that no honest client sends: valid ones, broken in one place that is known by name. Each comes from a seed alone.

import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Builder } from "flatbuffers";
import { FlatTable } from "../../../src/arrow/flatbuffer.ts";
import { ActionSchema, FlightDescriptorSchema, TicketSchema } from "../../../src/wire/flight_pb.js";
import type { Outgoing } from "../../load/flight-client.ts";
import { randomInteger } from "../../load/random.ts";
import {
  type Column,
  type Compression,
  compress,
  encodeBatch,
  encodeSchema,
  finishMessage,
  layoutNames,
  layouts,
  offsetVector,
  type Random,
  timestamps,
  type Upload,
  upload,
} from "./columns.ts";

export interface Topic {
  readonly locator: string;
  readonly uuid: string;
}

/** How the client leaves the stream once everything is sent. */
export type Ending = "end" | "reset" | "hang up";

/** One hostile request. */
export interface Mutant {
  readonly kind: string;
  readonly method: string;
  /** All bytes of the request; those of an upload name its topic. */
  readonly bytes: (topic: Topic) => Uint8Array;
  readonly ending: Ending;
  readonly headers?: Readonly<Record<string, string>>;
}

type Make = (random: Random) => Omit<Mutant, "kind">;

const rowsOfBatch = 24;

function pick<T>(random: Random, list: readonly T[]): T {
  const item = list[randomInteger(random, list.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

// ---- bytes on the wire ----

function frame(message: Uint8Array, { flag = 0, length = message.byteLength } = {}): Uint8Array {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag, 0);
  prefix.writeUInt32BE(length >>> 0, 1);
  return Buffer.concat([prefix, message]);
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function field(number: number, bytes: Uint8Array, length = BigInt(bytes.byteLength)): Uint8Array {
  return Buffer.concat([varint(BigInt(number * 8 + 2)), varint(length), bytes]);
}

function json(value: unknown): Uint8Array {
  return typeof value === "string" ? Buffer.from(value) : Buffer.from(JSON.stringify(value));
}

function commandOf({ locator, uuid }: Topic): Uint8Array {
  return json({ resource_locator: locator, topic_uuid: uuid });
}

function descriptorOf(cmd: Uint8Array, type = 2, path: readonly string[] = []): Uint8Array {
  return toBinary(FlightDescriptorSchema, create(FlightDescriptorSchema, { type, cmd, path: [...path] }));
}

function flightData({ header, body }: Outgoing): Uint8Array {
  return Buffer.concat([field(2, header), field(1000, body)]);
}

function firstData(topic: Topic, schema: Uint8Array): Uint8Array {
  return Buffer.concat([
    field(1, descriptorOf(commandOf(topic))),
    flightData({ header: schema, body: new Uint8Array(0) }),
  ]);
}

function put(schema: Uint8Array, messages: readonly Outgoing[]): Omit<Mutant, "kind"> {
  return {
    method: "DoPut",
    ending: "end",
    bytes: (topic) =>
      Buffer.concat([frame(firstData(topic, schema)), ...messages.map((message) => frame(flightData(message)))]),
  };
}

// ---- a batch, and where its parts lie ----

function anyUpload(random: Random, compressions: readonly Compression[] = ["none", "none", "lz4", "zstd"]): Upload {
  const compression = pick(random, compressions);
  const layout = pick(random, layoutNames);
  // The times of a dictionary layout are of no other kind.
  return upload(layouts[layout], rowsOfBatch, layout === "dictionaries" ? "none" : compression, random);
}

function uploadOf(random: Random, names: readonly (keyof typeof layouts)[], compression: Compression): Upload {
  return upload(layouts[pick(random, names)], rowsOfBatch, compression, random);
}

function copyOf(message: Outgoing): { header: Buffer; body: Buffer } {
  return { header: Buffer.from(message.header), body: Buffer.from(message.body) };
}

/** Byte of a field of a table; undefined when it is left out. */
function placeOf(table: FlatTable, slot: number): number | undefined {
  const { view, position } = table;
  const vtable = position - view.getInt32(position, true);
  const entry = 4 + 2 * slot;
  if (entry >= view.getUint16(vtable, true)) return undefined;
  const offset = view.getUint16(vtable + entry, true);
  return offset === 0 ? undefined : position + offset;
}

function contentOf(header: Uint8Array): FlatTable {
  const table = FlatTable.root(header).table(2);
  if (table === undefined) throw new Error("a message has content");
  return table;
}

/** The table of a record batch, also of that inside a dictionary. */
export function batchOf(header: Uint8Array): FlatTable {
  const content = contentOf(header);
  return FlatTable.root(header).uint8(1, 0) === 2 ? (content.table(1) ?? content) : content;
}

const batchSlot = { rows: 0, nodes: 1, buffers: 2, compression: 3, variadic: 4 } as const;

const hostile64 = [
  -1n,
  -8n,
  -(2n ** 63n),
  2n ** 63n - 1n,
  2n ** 53n,
  2n ** 53n - 1n,
  2n ** 40n,
  2n ** 32n,
  2n ** 31n,
  2n ** 31n - 1n,
  65_536n,
];
const hostile32 = [-1, -8, -(2 ** 31), 2 ** 31 - 1, 2 ** 24, 65_536, 1_000, 127, 0];

/** A hostile number, or one that is nearly right. */
function wrong64(random: Random, right: bigint): bigint {
  const near = [right - 1n, right + 1n, right + 7n, right * 2n, right / 2n, 0n];
  return random() < 0.5 ? pick(random, hostile64) : pick(random, near);
}

function write64(header: Buffer, at: number, random: Random): void {
  header.writeBigInt64LE(BigInt.asIntN(64, wrong64(random, header.readBigInt64LE(at))), at);
}

/** A mutation of the batch of an upload; its dictionaries go ahead of it. */
function ofBatch(
  mutate: (message: { header: Buffer; body: Buffer }, random: Random, whole: Upload) => Outgoing,
  source: (random: Random) => Upload = anyUpload,
): Make {
  return (random) => {
    const whole = source(random);
    const mutated = mutate(copyOf(whole.batch), random, whole);
    return put(whole.schema, [...whole.dictionaries, mutated]);
  };
}

/** Puts a hostile number into one of the pairs of a list. */
function ofPair(slot: "nodes" | "buffers", half: 0 | 1): Make {
  return ofBatch((message, random) => {
    const { start, length } = batchOf(message.header).vector(batchSlot[slot], 16);
    write64(message.header, start + 16 * randomInteger(random, length) + 8 * half, random);
    return message;
  });
}

/** Says that a list is shorter or longer than it is. */
function ofCount(slot: "nodes" | "buffers", size: number): Make {
  return ofBatch((message, random) => {
    const { start, length } = batchOf(message.header).vector(batchSlot[slot], size);
    message.header.writeUInt32LE(
      pick(random, [0, 1, length - 1, length - 2, length + 1, 2 ** 20, 2 ** 32 - 1]) >>> 0,
      start - 4,
    );
    return message;
  });
}

function flipBits(bytes: Buffer, random: Random, most: number): void {
  if (bytes.byteLength === 0) return;
  for (let count = 1 + randomInteger(random, most); count > 0; count -= 1) {
    const at = randomInteger(random, bytes.byteLength);
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << randomInteger(random, 8)), at);
  }
}

function setBytes(bytes: Buffer, random: Random, most: number): void {
  for (let count = 1 + randomInteger(random, most); count > 0; count -= 1)
    bytes.writeUInt8(pick(random, [0, 1, 4, 127, 128, 255]), randomInteger(random, bytes.byteLength));
}

/** Buffers that hold offsets, sizes, views, type ids or run ends come first in their columns, mostly: any word may be one. */
function poisonWords(body: Buffer, random: Random): void {
  for (let count = 1 + randomInteger(random, 3); count > 0 && body.byteLength >= 8; count -= 1) {
    const at = 4 * randomInteger(random, body.byteLength / 4 - 1);
    if (random() < 0.3) body.writeBigInt64LE(pick(random, hostile64), at);
    else body.writeInt32LE(pick(random, hostile32), at);
  }
}

/** A buffer of the batch that has bytes, but for the times when others are there. */
function filledBuffer({ header }: Outgoing, random: Random): { offset: number; length: number } {
  const { view } = batchOf(header);
  const { start, length } = batchOf(header).vector(batchSlot.buffers, 16);
  const filled = Array.from({ length }, (_none, index) => ({
    offset: Number(view.getBigInt64(start + 16 * index, true)),
    length: Number(view.getBigInt64(start + 16 * index + 8, true)),
  })).filter((buffer) => buffer.length > 0);
  return pick(random, random() < 0.2 || filled.length === 1 ? filled : filled.slice(1));
}

const compressed = (random: Random): Upload =>
  uploadOf(
    random,
    layoutNames.filter((name) => name !== "dictionaries"),
    random() < 0.5 ? "lz4" : "zstd",
  );
const plain = (random: Random): Upload => anyUpload(random, ["none"]);
const nested = (random: Random): Upload =>
  uploadOf(random, ["text", "views", "lists", "maps", "listViews", "unions", "runEnds"], "none");
const dictionaries = (random: Random): Upload => uploadOf(random, ["dictionaries"], "none");

/** Compressed data that unfolds to far more than its batch has rows: a bomb when it is taken at its word. */
const bomb = {
  lz4: lazy(() => compress(new Uint8Array(64 * 2 ** 20), "lz4")),
  zstd: lazy(() => compress(new Uint8Array(64 * 2 ** 20), "zstd")),
};

function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function bombUpload(random: Random): Omit<Mutant, "kind"> {
  const compression = random() < 0.5 ? "lz4" : "zstd";
  return put(encodeSchema([timestamps]), [timesThatAre(bomb[compression](), compression)]);
}

/** A batch of times and nothing else, whose compressed values are these. */
export function timesThatAre(bytes: Uint8Array, compression: "lz4" | "zstd"): Outgoing {
  // Both buffers of the times: the bitmap is left out, the values unfold to 64 MiB.
  const builder = new Builder(256);
  builder.startVector(16, 2, 8);
  for (const [offset, length] of [
    [0, bytes.byteLength],
    [0, 0],
  ]) {
    builder.writeInt64(BigInt(length ?? 0));
    builder.writeInt64(BigInt(offset ?? 0));
  }
  const buffers = builder.endVector();
  builder.startVector(16, 1, 8);
  builder.writeInt64(0n);
  builder.writeInt64(BigInt(rowsOfBatch));
  const nodes = builder.endVector();
  builder.startObject(2);
  builder.forceDefaults(true);
  builder.addFieldInt8(0, compression === "lz4" ? 0 : 1, 0);
  builder.forceDefaults(false);
  const codec = builder.endObject();
  builder.startObject(5);
  builder.addFieldInt64(0, BigInt(rowsOfBatch), 0n);
  builder.addFieldOffset(1, nodes, 0);
  builder.addFieldOffset(2, buffers, 0);
  builder.addFieldOffset(3, codec, 0);
  const header = finishMessage(builder, { type: 3, content: builder.endObject(), bodyBytes: bytes.byteLength });
  return { header, body: bytes };
}

const arrowKinds: Readonly<Record<string, Make>> = {
  "header: bits": ofBatch((message, random) => {
    flipBits(message.header, random, 3);
    return message;
  }),
  "header: bytes": ofBatch((message, random) => {
    setBytes(message.header, random, 3);
    return message;
  }),
  "header: cut": ofBatch(({ header, body }, random) => ({
    header: header.subarray(0, 1 + randomInteger(random, header.byteLength - 1)),
    body,
  })),
  "header: root": ofBatch((message, random) => {
    message.header.writeUInt32LE(pick(random, [0, 1, 4, message.header.byteLength, 2 ** 31, 2 ** 32 - 1]), 0);
    return message;
  }),
  "header: version": ofBatch((message, random) => {
    const at = placeOf(FlatTable.root(message.header), 0);
    if (at !== undefined) message.header.writeInt16LE(pick(random, [0, 1, 2, 3, 5, -1, 32_767]), at);
    return message;
  }),
  "header: message type": ofBatch((message, random) => {
    const at = placeOf(FlatTable.root(message.header), 1);
    if (at !== undefined) message.header.writeUInt8(pick(random, [0, 1, 2, 4, 5, 6, 255]), at);
    return message;
  }),
  "header: body length": ofBatch((message, random) => {
    const at = placeOf(FlatTable.root(message.header), 3);
    if (at !== undefined) write64(message.header, at, random);
    return message;
  }),
  rows: ofBatch((message, random) => {
    const at = placeOf(batchOf(message.header), batchSlot.rows);
    if (at !== undefined) write64(message.header, at, random);
    return message;
  }),
  "node: length": ofPair("nodes", 0),
  "node: nulls": ofPair("nodes", 1),
  "node: count": ofCount("nodes", 16),
  "buffer: offset": ofPair("buffers", 0),
  "buffer: length": ofPair("buffers", 1),
  "buffer: count": ofCount("buffers", 16),
  "buffer: overlap": ofBatch((message, random) => {
    const { start, length } = batchOf(message.header).vector(batchSlot.buffers, 16);
    const at = (): number => start + 16 * randomInteger(random, length);
    message.header.copy(message.header, at(), at(), at() + (random() < 0.5 ? 8 : 16));
    return message;
  }),
  "buffer: variadic counts": ofBatch(
    (message, random) => {
      const { start, length } = batchOf(message.header).vector(batchSlot.variadic, 8);
      if (length > 0) write64(message.header, start + 8 * randomInteger(random, length), random);
      return message;
    },
    (random) => uploadOf(random, ["views"], pick(random, ["none", "zstd"] as const)),
  ),
  "body: cut": ofBatch(({ header, body }, random) => ({
    header,
    body: body.subarray(0, randomInteger(random, body.byteLength)),
  })),
  "body: longer": ofBatch(({ header, body }, random) => ({
    header,
    body: Buffer.concat([body, Buffer.alloc(1 + randomInteger(random, 100))]),
  })),
  "body: words": ofBatch((message, random) => {
    poisonWords(message.body, random);
    return message;
  }, nested),
  "body: bits": ofBatch((message, random) => {
    flipBits(message.body, random, 8);
    return message;
  }, plain),
  "body: null times": ofBatch((message, random) => {
    const { start } = batchOf(message.header).vector(batchSlot.nodes, 16);
    message.header.writeBigInt64LE(BigInt(1 + randomInteger(random, rowsOfBatch)), start + 8);
    const { start: bitmap } = batchOf(message.header).vector(batchSlot.buffers, 16);
    message.header.writeBigInt64LE(random() < 0.5 ? 3n : 0n, bitmap + 8);
    return message;
  }, plain),
  "compression: switched on": ofBatch((_message, random, whole) => {
    // The table of a compressed batch over the body of one that is not.
    const random2 = random;
    const other = compressed(random2);
    return { header: other.batch.header, body: whole.batch.body };
  }, plain),
  "compression: codec": ofBatch((message, random) => {
    const table = batchOf(message.header).table(batchSlot.compression);
    const at = table === undefined ? undefined : placeOf(table, randomInteger(random, 2));
    if (at !== undefined) message.header.writeUInt8(pick(random, [0, 1, 2, 127, 255]), at);
    return message;
  }, compressed),
  "compression: length prefix": ofBatch((message, random) => {
    const { offset } = filledBuffer(message, random);
    const right = message.body.readBigInt64LE(offset);
    const lie = pick(random, [
      -1n,
      -2n,
      0n,
      right - 1n,
      right + 1n,
      right * 2n,
      2n ** 28n,
      2n ** 31n,
      2n ** 62n,
      -(2n ** 63n),
    ]);
    message.body.writeBigInt64LE(lie, offset);
    return message;
  }, compressed),
  "compression: garbage": ofBatch((message, random) => {
    const { offset, length } = filledBuffer(message, random);
    flipBits(message.body.subarray(offset + 8, offset + length), random, 6);
    return message;
  }, compressed),
  "compression: short": ofBatch((message, random) => {
    // Unfolds to fewer bytes than the rows need, and says so truthfully.
    const { offset, length } = filledBuffer(message, random);
    const codec = batchOf(message.header).table(batchSlot.compression)?.uint8(0, 0) === 1 ? "zstd" : "lz4";
    const short = compress(new Uint8Array(1 + randomInteger(random, 4)), codec);
    if (short.byteLength <= length) Buffer.from(short).copy(message.body, offset);
    return message;
  }, compressed),
  "compression: bomb": bombUpload,
  "dictionary: id": (random) => {
    const {
      schema,
      dictionaries: [first, second],
      batch,
    } = dictionaries(random);
    const mutated = copyOf(first ?? batch);
    const at = placeOf(contentOf(mutated.header), 0);
    if (at !== undefined)
      mutated.header.writeBigInt64LE(pick(random, [0n, 8n, 9n, -7n, 2n ** 63n - 1n, -(2n ** 63n)]), at);
    return put(schema, [mutated, second ?? batch, batch]);
  },
  "dictionary: order": (random) => {
    const {
      schema,
      dictionaries: [first, second],
      batch,
    } = dictionaries(random);
    const delta = encodeBatch([layouts.dictionaries[0]?.dictionary?.values ?? timestamps], 3, {
      compression: "none",
      random,
      dictionaryId: 7n,
      isDelta: true,
    });
    if (first === undefined || second === undefined) throw new Error("the layout has two dictionaries");
    return put(
      schema,
      pick(random, [
        [batch],
        [first, batch],
        [delta, second, batch],
        [first, second, batch, first, batch],
        [first, first, second, delta, batch, delta, batch],
        [first, second, batch, second],
      ]),
    );
  },
  "dictionary: header": (random) => {
    const {
      schema,
      dictionaries: [first, second],
      batch,
    } = dictionaries(random);
    const mutated = copyOf(first ?? batch);
    if (random() < 0.5) flipBits(mutated.header, random, 3);
    else {
      const list = pick(random, [batchSlot.nodes, batchSlot.buffers]);
      const { start, length } = batchOf(mutated.header).vector(list, 16);
      write64(mutated.header, start + 8 * randomInteger(random, 2 * length), random);
    }
    return put(schema, [mutated, second ?? batch, batch]);
  },
  "dictionary: indices": ofBatch((message, random) => {
    poisonWords(message.body, random);
    return message;
  }, dictionaries),
  "stream: second schema": (random) => {
    const { schema, dictionaries: own, batch } = anyUpload(random);
    const other = pick(random, [schema, encodeSchema([timestamps])]);
    const again = { header: other, body: new Uint8Array(0) };
    return put(schema, random() < 0.5 ? [again] : [...own, batch, again, batch]);
  },
  "stream: other schema's batch": (random) => {
    const one = anyUpload(random);
    return put(one.schema, [...one.dictionaries, anyUpload(random).batch]);
  },
  "schema: bits": (random) => {
    const { schema, dictionaries: own, batch } = anyUpload(random);
    const mutated = Buffer.from(schema);
    flipBits(mutated, random, 3);
    return put(mutated, [...own, batch]);
  },
  "schema: cut": (random) => {
    const { schema } = anyUpload(random);
    return put(schema.subarray(0, 1 + randomInteger(random, schema.byteLength - 1)), []);
  },
  "schema: instead": (random) => {
    const { batch, dictionaries: own } = anyUpload(random);
    return put(pick(random, [batch, ...own]).header, [batch]);
  },
  "schema: shape": (random) => put(hostileSchema(random), []),
};

const int32Column: Column = layouts.fixed[1];

function hostileSchema(random: Random): Uint8Array {
  const wide = (count: number): Column[] =>
    Array.from({ length: count }, (_none, index) => ({ ...int32Column, name: `c${index}` }));
  const deep = (levels: number): Column => {
    let column = int32Column;
    for (let level = 0; level < levels; level += 1)
      column = { ...column, name: "l", code: 12, children: [column], table: emptyTable };
    return column;
  };
  const makes: (() => Uint8Array)[] = [
    () => encodeSchema([int32Column]),
    () => encodeSchema([{ ...int32Column, name: "timestamp_ns" }]),
    () => encodeSchema([timestamps, timestamps]),
    () => encodeSchema([]),
    () => encodeSchema([timestamps], { bigEndian: true }),
    () => encodeSchema([timestamps], { version: pick(random, [0, 3, 5]) }),
    () => encodeSchema([timestamps, deep(70)]),
    () => encodeSchema([timestamps, deep(1_000)]),
    () => encodeSchema([timestamps, { ...int32Column, code: pick(random, [0, 27, 100, 127]) }]),
    () => encodeSchema([timestamps, { ...int32Column, children: [int32Column] }]),
    () => encodeSchema([timestamps, { ...layouts.unions[0], children: [] }]),
    () => encodeSchema([timestamps, { ...layouts.lists[0], children: [] }]),
    () => encodeSchema([timestamps, ...wide(2_000)]),
    () => sharedName(300, 64 * 1024),
    () => sharedChildren(40),
  ];
  return pick(random, makes)();
}

function emptyTable(builder: Builder): number {
  builder.startObject(0);
  return builder.endObject();
}

/** So many fields that all point to one long name: read one by one, they are far more than the message. */
export function sharedName(fields: number, nameBytes: number): Uint8Array {
  const builder = new Builder(1024);
  const name = builder.createString("n".repeat(nameBytes));
  const type = int32Column.table(builder);
  const time = encodeTime(builder);
  const same = fieldOf(builder, { name, code: 2, type });
  return finishFields(builder, [time, ...Array.from({ length: fields }, () => same)]);
}

/** Each field has the same child twice: a tree of 2^levels, were it walked. */
function sharedChildren(levels: number): Uint8Array {
  const builder = new Builder(1024);
  const name = builder.createString("s");
  const type = emptyTable(builder);
  let inner = fieldOf(builder, { name, code: 13, type });
  for (let level = 0; level < levels; level += 1)
    inner = fieldOf(builder, { name, code: 13, type, children: offsetVector(builder, [inner, inner]) });
  return finishFields(builder, [encodeTime(builder), inner]);
}

function encodeTime(builder: Builder): number {
  const name = builder.createString("timestamp_ns");
  return fieldOf(builder, { name, code: 2, type: timestamps.table(builder) });
}

function fieldOf(
  builder: Builder,
  { name, code, type, children = 0 }: { name: number; code: number; type: number; children?: number },
): number {
  builder.startObject(7);
  builder.addFieldOffset(0, name, 0);
  builder.addFieldInt8(2, code, 0);
  builder.addFieldOffset(3, type, 0);
  builder.addFieldOffset(5, children, 0);
  return builder.endObject();
}

function finishFields(builder: Builder, fields: readonly number[]): Uint8Array {
  const vector = offsetVector(builder, fields);
  builder.startObject(4);
  builder.addFieldOffset(1, vector, 0);
  return finishMessage(builder, { type: 1, content: builder.endObject(), bodyBytes: 0 });
}

// ---- around the Arrow messages ----

/** The second message of a put, whatever it is. */
function ofMessage(mutate: (message: Buffer, random: Random) => Uint8Array): Make {
  return (random) => {
    const { schema, dictionaries: own, batch } = anyUpload(random);
    const [first = batch] = [...own, batch];
    const mutated = mutate(Buffer.from(flightData(first)), random);
    return {
      method: "DoPut",
      ending: "end",
      bytes: (topic) => Buffer.concat([frame(firstData(topic, schema)), frame(mutated)]),
    };
  };
}

/** The first message of a put. */
function ofFirst(make: (topic: Topic, schema: Uint8Array, random: Random) => Uint8Array): Make {
  return (random) => {
    const { schema } = anyUpload(random);
    const own = randomInteger(random, 2 ** 31);
    let draws = own;
    const replayed: Random = () => {
      draws = (Math.imul(draws, 1_103_515_245) + 12_345) >>> 0;
      return draws / 2 ** 32;
    };
    return { method: "DoPut", ending: "end", bytes: (topic) => frame(make(topic, schema, replayed)) };
  };
}

const protobufKinds: Readonly<Record<string, Make>> = {
  "protobuf: cut": ofMessage((message, random) => message.subarray(0, randomInteger(random, message.byteLength))),
  "protobuf: bits": ofMessage((message, random) => {
    flipBits(message.subarray(0, Math.min(16, message.byteLength)), random, 3);
    return message;
  }),
  "protobuf: lengths": ofMessage((message, random) => {
    const lie = pick(random, [
      2n ** 64n - 1n,
      2n ** 63n,
      2n ** 53n,
      2n ** 32n,
      2n ** 31n,
      BigInt(message.byteLength) + 1n,
    ]);
    return Buffer.concat([field(pick(random, [1, 2, 3, 1000, 5]), Buffer.alloc(0), lie), message]);
  }),
  "protobuf: wire types": ofMessage((message, random) => {
    const tag = BigInt(pick(random, [1, 2, 3, 77, 1000]) * 8 + pick(random, [0, 1, 3, 4, 5, 6, 7]));
    return Buffer.concat([varint(tag), Buffer.from([255, 255, 255]), message]);
  }),
  "protobuf: unknown fields": ofMessage((message, random) =>
    Buffer.concat([
      field(1 + randomInteger(random, 2 ** 20), Buffer.alloc(randomInteger(random, 50))),
      message,
      field(2, Buffer.alloc(0)),
    ]),
  ),
  "protobuf: no header": ofMessage((_message, random) =>
    pick(random, [Buffer.alloc(0), field(1000, Buffer.alloc(64)), field(3, Buffer.alloc(9))]),
  ),
  "protobuf: varints": ofMessage((message, random) =>
    Buffer.concat([Buffer.alloc(1 + randomInteger(random, 20), 0xff), message]),
  ),
};

const strangeTexts = [
  "",
  "/",
  "a",
  "a/",
  "a//b",
  "a:b/c",
  "../../etc",
  "a/b\u0000",
  "é/b",
  "__proto__/x",
  "constructor/x",
  " /x",
  `${"x".repeat(5_000)}/y`,
  "s/t:u",
];

function strangeJson(random: Random, right: Readonly<Record<string, unknown>>): Uint8Array {
  const keys = Object.keys(right);
  const key = pick(random, keys);
  const numbers = ["9223372036854775808", "-9223372036854775809", "1e400", "1.5", "1e18", "18446744073709551616", "-0"];
  const makes: (() => Uint8Array)[] = [
    () => json({ ...right, [key]: pick(random, [null, 1, true, [], {}, [right[key]], ""]) }),
    () => json({ ...right, [key]: pick(random, strangeTexts) }),
    () => json(JSON.stringify({ ...right, [key]: "NUMBER" }).replace('"NUMBER"', pick(random, numbers))),
    () => json(Object.fromEntries(Object.entries(right).filter(([name]) => name !== key))),
    () => json({ ...right, unknown: { deep: [1, 2] } }),
    () => json(JSON.stringify(right).slice(0, randomInteger(random, 30))),
    () => json(`${JSON.stringify(right).slice(0, -1)},"${key}":1,"${key}":2}`),
    () => json(`{"__proto__":${JSON.stringify(right)},"toString":1}`),
    () =>
      json(
        pick(random, [
          "null",
          "[]",
          "1",
          '"x"',
          "NaN",
          "{}",
          "{,}",
          " ",
          "\u0000",
          "{'a':1}",
          "[".repeat(50_000),
          '{"a":'.repeat(20_000),
        ]),
      ),
    () => {
      const bytes = Buffer.from(json(right));
      flipBits(bytes, random, 3);
      return bytes;
    },
    () => Buffer.concat([json(right), Buffer.from([0xff, 0xfe, 0xc0, 0x80])]),
  ];
  return pick(random, makes)();
}

const descriptorKinds: Readonly<Record<string, Make>> = {
  "descriptor: JSON": ofFirst((topic, schema, random) => {
    const cmd = strangeJson(random, { resource_locator: topic.locator, topic_uuid: topic.uuid });
    return Buffer.concat([field(1, descriptorOf(cmd)), field(2, schema)]);
  }),
  "descriptor: UUID": ofFirst((topic, schema, random) => {
    const uuid = pick(random, [
      "00000000-0000-4000-8000-000000000000",
      topic.uuid.slice(1),
      topic.locator,
      `${topic.uuid}0`,
    ]);
    return Buffer.concat([field(1, descriptorOf(commandOf({ ...topic, uuid }))), field(2, schema)]);
  }),
  "descriptor: type": ofFirst((topic, schema, random) =>
    Buffer.concat([
      field(1, descriptorOf(commandOf(topic), pick(random, [0, 1, 3, 2 ** 31 - 1]), [topic.locator])),
      field(2, schema),
    ]),
  ),
  "descriptor: none": ofFirst((_topic, schema, random) =>
    pick(random, [field(2, schema), field(1, Buffer.alloc(0)), Buffer.alloc(0)]),
  ),
  "descriptor: protobuf": ofFirst((topic, schema, random) => {
    const bytes = Buffer.from(descriptorOf(commandOf(topic)));
    flipBits(bytes.subarray(0, 6), random, 2);
    return Buffer.concat([field(1, bytes), field(2, schema)]);
  }),
};

const uuid = "11111111-1111-4111-8111-111111111111";

/** Bodies of actions that change nothing of the others even where they are right. */
const actionBodies: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  sequence_create: { locator: "malformed-none/x", user_metadata: { a: [1, { b: 2 }] } },
  sequence_delete: { locator: "malformed-none" },
  session_create: { locator: "malformed-none" },
  session_finalize: { session_uuid: uuid },
  session_delete: { session_uuid: uuid, locator: "a:b" },
  topic_create: {
    locator: "malformed-none/x",
    session_uuid: uuid,
    serialization_format: "default",
    ontology_tag: "t",
    user_metadata: {},
  },
  topic_delete: { locator: "malformed-none/x" },
  sequence_notification_create: { locator: "malformed-none", notification_type: "error", msg: "m" },
  topic_notification_list: { locator: "malformed-none/x" },
  query: {
    sequence: { locator: { $match: "*a*[!b]?" }, user_metadata: { "a.b": { $eq: 1 } } },
    topic: { created_timestamp: { $gt: 1 } },
  },
  api_key_status: { api_key_fingerprint: "x" },
  version: {},
  info: {},
};

function unary(method: string, message: Uint8Array): Omit<Mutant, "kind"> {
  return { method, ending: "end", bytes: () => frame(message) };
}

const jsonKinds: Readonly<Record<string, Make>> = {
  "action: JSON": (random) => {
    const [type, right] = pick(random, Object.entries(actionBodies));
    const body = strangeJson(random, { ...right, extra: 1 });
    return unary("DoAction", toBinary(ActionSchema, create(ActionSchema, { type, body })));
  },
  "action: name": (random) => {
    const type = pick(random, [
      "",
      "nothing",
      "__proto__",
      "toString",
      "VERSION",
      "version\u0000",
      "x".repeat(100_000),
    ]);
    return unary("DoAction", toBinary(ActionSchema, create(ActionSchema, { type, body: json({}) })));
  },
  "action: protobuf": (random) => {
    const bytes = Buffer.from(toBinary(ActionSchema, create(ActionSchema, { type: "version", body: json({}) })));
    if (random() < 0.5) flipBits(bytes, random, 3);
    return unary(
      pick(random, ["DoAction", "ListActions", "ListFlights"]),
      bytes.subarray(0, 1 + randomInteger(random, bytes.byteLength)),
    );
  },
  ticket: (random) => {
    const right = { topic: "malformed-none/x", start_ns: 1, end_ns: 2 };
    const ticket = strangeJson(random, right);
    const bytes = Buffer.from(toBinary(TicketSchema, create(TicketSchema, { ticket })));
    if (random() < 0.3) flipBits(bytes, random, 3);
    return unary("DoGet", bytes);
  },
  "info: command": (random) => {
    const right = { resource_locator: "malformed-none/x", timestamp_ns_start: 1, timestamp_ns_end: 2 };
    const bytes = Buffer.from(descriptorOf(strangeJson(random, right), pick(random, [1, 2, 2, 2])));
    if (random() < 0.2) flipBits(bytes, random, 3);
    return unary(pick(random, ["GetFlightInfo", "GetSchema"]), bytes);
  },
};

/** The whole of an honest upload, to be broken as a stream of bytes. */
function wholePut(random: Random): { bytes: (topic: Topic) => Buffer; batch: Outgoing; schema: Uint8Array } {
  const { schema, dictionaries: own, batch } = anyUpload(random);
  const bytes = (topic: Topic): Buffer =>
    Buffer.concat([frame(firstData(topic, schema)), ...[...own, batch].map((message) => frame(flightData(message)))]);
  return { bytes, batch, schema };
}

const frameKinds: Readonly<Record<string, Make>> = {
  "frame: flag": (random) => {
    const { schema, batch } = anyUpload(random);
    const flag = pick(random, [1, 2, 3, 127, 128, 255]);
    return {
      method: "DoPut",
      ending: "end",
      bytes: (topic) => Buffer.concat([frame(firstData(topic, schema)), frame(flightData(batch), { flag })]),
    };
  },
  "frame: length": (random) => {
    const { schema, batch } = anyUpload(random);
    const message = flightData(batch);
    const length = pick(random, [
      0,
      1,
      message.byteLength - 1,
      message.byteLength + 1,
      2 ** 25 + 1,
      2 ** 31,
      2 ** 32 - 1,
    ]);
    return {
      method: "DoPut",
      ending: "end",
      bytes: (topic) => Buffer.concat([frame(firstData(topic, schema)), frame(message, { length })]),
    };
  },
  "frame: cut": (random) => {
    const { bytes } = wholePut(random);
    const part = random();
    return {
      method: "DoPut",
      ending: "end",
      bytes: (topic) => bytes(topic).subarray(0, 1 + Math.floor(part * (bytes(topic).byteLength - 2))),
    };
  },
  "frame: reset": (random) => {
    const { bytes } = wholePut(random);
    const part = random();
    return {
      method: "DoPut",
      ending: "reset",
      bytes: (topic) => bytes(topic).subarray(0, Math.floor(part * bytes(topic).byteLength)),
    };
  },
  "frame: of others": (random) => {
    const method = pick(random, [
      "DoAction",
      "DoGet",
      "GetFlightInfo",
      "GetSchema",
      "ListFlights",
      "PollFlightInfo",
      "Handshake",
      "DoExchange",
    ]);
    const message = Buffer.from("\n\u0003abc");
    const flag = pick(random, [0, 1, 255]);
    const length = pick(random, [0, 2, 5, 6, 2 ** 25, 2 ** 32 - 1]);
    return { method, ending: "end", bytes: () => frame(message, { flag, length }) };
  },
  "gzip: garbage": (random) => {
    const { schema, batch } = anyUpload(random);
    const message = Buffer.from(gzipSync(flightData(batch), { level: 1 }));
    flipBits(message, random, 4);
    const encoding = pick(random, ["gzip", "deflate", "br", "gzip, gzip", "identity"]);
    return {
      method: "DoPut",
      ending: "end",
      headers: { "grpc-encoding": encoding },
      bytes: (topic) => Buffer.concat([frame(firstData(topic, schema)), frame(message, { flag: 1 })]),
    };
  },
  "gzip: bomb": (random) => {
    const { schema } = anyUpload(random);
    return {
      method: "DoPut",
      ending: "end",
      headers: { "grpc-encoding": "gzip" },
      bytes: (topic) => Buffer.concat([frame(firstData(topic, schema)), frame(gzipBomb(), { flag: 1 })]),
    };
  },
};

const gzipBomb = lazy(() => gzipSync(Buffer.alloc(48 * 2 ** 20)));

const headerKinds: Readonly<Record<string, Make>> = {
  "headers: content type": (random) => ({
    ...unary(pick(random, ["DoAction", "DoPut", "DoGet"]), Buffer.alloc(3)),
    headers: {
      "content-type": pick(random, ["text/plain", "application/json", "application/grpc-web", "application/grpc+json"]),
    },
  }),
  "headers: path": (random) => ({
    ...unary(
      pick(random, [
        "/",
        "/x",
        "/arrow.flight.protocol.FlightService/",
        "/arrow.flight.protocol.FlightService/DoPutX",
        "/grpc.health.v1.Health/Nothing",
        `/${"x".repeat(4_000)}`,
      ]),
      Buffer.alloc(3),
    ),
  }),
  "headers: values": (random) => ({
    ...unary(pick(random, ["DoAction", "DoPut", "DoGet", "GetFlightInfo"]), Buffer.alloc(3)),
    headers: pick(random, [
      { "grpc-timeout": "x" },
      { "grpc-timeout": "999999999S" },
      { "grpc-timeout": "0n" },
      { "grpc-timeout": "1n" },
      { "grpc-encoding": "snappy" },
      { "grpc-accept-encoding": "\u0001" },
      { "mosaico-api-key-token": "x".repeat(9_000) },
      { "x-bin": "!!!" },
    ]),
  }),
  "headers: method": (random) => ({
    ...unary(pick(random, ["DoAction", "DoPut", "DoGet"]), Buffer.alloc(3)),
    headers: { ":method": pick(random, ["GET", "PUT", "HEAD", "OPTIONS"]) },
  }),
};

const groups = {
  arrow: arrowKinds,
  protobuf: protobufKinds,
  descriptor: descriptorKinds,
  json: jsonKinds,
  frame: frameKinds,
  headers: headerKinds,
};

/** Every kind of mutation. Those of the group `arrow` are three quarters of all. */
export const kinds = Object.entries(groups).flatMap(([group, makes]) =>
  Object.entries(makes).map(([kind, make]) => ({ kind, group, make })),
);

const arrow = kinds.filter(({ group }) => group === "arrow");
const others = kinds.filter(({ group }) => group !== "arrow");

/** Kinds that are costly for both sides and say the same each time. */
const rare: Readonly<Record<string, number>> = { "compression: bomb": 0.15, "gzip: bomb": 0.15 };

/** The kind of the mutant with this number: all in turn, each as often as the others of its group. */
export function makeMutant(number: number, random: Random): Mutant {
  const list = number % 4 === 3 ? others : arrow;
  const { kind, make } = list[Math.floor(number / 4) % list.length] ?? pick(random, arrow);
  if (random() > (rare[kind] ?? 1)) return makeMutant(number + 4, random);
  return { kind, ...make(random) };
}
