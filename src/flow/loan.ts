/**
 * Bytes of a budget held for work that pauses while a client reads: during a pause they go back as soon as somebody else waits
 * for them, so that no client can hold memory by not reading. The work begins anew where it paused then.
 */

import { assert } from "../model/assert.ts";
import type { Budget, Held } from "./budget.ts";

export class Loan implements Disposable {
  readonly #budget: Budget;
  readonly #dropWork: () => void;
  #held: Held | undefined;
  #wanted = false;
  #paused = false;

  /** @param dropWork lets go of everything that the bytes were taken for */
  constructor(budget: Budget, dropWork: () => void) {
    this.#budget = budget;
    this.#dropWork = dropWork;
  }

  /** @throws Fault cancelled when the signal fires first */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    assert(this.#held === undefined, "a loan is taken once at a time");
    this.#wanted = false;
    this.#held = await this.#budget.take(Math.min(bytes, this.#budget.limitBytes), signal, () => {
      this.#wanted = true;
      if (this.#paused) this.#giveBack();
    });
  }

  pause(): void {
    this.#paused = true;
    if (this.#wanted) this.#giveBack();
  }

  resume(): void {
    this.#paused = false;
  }

  #giveBack(): void {
    if (this.#held === undefined) return;
    this.#dropWork();
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
  }
}
