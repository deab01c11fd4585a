/**
 * A cap of bytes per second, for whatever is sent message by message: after each one there is a rest as long as it should have taken.
 * The cap may change meanwhile: what is owed is bytes, not time.
 */

import type { Clock } from "../host/clock.ts";

export class Rate {
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** Bytes that were sent ahead of their time, as of `#atMs`. */
  #owedBytes = 0;
  #atMs: number;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
    this.#atMs = clock.monotonicMs();
  }

  /**
   * Milliseconds until anything may be sent, when so many bytes have gone per second since this was asked last, and will.
   * @param bytesPerSecond undefined for as many as can
   */
  waitMs(bytesPerSecond: number | undefined): number {
    const nowMs = this.#clock.monotonicMs();
    const passedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    this.#owedBytes =
      bytesPerSecond === undefined ? 0 : Math.max(0, this.#owedBytes - (bytesPerSecond * passedMs) / 1000);
    return bytesPerSecond === undefined ? 0 : Math.ceil((this.#owedBytes / bytesPerSecond) * 1000);
  }

  /** So many bytes are sent now. */
  sent(bytes: number): void {
    this.#owedBytes += bytes;
  }
}

/** Of two caps in bytes per second the one that lets less go; undefined for none. */
export function slower(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}
