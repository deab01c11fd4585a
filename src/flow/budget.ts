/**
 * The byte budget of the process. Whatever holds message bytes takes them here first and gives them back by scope; who asks
 * for more than is free waits its turn, so that producers are slowed and never dropped.
 */

import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";

export interface Held extends Disposable {
  readonly bytes: number;
}

interface Waiter {
  readonly bytes: number;
  readonly grant: (held: Held) => void;
}

export interface BudgetUse {
  readonly limitBytes: number;
  readonly heldBytes: number;
  readonly waiting: number;
  readonly waitsTotal: number;
}

export class Budget {
  readonly limitBytes: number;
  #heldBytes = 0;
  #waitsTotal = 0;
  // In order of arrival: a large request is never overtaken for ever by small ones.
  readonly #waiters: Waiter[] = [];
  readonly #lent = new Map<Held, () => void>();

  constructor(limitBytes: number) {
    assert(limitBytes > 0, "a budget has bytes");
    this.limitBytes = limitBytes;
  }

  use(): BudgetUse {
    return {
      limitBytes: this.limitBytes,
      heldBytes: this.#heldBytes,
      waiting: this.#waiters.length,
      waitsTotal: this.#waitsTotal,
    };
  }

  get freeBytes(): number {
    return this.limitBytes - this.#heldBytes;
  }

  /** Takes the bytes if they are free and nobody waits. */
  tryTake(bytes: number): Held | undefined {
    if (this.#waiters.length > 0 || this.#heldBytes + bytes > this.limitBytes) return undefined;
    return this.#hold(bytes);
  }

  /**
   * Takes the bytes, waiting until they are free. Who names `wanted` can give them back early: it is called whenever
   * somebody else has to wait, and the bytes are to come back without waiting for any client.
   * @throws Fault overloaded when the budget can never hold them, the signal's reason when it fires first
   */
  async take(bytes: number, signal: AbortSignal, wanted?: () => void): Promise<Held> {
    if (bytes > this.limitBytes) {
      throw new Fault("overloaded", `Cannot take ${bytes} bytes: the memory budget is ${this.limitBytes}`);
    }
    signal.throwIfAborted();
    const held = this.tryTake(bytes);
    if (held !== undefined) return this.#lend(held, wanted);
    this.#waitsTotal += 1;
    return await new Promise<Held>((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        grant: (granted) => {
          signal.removeEventListener("abort", abort);
          resolve(this.#lend(granted, wanted));
        },
      };
      const abort = (): void => {
        const index = this.#waiters.indexOf(waiter);
        if (index >= 0) this.#waiters.splice(index, 1);
        reject(signal.reason);
        this.#wake();
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#waiters.push(waiter);
      this.#askBack();
    });
  }

  #lend(held: Held, wanted: (() => void) | undefined): Held {
    if (wanted === undefined) return held;
    this.#lent.set(held, wanted);
    // Whoever waited longer than this one has been served; those behind it still wait.
    if (this.#waiters.length > 0) wanted();
    return {
      bytes: held.bytes,
      [Symbol.dispose]: () => {
        this.#lent.delete(held);
        held[Symbol.dispose]();
      },
    };
  }

  /** Asks for what was lent, the oldest first, until nobody waits any more. */
  #askBack(): void {
    for (const wanted of [...this.#lent.values()]) {
      if (this.#waiters.length === 0) return;
      wanted();
    }
  }

  #hold(bytes: number): Held {
    this.#heldBytes += bytes;
    let given = false;
    return {
      bytes,
      [Symbol.dispose]: () => {
        if (given) return;
        given = true;
        this.#heldBytes -= bytes;
        this.#wake();
      },
    };
  }

  #wake(): void {
    for (let next = this.#waiters[0]; next !== undefined; next = this.#waiters[0]) {
      if (this.#heldBytes + next.bytes > this.limitBytes) return;
      this.#waiters.shift();
      next.grant(this.#hold(next.bytes));
    }
  }
}
