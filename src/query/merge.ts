/**
 * Cuts, sorts and merges batches that cannot pass as they are, in slices of time so small that the rows of one slice fit into
 * memory: a batch is loaded for each slice that it reaches into, so an upload in random order costs reads, never memory.
 */

import { type Batch, readBatch } from "../arrow/batch.ts";
import { unfoldedBytes } from "../arrow/compression.ts";
import { type Gathered, gather } from "../arrow/gather.ts";
import type { RowRun } from "../arrow/gather-job.ts";
import { readMessage } from "../arrow/message.ts";
import { sortOrder, timeColumn } from "../arrow/timestamps.ts";
import type { Budget, Held } from "../flow/budget.ts";
import { Loan } from "../flow/loan.ts";
import { leaveGarbage } from "../host/young-garbage.ts";
import { assert } from "../model/assert.ts";
import type { Chunk } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { mergeBytes, mergedBatchBytes, mergedBatchRows } from "../model/limits.ts";
import { includesTime, type TimeNs, type TimeWindow, timeNsMax, windowOverlaps } from "../model/time.ts";
import { sharedDictionaries } from "./dictionaries.ts";
import { mergeOrder } from "./merge-order.ts";
import { readStoredBatch, storedTimes, unfoldStoredBatch } from "./stored-batch.ts";
import type { OutgoingMessage, PlacedBatch, TopicReader } from "./topic-reader.ts";

export interface MergeMemory {
  /** What the rows that merges hold are taken from; it comes back while a client does not read. */
  readonly mergeBudget: Budget;
  /** What bytes on their way to clients are taken from; nobody waits for it. */
  readonly sendBudget: Budget;
  /** Time that a merge keeps its memory though others wait, in milliseconds. */
  readonly loanLeastMs: number;
}

export interface MergedMessage {
  readonly message: OutgoingMessage;
  /** The chunk whose dictionaries the message refers to. */
  readonly chunk: Chunk;
}

/** What is merged. */
interface Merge {
  readonly reader: TopicReader;
  readonly group: readonly PlacedBatch[];
  /** By number of chunk: the one whose dictionaries serve its batches. */
  readonly dictionaries: ReadonlyMap<number, Chunk>;
  /** Bytes to which compressed batches unfold, as far as they have been seen. */
  readonly unfolded: Map<PlacedBatch, number>;
  /** Memory to load one batch into; more must be taken before a larger one is unfolded. */
  batchBytes: number;
  /** The most that may be taken. */
  readonly batchBytesMax: number;
}

/** Thrown to begin anew with more memory, which nobody waits for while holding some. */
class BatchTooLarge extends Error {}

/** Rows of one batch inside a slice, sorted by time. */
interface Piece {
  readonly batch: Batch;
  readonly times: BigInt64Array;
  /** The chunk whose dictionaries it refers to. */
  readonly chunk: Chunk;
}

/** Messages of the rows that `group` has in the window, sorted. */
export async function* mergeBatches(
  reader: TopicReader,
  group: readonly PlacedBatch[],
  { window, signal, memory }: { window: TimeWindow; signal: AbortSignal; memory: MergeMemory },
): AsyncGenerator<MergedMessage> {
  const chunks = new Map(group.map(({ chunk }) => [chunk.number, chunk]));
  const { mergeBudget, sendBudget, loanLeastMs } = memory;
  const merge: Merge = {
    reader,
    group,
    dictionaries: sharedDictionaries([...chunks.values()]),
    unfolded: new Map(),
    batchBytes: group.reduce((most, { entry }) => Math.max(most, entry.bodyBytes), 0),
    batchBytesMax: mergeBudget.limitBytes,
  };
  const targetBytes = Math.max(mergeBytes.least, Math.min(mergeBytes.most, Math.floor(mergeBudget.freeBytes / 4)));

  let outputs: Generator<Output> | undefined;
  using loan = new Loan(mergeBudget, {
    leastMs: loanLeastMs,
    dropWork: () => {
      outputs = undefined;
    },
  });
  let { startNs } = window;
  for (let first = 0; ; ) {
    let slice: Slice | undefined;
    for (let sentRows = 0; ; ) {
      if (outputs === undefined) {
        // The rows of a slice and their order are the same each time that it is loaded.
        const known = slice;
        const loaded = await loadWithin(merge, loan, { targetBytes, signal }, () =>
          known === undefined
            ? loadNext(merge, { startNs, endNs: window.endNs }, first, targetBytes)
            : loadAgain(merge, known),
        );
        slice = loaded.slice;
        outputs = outputsOf(reader, loaded.pieces, sentRows, sendBudget);
      }
      const { value: output } = outputs.next();
      if (!output) break;
      using _held = output.held;
      sentRows += output.rows;
      loan.pause();
      yield { chunk: output.chunk, message: toMessage(output.gathered) };
      loan.resume();
    }
    outputs = undefined;
    loan[Symbol.dispose]();
    assert(slice !== undefined, "a slice was loaded");
    first = slice.end === group.length ? 0 : slice.end;
    if (first > 0) continue;
    if (slice.window.endNs === window.endNs) return;
    startNs = slice.window.endNs;
  }
}

/** The rows of a window; when they are all of one time and too many, those of the batches `first` to `end` of the group. */
interface Slice {
  readonly window: TimeWindow;
  readonly first: number;
  readonly end: number;
}

interface Loaded {
  readonly slice: Slice;
  readonly pieces: readonly Piece[];
}

/** Loads with the memory that it takes, which is known only when compressed batches have been seen. */
async function loadWithin(
  merge: Merge,
  loan: Loan,
  { targetBytes, signal }: { targetBytes: number; signal: AbortSignal },
  load: () => Promise<Loaded>,
): Promise<Loaded> {
  for (;;) {
    await loan.take(2 * targetBytes + merge.batchBytes, signal);
    try {
      return await load();
    } catch (error) {
      if (!(error instanceof BatchTooLarge)) throw error;
      loan[Symbol.dispose]();
    }
  }
}

/** @param first 0, or where the batches begin that are left of a time to which `rest` starts */
async function loadNext(merge: Merge, rest: TimeWindow, first: number, targetBytes: number): Promise<Loaded> {
  // Nothing lies before the first row that is left.
  const left = merge.group.filter(({ range }) => range.endNs >= rest.startNs);
  const firstNs = left.reduce((least, { range }) => (range.startNs < least ? range.startNs : least), timeNsMax);
  const startNs = firstNs > rest.startNs && firstNs < rest.endNs ? firstNs : rest.startNs;
  let endNs = first > 0 && startNs < rest.endNs ? startNs + 1n : chooseEnd(merge, startNs, rest.endNs, targetBytes / 2);
  for (;;) {
    const window = { startNs, endNs };
    const divisible = endNs - startNs > 1n;
    const { pieces, end } = await loadPieces(merge, { window, first, end: merge.group.length }, targetBytes);
    // Rows of one time come in the order of their batches, so these need not be in memory together.
    if (!divisible || end === merge.group.length) return { slice: { window, first, end }, pieces };
    // The rows were not as evenly spread as was assumed.
    endNs = startNs + (endNs - startNs) / 2n;
  }
}

async function loadAgain(merge: Merge, slice: Slice): Promise<Loaded> {
  const { pieces } = await loadPieces(merge, slice, Number.POSITIVE_INFINITY);
  return { slice, pieces };
}

/**
 * An end for the slice so that its rows, were they spread evenly over their batches, have so many bytes.
 * @param startNs not before the first row that is left
 */
function chooseEnd(merge: Merge, startNs: TimeNs, windowEndNs: TimeNs, target: number): TimeNs {
  const last = merge.group.reduce((most, { range }) => (range.endNs > most ? range.endNs : most), startNs);
  if (estimate(merge, startNs, windowEndNs) <= target || windowEndNs <= startNs + 1n) return windowEndNs;
  let low = startNs;
  let high = windowEndNs < last ? windowEndNs : last;
  while (high - low > 1n) {
    const middle = low + (high - low) / 2n;
    if (estimate(merge, startNs, middle) <= target) low = middle;
    else high = middle;
  }
  return high === startNs ? startNs + 1n : high;
}

function estimate({ group, unfolded }: Merge, startNs: TimeNs, endNs: TimeNs): number {
  let bytes = 0;
  for (const placed of group) {
    const { entry, range } = placed;
    const from = range.startNs > startNs ? range.startNs : startNs;
    const to = range.endNs + 1n < endNs ? range.endNs + 1n : endNs;
    if (to <= from) continue;
    bytes += (unfolded.get(placed) ?? entry.bodyBytes) * (Number(to - from) / Number(range.endNs + 1n - range.startNs));
  }
  return bytes;
}

/** The rows of a slice, up to the batch with which they have more bytes than that. */
async function loadPieces(
  merge: Merge,
  { window, first, end }: Slice,
  bytesMax: number,
): Promise<{ pieces: Piece[]; end: number }> {
  const pieces: Piece[] = [];
  let bytes = 0;
  for (let index = first; index < end; index += 1) {
    const placed = merge.group[index];
    assert(placed !== undefined, "a slice lies in its group");
    if (!windowOverlaps(window, placed.range)) continue;
    const piece = await loadPiece(merge, placed, window);
    if (piece === undefined) continue;
    pieces.push(piece);
    bytes += piece.batch.body.byteLength;
    if (bytes > bytesMax) return { pieces, end: index + 1 };
  }
  return { pieces, end };
}

async function loadPiece(merge: Merge, placed: PlacedBatch, slice: TimeWindow): Promise<Piece | undefined> {
  const { reader, dictionaries } = merge;
  const { schema } = reader;
  const chunk = dictionaries.get(placed.chunk.number) ?? placed.chunk;
  const place = reader.placeOf(placed);
  const batch = await loadPlain(merge, placed, place);
  const times = storedTimes(place, schema, batch);
  const cut = (runs: readonly RowRun[]): Piece | undefined => {
    if (runs.length === 0) return undefined;
    const gathered = gather(schema, [batch], runs);
    const piece = readBatch(schema, readMessage(gathered.header), gathered.body);
    return { batch: piece, times: timeColumn(schema, piece), chunk };
  };
  if (!placed.entry.sorted) return cut(runsOf(sortOrder(times).filter((row) => includesTime(slice, times[row] ?? 0n))));
  const start = lowerBound(times, slice.startNs);
  const end = slice.endNs === timeNsMax ? times.length : lowerBound(times, slice.endNs);
  if (end <= start) return undefined;
  if (start === 0 && end === times.length) return { batch, times, chunk };
  return cut([{ source: 0, start, length: end - start }]);
}

/** A stored batch without compression. How long compressed buffers are shows only now. @throws BatchTooLarge */
async function loadPlain(merge: Merge, placed: PlacedBatch, place: string): Promise<Batch> {
  const { reader, unfolded, batchBytesMax } = merge;
  const batch = readStoredBatch(place, reader.schema, await reader.load(placed));
  if (batch.compression === "none") return batch;
  const bytes = unfolded.get(placed) ?? cutBytes(batch, place, batchBytesMax);
  unfolded.set(placed, bytes);
  if (Math.min(batchBytesMax, batch.body.byteLength + bytes) > merge.batchBytes) {
    // Others of the group may be a little larger again.
    merge.batchBytes = Math.min(batchBytesMax, 2 * (batch.body.byteLength + bytes));
    throw new BatchTooLarge();
  }
  return await unfoldStoredBatch(place, reader.schema, batch, bytes);
}

/** @throws Fault overloaded when merges may never hold what the batch unfolds to */
function cutBytes(batch: Batch, place: string, batchBytesMax: number): number {
  try {
    return unfoldedBytes(batch, batchBytesMax);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(
      error.code,
      `Cannot cut ${place} in the ${batchBytesMax} bytes that there are for merges (memory_budget gives more): ${error.message}`,
      error,
    );
  }
}

function runsOf(rows: Uint32Array): RowRun[] {
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

interface Output {
  readonly gathered: Gathered;
  readonly rows: number;
  readonly chunk: Chunk;
  readonly held: Held | undefined;
}

/** A message while its rows are gathered. */
interface Pending {
  readonly chunk: Chunk;
  readonly held: Held | undefined;
  readonly rowsMax: number;
  readonly runs: RowRun[];
  rows: number;
}

/** The rows of the pieces in their order, but for the first `skipRows`, in messages of a size that memory allows. */
function* outputsOf(
  { schema }: TopicReader,
  pieces: readonly Piece[],
  skipRows: number,
  sendBudget: Budget,
): Generator<Output, undefined> {
  const sources = pieces.map(({ batch }) => batch);
  const rows = pieces.reduce((sum, { times }) => sum + times.length, 0);
  const rowBytes = sources.reduce((sum, { body }) => sum + body.byteLength, 0) / rows;
  const begin = (chunk: Chunk): Pending => {
    // A part of what is free, so that something is left for streams that begin later; a reload costs the more, the less it is.
    const bytes = Math.max(
      mergedBatchBytes.least,
      Math.min(mergedBatchBytes.most, Math.floor(sendBudget.freeBytes / 4)),
    );
    const held = sendBudget.tryTake(bytes);
    return {
      chunk,
      held,
      rowsMax: Math.max(1, Math.min(mergedBatchRows, Math.floor(bytes / rowBytes))),
      runs: [],
      rows: 0,
    };
  };
  const finish = ({ chunk, held, runs, rows }: Pending): Output => {
    try {
      const gathered = gather(schema, sources, runs);
      leaveGarbage(gathered.body.byteLength);
      return { gathered, rows, chunk, held };
    } catch (error) {
      held?.[Symbol.dispose]();
      throw error;
    }
  };
  let pending: Pending | undefined;
  let skip = skipRows;
  for (const run of mergeOrder(pieces.map(({ times }) => times))) {
    const chunk = pieces[run.source]?.chunk;
    assert(chunk !== undefined, "a run comes from a piece");
    const skipped = Math.min(skip, run.length);
    skip -= skipped;
    for (let done = skipped; done < run.length; ) {
      if (pending !== undefined && (pending.chunk !== chunk || pending.rows === pending.rowsMax)) {
        yield finish(pending);
        pending = undefined;
      }
      pending ??= begin(chunk);
      const length = Math.min(run.length - done, pending.rowsMax - pending.rows);
      pending.runs.push({ source: run.source, start: run.start + done, length });
      pending.rows += length;
      done += length;
    }
  }
  if (pending !== undefined) yield finish(pending);
}

function toMessage({ header, body }: Gathered): OutgoingMessage {
  let at = 0;
  return {
    header,
    bodyBytes: body.byteLength,
    async readBody(target) {
      target.set(body.subarray(at, at + target.byteLength));
      at += target.byteLength;
    },
  };
}
