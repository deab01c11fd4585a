/** Where the rows of a list column lie among its items, whatever its layout. */

import { getBit } from "./bits.ts";
import { cannotRead, columnBytes, type Place, type Positions, positionsOf, readOffsets, take } from "./column-bytes.ts";
import { behindOwn, type Cursor } from "./gather-job.ts";
import type { Field } from "./schema.ts";

export interface ListRows {
  readonly starts: Positions;
  readonly ends: Positions;
}

/** The items of a list: all that the column has, those of no row too. */
export interface Items {
  readonly field: Field;
  readonly cursor: Cursor;
  readonly count: number;
}

/** @param cursor at the node of the list */
export function itemsOf(field: Field, cursor: Cursor): Items | undefined {
  const [item] = field.children;
  if (item === undefined) return undefined;
  const behind = behindOwn(field, cursor);
  return { field: item, cursor: behind, count: behind.batch.nodeLengths[behind.node] ?? 0 };
}

/**
 * Rows that are null mean nothing but lie inside.
 * @param place behind the validity
 * @param items how many there are
 * @throws Fault corrupt, invalid, overloaded
 */
export function readListRows(place: Place, validity: Uint8Array | undefined, items: number): ListRows {
  const { field, rows, path, room } = place;
  const { type } = field;
  switch (type.kind) {
    case "list":
      return readOffsets(place, { bits: type.offsetBits, most: items, what: "items" });
    case "listView": {
      const bits = type.offsetBits;
      const bytes = (rows * bits) / 8;
      const firsts = positionsOf(columnBytes(place, 0, "offsets", bytes), bits, rows, place);
      const sizes = positionsOf(columnBytes(place, 1, "sizes", bytes), bits, rows, place);
      take(room, 16 * rows, path);
      const starts = new Float64Array(rows);
      const ends = new Float64Array(rows);
      for (let row = 0; row < rows; row += 1) {
        const size = sizes[row] ?? 0;
        // Where a list is empty or null its offset may be anything.
        if (size === 0 || (validity !== undefined && getBit(validity, row) === 0)) continue;
        const first = firsts[row] ?? 0;
        if (first < 0 || size < 0 || first + size > items)
          throw cannotRead(path, `row ${row} has ${size} of ${items} items from ${first} on`);
        starts[row] = first;
        ends[row] = first + size;
      }
      return { starts, ends };
    }
    case "fixedList": {
      take(room, 16 * rows, path);
      const starts = new Float64Array(rows);
      for (let row = 0; row < rows; row += 1) starts[row] = row * type.size;
      return { starts, ends: starts.map((start) => start + type.size) };
    }
    default:
      throw cannotRead(path, `a ${type.kind} is no list`);
  }
}
