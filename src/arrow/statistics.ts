/**
 * Statistics of the leaves of a batch, for each batch that comes in: one pass over its numbers, at most 64 bytes of each text, only
 * null counts of all else. They claim too little rather than too much. Nothing is known (undefined)
 * - of unions, run-end and dictionary-encoded columns: where these are null lies in what they refer to;
 * - of floats in compressed bodies; of other values there, only how many are null, and nothing of items of lists in them:
 *   unfolding costs more than all else that is done with a batch;
 * - of columns whose offsets, sizes or views point outside, or whose lists share items;
 * - of what is behind the first leaves of a schema, or behind the bytes that are looked at of one batch.
 */

import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { statisticBytes } from "../model/limits.ts";
import type { Derivation, LeafStatistics, RowStatistics } from "../model/statistics.ts";
import type { Batch } from "./batch.ts";
import { countBits } from "./bits.ts";
import { columnBytes, type Place, type Room, take } from "./column-bytes.ts";
import { derivedStatistics, type NumberColumn } from "./derived.ts";
import { behindField, behindOwn, behindValidity, type Cursor } from "./gather-job.ts";
import { type Branch, isList, type Leaves } from "./leaf.ts";
import { itemsOf } from "./list-rows.ts";
import { numberFacts } from "./number-range.ts";
import { numberTypeOf } from "./number-type.ts";
import { allSlots, itemSlots, type Slots, slotsOf } from "./slots.ts";
import { textFacts } from "./text-range.ts";
import { readTexts, readTextViews } from "./text-vector.ts";

/** Of each leaf, whatever the batch holds, then of what is to be derived. Copies what it keeps. */
export function batchStatistics(leaves: Leaves, batch: Batch, derivations: readonly Derivation[] = []): RowStatistics {
  const found: (LeafStatistics | undefined)[] = new Array(leaves.list.length).fill(undefined);
  const room: Room = { bytes: statisticBytes.factor * batch.body.byteLength + statisticBytes.more };
  const slots = allSlots(batch.rows);
  const columns = new Map(derivations.flatMap((derivation) => derivation.leaves.map((leaf) => [leaf, undefined])));
  const work: Work = { room, found, columns };
  leaves.branches.forEach((branch, index) => {
    if (!isKept(branch)) return;
    const column = batch.columns[index];
    assert(column !== undefined, "a checked batch has all columns");
    visit(branch, { batch, ...column }, slots, work);
  });
  return [...found, ...derivations.map((derivation) => unlessFault(() => deriveFrom(work, derivation, batch.rows)))];
}

interface Work {
  readonly room: Room;
  readonly found: (LeafStatistics | undefined)[];
  /** Of the leaves that something is derived from, as far as they were met. */
  readonly columns: Map<number, NumberColumn | undefined>;
}

function deriveFrom({ columns }: Work, derivation: Derivation, rows: number): LeafStatistics | undefined {
  const found = derivation.leaves.map((leaf) => columns.get(leaf)).filter((column) => column !== undefined);
  return found.length === derivation.leaves.length ? derivedStatistics(derivation, found, rows) : undefined;
}

function isKept({ leaf, below }: Branch): boolean {
  return leaf !== undefined || below.length > 0;
}

/** Looks at a column and all below it; returns the cursor behind. */
function visit(branch: Branch, cursor: Cursor, above: Slots, work: Work): Cursor {
  const { field, path, leaf, below } = branch;
  if (!isKept(branch) || work.room.bytes <= 0) return behindField(field, cursor);
  const place: Place = { field, cursor, rows: above.end, path, room: work.room };
  const slots = unlessFault(() => slotsOf(place, above));
  if (slots === undefined) return behindField(field, cursor);
  if (leaf !== undefined) {
    work.found[leaf] = unlessFault(() => leafStatistics(place, slots));
    if (work.columns.has(leaf)) work.columns.set(leaf, numberColumn(place, slots));
  }
  if (below.length === 0) return behindField(field, cursor);
  const next = isList(field) ? unlessFault(() => slotsOfItems(place, slots)) : slots;
  if (next === undefined) return behindField(field, cursor);
  let behind = behindOwn(field, cursor);
  for (const child of below) behind = visit(child, behind, next, work);
  return behind;
}

function numberColumn(place: Place, slots: Slots): NumberColumn | undefined {
  const { type, dictionary } = place.field;
  const number = numberTypeOf(type);
  if (number === undefined || dictionary !== undefined || place.cursor.batch.compression !== "none") return undefined;
  return { place: { ...place, cursor: behindValidity(place.cursor, type) }, type: number, slots };
}

function slotsOfItems(place: Place, slots: Slots): Slots | undefined {
  const items = itemsOf(place.field, place.cursor);
  if (items === undefined || place.cursor.batch.compression !== "none") return undefined;
  return itemSlots(place, slots, items.count);
}

/** What the world has broken is not known; it is refused when it is read. */
function unlessFault<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

function leafStatistics(place: Place, slots: Slots): LeafStatistics | undefined {
  const { field, cursor, path, room } = place;
  const { start, end, mask, live, nulls } = slots;
  const { type, dictionary } = field;
  if (type.kind === "union" || type.kind === "runEnd" || dictionary !== undefined) return undefined;
  const counts = { values: live + nulls, nulls, nans: 0 };
  if (!Number.isSafeInteger(counts.values)) return undefined;
  const own: Place = { ...place, cursor: behindValidity(cursor, type), rows: end };
  if (cursor.batch.compression !== "none") return type.kind === "float" && live > 0 ? undefined : counts;
  const number = numberTypeOf(type);
  if (number !== undefined) return { ...counts, ...numberFacts(own, number, slots) };
  switch (type.kind) {
    case "bool": {
      if (live === 0) return counts;
      take(room, Math.ceil((end - start) / 8), path);
      const ones = countBits(columnBytes(own, 0, "values", Math.ceil(end / 8)), start, end, mask);
      return { ...counts, range: { kind: "number", least: ones === live ? 1 : 0, most: ones > 0 ? 1 : 0 } };
    }
    case "utf8":
    case "utf8View": {
      // Where none counts nothing is read, not even what may be broken.
      if (live === 0) return { ...counts, distinct: [] };
      take(room, textRowBytes * (end - start), path);
      const texts = type.kind === "utf8" ? readTexts(own, mask, type.offsetBits) : readTextViews(own, mask);
      return { ...counts, ...textFacts(texts, slots, own) };
    }
    default:
      return counts;
  }
}

/** What a text costs beside its own bytes, in bytes of numbers that could be looked at instead. */
const textRowBytes = 16;
