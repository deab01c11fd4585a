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
  for (let index = start; index < start + length; index += 1) setBit(target, index);
}

function setBit(target: Uint8Array, index: number): void {
  target[index >>> 3] = (target[index >>> 3] ?? 0) | (1 << (index & 7));
}

function populationOf(byte: number): number {
  const pairs = byte - ((byte >>> 1) & 0x55);
  const nibbles = (pairs & 0x33) + ((pairs >>> 2) & 0x33);
  return (nibbles + (nibbles >>> 4)) & 0x0f;
}
