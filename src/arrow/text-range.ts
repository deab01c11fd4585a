/**
 * Least and most of texts by their bytes, and the set of them while they are few. Of each text at most as many bytes are looked at
 * as a bound keeps, so that long ones cost no more than short ones.
 */

import { distinctTextsMax, textBoundBytesMax } from "../model/limits.ts";
import type { ValueRange } from "../model/statistics.ts";
import { getBit } from "./bits.ts";
import { type Place, take } from "./column-bytes.ts";
import type { Slots } from "./slots.ts";
import type { TextVector } from "./text-vector.ts";

export interface TextFacts {
  readonly range: ValueRange | undefined;
  readonly distinct: readonly string[] | undefined;
}

/** A text where it lies. */
interface Text {
  readonly view: DataView;
  readonly start: number;
  readonly length: number;
  /** The first four bytes as a number, zeros behind the end: when these differ, texts differ in the same way. */
  readonly head: number;
  /** The last four bytes, which tell apart what is only numbered; 0 when there are fewer. */
  readonly tail: number;
}

/** Bytes that are compared for a text, on the whole, before the set of texts is given up: those that differ do so early. */
const comparedBytesMax = 128;

/** @throws Fault overloaded when the texts have more bytes to be looked at than there is room for */
export function textFacts(texts: TextVector, { start, end, mask }: Slots, { path, room }: Place): TextFacts {
  const { pieceOf, starts, ends } = texts;
  const views = texts.pieces.map(({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength));
  let least: Text | undefined;
  let most: Text | undefined;
  /** Whether a text that begins like the most one goes on behind what a bound keeps. */
  let goesOn = false;
  let known: Text[] | undefined = [];
  let compared = 0;
  let looked = 0;
  for (let row = start; row < end && looked <= room.bytes; row += 1) {
    if (mask !== undefined && getBit(mask, row) === 0) continue;
    const view = views[pieceOf === undefined ? 0 : (pieceOf[row] as number)] as DataView;
    const at = starts[row] as number;
    const length = (ends[row] as number) - at;
    const head = length >= 4 ? view.getUint32(at) : shortHead(view, at, length);
    looked += Math.min(length, textBoundBytesMax);
    if (known !== undefined) {
      const tail = length >= 4 ? view.getInt32(at + length - 4) : 0;
      let found = false;
      for (let index = 0; index < known.length; index += 1) {
        const text = known[index] as Text;
        if (text.tail !== tail || text.head !== head || text.length !== length) continue;
        const common = commonBytes(text, view, at, length);
        compared += common;
        found = common === length;
        if (found) break;
      }
      // A text that is known has been compared with the least and the most.
      if (found) continue;
      const isFew = known.length < distinctTextsMax.texts && length <= distinctTextsMax.bytes;
      if (!isFew || compared > comparedBytesMax * (row - start + 1)) known = undefined;
      else known.push({ view, start: at, length, head, tail });
    }
    if (least === undefined || (head <= least.head && compare(least, view, at, length) > 0)) {
      least = { view, start: at, length, head, tail: 0 };
    }
    if (most !== undefined && head < most.head) continue;
    const order = most === undefined ? -1 : compare(most, view, at, length);
    if (order < 0) {
      most = { view, start: at, length, head, tail: 0 };
      goesOn = length > textBoundBytesMax;
    } else if (order === 0 && length > textBoundBytesMax) goesOn = true;
  }
  take(room, looked, path);
  if (least === undefined || most === undefined) return { range: undefined, distinct: [] };
  const top = boundOf(most);
  return {
    range: { kind: "text", least: boundOf(least), most: goesOn ? raised(top) : top },
    distinct: known === undefined ? undefined : decoded(known),
  };
}

function shortHead(view: DataView, at: number, length: number): number {
  let head = 0;
  for (let index = 0; index < 4; index += 1) head = head * 256 + (index < length ? view.getUint8(at + index) : 0);
  return head;
}

/** How many bytes two texts of the same length and head have in common from the start. */
function commonBytes({ view: own, start }: Text, view: DataView, at: number, length: number): number {
  let index = Math.min(4, length);
  while (index + 4 <= length && own.getInt32(start + index) === view.getInt32(at + index)) index += 4;
  while (index < length && own.getUint8(start + index) === view.getUint8(at + index)) index += 1;
  return index;
}

/** Below, at or above 0 as the text is before, like or behind the other, in what a bound keeps. */
function compare(text: Text, view: DataView, at: number, length: number): number {
  const { view: own, start } = text;
  const ownLength = Math.min(text.length, textBoundBytesMax);
  const otherLength = Math.min(length, textBoundBytesMax);
  const common = Math.min(ownLength, otherLength);
  let index = 0;
  while (index + 4 <= common && own.getInt32(start + index) === view.getInt32(at + index)) index += 4;
  for (; index < common; index += 1) {
    const difference = own.getUint8(start + index) - view.getUint8(at + index);
    if (difference !== 0) return difference;
  }
  return ownLength - otherLength;
}

/** A copy: what it was cut from may be given back. */
function boundOf(text: Text): Uint8Array {
  return new Uint8Array(bytesOf(text).subarray(0, textBoundBytesMax));
}

function bytesOf({ view, start, length }: Text): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + start, length);
}

/** The least that is above all texts which begin so, without the bytes that cannot be raised; undefined when nothing is. */
function raised(bytes: Uint8Array): Uint8Array | undefined {
  let length = bytes.byteLength;
  while (length > 0 && bytes[length - 1] === 0xff) length -= 1;
  if (length === 0) return undefined;
  const above = bytes.slice(0, length);
  above[length - 1] = (above[length - 1] ?? 0) + 1;
  return above;
}

/** Undefined when one of them is no UTF-8: readers may take two such texts for the same. */
function decoded(texts: readonly Text[]): string[] | undefined {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    return texts.map((text) => decoder.decode(bytesOf(text)));
  } catch {
    return undefined;
  }
}
