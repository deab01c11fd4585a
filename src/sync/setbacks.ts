/**
 * Sessions on whose way something broke off: how far each had come, and when it is tried again. One that breaks off again and again
 * without coming further lets the others go first, whatever the reason: it may be the session.
 */

import type { FaultCode } from "../model/fault.ts";
import type { Ulid } from "../model/resource.ts";
import { setbacksMax, syncRetry } from "../model/sync-limits.ts";
import { isOfLink } from "./command.ts";
import type { Transfer } from "./transfer-state.ts";

interface Setback {
  furthest: Mark;
  /** How often it broke off since it came that far, and how often because the remote itself failed. */
  times: number;
  failures: number;
  retryAtMs: number;
  /** What was said of it at the last time, with its name. */
  why: string;
}

/** How far a transfer has come; compared from the left. */
type Mark = readonly [stage: number, topic: number, rows: number];

const stages = ["sequence", "session", "topic", "notes", "finalize", "check", "compare", "synced"];

/** Rows count when they are durable there. Undefined for a step back. */
function markOf({ cursor: { place }, command }: Transfer): Mark | undefined {
  const stage = stages.indexOf(place.kind);
  if (stage < 0) return undefined;
  const rows = command.kind === "put" ? command.fromRow : 0;
  return [stage, "index" in place ? place.index : 0, rows];
}

function isFurther(mark: Mark, than: Mark): boolean {
  const at = mark.findIndex((value, index) => value !== than[index]);
  return at >= 0 && (mark[at] ?? 0) > (than[at] ?? 0);
}

/** How long something rests, so that others go first, that broke off so many times. */
export function heldRestMs(times: number, longestMs: number): number {
  return Math.min(longestMs, syncRetry.firstMs * 2 ** Math.min(times, 20));
}

export class Setbacks {
  readonly #of = new Map<Ulid, Setback>();

  /** Whether the session has come further than ever before; what broke off before does not count any more then. */
  cameTo(session: Ulid, transfer: Transfer): boolean {
    const mark = markOf(transfer);
    if (mark === undefined) return false;
    const known = this.#of.get(session);
    if (known !== undefined && !isFurther(mark, known.furthest)) return false;
    this.#put(session, mark);
    return known !== undefined;
  }

  /** @returns how often the remote itself failed at it in a row */
  brokeOff(session: Ulid, { code, why, nowMs }: { code: FaultCode; why: string; nowMs: number }): number {
    // Who is not let in is not let in with any session.
    if (code === "unauthenticated" || code === "denied") return 0;
    // One that goes back first, as it has to be deleted there, has come nowhere yet.
    const known = this.#of.get(session) ?? this.#put(session, [0, 0, 0]);
    known.why = why;
    known.times += 1;
    known.failures = code === "internal" ? known.failures + 1 : 0;
    const { linkHeldMs, heldMs, firstTimes } = syncRetry;
    if (known.times >= firstTimes)
      known.retryAtMs = nowMs + heldRestMs(known.times, isOfLink(code) ? linkHeldMs : heldMs);
    return known.failures;
  }

  forget(session: Ulid): void {
    this.#of.delete(session);
  }

  /** How often it broke off without having come further since. */
  timesOf(session: Ulid): number {
    return this.#of.get(session)?.times ?? 0;
  }

  /** Milliseconds until it is tried again; 0 for now. */
  restMs(session: Ulid, nowMs: number): number {
    return Math.max(0, (this.#of.get(session)?.retryAtMs ?? nowMs) - nowMs);
  }

  /** Of these sessions the one that is tried again first, if one waits for that. */
  whyWaits(sessions: readonly { readonly session: Ulid }[], nowMs: number): string | undefined {
    let first: Setback | undefined;
    for (const { session } of sessions) {
      const setback = this.#of.get(session);
      if (setback === undefined || setback.retryAtMs <= nowMs) continue;
      if (first === undefined || setback.retryAtMs < first.retryAtMs) first = setback;
    }
    return first?.why;
  }

  #put(session: Ulid, furthest: Mark): Setback {
    const setback: Setback = { furthest, times: 0, failures: 0, retryAtMs: Number.NEGATIVE_INFINITY, why: "" };
    this.#of.delete(session);
    const [oldest] = this.#of.keys();
    if (this.#of.size >= setbacksMax && oldest !== undefined) this.#of.delete(oldest);
    this.#of.set(session, setback);
    return setback;
  }
}
