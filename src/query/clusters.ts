/** Times in order, put together where they lie close to each other. */

import type { TimeNs, TimeRange } from "../model/time.ts";

export class ClusterBuilder {
  readonly #gapNs: bigint;
  #startNs: TimeNs | undefined;
  #endNs: TimeNs = 0n;

  /** @param gapNs the most that lies between two neighbours of a cluster */
  constructor(gapNs: bigint) {
    this.#gapNs = gapNs;
  }

  /** Takes the next time; returns the cluster that ended before it, if one did. */
  add(timeNs: TimeNs): TimeRange | undefined {
    const ended = this.#startNs !== undefined && timeNs - this.#endNs > this.#gapNs ? this.end() : undefined;
    this.#startNs ??= timeNs;
    this.#endNs = timeNs;
    return ended;
  }

  /** The cluster that has no end yet, if there is one. */
  end(): TimeRange | undefined {
    if (this.#startNs === undefined) return undefined;
    const cluster = { startNs: this.#startNs, endNs: this.#endNs };
    this.#startNs = undefined;
    return cluster;
  }
}
