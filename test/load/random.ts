// Numbers from a seed: the same run after run.

/** Uniform in [0, 1). Mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number in [0, below). */
export function randomInteger(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

/** Bytes that no codec shortens. */
export function randomBytes(random: () => number, bytes: number): Uint8Array {
  const words = Uint32Array.from({ length: Math.ceil(bytes / 4) }, () => Math.floor(random() * 2 ** 32));
  return new Uint8Array(words.buffer, 0, bytes);
}
