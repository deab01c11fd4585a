/**
 * What was begun at a target of sessions that were deleted here: it goes there too, where that is allowed. What the remote fails at is
 * tried again, later each time, and holds nobody up; what it refuses stays there.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { isActive } from "../catalog/target-rows.ts";
import { listLeftovers, removeLeftover } from "../catalog/transfer-rows.ts";
import type { Remote } from "../client/remote.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { type SessionLocator, sequenceOfSession } from "../model/locator.ts";
import type { Ulid } from "../model/resource.ts";
import { syncRetry } from "../model/sync-limits.ts";
import type { Target } from "../model/target.ts";
import { BrokenOff } from "./broken-off.ts";
import { traitsOf } from "./central.ts";
import { breaksOff, isOfLink } from "./command.ts";
import { heldRestMs } from "./setbacks.ts";

interface LeftoversParts {
  readonly catalog: Catalog;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly log: Log;
}

/** Of one at which the remote, or the link, failed. */
interface Trouble {
  readonly times: number;
  readonly retryAtMs: number;
  readonly why: string;
}

export class Leftovers {
  readonly #parts: LeftoversParts;
  readonly #target: Target;
  readonly #troubles = new Map<Ulid, Trouble>();

  constructor(parts: LeftoversParts, target: Target) {
    this.#parts = parts;
    this.#target = target;
  }

  /** Whether one is to be deleted there now. */
  get areDue(): boolean {
    for (const [ulid] of listLeftovers(this.#parts.catalog, this.#target.id)) if (!this.#rests(ulid)) return true;
    return false;
  }

  /** Why one waits. */
  get whyWaits(): string | undefined {
    const [first] = this.#troubles.values();
    return first?.why;
  }

  /** @throws BrokenOff */
  async delete(remote: Remote, signal: AbortSignal): Promise<void> {
    const { catalog, log } = this.#parts;
    const { id, name } = this.#target;
    for (const [ulid, { locator, session }] of [...listLeftovers(catalog, id)]) {
      if (this.#rests(ulid)) continue;
      catalog.refresh();
      if (!isActive(catalog, this.#target)) return;
      let there = "deleted";
      try {
        await remote.deleteOpenSession(sequenceOfSession(locator), session);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        const { code, message } = error;
        const isItself = code === "internal" || code === "overloaded";
        if (isItself || isOfLink(code)) this.#failed(ulid, locator, error);
        if (isItself) continue;
        if (breaksOff({ kind: "delete_session", session }, code, traitsOf(remote, this.#target)))
          throw new BrokenOff("delete_session", code, message);
        if (code !== "absent") there = message;
      }
      signal.throwIfAborted();
      log.warning("session_deleted_while_sent", { target: name, session: locator, there });
      await catalog.transaction(() => removeLeftover(catalog, id, ulid));
      this.#troubles.delete(ulid);
    }
  }

  #rests(ulid: Ulid): boolean {
    const trouble = this.#troubles.get(ulid);
    return trouble !== undefined && trouble.retryAtMs > this.#parts.clock.monotonicMs();
  }

  #failed(ulid: Ulid, session: SessionLocator, { code, message: reason }: Fault): void {
    const { clock, log } = this.#parts;
    const known = this.#troubles.get(ulid);
    const times = (known?.times ?? 0) + 1;
    const why = `${session}: deleted here, and not there yet: ${reason}`;
    const retryAtMs = clock.monotonicMs() + heldRestMs(times, syncRetry.heldMs);
    this.#troubles.set(ulid, { times, retryAtMs, why });
    // The same time after time is one line.
    if (why !== known?.why) log.warning("session_deletion_waits", { target: this.#target.name, session, code, reason });
  }
}
