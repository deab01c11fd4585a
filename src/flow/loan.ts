/**
 * Bytes of a budget held for work that pauses while a client reads: during a pause they go back when somebody else waits for
 * them, so that no client can hold memory by not reading. The work begins anew where it paused then, which costs; so a loan is
 * left to its work for a while before it is called back, or many that work at once would do little else than begin anew.
 */

import { assert } from "../model/assert.ts";
import type { Budget, Held } from "./budget.ts";

export class Loan implements Disposable {
  readonly #budget: Budget;
  readonly #leastMs: number;
  readonly #dropWork: () => void;
  #held: Held | undefined;
  /** Runs while the loan may not be called back yet. */
  #grace: NodeJS.Timeout | undefined;
  #wanted = false;
  #paused = false;

  /**
   * @param leastMs time that the bytes are left to their work, in milliseconds
   * @param dropWork lets go of everything that the bytes were taken for
   */
  constructor(budget: Budget, { leastMs, dropWork }: { leastMs: number; dropWork: () => void }) {
    this.#budget = budget;
    this.#leastMs = leastMs;
    this.#dropWork = dropWork;
  }

  /** @throws Fault cancelled when the signal fires first */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    assert(this.#held === undefined, "a loan is taken once at a time");
    this.#wanted = false;
    this.#held = await this.#budget.take(Math.min(bytes, this.#budget.limitBytes), signal, () => {
      this.#wanted = true;
      this.#answer();
    });
    if (this.#leastMs === 0) return;
    this.#grace = setTimeout(() => {
      this.#grace = undefined;
      this.#answer();
    }, this.#leastMs);
  }

  pause(): void {
    this.#paused = true;
    this.#answer();
  }

  #answer(): void {
    if (this.#wanted && this.#paused && this.#grace === undefined) this.#giveBack();
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
    clearTimeout(this.#grace);
    this.#grace = undefined;
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
  }
}
