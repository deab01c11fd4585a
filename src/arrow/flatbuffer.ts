/**
 * A cursor over a flatbuffer that nobody vouches for. Offsets point forward and stay inside the buffer; whatever does not is
 * a Fault `invalid`. Nothing is copied.
 */

import { Fault } from "../model/fault.ts";

/** A vector's elements: `length` of them from byte `start` on. */
export interface FlatVector {
  readonly start: number;
  readonly length: number;
}

export class FlatTable {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Byte at which the table starts. */
  readonly position: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;

  constructor(bytes: Uint8Array, view: DataView, position: number) {
    this.bytes = bytes;
    this.view = view;
    this.position = position;
    inside(view, position, 4);
    this.#vtable = position - view.getInt32(position, true);
    inside(view, this.#vtable, 4);
    this.#vtableBytes = view.getUint16(this.#vtable, true);
    if (this.#vtableBytes < 4) throw broken(`the table at ${position} has a vtable of ${this.#vtableBytes} bytes`);
    inside(view, this.#vtable, this.#vtableBytes);
  }

  /** The root table. @throws Fault invalid */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    inside(view, 0, 4);
    return new FlatTable(bytes, view, view.getUint32(0, true));
  }

  /** Byte of a field; undefined when the field is left out. */
  #field(slot: number, size: number): number | undefined {
    const entry = 4 + 2 * slot;
    if (entry + 2 > this.#vtableBytes) return undefined;
    const offset = this.view.getUint16(this.#vtable + entry, true);
    if (offset === 0) return undefined;
    inside(this.view, this.position + offset, size);
    return this.position + offset;
  }

  uint8(slot: number, otherwise: number): number {
    const at = this.#field(slot, 1);
    return at === undefined ? otherwise : this.view.getUint8(at);
  }

  int16(slot: number, otherwise: number): number {
    const at = this.#field(slot, 2);
    return at === undefined ? otherwise : this.view.getInt16(at, true);
  }

  int32(slot: number, otherwise: number): number {
    const at = this.#field(slot, 4);
    return at === undefined ? otherwise : this.view.getInt32(at, true);
  }

  int64(slot: number): bigint {
    const at = this.#field(slot, 8);
    return at === undefined ? 0n : this.view.getBigInt64(at, true);
  }

  /** An int64 that is a length or count. @throws Fault invalid when it is negative or beyond 2^53 */
  count(slot: number, what: string): number {
    const at = this.#field(slot, 8);
    return at === undefined ? 0 : countAt(this.view, at, what);
  }

  table(slot: number): FlatTable | undefined {
    const at = this.#field(slot, 4);
    return at === undefined ? undefined : new FlatTable(this.bytes, this.view, this.#target(at));
  }

  /** Elements of `size` bytes each; an absent vector is empty. */
  vector(slot: number, size: number): FlatVector {
    const at = this.#field(slot, 4);
    if (at === undefined) return { start: 0, length: 0 };
    const target = this.#target(at);
    const length = this.view.getUint32(target, true);
    inside(this.view, target + 4, length * size);
    return { start: target + 4, length };
  }

  /** The element `index` of a vector of tables. */
  element(vector: FlatVector, index: number): FlatTable {
    return new FlatTable(this.bytes, this.view, this.#target(vector.start + 4 * index));
  }

  /** Bytes of a string or vector of bytes; undefined when it is left out. */
  blob(slot: number): Uint8Array | undefined {
    const at = this.#field(slot, 4);
    if (at === undefined) return undefined;
    const { start, length } = this.vector(slot, 1);
    return this.bytes.subarray(start, start + length);
  }

  #target(at: number): number {
    const target = at + this.view.getUint32(at, true);
    inside(this.view, target, 4);
    return target;
  }
}

/** An int64 at `at` as a number. @throws Fault invalid when it is negative or beyond 2^53 */
export function countAt(view: DataView, at: number, what: string): number {
  const high = view.getInt32(at + 4, true);
  const value = high * 2 ** 32 + view.getUint32(at, true);
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) throw broken(`${what} is ${view.getBigInt64(at, true)}`);
  return value;
}

function inside(view: DataView, at: number, size: number): void {
  if (at < 0 || at + size > view.byteLength)
    throw broken(`${size} bytes at ${at} are outside its ${view.byteLength} bytes`);
}

function broken(problem: string): Fault {
  return new Fault("invalid", `The IPC message header is broken: ${problem}.`);
}
