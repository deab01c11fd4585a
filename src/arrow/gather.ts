/**
 * The one kernel for cutting, sorting and merging: runs of rows out of uncompressed batches become a new batch, for every
 * type. The batches' headers have been checked; offsets inside their values have not, so they are checked before they are used.
 */

import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { type Batch, hasValidity } from "./batch.ts";
import { encodeBatchHeader } from "./batch-header.ts";
import { copyBits, setBits } from "./bits.ts";
import { paddedBytes } from "./frame.ts";
import { gatherDenseUnion, gatherFixedList, gatherList, gatherListView, gatherRunEnds } from "./gather-nested.ts";
import { gatherText, gatherViews } from "./gather-text.ts";
import type { Field, Schema } from "./schema.ts";
import type { ArrowType } from "./type.ts";

/** Rows `start` to `start + length` of source number `source`. */
export interface RowRun {
  readonly source: number;
  readonly start: number;
  readonly length: number;
}

/** A column of a source: its first node, buffer and view count. */
export interface Cursor {
  readonly batch: Batch;
  readonly node: number;
  readonly buffer: number;
  readonly variadic: number;
}

/** What becomes of a column: its nodes and buffers in the order of the schema. */
export interface Output {
  readonly nodes: { length: number; nulls: number }[];
  readonly buffers: Uint8Array[];
  readonly variadicCounts: number[];
}

/** One column to gather. */
export interface Job {
  readonly field: Field;
  readonly path: string;
  readonly sources: readonly Cursor[];
  readonly runs: readonly RowRun[];
  readonly rows: number;
  readonly output: Output;
}

export interface Gathered {
  /** A Message flatbuffer. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** @throws Fault corrupt naming the column whose values point outside, overloaded when an offset type is too small */
export function gather(schema: Schema, batches: readonly Batch[], runs: readonly RowRun[]): Gathered {
  const output: Output = { nodes: [], buffers: [], variadicCounts: [] };
  const rows = countRows(runs);
  schema.fields.forEach((field, index) => {
    const sources = batches.map((batch): Cursor => {
      assert(batch.compression === "none", "batches are decompressed before they are gathered");
      const column = batch.columns[index];
      assert(column !== undefined, "a checked batch has all columns");
      return { batch, ...column };
    });
    gatherField({ field, path: field.name, sources, runs, rows, output });
  });
  return assemble(rows, output);
}

export function countRows(runs: readonly RowRun[]): number {
  let rows = 0;
  for (const run of runs) rows += run.length;
  return rows;
}

function assemble(rows: number, output: Output): Gathered {
  const buffers: { offset: number; length: number }[] = [];
  let bodyBytes = 0;
  for (const { byteLength } of output.buffers) {
    buffers.push({ offset: bodyBytes, length: byteLength });
    bodyBytes += paddedBytes(byteLength);
  }
  const body = new Uint8Array(bodyBytes);
  output.buffers.forEach((bytes, index) => {
    body.set(bytes, buffers[index]?.offset ?? 0);
  });
  const { nodes, variadicCounts } = output;
  return { header: encodeBatchHeader({ rows, nodes, buffers, variadicCounts, bodyBytes }), body };
}

/** Gathers a column and all below it. */
export function gatherField(job: Job): void {
  const type = storedType(job.field);
  const node = { length: job.rows, nulls: type.kind === "null" ? job.rows : 0 };
  job.output.nodes.push(node);
  if (hasValidity(type)) node.nulls = gatherValidity(job);
  const own = { ...job, sources: job.sources.map((source) => behindValidity(source, type)) };
  switch (type.kind) {
    case "null":
      return;
    case "bool":
      job.output.buffers.push(gatherBits(own));
      return;
    case "utf8":
    case "binary":
      return gatherText(own, type.offsetBits);
    case "utf8View":
    case "binaryView":
      return gatherViews(own);
    case "list":
    case "map":
      return gatherList(own, type.offsetBits);
    case "listView":
      return gatherListView(own, type.offsetBits);
    case "fixedList":
      return gatherFixedList(own, type.size);
    case "struct":
      return gatherChildren(own, own.runs, own.rows);
    case "union":
      if (type.mode === "dense") return gatherDenseUnion(own, type.typeIds);
      job.output.buffers.push(gatherFixed(own, 1));
      return gatherChildren({ ...own, sources: own.sources.map((source) => skipBuffers(source, 1)) }, own.runs, own.rows);
    case "runEnd":
      return gatherRunEnds(own);
    default:
      job.output.buffers.push(gatherFixed(own, type.bits / 8));
  }
}

/** The type whose layout a column has: that of the indices when it is dictionary-encoded. */
function storedType(field: Field): ArrowType {
  return field.dictionary?.indexType ?? field.type;
}

/** Gathers the same rows of all children, whose first nodes and buffers the sources point to. */
function gatherChildren(job: Job, runs: readonly RowRun[], rows: number): void {
  let { sources } = job;
  for (const child of job.field.children) {
    gatherField({ ...job, field: child, path: `${job.path}.${child.name}`, sources, runs, rows });
    sources = sources.map((source) => behindField(child, source));
  }
}

/** Cursors of each child of a column whose own buffers are behind the sources. */
export function childSources(job: Job, index: number): Cursor[] {
  let { sources } = job;
  for (const child of job.field.children.slice(0, index)) sources = sources.map((source) => behindField(child, source));
  return [...sources];
}

function gatherValidity({ sources, runs, rows, output }: Job): number {
  const nullable = runs.some(({ source }) => nullsOf(sources[source]) > 0);
  if (!nullable) {
    output.buffers.push(new Uint8Array(0));
    return 0;
  }
  const bits = new Uint8Array(Math.ceil(rows / 8));
  let at = 0;
  let set = 0;
  for (const { source, start, length } of runs) {
    const cursor = sources[source];
    const bitmap = cursor === undefined || nullsOf(cursor) === 0 ? undefined : bufferOf(cursor, 0);
    if (bitmap === undefined) {
      setBits(bits, at, length);
      set += length;
    } else set += copyBits(bitmap, start, bits, at, length);
    at += length;
  }
  output.buffers.push(bits);
  return rows - set;
}

function nullsOf(cursor: Cursor | undefined): number {
  return cursor === undefined ? 0 : (cursor.batch.nodeNulls[cursor.node] ?? 0);
}

function gatherBits({ sources, runs, rows }: Job): Uint8Array {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  let at = 0;
  for (const run of runs) {
    copyBits(bufferAt(sources, run, 0), run.start, bits, at, run.length);
    at += run.length;
  }
  return bits;
}

/** Values of `width` bytes from the first buffer of the sources. */
export function gatherFixed({ sources, runs, rows }: Job, width: number): Uint8Array {
  const values = new Uint8Array(rows * width);
  let at = 0;
  for (const run of runs) {
    values.set(bufferAt(sources, run, 0).subarray(run.start * width, (run.start + run.length) * width), at);
    at += run.length * width;
  }
  return values;
}

export function cursorOf(sources: readonly Cursor[], run: RowRun): Cursor {
  const cursor = sources[run.source];
  assert(cursor !== undefined, "a run names a source");
  return cursor;
}

export function bufferAt(sources: readonly Cursor[], run: RowRun, index: number): Uint8Array {
  return bufferOf(cursorOf(sources, run), index);
}

/** The buffer `index` places behind the cursor. */
export function bufferOf({ batch, buffer }: Cursor, index: number): Uint8Array {
  const offset = batch.bufferOffsets[buffer + index] ?? 0;
  return batch.body.subarray(offset, offset + (batch.bufferLengths[buffer + index] ?? 0));
}

export function skipBuffers(cursor: Cursor, count: number): Cursor {
  return { ...cursor, buffer: cursor.buffer + count };
}

function behindValidity(cursor: Cursor, type: ArrowType): Cursor {
  return { ...cursor, node: cursor.node + 1, buffer: cursor.buffer + (hasValidity(type) ? 1 : 0) };
}

/** The cursor behind a column and all below it. */
function behindField(field: Field, from: Cursor): Cursor {
  const type = storedType(field);
  let cursor = behindValidity(from, type);
  if (type.kind === "utf8View" || type.kind === "binaryView") {
    const count = cursor.batch.variadicCounts[cursor.variadic] ?? 0;
    cursor = { ...cursor, buffer: cursor.buffer + 1 + count, variadic: cursor.variadic + 1 };
  } else cursor = skipBuffers(cursor, ownBuffers(type));
  if (field.dictionary !== undefined) return cursor;
  for (const child of field.children) cursor = behindField(child, cursor);
  return cursor;
}

/** Buffers of a type beside the validity bitmap. */
function ownBuffers(type: ArrowType): number {
  switch (type.kind) {
    case "null":
    case "struct":
    case "fixedList":
    case "runEnd":
      return 0;
    case "utf8":
    case "binary":
    case "listView":
      return 2;
    case "union":
      return type.mode === "dense" ? 2 : 1;
    default:
      return 1;
  }
}

export function pointsOutside(path: string, problem: string): Fault {
  return new Fault("corrupt", `Column ${JSON.stringify(path.slice(0, 200))} cannot be cut: ${problem}.`);
}
