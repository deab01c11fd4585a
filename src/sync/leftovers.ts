/** What was begun at a target of sessions that were deleted here: it goes there too, where that is allowed. */

import type { Catalog } from "../catalog/catalog.ts";
import { hasLeftovers, listLeftovers, removeLeftover } from "../catalog/transfer-rows.ts";
import type { Remote } from "../client/remote.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { sequenceOfSession } from "../model/locator.ts";
import type { Ulid } from "../model/resource.ts";
import { syncRetry } from "../model/sync-limits.ts";
import type { Target } from "../model/target.ts";
import { BrokenOff } from "./broken-off.ts";
import { traitsOf } from "./central.ts";
import { breaksOff } from "./command.ts";

export class Leftovers {
  readonly #parts: { readonly catalog: Catalog; readonly log: Log };
  readonly #target: Target;
  /** How often the remote failed at one. */
  readonly #tries = new Map<Ulid, number>();

  constructor(parts: { readonly catalog: Catalog; readonly log: Log }, target: Target) {
    this.#parts = parts;
    this.#target = target;
  }

  get areThere(): boolean {
    return hasLeftovers(this.#parts.catalog, this.#target.id);
  }

  /** @throws BrokenOff */
  async delete(remote: Remote, signal: AbortSignal): Promise<void> {
    const { catalog, log } = this.#parts;
    const { id, name } = this.#target;
    for (const [ulid, { locator, session }] of [...listLeftovers(catalog, id)]) {
      let there = "deleted";
      try {
        await remote.deleteOpenSession(sequenceOfSession(locator), session);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        const tries = (this.#tries.get(ulid) ?? 0) + 1;
        this.#tries.set(ulid, tries);
        const { code } = error;
        const isItself = code === "internal" || code === "overloaded";
        if (isItself && tries <= syncRetry.troubleMax) continue;
        if (!isItself && breaksOff({ kind: "delete_session", session }, code, traitsOf(remote, this.#target)))
          throw new BrokenOff("delete_session", code, error.message);
        if (code !== "absent") there = error.message;
      }
      signal.throwIfAborted();
      log.warning("session_deleted_while_sent", { target: name, session: locator, there });
      await catalog.transaction(() => removeLeftover(catalog, id, ulid));
      this.#tries.delete(ulid);
    }
  }
}
