/** Gathers text and binary columns: with offsets into one data buffer, and as views into many. */

import { bufferAt, bufferOf, type Cursor, cursorOf, type Job, pointsOutside, reserve } from "./gather-job.ts";
import { type OffsetBits, offsetReader, offsetWriter } from "./offsets.ts";

/** Buffers: offsets, data. */
export function gatherText({ path, sources, runs, rows, output }: Job, bits: OffsetBits): void {
  const offsets = offsetWriter(rows + 1, bits);
  offsets.write(0, 0, path);
  const pieces: Uint8Array[] = [];
  let row = 0;
  let bytes = 0;
  for (const run of runs) {
    const data = bufferAt(sources, run, 1);
    const offsetAt = offsetReader(bufferAt(sources, run, 0), bits);
    const start = offsetAt(run.start);
    let end = start;
    if (!(start >= 0)) throw pointsOutside(path, `row ${run.start} starts at ${start}`);
    for (let index = 1; index <= run.length; index += 1) {
      const next = offsetAt(run.start + index);
      if (!(next >= end && next <= data.byteLength)) {
        throw pointsOutside(
          path,
          `row ${run.start + index - 1} goes from ${end} to ${next} in ${data.byteLength} bytes`,
        );
      }
      end = next;
      row += 1;
      offsets.write(row, bytes + (end - start), path);
    }
    pieces.push(data.subarray(start, end));
    bytes += end - start;
  }
  reserve({ path, output }, bytes);
  output.buffers.push(offsets.bytes, joined(pieces, bytes));
}

function joined(pieces: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

/** A view: i32 length, then up to 12 bytes inline, or 4 bytes of prefix, i32 data buffer, i32 offset. */
const viewBytes = 16;
const inlineMax = 12;

/**
 * Buffers: views, then data buffers. Referenced bytes are copied together, unless rows share so many that keeping the data
 * buffers whole is less.
 */
export function gatherViews(job: Job): void {
  const { path, sources, runs, rows, output } = job;
  reserve(job, rows * viewBytes);
  const views = new Uint8Array(rows * viewBytes);
  const view = new DataView(views.buffer);
  let at = 0;
  let referenced = 0;
  for (const run of runs) {
    views.set(
      bufferAt(sources, run, 0).subarray(run.start * viewBytes, (run.start + run.length) * viewBytes),
      at * viewBytes,
    );
    const cursor = cursorOf(sources, run);
    for (let row = at; row < at + run.length; row += 1) {
      const length = view.getInt32(row * viewBytes, true);
      if (length <= inlineMax) {
        if (length < 0) throw pointsOutside(path, `a value has ${length} bytes`);
        continue;
      }
      referenced += length;
      const index = view.getInt32(row * viewBytes + 8, true);
      const offset = view.getInt32(row * viewBytes + 12, true);
      const known = index >= 0 && index < dataCount(cursor) ? bufferOf(cursor, 1 + index).byteLength : -1;
      if (offset < 0 || offset + length > known)
        throw pointsOutside(path, `a value lies at ${offset} to ${offset + length} of data buffer ${index}`);
    }
    at += run.length;
  }
  const data = referenced <= wholeBytes(sources) ? copyReferenced(job, view, referenced) : keepWhole(job, view);
  output.buffers.push(views, ...data);
  output.variadicCounts.push(data.length);
}

function dataCount({ batch, variadic }: Cursor): number {
  return batch.variadicCounts[variadic] ?? 0;
}

function dataBuffers(cursor: Cursor): Uint8Array[] {
  return Array.from({ length: dataCount(cursor) }, (_none, index) => bufferOf(cursor, 1 + index));
}

function wholeBytes(sources: readonly Cursor[]): number {
  return sources.flatMap(dataBuffers).reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Offsets inside a data buffer are int32. */
const dataBufferBytesMax = 2 ** 30;

function copyReferenced({ sources, runs }: Job, view: DataView, referenced: number): Uint8Array[] {
  const buffers: Uint8Array[] = [];
  let used = dataBufferBytesMax;
  let left = referenced;
  forEachLong(runs, view, (place, length, run) => {
    if (used + length > (buffers.at(-1)?.byteLength ?? 0)) {
      buffers.push(new Uint8Array(Math.max(length, Math.min(left, dataBufferBytesMax))));
      used = 0;
    }
    const source = bufferAt(sources, run, 1 + view.getInt32(place + 8, true));
    const offset = view.getInt32(place + 12, true);
    buffers.at(-1)?.set(source.subarray(offset, offset + length), used);
    view.setInt32(place + 8, buffers.length - 1, true);
    view.setInt32(place + 12, used, true);
    used += length;
    left -= length;
  });
  return buffers;
}

function keepWhole({ sources, runs }: Job, view: DataView): Uint8Array[] {
  const first: number[] = [];
  const buffers: Uint8Array[] = [];
  for (const source of sources) {
    first.push(buffers.length);
    buffers.push(...dataBuffers(source));
  }
  forEachLong(runs, view, (place, _length, run) => {
    view.setInt32(place + 8, view.getInt32(place + 8, true) + (first[run.source] ?? 0), true);
  });
  return buffers;
}

/** Visits the views that refer to a data buffer, with the byte at which each starts. */
function forEachLong(
  runs: Job["runs"],
  view: DataView,
  visit: (place: number, length: number, run: Job["runs"][number]) => void,
): void {
  let row = 0;
  for (const run of runs) {
    for (const end = row + run.length; row < end; row += 1) {
      const length = view.getInt32(row * viewBytes, true);
      if (length > inlineMax) visit(row * viewBytes, length, run);
    }
  }
}
