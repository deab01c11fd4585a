/**
 * What goes when: capture comes first, then what is more urgent, then the caps of the time of day and of the class. Asked before each
 * message, while nothing of it is held.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../host/clock.ts";
import { captureRest, rateLookMs } from "../model/sync-limits.ts";
import type { SyncClass } from "../model/target.ts";
import type { Gate } from "./gate.ts";
import { Rate } from "./rate.ts";

export interface AdmissionParts {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Whether an upload waits for memory: sync holds still then. */
  captureWaits(): boolean;
  /** Whether uploads take nearly all time there is: sync takes little of it then. */
  captureIsBusy(): boolean;
}

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #rate: Rate;
  /** Of each class, by name. */
  readonly #rates = new Map<string, Rate>();
  /** When the last one was let go on. */
  #admittedAtMs = 0;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#rate = new Rate(parts.clock);
  }

  /**
   * Waits until so many bytes of a session of a class may go.
   * @param meanwhile called at least once, and again while it waits: what it throws ends that
   * @throws GateClosed when nothing may any more, the signal's reason
   */
  async admit(
    bytes: number,
    { gate, of, meanwhile }: { gate: Gate; of: SyncClass; meanwhile: () => Promise<void> },
    signal: AbortSignal,
  ): Promise<void> {
    await this.yield(signal);
    const ownRate = this.#rateOf(of);
    for (;;) {
      await gate.check();
      await meanwhile();
      const waitMs = Math.max(this.#rate.waitMs(gate.rate()), ownRate.waitMs(of.bytesPerSecond));
      if (waitMs <= 0) break;
      // Meanwhile another rate may have come to hold.
      await sleep(Math.min(waitMs, rateLookMs), undefined, { signal });
    }
    this.#rate.sent(bytes);
    ownRate.sent(bytes);
    this.#admittedAtMs = this.#parts.clock.monotonicMs();
  }

  #rateOf({ name }: SyncClass): Rate {
    const rate = this.#rates.get(name) ?? new Rate(this.#parts.clock);
    this.#rates.set(name, rate);
    return rate;
  }

  /** Lets uploads go first. */
  async yield(signal: AbortSignal): Promise<void> {
    const { clock, captureWaits, captureIsBusy } = this.#parts;
    const tookMs = clock.monotonicMs() - this.#admittedAtMs;
    // To the end: uploads that have all the time meanwhile may look as if they did not need it.
    if (captureIsBusy())
      await sleep(Math.min(captureRest.mostMs, captureRest.timesTaken * tookMs), undefined, { signal });
    while (captureWaits()) await sleep(captureRest.leastMs, undefined, { signal });
    this.#admittedAtMs = clock.monotonicMs();
  }
}
