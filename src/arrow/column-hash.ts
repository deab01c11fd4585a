/**
 * Columns as hashes of their values, row by row: the same for the same values, however they are laid out. Large or small, with offsets
 * or as views, in a dictionary, as runs, compressed before or not, whatever lies below a null: none of it counts. What counts of a
 * type is what its values mean; a list is one of any layout, and bytes of a fixed width are bytes. Floats count by their bits.
 */

import { countBits, getBit } from "./bits.ts";
import { aligned, cannotRead, columnBytes, maskedValidity, type Place, positionsOf } from "./column-bytes.ts";
import { behindValidity, type Cursor, storedType } from "./gather-job.ts";
import {
  copyLanes,
  type HashedColumn,
  type HashPlan,
  type HashWork,
  hashNulls,
  nullHash,
  putLanes,
} from "./hash-job.ts";
import { hashWords, type Lanes, laneCount } from "./lanes.ts";
import { hashLists, hashRuns, hashStructs, hashUnions } from "./nested-hash.ts";
import { arrayOf } from "./number-type.ts";
import type { Field } from "./schema.ts";
import { readTexts, readTextViews, type TextVector } from "./text-vector.ts";
import type { ArrowType } from "./type.ts";

/**
 * A column of an uncompressed batch. What it says of offsets, views and sizes is checked here, of indices when they are hashed.
 * @param above bits of the column whose rows these are: where one is 0 the row is null, whatever lies there
 * @throws Fault corrupt, overloaded
 */
export function hashedColumn(
  plan: HashPlan,
  place: Place,
  above: Uint8Array | undefined,
  work: HashWork,
): HashedColumn {
  const { field, rows, cursor } = place;
  const stored = storedType(field);
  if (stored.kind === "null") return nullColumn(rows);
  const validity = maskedValidity(place, above);
  const own: Place = { ...place, cursor: behindValidity(cursor, stored) };
  if (field.dictionary !== undefined) return hashIndices(own, field.dictionary.id, validity, work);
  const { type } = field;
  const nested = { plan, place, own, validity, work, childAt };
  switch (type.kind) {
    case "null":
      return nullColumn(rows);
    case "struct":
      return hashStructs(nested);
    case "list":
    case "listView":
    case "fixedList":
    case "map":
      return hashLists(nested);
    case "union":
      return hashUnions(nested, type);
    case "runEnd":
      return hashRuns(nested);
    case "utf8":
    case "binary":
      return hashTexts(readTexts(own, validity, type.offsetBits), plan, own, work);
    case "utf8View":
    case "binaryView":
      return hashTexts(readTextViews(own, validity), plan, own, work);
    case "bool":
      return hashBits(own, validity, plan.seed);
    default:
      return type.bits <= 64 && type.kind !== "fixedBinary"
        ? hashNumbers(own, validity, { bits: type.bits as 8 | 16 | 32 | 64, seed: plan.seed })
        : hashWide(own, validity, { width: type.bits / 8, plan, work });
  }
}

/** Columns below one, with as many rows as they have, and the cursors behind them. */
function childAt(
  plan: HashPlan,
  place: Place,
  { cursor, rows, above }: { cursor: Cursor; rows: number; above: Uint8Array | undefined },
  work: HashWork,
): HashedColumn {
  const { field } = plan;
  return hashedColumn(plan, { ...place, field, cursor, rows, path: `${place.path}.${field.name}` }, above, work);
}

function nullColumn(rows: number): HashedColumn {
  return {
    rows,
    hash(start, end, lanes) {
      for (let at = 0; at < laneCount * (end - start); at += laneCount) putLanes(lanes, at, nullHash);
    },
  };
}

function hashBits(place: Place, validity: Uint8Array | undefined, seed: Lanes): HashedColumn {
  const { rows } = place;
  const bits = columnBytes(place, 0, "values", Math.ceil(rows / 8));
  return {
    rows,
    hash(start, end, lanes) {
      for (let row = start; row < end; row += 1)
        hashWords(getBit(bits, row), 0, seed, lanes, laneCount * (row - start));
      hashNulls(validity, start, end, lanes);
    },
  };
}

function hashNumbers(
  place: Place,
  validity: Uint8Array | undefined,
  { bits, seed }: { bits: 8 | 16 | 32 | 64; seed: Lanes },
): HashedColumn {
  const { rows } = place;
  const width = bits / 8;
  const whole = columnBytes(place, 0, "values", rows * width).subarray(0, rows * width);
  const bytes = aligned(whole, Math.min(width, 4), place);
  const words = wordsOf(bytes, bits);
  return {
    rows,
    hash(start, end, lanes) {
      if (bits === 64) {
        for (let row = start; row < end; row += 1)
          hashWords(words[2 * row] ?? 0, words[2 * row + 1] ?? 0, seed, lanes, laneCount * (row - start));
      } else {
        for (let row = start; row < end; row += 1)
          hashWords(words[row] ?? 0, 0, seed, lanes, laneCount * (row - start));
      }
      hashNulls(validity, start, end, lanes);
    },
    give(start, end, sink) {
      if (validity !== undefined && countBits(validity, start, end) !== end - start) return false;
      sink.add(bytes, start * width, end * width);
      return true;
    },
  };
}

function wordsOf({ buffer, byteOffset, byteLength }: Uint8Array, bits: 8 | 16 | 32 | 64) {
  if (bits === 8) return new Uint8Array(buffer, byteOffset, byteLength);
  if (bits === 16) return new Uint16Array(buffer, byteOffset, byteLength / 2);
  return new Int32Array(buffer, byteOffset, byteLength / 4);
}

interface WideColumn {
  readonly width: number;
  readonly plan: HashPlan;
  readonly work: HashWork;
}

/** Values of a fixed number of bytes, any. */
function hashWide(place: Place, validity: Uint8Array | undefined, { width, plan, work }: WideColumn): HashedColumn {
  const { rows } = place;
  const bytes = columnBytes(place, 0, "values", rows * width);
  return {
    rows,
    hash(start, end, lanes) {
      for (let row = start; row < end; row += 1) {
        work.bytes.begin(plan.seed);
        work.bytes.add(bytes, row * width, (row + 1) * width);
        work.bytes.end(lanes, laneCount * (row - start));
      }
      hashNulls(validity, start, end, lanes);
    },
  };
}

function hashTexts(
  { pieces, pieceOf, starts, ends, validity, length }: TextVector,
  { seed }: HashPlan,
  { path }: Place,
  work: HashWork,
): HashedColumn {
  const [first = new Uint8Array(0)] = pieces;
  return {
    rows: length,
    hash(start, end, lanes) {
      for (let row = start; row < end; row += 1) {
        const at = laneCount * (row - start);
        if (validity !== undefined && getBit(validity, row) === 0) {
          putLanes(lanes, at, nullHash);
          continue;
        }
        const from = starts[row] ?? 0;
        const to = ends[row] ?? 0;
        work.spend(to - from, path);
        work.bytes.begin(seed);
        work.bytes.add(pieceOf === undefined ? first : (pieces[pieceOf[row] ?? 0] ?? first), from, to);
        work.bytes.end(lanes, at);
      }
    },
  };
}

/** @param place behind the validity */
function hashIndices(place: Place, id: bigint, validity: Uint8Array | undefined, work: HashWork): HashedColumn {
  const { field, rows, path } = place;
  const type = storedType(field);
  if (type.kind !== "int") throw cannotRead(path, "its dictionary indices are no integers");
  const { count, lanes: values, given } = work.dictionaryOf(id, path);
  const indices = indicesOf(place, type);
  const indexAt = (row: number): number => {
    const index = indices[row] ?? -1;
    if (index >= 0 && index < count) return index;
    throw cannotRead(path, `row ${row} has the index ${index}, its dictionary has ${count} values`);
  };
  return {
    rows,
    hash(start, end, lanes) {
      for (let row = start; row < end; row += 1) {
        const at = laneCount * (row - start);
        if (validity !== undefined && getBit(validity, row) === 0) putLanes(lanes, at, nullHash);
        else copyLanes(values, laneCount * indexAt(row), lanes, at);
      }
    },
    give:
      given === undefined
        ? undefined
        : (start, end, sink) => {
            const { width, bytes, nulls } = given;
            for (let row = start; row < end; row += 1) {
              if (validity !== undefined && getBit(validity, row) === 0) return false;
              const index = indexAt(row);
              if (nulls[index] === 1) return false;
              sink.add(bytes, index * width, (index + 1) * width);
            }
            return true;
          },
  };
}

/** Indices as numbers; what does not fit into 53 bits is behind every value. */
function indicesOf(place: Place, type: Extract<ArrowType, { kind: "int" }>): ArrayLike<number> {
  const { rows } = place;
  const length = (rows * type.bits) / 8;
  const bytes = columnBytes(place, 0, "indices", length).subarray(0, length);
  if (type.bits === 64) return positionsOf(bytes, type.bits, rows, place);
  const { buffer, byteOffset } = aligned(bytes, type.bits / 8, place);
  return new (arrayOf(type))(buffer, byteOffset, rows) as ArrayLike<number | bigint> as ArrayLike<number>;
}

/** Bytes of each value that a field gives; undefined when it gives none. */
export function givenWidth(field: Field): number | undefined {
  const { type, children } = field;
  if (type.kind === "runEnd") return children[1] === undefined ? undefined : givenWidth(children[1]);
  if (!("bits" in type) || type.kind === "fixedBinary" || type.bits > 64) return undefined;
  return type.bits / 8;
}
