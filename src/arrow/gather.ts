/**
 * The one kernel for cutting, sorting and merging: runs of rows out of uncompressed batches become a new batch, for every
 * type. The batches' headers have been checked; offsets inside their values have not, so they are checked before they are used.
 */

import { assert } from "../model/assert.ts";
import { gatherGrowth } from "../model/limits.ts";
import { type Batch, hasValidity } from "./batch.ts";
import { type DictionaryPart, encodeBatchHeader } from "./batch-header.ts";
import { copyBits, setBits } from "./bits.ts";
import { paddedBytes } from "./frame.ts";
import {
  behindField,
  behindValidity,
  bufferAt,
  bufferOf,
  type Cursor,
  countRows,
  type Job,
  type Output,
  type RowRun,
  reserve,
  skipBuffers,
  storedType,
} from "./gather-job.ts";
import { gatherDenseUnion, gatherFixedList, gatherList, gatherListView, gatherRunEnds } from "./gather-nested.ts";
import { gatherText, gatherViews } from "./gather-text.ts";
import { moveIndices, type Places } from "./indices.ts";
import type { Schema } from "./schema.ts";

export interface Gathered {
  /** A Message flatbuffer. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

export interface GatherOptions {
  /** Where the values of dictionaries have moved to; their indices follow. */
  readonly places?: Places | undefined;
  /** The rows become a dictionary message. */
  readonly dictionary?: DictionaryPart | undefined;
}

/** @throws Fault corrupt naming the column whose values point outside, overloaded when an offset type is too small */
export function gather(
  { fields }: Pick<Schema, "fields">,
  batches: readonly Batch[],
  runs: readonly RowRun[],
  { places, dictionary }: GatherOptions = {},
): Gathered {
  const rows = countRows(runs);
  const sourceBytes = batches.reduce((sum, { body }) => sum + body.byteLength, 0);
  const sourceRows = batches.reduce((sum, batch) => sum + batch.rows, 0);
  const repeats = Math.max(1, rows / Math.max(1, sourceRows));
  const roomBytes = gatherGrowth.factor * repeats * sourceBytes + gatherGrowth.bytes;
  const output: Output = { nodes: [], buffers: [], variadicCounts: [], roomBytes };
  fields.forEach((field, index) => {
    const sources = batches.map((batch): Cursor => {
      assert(batch.compression === "none", "batches are decompressed before they are gathered");
      const column = batch.columns[index];
      assert(column !== undefined, "a checked batch has all columns");
      return { batch, ...column };
    });
    gatherField({ field, path: field.name, sources, runs, rows, output, places, descend: gatherField });
  });
  return assemble(rows, output, dictionary);
}

function assemble(rows: number, output: Output, dictionary: DictionaryPart | undefined): Gathered {
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
  return { header: encodeBatchHeader({ rows, nodes, buffers, variadicCounts, bodyBytes, dictionary }), body };
}

/** Gathers a column and all below it. */
function gatherField(job: Job): void {
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
      gatherText(own, type.offsetBits);
      return;
    case "utf8View":
    case "binaryView":
      gatherViews(own);
      return;
    case "list":
    case "map":
      gatherList(own, type.offsetBits);
      return;
    case "listView":
      gatherListView(own, type.offsetBits);
      return;
    case "fixedList":
      gatherFixedList(own, type.size);
      return;
    case "struct":
      gatherChildren(own, own.runs, own.rows);
      return;
    case "union":
      if (type.mode === "dense") {
        gatherDenseUnion(own, type.typeIds);
        return;
      }
      job.output.buffers.push(gatherFixed(own, 1));
      gatherChildren({ ...own, sources: own.sources.map((source) => skipBuffers(source, 1)) }, own.runs, own.rows);
      return;
    case "runEnd":
      gatherRunEnds(own);
      return;
    default:
      job.output.buffers.push(movePlaces(job, gatherFixed(own, type.bits / 8)));
  }
}

/** Gathers the same rows of all children, whose first nodes and buffers the sources point to. */
function gatherChildren(job: Job, runs: readonly RowRun[], rows: number): void {
  let { sources } = job;
  for (const child of job.field.children) {
    gatherField({ ...job, field: child, path: `${job.path}.${child.name}`, sources, runs, rows });
    sources = sources.map((source) => behindField(child, source));
  }
}

/** Indices that were gathered, moved when their dictionary's values have moved. */
function movePlaces({ field, path, output, places }: Job, values: Uint8Array): Uint8Array {
  const { dictionary } = field;
  const moved = dictionary === undefined ? undefined : places?.get(dictionary.id);
  // The validity was gathered just before.
  const validity = output.buffers.at(-1);
  if (dictionary !== undefined && moved !== undefined && validity !== undefined) {
    moveIndices(values, dictionary, { places: moved, validity, path });
  }
  return values;
}

function gatherValidity({ path, sources, runs, rows, output }: Job): number {
  const nullable = runs.some(({ source }) => nullsOf(sources[source]) > 0);
  if (!nullable) {
    output.buffers.push(new Uint8Array(0));
    return 0;
  }
  reserve({ path, output }, Math.ceil(rows / 8));
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

function gatherBits({ path, output, sources, runs, rows }: Job): Uint8Array {
  reserve({ path, output }, Math.ceil(rows / 8));
  const bits = new Uint8Array(Math.ceil(rows / 8));
  let at = 0;
  for (const run of runs) {
    copyBits(bufferAt(sources, run, 0), run.start, bits, at, run.length);
    at += run.length;
  }
  return bits;
}

/** Values of `width` bytes from the first buffer of the sources. */
function gatherFixed({ path, output, sources, runs, rows }: Job, width: number): Uint8Array {
  reserve({ path, output }, rows * width);
  const values = new Uint8Array(rows * width);
  let at = 0;
  for (const run of runs) {
    values.set(bufferAt(sources, run, 0).subarray(run.start * width, (run.start + run.length) * width), at);
    at += run.length * width;
  }
  return values;
}
