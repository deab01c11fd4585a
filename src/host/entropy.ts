/** Chance of this machine: ids and secrets. The only door to randomness, and to the hash that secrets are kept by. */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { ulid } from "ulid";
import { v4 } from "uuid";
import type { Ulid, Uuid } from "../model/resource.ts";

/** ULIDs begin in 1970, as does the clock of a board without a battery, and the package takes 0 for no time at all. */
const ulidMsMin = 1;

/** @param wallMs of a clock that may be wrong: what was named before 1970 sorts first */
export function newUlid(wallMs: number): Ulid {
  return ulid(Math.max(ulidMsMin, wallMs)) as Ulid;
}

export function newUuid(): Uuid {
  return v4() as Uuid;
}

/** A UUID that follows from another one, which nobody can tell from it who does not know it: as random as that one. */
export function derivedUuid(from: Uuid, purpose: string): Uuid {
  const random = createHash("sha256").update(`mosaico-edge ${purpose} of ${from}`).digest().subarray(0, 16);
  return v4({ random }) as Uuid;
}

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

/** Random text of `[0-9a-z]`, every character equally likely. */
export function newAlphanumeric(characters: number): string {
  let text = "";
  while (text.length < characters) {
    for (const byte of randomBytes(characters)) {
      // 252 is the largest multiple of 36 in a byte; above it the first characters would be likelier.
      if (byte < 252 && text.length < characters) text += alphabet[byte % 36];
    }
  }
  return text;
}

/** Uniform in [0, 1): for waits that are not to end all at once. */
export function newJitter(): number {
  return randomBytes(4).readUInt32LE() / 2 ** 32;
}

/** Bytes that nothing shortens. */
export function newNoise(bytes: number): Uint8Array {
  return randomBytes(bytes);
}

export function newSalt(): string {
  return randomBytes(16).toString("hex");
}

export function saltedHash(salt: string, secret: string): string {
  return createHash("sha256").update(salt).update(":").update(secret).digest("hex");
}

/** Compares two hashes of equal length in time that does not depend on where they differ. */
export function equalHashes(a: string, b: string): boolean {
  const left = Buffer.from(a, "hex");
  const right = Buffer.from(b, "hex");
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}
