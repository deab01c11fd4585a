/** A cap of bytes per second, for whatever is sent message by message: after each one there is a rest as long as it should have taken. */

import type { Clock } from "../host/clock.ts";

export class Rate {
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** When all that was admitted should have been sent. */
  #paidUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Milliseconds to wait before so many bytes are sent, when so many may go per second from now on. */
  admit(bytes: number, bytesPerSecond: number): number {
    const nowMs = this.#clock.monotonicMs();
    const startMs = Math.max(nowMs, this.#paidUntilMs);
    this.#paidUntilMs = startMs + (bytes / bytesPerSecond) * 1000;
    return startMs - nowMs;
  }
}
