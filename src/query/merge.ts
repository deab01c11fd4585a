/**
 * Cuts, sorts and merges batches that cannot pass as they are, in slices of time so small that the rows of one slice fit into
 * memory: a batch is loaded for each slice that it reaches into, so an upload in random order costs reads, never memory.
 */

import { type Batch, readBatch } from "../arrow/batch.ts";
import { decompressBatch } from "../arrow/compression.ts";
import { gather } from "../arrow/gather.ts";
import { readMessage } from "../arrow/message.ts";
import { sortOrder, timeColumn } from "../arrow/timestamps.ts";
import { assert } from "../model/assert.ts";
import { decompressedBytesMax, mergedBatchBytes, mergedBatchRows, mergeBytes } from "../model/limits.ts";
import { type TimeNs, type TimeWindow, timeNsMax } from "../model/time.ts";
import { mergeOrder, type SourceRun } from "./merge-order.ts";
import type { OutgoingMessage, PlacedBatch, TopicReader } from "./topic-reader.ts";

/** Rows of one batch inside a slice, sorted by time. */
interface Piece {
  readonly batch: Batch;
  readonly times: BigInt64Array;
}

/** Makes the dictionary indices of a batch those of the dictionaries that were sent. */
export type AdaptBatch = (batch: Batch, placed: PlacedBatch) => Batch;

/** Messages of the rows that `group` has in the window, sorted. The caller holds memory for twice `mergeBytes`. */
export async function* mergeBatches(
  reader: TopicReader,
  group: readonly PlacedBatch[],
  window: TimeWindow,
  adapt: AdaptBatch,
): AsyncGenerator<OutgoingMessage> {
  let { startNs } = window;
  for (;;) {
    let endNs = chooseEnd(group, startNs, window.endNs);
    let pieces = await loadSlice(reader, group, { startNs, endNs }, adapt);
    while (pieces === undefined) {
      // The rows were not as evenly spread as was assumed.
      endNs = startNs + (endNs - startNs) / 2n;
      pieces = await loadSlice(reader, group, { startNs, endNs }, adapt);
    }
    yield* emit(reader, pieces);
    if (endNs === window.endNs) return;
    startNs = endNs;
  }
}

/** An end for the slice so that its rows, were they spread evenly over their batches, fill half of what a merge may hold. */
function chooseEnd(group: readonly PlacedBatch[], startNs: TimeNs, windowEndNs: TimeNs): TimeNs {
  const target = mergeBytes / 2;
  const first = group.reduce((least, { range }) => (range.startNs < least ? range.startNs : least), timeNsMax);
  const last = group.reduce((most, { range }) => (range.endNs > most ? range.endNs : most), first);
  if (estimate(group, startNs, windowEndNs) <= target || windowEndNs <= startNs + 1n) return windowEndNs;
  let low = startNs > first ? startNs : first;
  let high = windowEndNs < last ? windowEndNs : last;
  while (high - low > 1n) {
    const middle = low + (high - low) / 2n;
    if (estimate(group, startNs, middle) <= target) low = middle;
    else high = middle;
  }
  return high <= startNs ? startNs + 1n : high;
}

function estimate(group: readonly PlacedBatch[], startNs: TimeNs, endNs: TimeNs): number {
  let bytes = 0;
  for (const { entry, range } of group) {
    const from = range.startNs > startNs ? range.startNs : startNs;
    const to = range.endNs + 1n < endNs ? range.endNs + 1n : endNs;
    if (to <= from) continue;
    bytes += entry.bodyBytes * (Number(to - from) / Number(range.endNs + 1n - range.startNs));
  }
  return bytes;
}

/** The rows of a slice; undefined when they are too many and the slice can be halved. */
async function loadSlice(
  reader: TopicReader,
  group: readonly PlacedBatch[],
  slice: TimeWindow,
  adapt: AdaptBatch,
): Promise<Piece[] | undefined> {
  const divisible = slice.endNs - slice.startNs > 1n;
  const pieces: Piece[] = [];
  let bytes = 0;
  for (const placed of group) {
    if (placed.range.endNs < slice.startNs || (placed.range.startNs >= slice.endNs && slice.endNs !== timeNsMax)) continue;
    const piece = await loadPiece(reader, placed, slice, adapt);
    if (piece === undefined) continue;
    pieces.push(piece);
    bytes += piece.batch.body.byteLength;
    if (bytes > mergeBytes && divisible) return undefined;
  }
  return pieces;
}

async function loadPiece(
  reader: TopicReader,
  placed: PlacedBatch,
  slice: TimeWindow,
  adapt: AdaptBatch,
): Promise<Piece | undefined> {
  const { schema } = reader;
  const { header, body } = await reader.load(placed);
  const stored = decompressBatch(readBatch(schema, readMessage(header), body), decompressedBytesMax);
  const batch = adapt(stored, placed);
  const times = timeColumn(schema, batch);
  if (!placed.entry.sorted) {
    const order = sortOrder(times).filter((row) => inSlice(slice, times[row] ?? 0n));
    return cut(reader, batch, runsOf(order));
  }
  const start = lowerBound(times, slice.startNs);
  const end = slice.endNs === timeNsMax ? times.length : lowerBound(times, slice.endNs);
  if (end <= start) return undefined;
  if (start === 0 && end === times.length) return { batch, times };
  return cut(reader, batch, [{ source: 0, start, length: end - start }]);
}

function inSlice(slice: TimeWindow, timeNs: TimeNs): boolean {
  return timeNs >= slice.startNs && (timeNs < slice.endNs || slice.endNs === timeNsMax);
}

function cut({ schema }: TopicReader, batch: Batch, runs: readonly SourceRun[]): Piece | undefined {
  if (runs.length === 0) return undefined;
  const { header, body } = gather(schema, [batch], runs);
  const piece = readBatch(schema, readMessage(header), body);
  return { batch: piece, times: timeColumn(schema, piece) };
}

function runsOf(rows: Uint32Array): SourceRun[] {
  const runs: { source: number; start: number; length: number }[] = [];
  for (const row of rows) {
    const last = runs.at(-1);
    if (last !== undefined && last.start + last.length === row) last.length += 1;
    else runs.push({ source: 0, start: row, length: 1 });
  }
  return runs;
}

function lowerBound(times: BigInt64Array, timeNs: TimeNs): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] ?? 0n) < timeNs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function* emit({ schema }: TopicReader, pieces: readonly Piece[]): Generator<OutgoingMessage> {
  const sources = pieces.map(({ batch }) => batch);
  const rows = pieces.reduce((sum, { times }) => sum + times.length, 0);
  if (rows === 0) return;
  const bytes = sources.reduce((sum, { body }) => sum + body.byteLength, 0);
  const rowsMax = Math.max(1, Math.min(mergedBatchRows, Math.floor(mergedBatchBytes / (bytes / rows))));
  let runs: SourceRun[] = [];
  let pending = 0;
  for (const run of mergeOrder(pieces.map(({ times }) => times))) {
    for (let done = 0; done < run.length; ) {
      const length = Math.min(run.length - done, rowsMax - pending);
      runs.push({ source: run.source, start: run.start + done, length });
      done += length;
      pending += length;
      if (pending < rowsMax) continue;
      yield merged(gather(schema, sources, runs));
      runs = [];
      pending = 0;
    }
  }
  if (pending > 0) yield merged(gather(schema, sources, runs));
}

function merged({ header, body }: { header: Uint8Array; body: Uint8Array }): OutgoingMessage {
  return {
    header,
    bodyBytes: body.byteLength,
    chargeBytes: 0,
    async readBody(target) {
      assert(target.byteLength === body.byteLength, "the target has the length of the body");
      target.set(body);
    },
  };
}
