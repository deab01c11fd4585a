/**
 * Hashes of 128 bits in four lanes of 32, one behind the other in an Int32Array: after MurmurHash3 (x86, 128 bits) by Austin Appleby,
 * which is in the public domain. They tell apart what chance makes; whoever wants to makes two values that have the same.
 */

/** Lanes of one hash. */
export const laneCount = 4;

export type Lanes = readonly [number, number, number, number];

const [c1, c2, c3, c4] = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93];

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function mixed(value: number): number {
  let mix = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}

/** Hashes a value of 64 bits into the place `at`. */
export function hashWords(low: number, high: number, [s1, s2, s3, s4]: Lanes, lanes: Int32Array, at: number): void {
  const a = s3 + Math.imul(rotated(Math.imul(low ^ s1, c1), 15), c2);
  const b = s4 + Math.imul(rotated(Math.imul(high ^ s2, c2), 16), c3);
  // The first two are one to one.
  lanes[at] = mixed(a + b);
  lanes[at + 1] = mixed(a + 2 * b);
  lanes[at + 2] = mixed((a ^ rotated(b, 7)) + s1);
  lanes[at + 3] = mixed((b ^ rotated(a, 13)) + s2);
}

/** Takes one hash into another, in the order of the calls. */
export function absorb(state: Int32Array, at: number, hash: Int32Array, from: number, [s1, s2, s3, s4]: Lanes): void {
  let h1 = state[at] ?? 0;
  let h2 = state[at + 1] ?? 0;
  let h3 = state[at + 2] ?? 0;
  let h4 = state[at + 3] ?? 0;
  h1 = Math.imul(rotated(h1 ^ ((hash[from] ?? 0) + s1), 19) + h2, 5) + 0x561ccd1b;
  h2 = Math.imul(rotated(h2 ^ ((hash[from + 1] ?? 0) + s2), 17) + h3, 5) + 0x0bcaa747;
  h3 = Math.imul(rotated(h3 ^ ((hash[from + 2] ?? 0) + s3), 15) + h4, 5) + 0x96cd1c35;
  h4 = Math.imul(rotated(h4 ^ ((hash[from + 3] ?? 0) + s4), 13) + h1, 5) + 0x32ac3b17;
  state[at] = h1;
  state[at + 1] = h2;
  state[at + 2] = h3;
  state[at + 3] = h4;
}

/** Ends a hash that others were taken into; `length` says how many, or how many bytes. */
export function finish(state: Int32Array, at: number, length: number): void {
  let h1 = (state[at] ?? 0) ^ length;
  let h2 = (state[at + 1] ?? 0) ^ (length / 2 ** 32);
  let h3 = (state[at + 2] ?? 0) ^ length;
  let h4 = (state[at + 3] ?? 0) ^ length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mixed(h1);
  h2 = mixed(h2);
  h3 = mixed(h3);
  h4 = mixed(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  state[at] = h1;
  state[at + 1] = h2 + h1;
  state[at + 2] = h3 + h1;
  state[at + 3] = h4 + h1;
}

/** Bytes up to which copying one by one costs less than a call. */
const fewBytes = 48;
const blockBytes = 16 * 1024;

/** Hashes bytes that come in pieces, wherever these are cut. */
export class BytesHash {
  readonly #bytes = new Uint8Array(blockBytes);
  /** The same, where processors read little-endian words, as Arrow has them. */
  readonly #words = new Int32Array(this.#bytes.buffer);
  readonly #state = new Int32Array(laneCount);
  #filled = 0;
  #total = 0;

  begin([s1, s2, s3, s4]: Lanes): void {
    const state = this.#state;
    state[0] = s1;
    state[1] = s2;
    state[2] = s3;
    state[3] = s4;
    this.#filled = 0;
    this.#total = 0;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    const own = this.#bytes;
    let from = start;
    this.#total += end - start;
    while (from < end) {
      const count = Math.min(end - from, blockBytes - this.#filled);
      if (count > fewBytes) own.set(bytes.subarray(from, from + count), this.#filled);
      else for (let index = 0; index < count; index += 1) own[this.#filled + index] = bytes[from + index] ?? 0;
      from += count;
      this.#filled += count;
      if (this.#filled < blockBytes) return;
      this.#mixBlock(blockBytes / 16);
      this.#filled = 0;
    }
  }

  /** Puts the hash into the place `at`. */
  end(lanes: Int32Array, at: number): void {
    const whole = Math.ceil(this.#filled / 16);
    // What is behind the last byte counts as zeros; the number of bytes counts too.
    for (let index = this.#filled; index < 16 * whole; index += 1) this.#bytes[index] = 0;
    this.#mixBlock(whole);
    const state = this.#state;
    finish(state, 0, this.#total);
    for (let lane = 0; lane < laneCount; lane += 1) lanes[at + lane] = state[lane] ?? 0;
  }

  #mixBlock(quads: number): void {
    const words = this.#words;
    const state = this.#state;
    let h1 = state[0] ?? 0;
    let h2 = state[1] ?? 0;
    let h3 = state[2] ?? 0;
    let h4 = state[3] ?? 0;
    for (let quad = 0; quad < quads; quad += 1) {
      const at = 4 * quad;
      h1 ^= Math.imul(rotated(Math.imul(words[at] ?? 0, c1), 15), c2);
      h1 = (Math.imul(rotated(h1, 19) + h2, 5) + 0x561ccd1b) | 0;
      h2 ^= Math.imul(rotated(Math.imul(words[at + 1] ?? 0, c2), 16), c3);
      h2 = (Math.imul(rotated(h2, 17) + h3, 5) + 0x0bcaa747) | 0;
      h3 ^= Math.imul(rotated(Math.imul(words[at + 2] ?? 0, c3), 17), c4);
      h3 = (Math.imul(rotated(h3, 15) + h4, 5) + 0x96cd1c35) | 0;
      h4 ^= Math.imul(rotated(Math.imul(words[at + 3] ?? 0, c4), 18), c1);
      h4 = (Math.imul(rotated(h4, 13) + h1, 5) + 0x32ac3b17) | 0;
    }
    state[0] = h1;
    state[1] = h2;
    state[2] = h3;
    state[3] = h4;
  }
}

/** What tells a text from others: where hashes begin. */
export function seedOf(text: string): Lanes {
  const hash = new BytesHash();
  hash.begin([0, 0, 0, 0]);
  const bytes = new TextEncoder().encode(text);
  hash.add(bytes, 0, bytes.byteLength);
  const lanes = new Int32Array(laneCount);
  hash.end(lanes, 0);
  return [lanes[0] ?? 0, lanes[1] ?? 0, lanes[2] ?? 0, lanes[3] ?? 0];
}

/** Sums of hashes modulo 2^128: the same in whatever order they come. */
export class LaneSum {
  /** From the lowest lane on, each below 2^32. */
  readonly #lanes: [number, number, number, number] = [0, 0, 0, 0];

  /** Adds so many hashes, at most 2^20. */
  add(hashes: Int32Array, count: number): void {
    let [l1, l2, l3, l4] = this.#lanes;
    for (let at = 0; at < laneCount * count; at += laneCount) {
      l1 += (hashes[at] ?? 0) >>> 0;
      l2 += (hashes[at + 1] ?? 0) >>> 0;
      l3 += (hashes[at + 2] ?? 0) >>> 0;
      l4 += (hashes[at + 3] ?? 0) >>> 0;
    }
    const lanes = this.#lanes;
    lanes[0] = l1 % 2 ** 32;
    l2 += Math.floor(l1 / 2 ** 32);
    lanes[1] = l2 % 2 ** 32;
    l3 += Math.floor(l2 / 2 ** 32);
    lanes[2] = l3 % 2 ** 32;
    l4 += Math.floor(l3 / 2 ** 32);
    lanes[3] = l4 % 2 ** 32;
  }

  /** 32 hexadecimal digits. */
  text(): string {
    return this.#lanes
      .map((lane) => lane.toString(16).padStart(8, "0"))
      .toReversed()
      .join("");
  }
}
