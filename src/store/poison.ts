/** After a failed sync or commit nobody knows what is on disk: nothing more is written until a restart. Reads go on. */

import { Fault } from "../model/fault.ts";

export class Poison {
  #cause: unknown;
  #poisoned = false;
  readonly #onPoison: (cause: unknown) => void;

  constructor(onPoison: (cause: unknown) => void) {
    this.#onPoison = onPoison;
  }

  get poisoned(): boolean {
    return this.#poisoned;
  }

  poison(cause: unknown): void {
    if (this.#poisoned) return;
    this.#poisoned = true;
    this.#cause = cause;
    this.#onPoison(cause);
  }

  /** @throws Fault unavailable when the store is poisoned */
  check(): void {
    if (!this.#poisoned) return;
    const reason = this.#cause instanceof Error ? this.#cause.message : String(this.#cause);
    throw new Fault("unavailable", `The store writes nothing more until a restart, after: ${reason}`, this.#cause);
  }
}
