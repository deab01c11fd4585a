/** Which pieces of a topic can be streamed one behind the other, and which overlap in time and have to be merged. Pure. */

import type { TimeRange } from "../model/time.ts";

export interface Timed {
  readonly range: TimeRange;
}

/**
 * Sorts by start (pieces of equal start keep their order) and groups what overlaps. Groups are disjoint and in order; a piece
 * that starts where the one before it ends does not overlap it, as the order of rows of equal time is free.
 */
export function groupByOverlap<Piece extends Timed>(pieces: readonly Piece[]): Piece[][] {
  const sorted = [...pieces].sort((a, b) => compare(a.range.startNs, b.range.startNs));
  const groups: Piece[][] = [];
  let endNs = 0n;
  for (const piece of sorted) {
    const group = groups.at(-1);
    if (group !== undefined && piece.range.startNs < endNs) group.push(piece);
    else groups.push([piece]);
    if (groups.at(-1)?.length === 1 || piece.range.endNs > endNs) endNs = piece.range.endNs;
  }
  return groups;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
