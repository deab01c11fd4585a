/**
 * The latest wall time that the store has seen, in this life or an earlier one. Keys expire by it, so that a clock that goes back
 * brings none of them to life again. Noted in the catalog now and then: what a power cut takes of it is less than that interval.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { putLatestTime, readLatestTime } from "../catalog/store-facts.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { latestTimeNotedNs } from "../model/limits.ts";
import type { TimeNs } from "../model/time.ts";

export interface LatestTimeParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
}

export class LatestTime {
  readonly #parts: LatestTimeParts;
  #latestNs: TimeNs;
  #notedNs: TimeNs;
  /** Ends when the notes that have begun are written. */
  #noting: Promise<void> = Promise.resolve();

  constructor(parts: LatestTimeParts) {
    this.#parts = parts;
    const wallNs = parts.clock.wallNs();
    const noted = readLatestTime(parts.catalog);
    this.#notedNs = noted ?? wallNs - latestTimeNotedNs;
    this.#latestNs = wallNs > this.#notedNs ? wallNs : this.#notedNs;
    const behindNs = this.#latestNs - wallNs;
    if (behindNs > latestTimeNotedNs) {
      parts.log.warning("clock_went_back", { behindMs: Number(behindNs / 1_000_000n) });
    }
  }

  /** Nanoseconds since 1970, never earlier than before. */
  ns(): TimeNs {
    const wallNs = this.#parts.clock.wallNs();
    if (wallNs > this.#latestNs) this.#latestNs = wallNs;
    if (this.#latestNs - this.#notedNs >= latestTimeNotedNs) void this.note();
    return this.#latestNs;
  }

  /** Notes that this time has passed, unless that is known; never fails. */
  async passed(timeNs: TimeNs): Promise<void> {
    if (this.#notedNs < timeNs) await this.note();
  }

  /** Ends when the time is in the catalog, or the log says why not. */
  async note(): Promise<void> {
    this.#noting = this.#noting.then(() => this.#write());
    await this.#noting;
  }

  async #write(): Promise<void> {
    const { catalog, log } = this.#parts;
    const timeNs = this.#latestNs;
    if (timeNs <= this.#notedNs) return;
    // Before the attempt: what fails is not tried again at every call.
    this.#notedNs = timeNs;
    try {
      await catalog.transaction(() => putLatestTime(catalog, timeNs));
    } catch (error) {
      log.warning("latest_time_not_noted", { reason: String(error) });
    }
  }
}
