/** How much of its time the event loop works: what else is to be done should wait when that is nearly all of it. */

import { performance } from "node:perf_hooks";

/** Time over which it is measured at least, in milliseconds. */
const windowMs = 50;

export class LoopUse {
  #since = performance.eventLoopUtilization();
  #sinceMs = performance.now();
  #share = 0;

  /** From 0 to 1, over the last tenth of a second or so; longer when nobody asked meanwhile. */
  share(): number {
    const nowMs = performance.now();
    if (nowMs - this.#sinceMs < windowMs) return this.#share;
    const use = performance.eventLoopUtilization();
    this.#share = performance.eventLoopUtilization(use, this.#since).utilization;
    this.#since = use;
    this.#sinceMs = nowMs;
    return this.#share;
  }
}
