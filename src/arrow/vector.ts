/**
 * A column of a checked batch, to be read by row. Vectors borrow from the body of the batch unless it was compressed or lies across
 * the alignment of its values. What offsets, views, sizes and indices say has been checked against what there is.
 */

import { assert } from "../model/assert.ts";
import type { Batch } from "./batch.ts";
import { checkBatch } from "./batch.ts";
import { getBit } from "./bits.ts";
import {
  aligned,
  cannotRead,
  columnBytes,
  commonBits,
  maskedValidity,
  type Place,
  positionsOf,
  type Room,
  take,
} from "./column-bytes.ts";
import { decompressBatch } from "./compression.ts";
import { valueField } from "./dictionary.ts";
import { gather } from "./gather.ts";
import { behindField, behindOwn, behindValidity, storedType } from "./gather-job.ts";
import { itemsOf, type ListRows, readListRows } from "./list-rows.ts";
import { readMessage } from "./message.ts";
import { arrayOf, type NumberArray, type NumberType, numberTypeOf } from "./number-type.ts";
import type { Field, Schema } from "./schema.ts";
import { readTexts, readTextViews, type TextVector } from "./text-vector.ts";

interface Rows {
  readonly length: number;
  /** Bits of the rows that are neither null nor below a null struct; undefined when all are. Bits behind the last mean nothing. */
  readonly validity: Uint8Array | undefined;
}

export interface NumberVector extends Rows {
  readonly kind: "number";
  readonly values: NumberArray;
}

export interface BooleanVector extends Rows {
  readonly kind: "boolean";
  readonly bits: Uint8Array;
}

export interface ListVector extends Rows, ListRows {
  readonly kind: "list";
  /** Of all rows together, as far as the chain leads; undefined when it ends at the list. A null list masks none of them. */
  readonly items: Vector | undefined;
}

/** Each row is one of some values: dictionary and run-end encoding. A row whose value is null is null. */
export interface IndexedVector extends Rows {
  readonly kind: "indexed";
  /** Where a row is null this means nothing. */
  readonly indices: Uint32Array;
  readonly values: Vector;
}

/** Values that are not looked into: structs, binary, decimals, intervals, maps, unions (of which no row is null). */
export interface OpaqueVector extends Rows {
  readonly kind: "opaque";
}

export type Vector = NumberVector | BooleanVector | TextVector | ListVector | IndexedVector | OpaqueVector;

export function isNull({ validity }: Vector, row: number): boolean {
  return validity !== undefined && getBit(validity, row) === 0;
}

/** A dictionary in force: its values as the one column of a batch, and what has been read of them. */
export interface Dictionary {
  readonly field: Field;
  readonly batch: Batch;
  readonly opened: Map<string, Vector>;
}

/** A dictionary and its deltas, in their order. @throws Fault corrupt, invalid, overloaded when they take more than `bytesMax` */
export function openDictionary(schema: Schema, id: bigint, parts: readonly Batch[], bytesMax: number): Dictionary {
  const field = valueField(schema, id);
  const [first, ...deltas] = parts;
  assert(first !== undefined, "a dictionary in force has values");
  const opened = new Map<string, Vector>();
  if (deltas.length === 0) return { field, batch: first, opened };
  const room: Room = { bytes: bytesMax };
  const plain = parts.map((part) => {
    const whole = decompressBatch(part, Math.max(0, room.bytes));
    take(room, whole.body.byteLength, field.name);
    return whole;
  });
  const runs = plain.map(({ rows }, source) => ({ source, start: 0, length: rows }));
  const { header, body } = gather({ fields: [field] }, plain, runs);
  const message = readMessage(header, body.byteLength);
  assert(message.kind === "batch", "rows are gathered into a batch");
  return { field, batch: checkBatch([field], message.lists, body), opened };
}

export interface VectorSource {
  readonly schema: Pick<Schema, "fields">;
  readonly batch: Batch;
  /** By their ids, those that the columns read refer to. */
  readonly dictionaries: ReadonlyMap<bigint, Dictionary>;
  /** Bytes that reading may make: of compressed buffers, of those that are not aligned, of indices and offsets. */
  readonly bytesMax: number;
}

/**
 * The column at the end of a chain; only buffers on the way are read. A list on the way makes a list of what comes behind.
 * @throws Fault corrupt (contents point outside, a dictionary is missing), invalid (a compressed buffer is broken), overloaded
 */
export function readVector({ schema, batch, dictionaries, bytesMax }: VectorSource, chain: readonly number[]): Vector {
  const [index = -1, ...rest] = chain;
  const field = schema.fields[index];
  const column = batch.columns[index];
  assert(field !== undefined && column !== undefined, "a chain leads to a field of the batch");
  const place: Place = {
    field,
    cursor: { batch, ...column },
    rows: batch.rows,
    path: field.name,
    room: { bytes: bytesMax },
  };
  return readColumn(place, undefined, { chain: rest, dictionaries });
}

interface Way {
  /** What is left of the chain. */
  readonly chain: readonly number[];
  readonly dictionaries: ReadonlyMap<bigint, Dictionary>;
}

function readColumn(place: Place, above: Uint8Array | undefined, way: Way): Vector {
  const { field, cursor, rows } = place;
  const validity = maskedValidity(place, above);
  if (field.dictionary !== undefined) return readDictionaryColumn(place, validity, way);
  const { type } = field;
  const own: Place = { ...place, cursor: behindValidity(cursor, type) };
  switch (type.kind) {
    case "struct":
      return way.chain.length === 0
        ? { kind: "opaque", length: rows, validity }
        : readColumn(...childOf(place, validity, way));
    case "list":
    case "listView":
    case "fixedList":
      return readList(place, validity, way);
    case "runEnd":
      return readRunEnds(place, validity, way);
    case "utf8":
      return readTexts(own, validity, type.offsetBits);
    case "utf8View":
      return readTextViews(own, validity);
    case "bool":
      return { kind: "boolean", length: rows, validity, bits: columnBytes(own, 0, "values", Math.ceil(rows / 8)) };
    default: {
      const numberType = numberTypeOf(type);
      return numberType === undefined
        ? { kind: "opaque", length: rows, validity }
        : { kind: "number", length: rows, validity, values: readNumbers(own, numberType) };
    }
  }
}

/** The child of a struct that the chain names; its rows are those of the struct. */
function childOf(
  place: Place,
  validity: Uint8Array | undefined,
  { chain, ...way }: Way,
): Parameters<typeof readColumn> {
  const { field, path } = place;
  const [index = -1, ...rest] = chain;
  const child = field.children[index];
  assert(child !== undefined, "a chain leads to a field of the batch");
  let cursor = behindOwn(field, place.cursor);
  for (const before of field.children.slice(0, index)) cursor = behindField(before, cursor);
  return [{ ...place, field: child, cursor, path: `${path}.${child.name}` }, validity, { ...way, chain: rest }];
}

function readList(place: Place, validity: Uint8Array | undefined, { chain, ...way }: Way): ListVector {
  const { field, cursor, rows, path } = place;
  const items = itemsOf(field, cursor);
  assert(items !== undefined, "a list has items");
  const found = readListRows({ ...place, cursor: behindValidity(cursor, field.type) }, validity, items.count);
  const itemPlace = { ...place, field: items.field, cursor: items.cursor, rows: items.count, path: `${path}[]` };
  const [step, ...rest] = chain;
  assert(step === undefined || step === 0, "the items of a list are its child 0");
  return {
    kind: "list",
    length: rows,
    validity,
    ...found,
    items: step === undefined ? undefined : readColumn(itemPlace, undefined, { ...way, chain: rest }),
  };
}

function readNumbers(place: Place, type: NumberType): NumberArray {
  const { rows } = place;
  const bytes = columnBytes(place, 0, "values", (rows * type.bits) / 8);
  const { buffer, byteOffset } = aligned(bytes.subarray(0, (rows * type.bits) / 8), type.bits / 8, place);
  return new (arrayOf(type))(buffer, byteOffset, rows);
}

function readDictionaryColumn(place: Place, validity: Uint8Array | undefined, way: Way): IndexedVector {
  const { field, cursor, rows, path, room } = place;
  const type = storedType(field);
  assert(field.dictionary !== undefined && type.kind === "int", "dictionary indices are integers");
  const { id } = field.dictionary;
  const dictionary = way.dictionaries.get(id);
  if (dictionary === undefined) throw cannotRead(path, `dictionary ${id} is missing`);
  const values = readDictionaryValues(dictionary, place, way);
  const found = readNumbers({ ...place, cursor: behindValidity(cursor, type) }, type);
  take(room, 4 * rows, path);
  const indices = new Uint32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    if (validity !== undefined && getBit(validity, row) === 0) continue;
    const index = Number(found[row]);
    if (!(index >= 0 && index < values.length)) {
      throw cannotRead(path, `row ${row} has the index ${index}, its dictionary has ${values.length} values`);
    }
    indices[row] = index;
  }
  return indexed(place, validity, indices, values);
}

/** What is behind the chain in a dictionary: read once, whichever batches ask for it. */
function readDictionaryValues({ field, batch, opened }: Dictionary, { path, room }: Place, way: Way): Vector {
  const key = way.chain.join();
  let values = opened.get(key);
  if (values !== undefined) return values;
  const place: Place = { field, cursor: { batch, node: 0, buffer: 0, variadic: 0 }, rows: batch.rows, path, room };
  values = readColumn(place, undefined, way);
  opened.set(key, values);
  return values;
}

/** Children: run ends, values. */
function readRunEnds(place: Place, above: Uint8Array | undefined, way: Way): IndexedVector {
  const { field, cursor, rows, path, room } = place;
  const [endField, valueField] = field.children;
  assert(endField !== undefined && valueField !== undefined, "run-end encoding has two children");
  const { type } = endField;
  if (type.kind !== "int" || type.bits === 8 || endField.dictionary !== undefined)
    throw cannotRead(path, "its run ends are no int16, int32 or int64");
  const endCursor = behindOwn(field, cursor);
  const valueCursor = behindField(endField, endCursor);
  const runs = Math.min(endCursor.batch.nodeLengths[endCursor.node] ?? 0, valueRows(valueCursor));
  const endPlace = { ...place, cursor: behindValidity(endCursor, type), rows: runs };
  const ends =
    type.bits === 16
      ? readNumbers(endPlace, { ...type, signed: true })
      : positionsOf(columnBytes(endPlace, 0, "run ends", (runs * type.bits) / 8), type.bits, runs, endPlace);
  const valuePlace = { ...place, field: valueField, cursor: valueCursor, rows: valueRows(valueCursor) };
  const values = readColumn(valuePlace, undefined, way);
  take(room, 4 * rows, path);
  const indices = new Uint32Array(rows);
  let row = 0;
  for (let run = 0; row < rows; run += 1) {
    const end = run < runs ? Number(ends[run]) : Number.NaN;
    if (!(end > row)) throw cannotRead(path, `its run ${run} of ${runs} ends at ${end}, expected beyond ${row}`);
    const next = Math.min(end, rows);
    indices.fill(run, row, next);
    row = next;
  }
  return indexed(place, above, indices, values);
}

function valueRows({ batch, node }: Place["cursor"]): number {
  return batch.nodeLengths[node] ?? 0;
}

function indexed(place: Place, validity: Uint8Array | undefined, indices: Uint32Array, values: Vector): IndexedVector {
  const { rows, path, room } = place;
  if (values.validity === undefined) return { kind: "indexed", length: rows, validity, indices, values };
  take(room, Math.ceil(rows / 8), path);
  const found = new Uint8Array(Math.ceil(rows / 8));
  for (let row = 0; row < rows; row += 1) {
    if (getBit(values.validity, indices[row] ?? 0) === 1) found[row >>> 3] = (found[row >>> 3] ?? 0) | (1 << (row & 7));
  }
  const both = validity === undefined ? found : commonBits(found, validity, place);
  return { kind: "indexed", length: rows, validity: both, indices, values };
}
