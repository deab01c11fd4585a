// Tokens that nobody was given.

import { crc32 } from "node:zlib";

const characters = "0123456789abcdefghijklmnopqrstuvwxyz";

/** The token that a payload of 32 characters has. */
export function tokenOf(payload: string): string {
  return `msco_${payload}_${crc32(payload).toString(16).padStart(8, "0")}`;
}

/** Another token with the fingerprint of this one: CRC-32 is no secret, and its collisions are easily found. */
export function collidingToken(token: string): string {
  const target = Number.parseInt(token.slice(-8), 16);
  const head = "x".repeat(25);
  // CRC-32 is linear: what the last characters change is the same whatever comes before. So pairs of halves can be matched.
  const whole = (tail: string): number => crc32(head + tail);
  const none = whole("0000000");
  const effects = new Map<number, string>();
  for (const half of texts(3)) effects.set((whole(`${half}0000`) ^ none) >>> 0, half);
  for (const half of texts(4)) {
    const found = effects.get((whole(`000${half}`) ^ target) >>> 0);
    if (found === undefined) continue;
    const forged = tokenOf(`${head}${found}${half}`);
    if (forged.slice(-8) === token.slice(-8)) return forged;
  }
  throw new Error(`no other token has the fingerprint ${token.slice(-8)}`);
}

function* texts(length: number): Generator<string> {
  if (length === 0) yield "";
  else for (const start of texts(length - 1)) for (const character of characters) yield start + character;
}
