/** The order of a k-way merge as runs of rows. Pure. */

import type { RowRun } from "../arrow/gather-job.ts";

interface Cursor {
  readonly source: number;
  readonly times: BigInt64Array;
  at: number;
}

/** Merges sorted columns of time. Rows of equal time come in the order of their sources, and of their rows within one. */
export function* mergeOrder(columns: readonly BigInt64Array[]): Generator<RowRun> {
  const heap: Cursor[] = [];
  columns.forEach((times, source) => {
    if (times.length > 0) push(heap, { source, times, at: 0 });
  });
  for (let cursor = heap[0]; cursor !== undefined; cursor = heap[0]) {
    const start = cursor.at;
    const end = behindRun(cursor, earlier(heap[1], heap[2]));
    yield { source: cursor.source, start, length: end - start };
    cursor.at = end;
    if (end === cursor.times.length) removeTop(heap);
    else sink(heap, 0);
  }
}

/** Index behind the rows that come before the first one of `next`: first in growing steps, then by halving. */
function behindRun({ times, source, at }: Cursor, next: Cursor | undefined): number {
  if (next === undefined) return times.length;
  const limit = next.times[next.at] ?? 0n;
  const goesFirst = (index: number): boolean => {
    const time = times[index] ?? 0n;
    return time < limit || (time === limit && source < next.source);
  };
  let step = 1;
  let known = at;
  while (known + step < times.length && goesFirst(known + step)) {
    known += step;
    step *= 2;
  }
  let low = known + 1;
  let high = Math.min(known + step, times.length);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (goesFirst(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function earlier(a: Cursor | undefined, b: Cursor | undefined): Cursor | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return before(a, b) ? a : b;
}

function before(a: Cursor, b: Cursor): boolean {
  const left = a.times[a.at] ?? 0n;
  const right = b.times[b.at] ?? 0n;
  return left < right || (left === right && a.source < b.source);
}

function push(heap: Cursor[], cursor: Cursor): void {
  let index = heap.push(cursor) - 1;
  while (index > 0) {
    const parent = (index - 1) >>> 1;
    if (!swapIfBefore(heap, index, parent)) return;
    index = parent;
  }
}

function removeTop(heap: Cursor[]): void {
  const last = heap.pop();
  if (heap.length === 0 || last === undefined) return;
  heap[0] = last;
  sink(heap, 0);
}

function sink(heap: Cursor[], from: number): void {
  for (let index = from; ; ) {
    const left = 2 * index + 1;
    const leftCursor = heap[left];
    const rightCursor = heap[left + 1];
    if (leftCursor === undefined) return;
    const child = rightCursor !== undefined && before(rightCursor, leftCursor) ? left + 1 : left;
    if (!swapIfBefore(heap, child, index)) return;
    index = child;
  }
}

function swapIfBefore(heap: Cursor[], lower: number, upper: number): boolean {
  const below = heap[lower];
  const above = heap[upper];
  if (below === undefined || above === undefined || !before(below, above)) return false;
  heap[lower] = above;
  heap[upper] = below;
  return true;
}
