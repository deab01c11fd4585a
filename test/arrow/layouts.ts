// Values without a layout, and batches that hold them in any: large or small offsets, views, dictionaries, runs, list views out of
// order, with other values below nulls, items of no list, and at any alignment. What is equal before it is laid out is equal.

import { type Batch, checkBatch } from "../../src/arrow/batch.ts";
import { gather } from "../../src/arrow/gather.ts";
import { readMessage } from "../../src/arrow/message.ts";
import type { Field } from "../../src/arrow/schema.ts";
import type { ArrowType } from "../../src/arrow/type.ts";
import type { Random } from "../model/random.ts";
import { fieldOf, int } from "./made.ts";
import { bytesOf, handmade } from "./random-columns.ts";

/** What values mean. */
export type Meaning =
  | { readonly kind: "fixed"; readonly name: string; readonly type: ArrowType; readonly width: number }
  | { readonly kind: "bool" | "text" | "bytes" | "null"; readonly name: string }
  | {
      readonly kind: "list" | "map" | "struct" | "union";
      readonly name: string;
      readonly children: readonly Meaning[];
    };

/** Bytes of leaves, items of lists, children of structs, entries of maps; of a union the child's number and its value. */
export type Value = null | boolean | Buffer | readonly Value[] | { readonly child: number; readonly value: Value };

const fixed = (name: string, type: ArrowType, width: number): Meaning => ({ kind: "fixed", name, type, width });

export const leaves: readonly Meaning[] = [
  ...([8, 16, 32, 64] as const).flatMap((bits) => [
    fixed(`int${bits}`, { kind: "int", bits, signed: true }, bits / 8),
    fixed(`uint${bits}`, { kind: "int", bits, signed: false }, bits / 8),
  ]),
  ...([16, 32, 64] as const).map((bits) => fixed(`float${bits}`, { kind: "float", bits }, bits / 8)),
  ...([32, 64, 128, 256] as const).map((bits) =>
    fixed(`decimal${bits}`, { kind: "decimal", bits, precision: 9, scale: 2 }, bits / 8),
  ),
  ...([32, 64] as const).flatMap((bits) => [
    fixed(`date${bits}`, { kind: "date", bits }, bits / 8),
    fixed(`time${bits}`, { kind: "time", bits, unit: bits === 32 ? 1 : 3 }, bits / 8),
  ]),
  fixed("timestamp", { kind: "timestamp", bits: 64, unit: 3, timezone: "UTC" }, 8),
  fixed("duration", { kind: "duration", bits: 64, unit: 2 }, 8),
  ...([32, 64, 128] as const).map((bits, unit) => fixed(`interval${bits}`, { kind: "interval", bits, unit }, bits / 8)),
  ...(["bool", "text", "bytes", "null"] as const).map((kind) => ({ kind, name: kind })),
];

export const nestings = [
  "top",
  "list",
  "map",
  "struct",
  "union",
  "list in list",
  "list of structs",
  "struct with list",
] as const;

export function meaningOf(random: Random, leaf: Meaning, nesting: (typeof nestings)[number]): Meaning {
  const list = (child: Meaning): Meaning => ({ kind: "list", name: "list", children: [child] });
  const struct = (...children: Meaning[]): Meaning => ({ kind: "struct", name: "struct", children });
  const other = (): Meaning => random.pick(leaves);
  switch (nesting) {
    case "top":
      return leaf;
    case "list":
      return list(leaf);
    case "map":
      return { kind: "map", name: "map", children: [random.pick(leaves.filter(({ kind }) => kind !== "null")), leaf] };
    case "struct":
      return struct(leaf, other());
    case "union":
      return { kind: "union", name: "union", children: [leaf, other(), leaf] };
    case "list in list":
      return list(list(leaf));
    case "list of structs":
      return list(struct(other(), leaf));
    case "struct with list":
      return struct(list(leaf), other());
  }
}

export function randomValue(random: Random, meaning: Meaning, nulls: number): Value {
  if (meaning.kind === "null") return null;
  if (meaning.kind !== "union" && random.chance(nulls)) return null;
  switch (meaning.kind) {
    case "fixed":
      // Few values, so that neighbours are alike.
      return random.chance(0.5)
        ? Buffer.alloc(meaning.width, random.below(3))
        : Buffer.from(random.bytes(meaning.width));
    case "bool":
      return random.chance(0.5);
    case "text":
      return Buffer.from(random.pick(["", "a", "ä", "base_link", "x".repeat(random.below(60)), "日本語".repeat(30)]));
    case "bytes":
      return Buffer.from(random.bytes(random.pick([0, 1, 3, 12, 13, 47, 48, 49, 200])));
    case "list":
      return Array.from({ length: random.pick([0, 1, 2, 3, 7]) }, () => randomValue(random, child(meaning, 0), nulls));
    case "map":
      return Array.from({ length: random.below(4) }, () => [
        randomValue(random, child(meaning, 0), 0),
        randomValue(random, child(meaning, 1), nulls),
      ]);
    case "struct":
      return meaning.children.map((one) => randomValue(random, one, nulls));
    case "union": {
      const index = random.below(meaning.children.length);
      return { child: index, value: randomValue(random, child(meaning, index), nulls) };
    }
  }
}

function child({ children }: { readonly children: readonly Meaning[] }, index: number): Meaning {
  const found = children[index];
  if (found === undefined) throw new RangeError(`there is a child ${index}`);
  return found;
}

export interface Layout {
  readonly random: Random;
  /** Told of each way that something was laid out. */
  readonly hit: (way: string) => void;
  /** Dictionaries, each perhaps in several parts. */
  readonly dictionaries: { readonly id: bigint; parts: readonly Batch[] }[];
}

interface Laid {
  readonly field: Field;
  readonly nodes: readonly (readonly [number, number])[];
  readonly buffers: readonly Uint8Array[];
  readonly variadicCounts: readonly number[];
}

const nothing: Laid = { field: fieldOf("", { kind: "null" }), nodes: [], buffers: [], variadicCounts: [] };

/** A batch of columns with these values. */
export function batchOf(
  columns: readonly { readonly name: string; readonly meaning: Meaning; readonly values: readonly Value[] }[],
  layout: Layout,
): { fields: Field[]; batch: Batch } {
  const laid = columns.map(({ name, meaning, values }) => layOut(name, meaning, values, layout));
  const fields = laid.map(({ field }) => field);
  const rows = columns[0]?.values.length ?? 0;
  return { fields, batch: handmade({ fields }, { rows, ...together(laid), shift: layout.random.below(9) }) };
}

function together(laid: readonly Laid[]): Omit<Laid, "field"> {
  return {
    nodes: laid.flatMap(({ nodes }) => nodes),
    buffers: laid.flatMap(({ buffers }) => buffers),
    variadicCounts: laid.flatMap(({ variadicCounts }) => variadicCounts),
  };
}

function layOut(name: string, meaning: Meaning, values: readonly Value[], layout: Layout): Laid {
  const { random, hit } = layout;
  const way = random.pick(["as it is", "as it is", "as it is", "dictionary", "runs"]);
  if (way === "as it is" || meaning.kind === "null") return plainly(name, meaning, values, layout);
  hit(way);
  if (way === "dictionary") return inDictionary(name, meaning, values, layout);
  const ends: number[] = [];
  const runs: Value[] = [];
  for (const [row, value] of values.entries()) {
    // Runs of one value may be several.
    if (ends.length > 0 && isEqual(runs.at(-1), value) && !random.chance(0.2)) ends[ends.length - 1] = row + 1;
    else {
      ends.push(row + 1);
      runs.push(value);
    }
  }
  // Behind the last row there may be more.
  if (random.chance(0.3) && ends.length > 0) ends[ends.length - 1] = values.length + random.below(3);
  const bits = random.pick([16, 32, 64] as const);
  const endBytes = integersOf(ends, bits);
  const inner = plainly("values", meaning, runs, layout);
  const field = fieldOf(name, { kind: "runEnd" }, [fieldOf("run_ends", int(bits)), inner.field]);
  const parts = together([{ ...nothing, nodes: [[ends.length, 0]], buffers: [new Uint8Array(0), endBytes] }, inner]);
  return { field, ...parts, nodes: [[values.length, 0], ...parts.nodes] };
}

function inDictionary(name: string, meaning: Meaning, values: readonly Value[], layout: Layout): Laid {
  const { random, dictionaries, hit } = layout;
  const words: Value[] = [];
  const indices = values.map((value) => {
    // A null is one of the dictionary's values, or has no index.
    if (value === null && random.chance(0.5)) return -1;
    const known = words.findIndex((word) => isEqual(word, value));
    return known >= 0 && random.chance(0.9) ? known : words.push(value) - 1;
  });
  if (random.chance(0.3)) words.push(randomValue(random, meaning, 0.2));
  const id = BigInt(dictionaries.length);
  const own: Layout["dictionaries"][number] = { id, parts: [] };
  dictionaries.push(own);
  const laid = plainly(name, meaning, words, layout);
  const whole = handmade({ fields: [laid.field] }, { ...laid, rows: words.length, shift: random.below(9) });
  own.parts = [whole];
  if (random.chance(0.3)) {
    hit("dictionary with a delta");
    const cut = random.below(words.length + 1);
    own.parts = [rowsOf([laid.field], whole, [[0, cut]]), rowsOf([laid.field], whole, [[cut, words.length - cut]])];
  }
  const signed = random.chance(0.5);
  const bits = words.length < 100 && random.chance(0.3) ? 8 : random.pick([16, 32, 64] as const);
  const indexType = { kind: "int", bits, signed } as const;
  const garbage = indices.map((index) => (index >= 0 ? index : random.below(127)));
  const valid = indices.map((index) => index >= 0);
  return {
    field: { ...laid.field, dictionary: { id, indexType, ordered: false } },
    nodes: [[values.length, count(valid)]],
    buffers: [validityOf(valid), integersOf(garbage, bits)],
    variadicCounts: [],
  };
}

/** Without an encoding; what is below may have one. */
function plainly(name: string, meaning: Meaning, values: readonly Value[], layout: Layout): Laid {
  const { random, hit } = layout;
  const rows = values.length;
  const valid = values.map((value) => value !== null);
  const nodes = [[rows, count(valid)]] as const;
  // What lies below a null is anything.
  const filled = values.map((value) => value ?? randomValue(random, meaning, 0));
  const laid = (
    type: ArrowType,
    buffers: readonly Uint8Array[],
    below: readonly Laid[] = [],
    counts: number[] = [],
  ): Laid => {
    const parts = together(below);
    return {
      field: fieldOf(
        name,
        type,
        below.map(({ field }) => field),
      ),
      nodes: [...nodes, ...parts.nodes],
      buffers: [
        ...(type.kind === "null" || type.kind === "union" ? [] : [validityOf(valid)]),
        ...buffers,
        ...parts.buffers,
      ],
      variadicCounts: [...counts, ...parts.variadicCounts],
    };
  };
  const below = (one: Meaning, index: number, items: readonly Value[], called = `c${index}`): Laid =>
    layOut(called, one, items, layout);
  switch (meaning.kind) {
    case "null":
      return laid({ kind: "null" }, []);
    case "fixed":
      return laid(meaning.type, [Buffer.concat(filled as Buffer[])]);
    case "bool":
      return laid({ kind: "bool" }, [bitsOf(filled as boolean[])]);
    case "text":
    case "bytes":
      return textsOf(filled as Buffer[], { valid, isText: meaning.kind === "text", layout }, laid);
    case "struct":
      return laid(
        { kind: "struct" },
        [],
        meaning.children.map((one, index) =>
          below(
            one,
            index,
            filled.map((value) => (value as readonly Value[])[index] ?? null),
          ),
        ),
      );
    case "map": {
      const { offsets, items } = listed(
        filled as readonly (readonly Value[])[],
        random,
        child(meaning, 0).kind === "null" ? undefined : entryOf(random, meaning),
      );
      const entries: Meaning = { kind: "struct", name: "entries", children: meaning.children };
      const called = random.pick(["entries", "key_value"]);
      const struct = plainly(called, entries, items, layout);
      return laid({ kind: "map", offsetBits: 32, keysSorted: false }, [integersOf(offsets, 32)], [struct]);
    }
    case "list": {
      const item = child(meaning, 0);
      const garbage = (): Value => randomValue(random, item, 0.2);
      const lists = filled as readonly (readonly Value[])[];
      const sizes = new Set(lists.filter((_list, row) => valid[row]).map((list) => list.length));
      const way = random.pick(["list", "large list", "list view", "large list view", "fixed list"]);
      if (way === "fixed list" && sizes.size === 1) {
        hit(way);
        const [size = 0] = sizes;
        const items = lists.flatMap((list, row) => (valid[row] ? list : Array.from({ length: size }, garbage)));
        return laid({ kind: "fixedList", size }, [], [below(item, 0, items)]);
      }
      const bits = way.startsWith("large") ? 64 : 32;
      if (!way.endsWith("view")) {
        hit(bits === 64 ? way : "list");
        const { offsets, items } = listed(lists, random, garbage);
        return laid({ kind: "list", offsetBits: bits }, [integersOf(offsets, bits)], [below(item, 0, items)]);
      }
      hit(way);
      const starts: number[] = new Array(rows).fill(0);
      const items: Value[] = [];
      const order = Array.from(lists.keys()).sort(() => random.next() - 0.5);
      for (const row of order) {
        if (random.chance(0.3)) items.push(garbage());
        starts[row] = items.length;
        items.push(...(lists[row] ?? []));
      }
      const all = lists.map(({ length }) => length);
      return laid(
        { kind: "listView", offsetBits: bits },
        [integersOf(starts, bits), integersOf(all, bits)],
        [below(item, 0, items)],
      );
    }
    case "union": {
      const union = filled as readonly { child: number; value: Value }[];
      const typeIds = meaning.children.map((_one, index) => 5 * index + 3);
      const ids = Uint8Array.from(union, (value) => typeIds[value.child] ?? 0);
      const mode = random.pick(["sparse", "dense"] as const);
      hit(`${mode} union`);
      if (mode === "sparse") {
        const columns = meaning.children.map((one, index) =>
          below(
            one,
            index,
            union.map((value) => (value.child === index ? value.value : randomValue(random, one, 0.2))),
          ),
        );
        return { ...laid({ kind: "union", mode, typeIds }, [ids], columns) };
      }
      const offsets: number[] = [];
      const items: Value[][] = meaning.children.map((one) => (random.chance(0.3) ? [randomValue(random, one, 0)] : []));
      for (const value of union) offsets.push((items[value.child]?.push(value.value) ?? 1) - 1);
      const columns = meaning.children.map((one, index) => below(one, index, items[index] ?? []));
      return laid({ kind: "union", mode, typeIds }, [ids, integersOf(offsets, 32)], columns);
    }
  }
}

/** Rows of a batch as another one. */
export function rowsOf(
  fields: readonly Field[],
  batch: Batch,
  runs: readonly (readonly [start: number, length: number])[],
): Batch {
  const found = gather(
    { fields },
    [batch],
    runs.map(([start, length]) => ({ source: 0, start, length })),
  );
  const message = readMessage(found.header, found.body.byteLength);
  if (message.kind !== "batch") throw new RangeError("rows are gathered into a batch");
  return checkBatch(fields, message.lists, found.body);
}

function entryOf(random: Random, { children }: { readonly children: readonly Meaning[] }): () => Value {
  return () => children.map((one) => randomValue(random, one, 0));
}

/** Lists one behind the other, with items of none before and behind. */
function listed(lists: readonly (readonly Value[])[], random: Random, garbage: (() => Value) | undefined) {
  const items: Value[] = garbage === undefined ? [] : Array.from({ length: random.below(3) }, garbage);
  const offsets = [items.length];
  for (const list of lists) {
    items.push(...list);
    offsets.push(items.length);
  }
  if (garbage !== undefined && random.chance(0.3)) items.push(garbage());
  return { offsets, items };
}

type Lay = (type: ArrowType, buffers: readonly Uint8Array[], below?: readonly Laid[], counts?: number[]) => Laid;
interface Texts {
  readonly valid: readonly boolean[];
  readonly isText: boolean;
  readonly layout: Layout;
}

function textsOf(values: readonly Buffer[], { valid, isText, layout }: Texts, laid: Lay): Laid {
  const { random, hit } = layout;
  const sizes = new Set(values.filter((_value, row) => valid[row]).map(({ byteLength }) => byteLength));
  const all = ["small", "large", "views", ...(isText ? [] : ["fixed width"])];
  const way = random.pick(all);
  if (way === "fixed width" && sizes.size === 1) {
    hit(way);
    const [size = 0] = sizes;
    return laid({ kind: "fixedBinary", bits: 8 * size }, [
      Buffer.concat(values.map((value, row) => (valid[row] ? value : Buffer.from(random.bytes(size))))),
    ]);
  }
  if (way === "views") {
    hit(way);
    const data = [Buffer.from(random.bytes(3)), Buffer.from(random.bytes(2))];
    const views = Buffer.alloc(16 * values.length);
    for (const [row, value] of values.entries()) {
      const at = 16 * row;
      if (!valid[row]) {
        views.set(random.bytes(16), at);
        views.writeInt32LE(random.below(13), at);
        continue;
      }
      views.writeInt32LE(value.byteLength, at);
      if (value.byteLength <= 12) value.copy(views, at + 4);
      else {
        const index = random.below(2);
        const before = data[index] ?? Buffer.alloc(0);
        value.copy(views, at + 4, 0, 4);
        views.writeInt32LE(index, at + 8);
        views.writeInt32LE(before.byteLength, at + 12);
        data[index] = Buffer.concat([before, value]);
      }
    }
    return laid({ kind: isText ? "utf8View" : "binaryView" }, [views, ...data], [], [2]);
  }
  hit(way === "large" ? way : "small");
  const bits = way === "large" ? 64 : 32;
  const before = Buffer.from(random.bytes(random.below(4)));
  const offsets = [before.byteLength];
  for (const { byteLength } of values) offsets.push((offsets.at(-1) ?? 0) + byteLength);
  const type = { kind: isText ? "utf8" : "binary", offsetBits: bits } as const;
  return laid(type, [integersOf(offsets, bits), Buffer.concat([before, ...values])]);
}

export function isEqual(a: Value | undefined, b: Value | undefined): boolean {
  return shown(a) === shown(b);
}

/** A value as a text that is the same when the value is. */
export function shown(value: Value | undefined): string {
  return JSON.stringify(value ?? null, (_key, one: unknown) => one);
}

function count(valid: readonly boolean[]): number {
  return valid.filter((one) => !one).length;
}

function validityOf(valid: readonly boolean[]): Uint8Array {
  return count(valid) === 0 ? new Uint8Array(0) : bitsOf(valid);
}

function bitsOf(values: readonly boolean[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  for (const [row, value] of values.entries()) if (value) bits[row >>> 3] = (bits[row >>> 3] ?? 0) | (1 << (row & 7));
  return bits;
}

function integersOf(values: readonly number[], bits: 8 | 16 | 32 | 64): Uint8Array {
  if (bits === 8) return Uint8Array.from(values);
  if (bits === 64) return bytesOf(BigInt64Array.from(values, BigInt));
  return bytesOf(bits === 16 ? Int16Array.from(values) : Int32Array.from(values));
}
