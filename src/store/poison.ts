/** After a failed sync or commit nobody knows what is on disk: nothing more is written until a restart. Reads go on. */

import { Fault } from "../model/fault.ts";

export class Poison {
  readonly #abort = new AbortController();
  readonly #onPoison: (cause: unknown) => void;

  constructor(onPoison: (cause: unknown) => void) {
    this.#onPoison = onPoison;
  }

  get poisoned(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Fires when the store is poisoned, with what whoever writes is told. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  poison(cause: unknown): void {
    if (this.poisoned) return;
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#onPoison(cause);
    this.#abort.abort(
      new Fault("unavailable", `The store writes nothing more until a restart, after: ${reason}`, cause),
    );
  }

  /** @throws Fault unavailable when the store is poisoned */
  check(): void {
    this.#abort.signal.throwIfAborted();
  }
}
