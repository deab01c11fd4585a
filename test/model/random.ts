// Chance from a seed for the unit tests: the same run after run. MOSAICO_TEST_SEED gives another one.

import { randomFrom } from "../load/random.ts";
import { seed } from "../seed.ts";

export class Random {
  /** Uniform in [0, 1). */
  readonly next: () => number;

  /** @param salt makes the values of one test independent of those of another */
  constructor(salt: string) {
    let state = seed >>> 0;
    for (const character of salt) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193);
    this.next = randomFrom(state);
    console.log(`${salt}: seed ${seed}`);
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError("there is something to pick from");
    return choice;
  }

  /** A value of int64: mostly small, sometimes anything, sometimes an end of the range. */
  int64(): bigint {
    const any = (BigInt(Math.floor(this.next() * 2 ** 32)) << 32n) | BigInt(Math.floor(this.next() * 2 ** 32));
    return this.pick([BigInt(this.below(10)), BigInt.asIntN(64, any), -(2n ** 63n), 2n ** 63n - 1n]);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
