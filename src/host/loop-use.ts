/**
 * How much of its time the event loop works, or has nothing to do because the disk has: what else is to be done should wait when that
 * is nearly all of it. An upload that is as fast as the disk leaves the loop idle for a third of the time, and would lose by whatever
 * filled that.
 */

import { performance } from "node:perf_hooks";

/** Time over which it is measured at least, in milliseconds. */
const windowMs = 50;

export class LoopUse {
  #sinceMs = performance.now();
  #share = 0;
  /** Who waits for the disk now. */
  #waiting = 0;
  /** Idle time of the loop until now, when the last one began to wait; and how much of it nobody waited in, since the last measure. */
  #idleMs = performance.nodeTiming.idleTime;
  #freeMs = 0;

  /** Waits for the disk: time in which the loop does nothing else counts as used. */
  async forDisk<T>(wait: Promise<T>): Promise<T> {
    this.#look();
    this.#waiting += 1;
    try {
      return await wait;
    } finally {
      this.#look();
      this.#waiting -= 1;
    }
  }

  /** From 0 to 1, over the last tenth of a second or so; longer when nobody asked meanwhile. */
  share(): number {
    const nowMs = performance.now();
    const tookMs = nowMs - this.#sinceMs;
    if (tookMs < windowMs) return this.#share;
    this.#look();
    this.#share = 1 - this.#freeMs / tookMs;
    this.#freeMs = 0;
    this.#sinceMs = nowMs;
    return this.#share;
  }

  #look(): void {
    const idleMs = performance.nodeTiming.idleTime;
    if (this.#waiting === 0) this.#freeMs += idleMs - this.#idleMs;
    this.#idleMs = idleMs;
  }
}
