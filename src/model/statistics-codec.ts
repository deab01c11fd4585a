/**
 * Statistics, packed, little-endian: in rows of the catalog and in the footers of chunk files. One leaf can be read without the
 * others.
 *
 *   u8 version = 1, 3 x u8 0, u32 leaves, then per leaf u32 where its record starts (0: nothing is known), then the records:
 *
 *   u8 flags (1 integers, 2 other numbers, 4 texts, 8 nothing above the texts, 16 distinct texts, 64 derived), u8 distinct texts,
 *   u8 bytes of the least text, u8 of the most, u32 0, f64 values, f64 nulls, f64 nans,
 *   then 2 x i64 or u64 (flag 32: unsigned) or 2 x f64 or the two texts, then per distinct text u8 its bytes and these,
 *   then of derived ones u8 kind, u8 leaves, per leaf u16 its index
 */

import { Fault } from "./fault.ts";
import type { Scalar } from "./predicate.ts";
import {
  type Derivation,
  derivationKinds,
  isSameDerivation,
  type LeafStatistics,
  type RowStatistics,
  type ValueRange,
} from "./statistics.ts";

const version = 1;
const headBytes = 8;
const recordBytes = 32;
const flag = { integers: 1, numbers: 2, texts: 4, open: 8, distinct: 16, unsigned: 32, derived: 64 } as const;

export function encodeStatistics(statistics: RowStatistics): Uint8Array {
  const records = statistics.map((leaf) => (leaf === undefined ? undefined : encodeLeaf(leaf)));
  const head = headBytes + 4 * records.length;
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + (record?.byteLength ?? 0), head));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, version);
  view.setUint32(4, records.length, true);
  let at = head;
  for (const [index, record] of records.entries()) {
    if (record === undefined) continue;
    view.setUint32(headBytes + 4 * index, at, true);
    bytes.set(record, at);
    at += record.byteLength;
  }
  return bytes;
}

function encodeLeaf(leaf: LeafStatistics): Uint8Array {
  const { range } = leaf;
  const distinct = leaf.distinct?.map((text) => Buffer.from(String(text), "utf8"));
  const texts = range?.kind === "text" ? [range.least, range.most ?? new Uint8Array()] : [];
  const rangeBytes = range === undefined ? 0 : range.kind === "number" ? 16 : texts.reduce(byBytes, 0);
  const distinctBytes = (distinct ?? []).reduce(byBytes, distinct?.length ?? 0);
  const { derivation } = leaf;
  const derivedBytes = derivation === undefined ? 0 : 2 + 2 * derivation.leaves.length;
  const bytes = new Uint8Array(recordBytes + rangeBytes + distinctBytes + derivedBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, flagsOf(leaf));
  view.setUint8(1, distinct?.length ?? 0);
  view.setUint8(2, texts[0]?.byteLength ?? 0);
  view.setUint8(3, texts[1]?.byteLength ?? 0);
  view.setFloat64(8, leaf.values, true);
  view.setFloat64(16, leaf.nulls, true);
  view.setFloat64(24, leaf.nans, true);
  let at = recordBytes;
  if (range?.kind === "number") {
    for (const bound of [range.least, range.most]) {
      if (typeof bound === "number") view.setFloat64(at, bound, true);
      else view.setBigInt64(at, BigInt.asIntN(64, bound), true);
      at += 8;
    }
  }
  for (const text of texts) {
    bytes.set(text, at);
    at += text.byteLength;
  }
  for (const text of distinct ?? []) {
    view.setUint8(at, text.byteLength);
    bytes.set(text, at + 1);
    at += 1 + text.byteLength;
  }
  if (derivation !== undefined) {
    view.setUint8(at, derivationKinds.indexOf(derivation.kind));
    view.setUint8(at + 1, derivation.leaves.length);
    derivation.leaves.forEach((index, place) => {
      view.setUint16(at + 2 + 2 * place, index, true);
    });
  }
  return bytes;
}

function byBytes(sum: number, text: Uint8Array): number {
  return sum + text.byteLength;
}

function flagsOf({ range, distinct, derivation }: LeafStatistics): number {
  const kept = (distinct === undefined ? 0 : flag.distinct) | (derivation === undefined ? 0 : flag.derived);
  if (range === undefined) return kept;
  if (range.kind === "text") return kept | flag.texts | (range.most === undefined ? flag.open : 0);
  if (typeof range.least === "number") return kept | flag.numbers;
  return kept | flag.integers | (range.least >= 0n ? flag.unsigned : 0);
}

/** How many leaves are spoken of. @throws Fault corrupt */
export function leavesOf(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  if (bytes.byteLength < headBytes || view.getUint8(0) !== version) {
    throw new Fault(
      "corrupt",
      `Cannot read statistics: ${bytes.byteLength} bytes of version ${bytes[0]}, expected version ${version}`,
    );
  }
  const leaves = view.getUint32(4, true);
  if (headBytes + 4 * leaves > bytes.byteLength) throw tooShort(bytes, headBytes + 4 * leaves);
  return leaves;
}

/** What is known of one leaf; undefined when nothing is, or there is no such leaf. @throws Fault corrupt */
export function decodeLeaf(bytes: Uint8Array, index: number): LeafStatistics | undefined {
  if (index >= leavesOf(bytes)) return undefined;
  const view = viewOf(bytes);
  const start = view.getUint32(headBytes + 4 * index, true);
  if (start === 0) return undefined;
  try {
    return readLeaf(bytes, view, start);
  } catch (error) {
    if (error instanceof RangeError) throw tooShort(bytes, start + recordBytes);
    throw error;
  }
}

/** @throws Fault corrupt */
export function decodeStatistics(bytes: Uint8Array): RowStatistics {
  return Array.from({ length: leavesOf(bytes) }, (_none, index) => decodeLeaf(bytes, index));
}

function readLeaf(bytes: Uint8Array, view: DataView, start: number): LeafStatistics {
  const flags = view.getUint8(start);
  const textBytes = [view.getUint8(start + 2), view.getUint8(start + 3)] as const;
  let at = start + recordBytes;
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.byteLength) throw tooShort(bytes, at + length);
    at += length;
    return bytes.slice(at - length, at);
  };
  let range: ValueRange | undefined;
  if ((flags & (flag.integers | flag.numbers)) !== 0) {
    const read = (position: number): bigint | number =>
      (flags & flag.numbers) !== 0
        ? view.getFloat64(position, true)
        : (flags & flag.unsigned) !== 0
          ? view.getBigUint64(position, true)
          : view.getBigInt64(position, true);
    range = { kind: "number", least: read(at), most: read(at + 8) };
    at += 16;
  } else if ((flags & flag.texts) !== 0) {
    const least = take(textBytes[0]);
    const most = take(textBytes[1]);
    range = { kind: "text", least, most: (flags & flag.open) === 0 ? most : undefined };
  }
  let distinct: Scalar[] | undefined;
  if ((flags & flag.distinct) !== 0) {
    distinct = Array.from({ length: view.getUint8(start + 1) }, () => {
      const length = take(1)[0] ?? 0;
      return Buffer.from(take(length)).toString("utf8");
    });
  }
  const leaf: LeafStatistics = {
    values: view.getFloat64(start + 8, true),
    nulls: view.getFloat64(start + 16, true),
    nans: view.getFloat64(start + 24, true),
    range,
    distinct,
  };
  return (flags & flag.derived) === 0 ? leaf : { ...leaf, derivation: readDerivation(take) };
}

function readDerivation(take: (length: number) => Uint8Array): Derivation | undefined {
  const [number = 0, leaves = 0] = take(2);
  const indices = take(2 * leaves);
  const kind = derivationKinds[number];
  // A later program may know more kinds.
  if (kind === undefined) return undefined;
  const view = viewOf(indices);
  return { kind, leaves: Array.from({ length: leaves }, (_none, place) => view.getUint16(2 * place, true)) };
}

/** What is known of derived values, behind so many leaves of a schema; undefined when nothing is. @throws Fault corrupt */
export function decodeDerived(bytes: Uint8Array, derivation: Derivation, leaves: number): LeafStatistics | undefined {
  for (let index = leaves; index < leavesOf(bytes); index += 1) {
    const leaf = decodeLeaf(bytes, index);
    if (leaf?.derivation !== undefined && isSameDerivation(leaf.derivation, derivation)) return leaf;
  }
  return undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tooShort(bytes: Uint8Array, expected: number): Fault {
  return new Fault("corrupt", `Cannot read statistics: they end at ${bytes.byteLength}, expected at least ${expected}`);
}
