/** How long a command waits for a remote by which nothing comes further. */

import { Fault } from "../model/fault.ts";
import type { AgentUse } from "../sync/agent-use.ts";

type Looked = Pick<AgentUse, "sentBytes" | "readings" | "retryInMs" | "lastError" | "closed"> & {
  readonly census: Pick<NonNullable<AgentUse["census"]>, "synced" | "parked"> | undefined;
};

/** Ends when nothing has come further for long, or will not for longer than that. */
export class Patience {
  readonly #waitMs: number;
  #seen = "";
  #sinceMs = Number.NaN;

  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /** @throws Fault unavailable with what the remote said */
  check({ sentBytes, readings, census, retryInMs, lastError, closed }: Looked, nowMs: number): void {
    const seen = JSON.stringify([sentBytes, readings, census?.synced, census?.parked]);
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#sinceMs = nowMs;
    }
    const leftMs = this.#sinceMs + this.#waitMs - nowMs;
    if (leftMs > 0 && (retryInMs ?? 0) < this.#waitMs) return;
    const why = lastError ?? closed ?? "it does not answer";
    throw new Fault(
      "unavailable",
      `${why} (nothing comes further within ${this.#waitMs / 1000} s; the same command goes on where this one ends)`,
    );
  }
}
