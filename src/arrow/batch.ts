/**
 * A record batch that has been checked against its schema and body: every node and buffer that the schema asks for is there,
 * inside the body and long enough for its rows. Values are not looked at; whoever follows offsets checks them.
 */

import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import type { BatchLists, Message } from "./message.ts";
import type { Field, Schema } from "./schema.ts";
import type { ArrowType } from "./type.ts";

export interface Batch extends BatchLists {
  readonly body: Uint8Array;
  /** Index of the first node and buffer of each top-level column. */
  readonly columns: readonly Column[];
}

export interface Column {
  readonly node: number;
  readonly buffer: number;
  /** Index of the first view column below it in `variadicCounts`. */
  readonly variadic: number;
}

/** Bytes of the length in front of each compressed buffer. */
export const compressedPrefixBytes = 8;

/** @throws Fault invalid naming the column, what was expected and what was found */
export function readBatch(schema: Schema, message: Message, body: Uint8Array): Batch {
  assert(message.kind === "batch", "a record batch is asked for");
  return checkBatch(schema.fields, message.lists, body);
}

/** The batch of one column that a dictionary message holds. @throws Fault invalid */
export function checkBatch(fields: readonly Field[], lists: BatchLists, body: Uint8Array): Batch {
  const walk: Walk = { lists, bodyBytes: body.byteLength, node: 0, buffer: 0, variadic: 0 };
  const columns: Column[] = [];
  for (const field of fields) {
    columns.push({ node: walk.node, buffer: walk.buffer, variadic: walk.variadic });
    const rows = checkField(walk, field, field.name);
    if (rows !== lists.rows) throw wrong(field.name, `has ${rows} rows, the batch ${lists.rows}`);
  }
  expectAll("nodes", walk.node, lists.nodeLengths.length);
  expectAll("buffers", walk.buffer, lists.bufferLengths.length);
  expectAll("counts of data buffers", walk.variadic, lists.variadicCounts.length);
  return { ...lists, body, columns };
}

interface Walk {
  readonly lists: BatchLists;
  readonly bodyBytes: number;
  node: number;
  buffer: number;
  variadic: number;
}

/** Checks a field and what is below it; returns its length. */
function checkField(walk: Walk, field: Field, path: string): number {
  const { lists } = walk;
  const rows = lists.nodeLengths[walk.node];
  const nulls = lists.nodeNulls[walk.node];
  if (rows === undefined || nulls === undefined)
    throw wrong(path, `has no node, the batch has ${lists.nodeLengths.length}`);
  if (nulls > rows) throw wrong(path, `has ${nulls} nulls in ${rows} rows`);
  walk.node += 1;
  const type = field.dictionary?.indexType ?? field.type;
  if (hasValidity(type)) takeBuffer(walk, path, "validity", nulls === 0 ? 0 : Math.ceil(rows / 8));
  checkOwnBuffers(walk, type, path, rows);
  if (field.dictionary === undefined) checkChildren(walk, field, path, rows);
  return rows;
}

/** Types without a validity bitmap in metadata version V5. */
export function hasValidity(type: ArrowType): boolean {
  return type.kind !== "null" && type.kind !== "union" && type.kind !== "runEnd";
}

function checkOwnBuffers(walk: Walk, type: ArrowType, path: string, rows: number): void {
  switch (type.kind) {
    case "null":
    case "struct":
    case "fixedList":
    case "runEnd":
      return;
    case "bool":
      takeBuffer(walk, path, "values", Math.ceil(rows / 8));
      return;
    case "utf8":
    case "binary":
      takeOffsets(walk, path, rows, type.offsetBits / 8);
      takeBuffer(walk, path, "data", 0);
      return;
    case "utf8View":
    case "binaryView": {
      takeBuffer(walk, path, "views", rows * 16);
      const count = walk.lists.variadicCounts[walk.variadic];
      if (count === undefined) throw wrong(path, "has no count of data buffers");
      walk.variadic += 1;
      for (let index = 0; index < count; index += 1) takeBuffer(walk, path, `data ${index}`, 0);
      return;
    }
    case "list":
    case "map":
      takeOffsets(walk, path, rows, type.offsetBits / 8);
      return;
    case "listView":
      takeBuffer(walk, path, "offsets", (rows * type.offsetBits) / 8);
      takeBuffer(walk, path, "sizes", (rows * type.offsetBits) / 8);
      return;
    case "union":
      takeBuffer(walk, path, "type ids", rows);
      if (type.mode === "dense") takeBuffer(walk, path, "offsets", rows * 4);
      return;
    default:
      takeBuffer(walk, path, "values", Math.ceil((rows * type.bits) / 8));
  }
}

/** Offsets of n rows are n + 1, or none at all when there are no rows. */
function takeOffsets(walk: Walk, path: string, rows: number, bytes: number): void {
  takeBuffer(walk, path, "offsets", rows === 0 ? 0 : (rows + 1) * bytes);
}

function takeBuffer(walk: Walk, path: string, what: string, needed: number): void {
  const { bufferOffsets, bufferLengths, compression } = walk.lists;
  const offset = bufferOffsets[walk.buffer];
  const length = bufferLengths[walk.buffer];
  if (offset === undefined || length === undefined)
    throw wrong(path, `has no ${what} buffer, the batch has ${bufferLengths.length} buffers`);
  if (offset + length > walk.bodyBytes) {
    throw wrong(path, `has its ${what} at ${offset} to ${offset + length}, the body has ${walk.bodyBytes} bytes`);
  }
  walk.buffer += 1;
  if (compression === "none") {
    if (length < needed) throw wrong(path, `has ${length} bytes of ${what}, expected ${needed}`);
  } else if (length > 0 ? length < compressedPrefixBytes : needed > 0) {
    throw wrong(path, `has ${length} bytes of compressed ${what}, expected at least ${compressedPrefixBytes}`);
  }
}

function checkChildren(walk: Walk, field: Field, path: string, rows: number): void {
  const { type, children } = field;
  let firstLength = 0;
  children.forEach((child, index) => {
    const childPath = `${path}.${child.name}`;
    const length = checkField(walk, child, childPath);
    if (index === 0) firstLength = length;
    const needed =
      type.kind === "struct" || (type.kind === "union" && type.mode === "sparse")
        ? rows
        : type.kind === "fixedList"
          ? rows * type.size
          : type.kind === "runEnd" && index === 1
            ? firstLength
            : 0;
    if (length < needed) throw wrong(childPath, `has ${length} rows, expected ${needed}`);
  });
}

function expectAll(what: string, expected: number, found: number): void {
  if (found !== expected)
    throw new Fault("invalid", `The batch does not fit the schema: it has ${found} ${what}, expected ${expected}.`);
}

function wrong(path: string, problem: string): Fault {
  return new Fault(
    "invalid",
    `The batch does not fit the schema: column ${JSON.stringify(path.slice(0, 200))} ${problem}.`,
  );
}
