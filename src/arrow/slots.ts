/**
 * Which values of a column belong to rows: those below a null do not, whatever lies there, nor do items of no list. A null struct
 * or list stands for one null of each leaf below it.
 */

import { countBits, getBit, setBits } from "./bits.ts";
import { cannotRead, maskedValidity, type Place, take } from "./column-bytes.ts";
import { behindValidity, storedType } from "./gather-job.ts";
import { readListRows } from "./list-rows.ts";

export interface Slots {
  /** The part of the column that they lie in; empty when there are none. */
  readonly start: number;
  readonly end: number;
  /** Bits of the values that count, by their place in the column; undefined when all from `start` to `end` do. */
  readonly mask: Uint8Array | undefined;
  /** How many count: none of them null. */
  readonly live: number;
  readonly nulls: number;
}

export function allSlots(rows: number): Slots {
  return { start: 0, end: rows, mask: undefined, live: rows, nulls: 0 };
}

/**
 * Those of a column out of those of the one whose rows it has.
 * @param place at the column, with as many rows as `above` reaches to
 * @throws Fault corrupt, invalid, overloaded
 */
export function slotsOf(place: Place, above: Slots): Slots {
  const { start, end, nulls } = above;
  if (storedType(place.field).kind === "null") return without(above, 0);
  if (above.live === 0) return above;
  const mask = maskedValidity(place, above.mask);
  if (mask === above.mask || mask === undefined) return above;
  take(place.room, Math.ceil((end - start) / 8), place.path);
  const live = countBits(mask, start, end);
  if (live === above.live) return above;
  return live === 0 ? without(above, 0) : { start, end, mask, live, nulls: nulls + (above.live - live) };
}

/** When none of them counts: they are all null. */
function without({ live, nulls }: Slots, start: number): Slots {
  return { start, end: start, mask: undefined, live: 0, nulls: nulls + live };
}

/**
 * Those of a list's items.
 * @param place at the list
 * @param slots of the list itself
 * @param items how many items there are
 * @throws Fault corrupt, invalid, overloaded; also when lists share items, which are not counted twice
 */
export function itemSlots(place: Place, slots: Slots, items: number): Slots {
  const { start, end, mask, live, nulls } = slots;
  const { field, path, room } = place;
  const { type } = field;
  const none: Slots = { start: 0, end: 0, mask: undefined, live: 0, nulls };
  if (live === 0) return none;
  if (type.kind === "fixedList" && (mask === undefined || type.size === 0)) {
    const size = type.size;
    return size === 0 ? none : { start: start * size, end: end * size, mask: undefined, live: live * size, nulls };
  }
  take(room, 8 * (end - start), path);
  const own: Place = { ...place, cursor: behindValidity(place.cursor, type), rows: end };
  const { starts, ends } = readListRows(own, mask, items);
  let count = 0;
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  let together = true;
  for (let row = start; row < end; row += 1) {
    if (mask !== undefined && getBit(mask, row) === 0) continue;
    const from = starts[row] ?? 0;
    const to = ends[row] ?? 0;
    if (from === to) continue;
    if (count > 0 && from !== last) together = false;
    if (from < first) first = from;
    if (to > last || together) last = to;
    count += to - from;
  }
  if (count === 0) return none;
  if (together) return { start: first, end: last, mask: undefined, live: count, nulls };
  if (count > items) throw cannotRead(path, "its lists share items");
  take(room, Math.ceil(last / 8), path);
  const itemMask = new Uint8Array(Math.ceil(last / 8));
  for (let row = start; row < end; row += 1) {
    if (mask !== undefined && getBit(mask, row) === 0) continue;
    const from = starts[row] ?? 0;
    setBits(itemMask, from, (ends[row] ?? 0) - from);
  }
  if (countBits(itemMask, first, last) !== count) throw cannotRead(path, "its lists share items");
  return { start: first, end: last, mask: itemMask, live: count, nulls };
}
