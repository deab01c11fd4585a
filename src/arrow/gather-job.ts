/** One column to gather, and how the buffers of its sources are found. */

import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { type Batch, hasValidity } from "./batch.ts";
import type { Places } from "./indices.ts";
import type { Field } from "./schema.ts";
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
  /** Bytes that may still be made. */
  roomBytes: number;
}

/** One column to gather. */
export interface Job {
  readonly field: Field;
  readonly path: string;
  readonly sources: readonly Cursor[];
  readonly runs: readonly RowRun[];
  readonly rows: number;
  readonly output: Output;
  /** Where the values of dictionaries have moved to. */
  readonly places: Places | undefined;
  /** Gathers a column below this one. */
  readonly descend: (job: Job) => void;
}

export function countRows(runs: readonly RowRun[]): number {
  let rows = 0;
  for (const run of runs) rows += run.length;
  return rows;
}

/** The type whose layout a column has: that of the indices when it is dictionary-encoded. */
export function storedType(field: Field): ArrowType {
  return field.dictionary?.indexType ?? field.type;
}

/** Cursors of each child of a column whose own buffers are behind the sources. */
export function childSources(job: Job, index: number): Cursor[] {
  let { sources } = job;
  for (const child of job.field.children.slice(0, index)) sources = sources.map((source) => behindField(child, source));
  return [...sources];
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

export function behindValidity(cursor: Cursor, type: ArrowType): Cursor {
  return { ...cursor, node: cursor.node + 1, buffer: cursor.buffer + (hasValidity(type) ? 1 : 0) };
}

/** The cursor behind a column and all below it. */
export function behindField(field: Field, from: Cursor): Cursor {
  let cursor = behindOwn(field, from);
  if (field.dictionary !== undefined) return cursor;
  for (const child of field.children) cursor = behindField(child, cursor);
  return cursor;
}

/** The cursor behind a column's own node and buffers, at its first child where it has any. */
export function behindOwn(field: Field, from: Cursor): Cursor {
  const type = storedType(field);
  const cursor = behindValidity(from, type);
  if (type.kind !== "utf8View" && type.kind !== "binaryView") return skipBuffers(cursor, ownBuffers(type));
  const count = cursor.batch.variadicCounts[cursor.variadic] ?? 0;
  return { ...cursor, buffer: cursor.buffer + 1 + count, variadic: cursor.variadic + 1 };
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

/**
 * Asks for the bytes of a buffer before it is made. Rows that share an item each get their own, so what is gathered may be larger
 * than its sources, and hostile batches would make it larger without bound.
 * @throws Fault overloaded
 */
export function reserve({ path, output }: Pick<Job, "path" | "output">, bytes: number): void {
  output.roomBytes -= bytes;
  if (output.roomBytes >= 0) return;
  const what = "grows too much when its rows are cut or merged, because many of them share one item";
  throw new Fault("overloaded", `Column ${JSON.stringify(path.slice(0, 200))} ${what}.`);
}
