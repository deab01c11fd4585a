/** Hashes of columns whose values are made of others: structs, lists, unions, runs. */

import { getBit } from "./bits.ts";
import { aligned, cannotRead, columnBytes, type Place, positionsOf } from "./column-bytes.ts";
import { behindField, behindOwn, behindValidity, type Cursor } from "./gather-job.ts";
import {
  blockRows,
  copyLanes,
  type HashedColumn,
  type HashPlan,
  type HashWork,
  hashNulls,
  putLanes,
} from "./hash-job.ts";
import { absorb, finish, type Lanes, laneCount } from "./lanes.ts";
import { readListRows } from "./list-rows.ts";
import type { ArrowType } from "./type.ts";

/** A column whose children are to be hashed. */
export interface Nested {
  readonly plan: HashPlan;
  readonly place: Place;
  /** Behind the validity. */
  readonly own: Place;
  readonly validity: Uint8Array | undefined;
  readonly work: HashWork;
  readonly childAt: (
    plan: HashPlan,
    place: Place,
    of: { readonly cursor: Cursor; readonly rows: number; readonly above: Uint8Array | undefined },
    work: HashWork,
  ) => HashedColumn;
}

/** What is taken in as it is. */
const noSeed: Lanes = [0, 0, 0, 0];

/** Each child at its cursor, with the rows that it has itself, or those of the column above. */
function childrenOf(
  { plan, place, work, childAt }: Nested,
  of: { readonly rows: number; readonly above: Uint8Array | undefined } | undefined,
): HashedColumn[] {
  let cursor = behindOwn(place.field, place.cursor);
  return plan.children.map((child) => {
    const rows = of?.rows ?? lengthOf(cursor);
    const column = childAt(child, place, { cursor, rows, above: of?.above }, work);
    cursor = behindField(child.field, cursor);
    return column;
  });
}

export function hashStructs(nested: Nested): HashedColumn {
  const { plan, place, validity, work } = nested;
  const { rows } = place;
  const columns = childrenOf(nested, { rows, above: validity });
  return {
    rows,
    hash(start, end, lanes, depth) {
      const count = laneCount * (end - start);
      for (let at = 0; at < count; at += laneCount) putLanes(lanes, at, plan.seed);
      const values = work.scratch(depth);
      for (const [index, column] of columns.entries()) {
        const nameSeed = plan.children[index]?.nameSeed ?? noSeed;
        column.hash(start, end, values, depth + 1);
        for (let at = 0; at < count; at += laneCount) absorb(lanes, at, values, at, nameSeed);
      }
      for (let at = 0; at < count; at += laneCount) finish(lanes, at, columns.length);
      hashNulls(validity, start, end, lanes);
    },
  };
}

/** Effort of an item beside that of what is in it. */
const itemEffort = 4;

export function hashLists(nested: Nested): HashedColumn {
  const { plan, place, own, validity, work } = nested;
  const { rows, path } = place;
  const { type } = place.field;
  const [items] = childrenOf(nested, undefined);
  if (items === undefined) throw cannotRead(path, "it has no items");
  const spans = spansOf(own, validity, items.rows);
  const isInOrder = type.kind !== "listView";
  return {
    rows,
    hash(start, end, lanes, depth) {
      const values = work.scratch(depth);
      // Items whose hashes are there: lists of few items are hashed many at once.
      let first = 0;
      let behind = 0;
      const last = isInOrder && end > start ? spans.end(end - 1) : 0;
      for (let row = start; row < end; row += 1) {
        if (validity !== undefined && getBit(validity, row) === 0) continue;
        const at = laneCount * (row - start);
        const from = spans.start(row);
        const to = spans.end(row);
        work.spend(itemEffort * (to - from), path);
        if (items.give !== undefined) {
          work.bytes.begin(plan.seed);
          putLanes(lanes, at, plan.children[0]?.seed ?? noSeed);
          if (items.give(from, to, work.bytes)) {
            work.bytes.end(work.single, 0);
            absorb(lanes, at, work.single, 0, noSeed);
            finish(lanes, at, to - from);
            continue;
          }
        }
        putLanes(lanes, at, plan.seed);
        for (let item = from; item < to; item += 1) {
          if (item < first || item >= behind) {
            first = item;
            behind = Math.min(item + blockRows, Math.max(to, last));
            items.hash(first, behind, values, depth + 1);
          }
          absorb(lanes, at, values, laneCount * (item - first), noSeed);
        }
        finish(lanes, at, to - from);
      }
      hashNulls(validity, start, end, lanes);
    },
  };
}

interface Spans {
  start(row: number): number;
  end(row: number): number;
}

/** Where lists lie among the items. Those of a fixed size say it themselves. */
function spansOf(own: Place, validity: Uint8Array | undefined, items: number): Spans {
  const { type } = own.field;
  if (type.kind === "fixedList") return { start: (row) => row * type.size, end: (row) => (row + 1) * type.size };
  // Entries of a map lie as items of a list do.
  const field = type.kind === "map" ? { ...own.field, type: { ...type, kind: "list" as const } } : own.field;
  const { starts, ends } = readListRows({ ...own, field }, validity, items);
  return { start: (row) => starts[row] ?? 0, end: (row) => ends[row] ?? 0 };
}

export function hashUnions(nested: Nested, { mode, typeIds }: Extract<ArrowType, { kind: "union" }>): HashedColumn {
  const { plan, place, own, validity, work } = nested;
  const { rows, path } = place;
  const ids = columnBytes(own, 0, "type ids", rows);
  const offsets = mode === "dense" ? positionsOf(columnBytes(own, 1, "offsets", 4 * rows), 32, rows, own) : undefined;
  const columns = childrenOf(nested, mode === "dense" ? undefined : { rows, above: validity });
  const childOf = new Map(typeIds.map((id, index) => [id, index]));
  return {
    rows,
    hash(start, end, lanes, depth) {
      const values = work.scratch(depth);
      for (let row = start; row < end; ) {
        if (validity !== undefined && getBit(validity, row) === 0) {
          row += 1;
          continue;
        }
        const id = ids[row] ?? 255;
        const index = childOf.get(id) ?? -1;
        const column = columns[index];
        const from = offsets === undefined ? row : (offsets[row] ?? -1);
        if (column === undefined || from < 0 || from >= column.rows)
          throw cannotRead(path, `row ${row} is row ${from} of type id ${id}`);
        // Neighbours of one child are hashed at once.
        let count = 1;
        while (
          row + count < end &&
          from + count < column.rows &&
          ids[row + count] === id &&
          (offsets === undefined || offsets[row + count] === from + count) &&
          (validity === undefined || getBit(validity, row + count) === 1)
        )
          count += 1;
        column.hash(from, from + count, values, depth + 1);
        const nameSeed = plan.children[index]?.nameSeed ?? noSeed;
        for (let one = 0; one < count; one += 1) {
          const at = laneCount * (row + one - start);
          putLanes(lanes, at, plan.seed);
          absorb(lanes, at, values, laneCount * one, nameSeed);
          finish(lanes, at, index);
        }
        row += count;
      }
      hashNulls(validity, start, end, lanes);
    },
  };
}

/** Children: run ends, values. A row is the value of its run, and null when that is. */
export function hashRuns(nested: Nested): HashedColumn {
  const { plan, place, validity, work, childAt } = nested;
  const { field, rows, path } = place;
  const [endField] = field.children;
  const [, valuePlan] = plan.children;
  if (endField === undefined || valuePlan === undefined) throw cannotRead(path, "it has no run ends or no values");
  const endCursor = behindOwn(field, place.cursor);
  const valueCursor = behindField(endField, endCursor);
  const values = childAt(
    valuePlan,
    place,
    { cursor: valueCursor, rows: lengthOf(valueCursor), above: undefined },
    work,
  );
  const ends = runEnds({ ...place, field: endField, cursor: endCursor }, { rows, runsMax: values.rows });
  const runOf = (row: number): number => {
    let low = 0;
    let high = ends.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ends[middle] ?? 0) > row) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  const { give } = values;
  return {
    rows,
    hash(start, end, lanes, depth) {
      if (start === end) return;
      const first = runOf(start);
      const found = work.scratch(depth);
      values.hash(first, runOf(end - 1) + 1, found, depth + 1);
      let run = first;
      for (let row = start; row < end; row += 1) {
        while ((ends[run] ?? 0) <= row) run += 1;
        copyLanes(found, laneCount * (run - first), lanes, laneCount * (row - start));
      }
      hashNulls(validity, start, end, lanes);
    },
    give:
      give === undefined
        ? undefined
        : (start, end, sink) => {
            let run = start < end ? runOf(start) : 0;
            for (let row = start; row < end; row += 1) {
              if (validity !== undefined && getBit(validity, row) === 0) return false;
              while ((ends[run] ?? 0) <= row) run += 1;
              if (!give(run, run + 1, sink)) return false;
            }
            return true;
          },
  };
}

/** Ends of the runs that there are rows of, each beyond the one before. */
function runEnds(place: Place, { rows, runsMax }: { rows: number; runsMax: number }) {
  const { field, cursor, path } = place;
  const { type } = field;
  if (type.kind !== "int" || type.bits === 8 || field.dictionary !== undefined)
    throw cannotRead(path, "its run ends are no int16, int32 or int64");
  const runs = Math.min(lengthOf(cursor), runsMax);
  const own: Place = { ...place, cursor: behindValidity(cursor, type), rows: runs };
  const bytes = columnBytes(own, 0, "run ends", (runs * type.bits) / 8).subarray(0, (runs * type.bits) / 8);
  let ends: Int16Array | ReturnType<typeof positionsOf>;
  if (type.bits === 16) {
    const { buffer, byteOffset } = aligned(bytes, 2, own);
    ends = new Int16Array(buffer, byteOffset, runs);
  } else ends = positionsOf(bytes, type.bits, runs, own);
  let row = 0;
  for (let run = 0; row < rows; run += 1) {
    const end = run < runs ? (ends[run] ?? 0) : Number.NaN;
    if (!(end > row)) throw cannotRead(path, `its run ${run} of ${runs} ends at ${end}, expected beyond ${row}`);
    row = end;
  }
  return ends;
}

function lengthOf({ batch, node }: Cursor): number {
  return batch.nodeLengths[node] ?? 0;
}
