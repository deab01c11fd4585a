/** An Arrow schema, read from the client's message, and the plan by which its batches are checked and cut. */

import { Fault } from "../model/fault.ts";
import { FlatTable } from "./flatbuffer.ts";
import { type ArrowType, readType } from "./type.ts";

export interface Field {
  readonly name: string;
  readonly nullable: boolean;
  /** The type of the values; of a dictionary-encoded field that of the dictionary's values. */
  readonly type: ArrowType;
  readonly dictionary?: DictionaryEncoding | undefined;
  readonly children: readonly Field[];
}

export interface DictionaryEncoding {
  readonly id: bigint;
  readonly indexType: Extract<ArrowType, { kind: "int" }>;
  readonly ordered: boolean;
}

export interface Schema {
  readonly fields: readonly Field[];
  /** The Message flatbuffer as the client sent it. */
  readonly header: Uint8Array;
  /** Position of the Schema table in `header`. */
  readonly position: number;
}

/** Depth and number of nested fields: a hostile schema must not exhaust the stack or the memory. */
const depthMax = 64;
const fieldsMax = 65_536;
const nameBytesMax = 4 * 1024 * 1024;

const metadataVersion5 = 4;
const headerSchema = 1;

/** @throws Fault invalid, unsupported (other metadata version, big-endian) */
export function readSchema(header: Uint8Array): Schema {
  const message = FlatTable.root(header);
  checkVersion(message);
  if (message.uint8(1, 0) !== headerSchema) throw new Fault("invalid", "Missing schema.");
  const schema = message.table(2);
  if (schema === undefined) throw new Fault("invalid", "Missing schema.");
  return { fields: readSchemaTable(schema), header, position: schema.position };
}

/** @throws Fault invalid, unsupported */
export function readSchemaTable(schema: FlatTable): Field[] {
  if (schema.int16(0, 0) !== 0)
    throw new Fault("unsupported", "Unsupported schema: it is big-endian, expected little-endian.");
  const count = { fields: 0, nameBytes: 0 };
  return readFields(schema, 1, { path: "", depth: 0, count });
}

/** @throws Fault unsupported for a metadata version other than V5 */
export function checkVersion(message: FlatTable): void {
  const version = message.int16(0, 0);
  if (version === metadataVersion5) return;
  throw new Fault("unsupported", `Unsupported schema: Arrow metadata version V${version + 1}, expected V5.`);
}

interface Place {
  readonly path: string;
  readonly depth: number;
  readonly count: { fields: number; nameBytes: number };
}

function readFields(table: FlatTable, slot: number, { path, depth, count }: Place): Field[] {
  const vector = table.vector(slot, 4);
  count.fields += vector.length;
  if (count.fields > fieldsMax) throw new Fault("invalid", `Unsupported schema: more than ${fieldsMax} fields.`);
  if (depth > depthMax)
    throw new Fault("invalid", `Unsupported schema: ${path.slice(0, 200)} is nested deeper than ${depthMax}.`);
  const fields: Field[] = [];
  for (let index = 0; index < vector.length; index += 1) {
    const child = table.element(vector, index);
    const nameBytes = child.blob(0);
    // Fields may share the bytes of one long name, but each gets a text of its own.
    count.nameBytes += nameBytes?.byteLength ?? 0;
    if (count.nameBytes > nameBytesMax) {
      throw new Fault("invalid", `Unsupported schema: names of more than ${nameBytesMax} bytes together.`);
    }
    const name = readText(nameBytes);
    fields.push(readField(child, name, { path: path === "" ? name : `${path}.${name}`, depth: depth + 1, count }));
  }
  return fields;
}

function readField(table: FlatTable, name: string, place: Place): Field {
  const children = readFields(table, 5, place);
  const type = readType(table.uint8(2, 0), table.table(3), children.length, place.path);
  const encoding = table.table(4);
  return { name, nullable: table.uint8(1, 0) !== 0, type, dictionary: readDictionary(encoding, place.path), children };
}

function readDictionary(table: FlatTable | undefined, path: string): DictionaryEncoding | undefined {
  if (table === undefined) return undefined;
  const index = table.table(1);
  const indexType =
    index === undefined ? ({ kind: "int", bits: 32, signed: true } as const) : readType(2, index, 0, path);
  if (indexType.kind !== "int")
    throw new Fault("invalid", `Unsupported schema: ${path} has dictionary indices that are no integers.`);
  return { id: table.int64(0), indexType, ordered: table.uint8(2, 0) !== 0 };
}

function readText(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "";
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Fault("invalid", "Unsupported schema: a field name is not UTF-8.", error);
  }
}

/** Index of the top-level field `timestamp_ns`. @throws Fault invalid when it is missing, twice there, or no int64 */
export function timestampField(schema: Schema): number {
  const index = schema.fields.findIndex(({ name }) => name === "timestamp_ns");
  const field = schema.fields[index];
  if (field === undefined) throw new Fault("invalid", "Unsupported schema: missing timestamp field in schema.");
  const { type } = field;
  if (type.kind !== "int" || type.bits !== 64 || !type.signed || field.dictionary !== undefined) {
    throw new Fault("invalid", "Unsupported schema: wrong timestamp field type, expected int64.");
  }
  if (schema.fields.findLastIndex(({ name }) => name === "timestamp_ns") !== index) {
    throw new Fault("invalid", "Unsupported schema: there are two fields timestamp_ns.");
  }
  return index;
}

/** Whether two schemas have the same fields, types and nullability; metadata and dictionary ids do not count. */
export function equalSchema(a: Schema, b: Schema): boolean {
  return equalFields(a.fields, b.fields);
}

function equalFields(a: readonly Field[], b: readonly Field[]): boolean {
  return a.length === b.length && a.every((field, index) => equalField(field, b[index]));
}

function equalField(a: Field, b: Field | undefined): boolean {
  if (b === undefined || a.name !== b.name || a.nullable !== b.nullable) return false;
  if (JSON.stringify(a.type) !== JSON.stringify(b.type)) return false;
  if (JSON.stringify(a.dictionary?.indexType) !== JSON.stringify(b.dictionary?.indexType)) return false;
  if (a.dictionary?.ordered !== b.dictionary?.ordered) return false;
  return equalFields(a.children, b.children);
}

/** Ids of all dictionaries that the fields refer to, nested ones and those inside dictionaries too. */
export function dictionaryIds(schema: Schema): bigint[] {
  const collect = (fields: readonly Field[]): bigint[] =>
    fields.flatMap((field) => [
      ...(field.dictionary === undefined ? [] : [field.dictionary.id]),
      ...collect(field.children),
    ]);
  return [...new Set(collect(schema.fields))];
}

/** The fields whose values a dictionary holds; mostly one. */
export function fieldsOfDictionary(schema: Schema, id: bigint): Field[] {
  const search = (fields: readonly Field[]): Field[] =>
    fields.flatMap((field) => [...(field.dictionary?.id === id ? [field] : []), ...search(field.children)]);
  return search(schema.fields);
}
