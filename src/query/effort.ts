/**
 * What a query costs, counted in steps of a few nanoseconds each, so that it gives way to other calls regularly and ends when it
 * was made to be slow. Counted and not timed: a query that is refused is refused on every machine.
 */

import { setImmediate as turn } from "node:timers/promises";
import { Fault } from "../model/fault.ts";
import { querySteps } from "../model/limits.ts";

export class Effort {
  readonly #signal: AbortSignal;
  /** Since the last pause. */
  #steps = 0;
  #scanned = 0;
  #total = 0;

  /** @param signal ends the query at its next pause */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** @throws Fault overloaded when too much was spent without a pause */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > querySteps.atOnceMax) throw tooCostly(querySteps.atOnceMax, "for one condition on one resource");
  }

  /** A pass over values in memory, each of which costs as much as a step: what a message holds bounds it, so that it is never too much at once. */
  scan(values: number): void {
    this.#scanned += values;
  }

  /** Whether enough was spent for others to go first. */
  get isDue(): boolean {
    return this.#steps + this.#scanned >= querySteps.untilPause;
  }

  /** Lets others go first when it is time. @throws Fault overloaded, the signal's reason when it has fired */
  async pause(): Promise<void> {
    if (!this.isDue) return;
    this.#total += this.#steps + this.#scanned;
    this.#steps = 0;
    this.#scanned = 0;
    if (this.#total > querySteps.totalMax) throw tooCostly(querySteps.totalMax, "in all");
    await turn();
    this.#signal.throwIfAborted();
  }
}

function tooCostly(steps: number, where: string): Fault {
  return new Fault("overloaded", `The query takes more than ${steps} steps ${where}; ask for less at once.`);
}
