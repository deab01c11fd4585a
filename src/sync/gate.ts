/** Whether anything may go to a target now: by the time of day, by what this machine is connected to, and by what it reaches. */

import type { Clock } from "../host/clock.ts";
import { isConnected, isReachable } from "../host/network.ts";
import { closedLookMs, reachWaitMs } from "../model/sync-limits.ts";
import type { Target } from "../model/target.ts";
import { rateAt } from "../model/timetable.ts";

/** Nothing may go any more: no failure of anybody. */
export class GateClosed extends Error {}

export class Gate {
  readonly #clock: Clock;
  readonly #target: Target;
  #found: { readonly why: string | undefined; readonly untilMs: number } | undefined;

  constructor(clock: Clock, target: Target) {
    this.#clock = clock;
    this.#target = target;
  }

  /** Bytes per second that may go now; undefined for as many as can. By the wall clock, as people and timetables have it. */
  rate(): number | undefined {
    const now = new Date(Number(this.#clock.wallNs() / 1_000_000n));
    return rateAt(this.#target.rates, 60 * now.getHours() + now.getMinutes());
  }

  /** Why nothing may go now; undefined when it may. It was looked at no longer than `closedLookMs` ago. */
  async whyClosed(): Promise<string | undefined> {
    if (this.rate() === 0) return "the timetable lets nothing go at this time of day";
    const nowMs = this.#clock.monotonicMs();
    if (this.#found === undefined || nowMs >= this.#found.untilMs)
      this.#found = { why: await this.#whyUnreached(), untilMs: nowMs + closedLookMs };
    return this.#found.why;
  }

  /** @throws GateClosed */
  async check(): Promise<void> {
    const why = await this.whyClosed();
    if (why !== undefined) throw new GateClosed(why);
  }

  async #whyUnreached(): Promise<string | undefined> {
    const { interfaces, whenReachable } = this.#target;
    if (interfaces.length > 0 && !interfaces.some(isConnected)) return `no connection over ${interfaces.join(" or ")}`;
    if (whenReachable !== undefined && !(await isReachable(whenReachable, reachWaitMs)))
      return `${whenReachable.host}:${whenReachable.port} is not reachable`;
    return undefined;
  }
}
