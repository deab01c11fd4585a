/** Texts of a column as slices of the bytes they lie in, whatever their layout: offsets of 32 or 64 bits, or views. */

import { getBit } from "./bits.ts";
import { cannotRead, columnBytes, type Place, type Positions, readOffsets, take } from "./column-bytes.ts";

/** Where a row is null, its slice is of no meaning but lies inside. */
export interface TextVector {
  readonly kind: "text";
  readonly length: number;
  /** Bits of the rows that are not null; undefined when none is. */
  readonly validity: Uint8Array | undefined;
  readonly pieces: readonly Uint8Array[];
  /** The piece that each row lies in; undefined when there is one. */
  readonly pieceOf: Uint32Array | undefined;
  readonly starts: Positions;
  readonly ends: Positions;
}

/** The bytes of a row; they borrow from the column. */
export function textAt({ pieces, pieceOf, starts, ends }: TextVector, row: number): Uint8Array {
  const piece = pieces[pieceOf?.[row] ?? 0];
  return piece === undefined ? new Uint8Array(0) : piece.subarray(starts[row] ?? 0, ends[row] ?? 0);
}

/** Texts behind offsets, then data. @throws Fault corrupt, invalid, overloaded */
export function readTexts(place: Place, validity: Uint8Array | undefined, bits: 32 | 64): TextVector {
  const data = columnBytes(place, 1, "data", 0);
  const { starts, ends } = readOffsets(place, { bits, most: data.byteLength, what: "bytes" });
  return { kind: "text", length: place.rows, validity, pieces: [data], pieceOf: undefined, starts, ends };
}

/** A view: i32 length, then up to 12 bytes inline, or 4 bytes of prefix, i32 data buffer, i32 offset. */
const viewBytes = 16;
const inlineMax = 12;

/**
 * Texts as views, which come before their data buffers. Views of null rows are not looked at, and only data buffers that a view
 * points to are read.
 * @throws Fault corrupt, invalid, overloaded
 */
export function readTextViews(place: Place, validity: Uint8Array | undefined): TextVector {
  const { rows, path, room, cursor } = place;
  const bytes = columnBytes(place, 0, "views", rows * viewBytes);
  take(room, 12 * rows, path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dataCount = cursor.batch.variadicCounts[cursor.variadic] ?? 0;
  // Data buffer n is piece n + 1: what is short lies in the views themselves.
  const pieces: Uint8Array[] = [bytes];
  const known = new Map<number, number>();
  const pieceFor = (index: number): number => {
    let piece = known.get(index);
    if (piece === undefined) {
      piece = pieces.push(columnBytes(place, 1 + index, `data ${index}`, 0)) - 1;
      known.set(index, piece);
    }
    return piece;
  };
  const pieceOf = new Uint32Array(rows);
  const starts = new Int32Array(rows);
  const ends = new Int32Array(rows);
  for (let row = 0; row < rows; row += 1) {
    if (validity !== undefined && getBit(validity, row) === 0) continue;
    const at = row * viewBytes;
    const length = view.getInt32(at, true);
    if (length < 0) throw cannotRead(path, `row ${row} has ${length} bytes`);
    if (length <= inlineMax) {
      starts[row] = at + 4;
      ends[row] = at + 4 + length;
      continue;
    }
    const index = view.getInt32(at + 8, true);
    const start = view.getInt32(at + 12, true);
    if (index < 0 || index >= dataCount)
      throw cannotRead(path, `row ${row} lies in data buffer ${index} of ${dataCount}`);
    const piece = pieceFor(index);
    const most = pieces[piece]?.byteLength ?? 0;
    if (start < 0 || start + length > most) {
      throw cannotRead(
        path,
        `row ${row} lies at ${start} to ${start + length} of ${most} bytes of data buffer ${index}`,
      );
    }
    pieceOf[row] = piece;
    starts[row] = start;
    ends[row] = start + length;
  }
  return { kind: "text", length: rows, validity, pieces, pieceOf, starts, ends };
}
