/** Bitmaps, least significant bit first, as Arrow has them. */

export function getBit(bits: Uint8Array, index: number): number {
  return ((bits[index >>> 3] ?? 0) >>> (index & 7)) & 1;
}

/** Copies `length` bits; `target` holds zeros from `targetStart` on. Returns how many of them are set. */
export function copyBits(
  source: Uint8Array,
  sourceStart: number,
  target: Uint8Array,
  targetStart: number,
  length: number,
): number {
  let set = 0;
  let done = 0;
  if ((sourceStart & 7) === 0 && (targetStart & 7) === 0) {
    const bytes = length >>> 3;
    for (let index = 0; index < bytes; index += 1) {
      const byte = source[(sourceStart >>> 3) + index] ?? 0;
      target[(targetStart >>> 3) + index] = byte;
      set += populationOf(byte);
    }
    done = bytes * 8;
  }
  for (; done < length; done += 1) {
    if (getBit(source, sourceStart + done) === 0) continue;
    setBit(target, targetStart + done);
    set += 1;
  }
  return set;
}

/** Sets `length` bits. */
export function setBits(target: Uint8Array, start: number, length: number): void {
  const end = start + length;
  let index = start;
  for (; index < end && index % 8 !== 0; index += 1) setBit(target, index);
  const bytes = Math.floor((end - index) / 8);
  target.fill(0xff, index / 8, index / 8 + bytes);
  for (index += 8 * bytes; index < end; index += 1) setBit(target, index);
}

/** How many bits from `start` to `end` are set; of those that `mask` has too, when there is one. */
export function countBits(bits: Uint8Array, start: number, end: number, mask?: Uint8Array): number {
  const first = Math.floor(start / 8);
  const last = Math.floor(end / 8);
  const byteAt = (index: number): number => (bits[index] ?? 0) & (mask === undefined ? 0xff : (mask[index] ?? 0));
  // Bits of the first and of the last byte that lie between the two.
  const behindStart = (0xff << (start % 8)) & 0xff;
  const beforeEnd = (1 << (end % 8)) - 1;
  if (first === last) return populationOf(byteAt(first) & behindStart & beforeEnd);
  let set = populationOf(byteAt(first) & behindStart) + populationOf(byteAt(last) & beforeEnd);
  for (let index = first + 1; index < last; index += 1) set += populationOf(byteAt(index));
  return set;
}

function setBit(target: Uint8Array, index: number): void {
  target[index >>> 3] = (target[index >>> 3] ?? 0) | (1 << (index & 7));
}

function populationOf(byte: number): number {
  const pairs = byte - ((byte >>> 1) & 0x55);
  const nibbles = (pairs & 0x33) + ((pairs >>> 2) & 0x33);
  return (nibbles + (nibbles >>> 4)) & 0x0f;
}
