/**
 * Notices that the wall clock jumped, as it does on machines that boot in 1970 and hear of the time later. Nothing here waits by
 * the wall clock; but creation times of one recording may lie far apart then, and whoever reads it should know why.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { putNotification } from "../catalog/notifications.ts";
import { findSequence, findTopicByUuid } from "../catalog/resources.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { clockJumpNs } from "../model/limits.ts";
import { sequenceOfTopic } from "../model/locator.ts";
import type { Uuid } from "../model/resource.ts";
import type { TimeNs } from "../model/time.ts";

export interface ClockWatchParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  /** Topics that are uploaded now. */
  openTopics(): Iterable<Uuid>;
}

export class ClockWatch {
  readonly #parts: ClockWatchParts;
  #wallNs: TimeNs;
  #monotonicMs: number;

  constructor(parts: ClockWatchParts) {
    this.#parts = parts;
    this.#wallNs = parts.clock.wallNs();
    this.#monotonicMs = parts.clock.monotonicMs();
  }

  /** To be called again and again. A jump gets a line in the log and a notification on each sequence that is recorded. */
  async tick(): Promise<void> {
    const { clock, log } = this.#parts;
    const monotonicMs = clock.monotonicMs();
    const wallNs = clock.wallNs();
    const expectedNs = this.#wallNs + BigInt(Math.round((monotonicMs - this.#monotonicMs) * 1e6));
    this.#monotonicMs = monotonicMs;
    this.#wallNs = wallNs;
    const byNs = wallNs - expectedNs;
    if (byNs < clockJumpNs && byNs > -clockJumpNs) return;
    log.warning("clock_jumped", { byMs: Number(byNs / 1_000_000n), wallNs: String(wallNs) });
    await this.#note(
      `The clock of the recorder jumped by ${Number(byNs / 1_000_000n) / 1_000} s while this was recorded.`,
    );
  }

  async #note(message: string): Promise<void> {
    const { catalog, openTopics } = this.#parts;
    const topics = [...openTopics()];
    if (topics.length === 0) return;
    const createdAtNs = this.#wallNs;
    await catalog.transaction(() => {
      const found = topics.flatMap((uuid) => findTopicByUuid(catalog, uuid) ?? []);
      for (const name of new Set(found.map(({ locator }) => sequenceOfTopic(locator)))) {
        const sequence = findSequence(catalog, name);
        if (sequence !== undefined) putNotification(catalog, sequence.uuid, { type: "error", message, createdAtNs });
      }
    });
  }
}
