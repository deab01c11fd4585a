/** Gathers the columns whose children have rows of their own: lists, list views, dense unions, run-end encoding. */

import { Fault } from "../model/fault.ts";
import {
  bufferAt,
  type Cursor,
  childSources,
  countRows,
  cursorOf,
  type Job,
  pointsOutside,
  type RowRun,
  skipBuffers,
} from "./gather-job.ts";
import { type OffsetBits, offsetReader, offsetWriter } from "./offsets.ts";

/** Buffers: offsets; one child. Maps are lists of their entries. */
export function gatherList(job: Job, bits: OffsetBits): void {
  const { path, sources, runs, rows, output } = job;
  const offsets = offsetWriter(rows + 1, bits);
  offsets.write(0, 0, path);
  const items = sources.map((source) => skipBuffers(source, 1));
  const itemRuns: RowRun[] = [];
  let row = 0;
  let count = 0;
  for (const run of runs) {
    const offsetAt = offsetReader(bufferAt(sources, run, 0), bits);
    const length = lengthOf(cursorOf(items, run));
    const start = offsetAt(run.start);
    let end = start;
    if (!(start >= 0)) throw pointsOutside(path, `row ${run.start} starts at ${start}`);
    for (let index = 1; index <= run.length; index += 1) {
      const next = offsetAt(run.start + index);
      if (!(next >= end && next <= length))
        throw pointsOutside(path, `row ${run.start + index - 1} goes from ${end} to ${next} of ${length} items`);
      end = next;
      row += 1;
      offsets.write(row, count + (end - start), path);
    }
    if (end > start) itemRuns.push({ source: run.source, start, length: end - start });
    count += end - start;
  }
  output.buffers.push(offsets.bytes);
  gatherChild({ ...job, sources: items }, 0, itemRuns);
}

/** Buffers: offsets, sizes; one child. Items that many rows share are kept whole instead of being copied for each. */
export function gatherListView(job: Job, bits: OffsetBits): void {
  const { path, sources, runs, rows, output } = job;
  const items = sources.map((source) => skipBuffers(source, 2));
  const rowsOf: RowRun[] = [];
  for (const run of runs) {
    const offsetAt = offsetReader(bufferAt(sources, run, 0), bits);
    const sizeAt = offsetReader(bufferAt(sources, run, 1), bits);
    const count = lengthOf(cursorOf(items, run));
    for (let index = run.start; index < run.start + run.length; index += 1) {
      const start = offsetAt(index);
      const length = sizeAt(index);
      // Where the list is empty or null the offset may be anything.
      if (length === 0) rowsOf.push({ source: run.source, start: 0, length: 0 });
      else if (start >= 0 && length > 0 && start + length <= count) rowsOf.push({ source: run.source, start, length });
      else throw pointsOutside(path, `row ${index} has ${length} of ${count} items from ${start} on`);
    }
  }
  const whole = items.map((item, source) => ({ source, start: 0, length: lengthOf(item) }));
  const compact = countRows(rowsOf) <= countRows(whole);
  const offsets = offsetWriter(rows, bits);
  const sizes = offsetWriter(rows, bits);
  const first = startsOf(whole);
  let count = 0;
  rowsOf.forEach(({ source, start, length }, row) => {
    offsets.write(row, compact ? count : (first[source] ?? 0) + start, path);
    sizes.write(row, length, path);
    count += length;
  });
  output.buffers.push(offsets.bytes, sizes.bytes);
  gatherChild(
    { ...job, sources: items },
    0,
    (compact ? rowsOf : whole).filter(({ length }) => length > 0),
  );
}

function startsOf(runs: readonly RowRun[]): number[] {
  let at = 0;
  return runs.map(({ length }) => {
    const start = at;
    at += length;
    return start;
  });
}

/** No buffers; one child with `size` rows for each. */
export function gatherFixedList(job: Job, size: number): void {
  gatherChild(
    job,
    0,
    job.runs.map(({ source, start, length }) => ({ source, start: start * size, length: length * size })),
  );
}

/** Buffers: type ids, offsets; each child has the rows of its type id. */
export function gatherDenseUnion(job: Job, typeIds: readonly number[]): void {
  const { path, sources, runs, rows, output, field } = job;
  const ids = new Uint8Array(rows);
  const offsets = offsetWriter(rows, 32);
  const inner = { ...job, sources: sources.map((source) => skipBuffers(source, 2)) };
  const lengths = field.children.map((_child, index) => childSources(inner, index).map(lengthOf));
  const childRuns: { source: number; start: number; length: number }[][] = field.children.map(() => []);
  const counts = field.children.map(() => 0);
  let row = 0;
  for (const run of runs) {
    const idBytes = bufferAt(sources, run, 0);
    const offsetAt = offsetReader(bufferAt(sources, run, 1), 32);
    for (let index = run.start; index < run.start + run.length; index += 1) {
      const id = idBytes[index] ?? 255;
      const child = typeIds.indexOf(id);
      const at = offsetAt(index);
      const childRows = childRuns[child];
      if (childRows === undefined || !(at >= 0 && at < (lengths[child]?.[run.source] ?? 0))) {
        throw pointsOutside(path, `row ${index} is row ${at} of type id ${id}`);
      }
      ids[row] = id;
      offsets.write(row, counts[child] ?? 0, path);
      counts[child] = (counts[child] ?? 0) + 1;
      const last = childRows.at(-1);
      if (last !== undefined && last.source === run.source && last.start + last.length === at) last.length += 1;
      else childRows.push({ source: run.source, start: at, length: 1 });
      row += 1;
    }
  }
  output.buffers.push(ids, offsets.bytes);
  childRuns.forEach((rowsOfChild, index) => {
    gatherChild(inner, index, rowsOfChild);
  });
}

/** No buffers; children: run ends, values. */
export function gatherRunEnds(job: Job): void {
  const { path, runs, output, field } = job;
  const endType = field.children[0]?.type;
  if (endType?.kind !== "int" || endType.bits === 8)
    throw pointsOutside(path, "its run ends are no int16, int32 or int64");
  const endSources = childSources(job, 0);
  const ends: number[] = [];
  const valueRuns: RowRun[] = [];
  let rows = 0;
  for (const run of runs) {
    const cursor = cursorOf(endSources, run);
    const count = lengthOf(cursor);
    // Cursor of the child: its node first, then its validity bitmap and values.
    const endAt = integerReader(bufferAt([skipBuffers(cursor, 1)], { ...run, source: 0 }, 0), endType.bits);
    const stop = run.start + run.length;
    let at = run.start;
    for (let index = firstBehind(endAt, count, run.start); at < stop; index += 1) {
      const end = index < count ? endAt(index) : Number.NaN;
      if (!(end > at)) throw pointsOutside(path, `its run ${index} of ${count} ends at ${end}, expected beyond ${at}`);
      rows += Math.min(end, stop) - at;
      at = Math.min(end, stop);
      ends.push(rows);
      valueRuns.push({ source: run.source, start: index, length: 1 });
    }
  }
  if (rows >= 2 ** (endType.bits - 1)) {
    throw new Fault(
      "overloaded",
      `Column ${JSON.stringify(path.slice(0, 200))} cannot be cut into ${rows} rows: its run ends have ${endType.bits} bits.`,
    );
  }
  output.nodes.push({ length: ends.length, nulls: 0 });
  output.buffers.push(new Uint8Array(0), writeIntegers(ends, endType.bits));
  gatherChild(job, 1, valueRuns);
}

function firstBehind(endAt: (index: number) => number, count: number, row: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endAt(middle) > row) high = middle;
    else low = middle + 1;
  }
  return low;
}

function integerReader(bytes: Uint8Array, bits: 16 | 32 | 64): (index: number) => number {
  if (bits !== 16) return offsetReader(bytes, bits);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (index) => (2 * index + 2 <= bytes.byteLength ? view.getInt16(2 * index, true) : Number.NaN);
}

function writeIntegers(values: readonly number[], bits: 16 | 32 | 64): Uint8Array {
  if (bits === 64) return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return new Uint8Array(bits === 16 ? Int16Array.from(values).buffer : Int32Array.from(values).buffer);
}

function gatherChild(job: Job, index: number, runs: readonly RowRun[]): void {
  const field = job.field.children[index];
  if (field === undefined) throw pointsOutside(job.path, `it has no child ${index}`);
  const sources = childSources(job, index);
  job.descend({ ...job, field, path: `${job.path}.${field.name}`, sources, runs, rows: countRows(runs) });
}

/** Rows of the column at a cursor. */
function lengthOf({ batch, node }: Cursor): number {
  return batch.nodeLengths[node] ?? 0;
}
