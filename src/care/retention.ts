/**
 * Makes room: looks once a second at quota, age and free space, and lets the sessions go that the plan (model/retention.ts) names.
 * Deleting itself is done as for a client, crash-safe. Every eviction is logged, counted, and noted on its sequence.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { Catalog } from "../catalog/catalog.ts";
import { putNotification } from "../catalog/notifications.ts";
import { findSequence, listSessions, listTopics, sequencePages } from "../catalog/resources.ts";
import { readStoredBytes } from "../catalog/store-facts.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { evictionsShownMax, retentionRestMs } from "../model/limits.ts";
import type { SequenceName, SessionLocator } from "../model/locator.ts";
import type { Session, Topic, Ulid } from "../model/resource.ts";
import {
  type Eviction,
  type EvictionCandidate,
  type EvictionPlan,
  planEviction,
  type RetentionClass,
} from "../model/retention.ts";
import type { TimeNs } from "../model/time.ts";
import { type ClassRule, classOf } from "./retention-class.ts";
import type { Space } from "./space.ts";

export interface RetentionPolicy {
  /** Bytes of all sessions together; undefined for no limit. */
  readonly bytesMax: number | undefined;
  readonly ageMaxNs: bigint | undefined;
  readonly rules: readonly ClassRule[];
  /** Of sessions that no rule is for. */
  readonly rest: RetentionClass;
}

export interface RetentionParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  readonly space: Space;
  readonly policy: RetentionPolicy;
  /** Deletes a session, and its sequence when that has no other; ends when the space is back. */
  evict(session: Ulid): Promise<void>;
}

export interface EvictedSession {
  readonly session: SessionLocator;
  readonly class: string;
  readonly reason: string;
  readonly bytes: number;
  readonly atNs: TimeNs;
}

export interface RetentionUse {
  readonly storedBytes: number;
  readonly bytesMax: number | null;
  readonly evictedSessions: number;
  readonly evictedBytes: number;
  readonly last: readonly EvictedSession[];
}

interface NamedCandidate extends EvictionCandidate {
  readonly locator: SessionLocator;
  readonly sequence: SequenceName;
}

export class Retention {
  readonly #parts: RetentionParts;
  readonly #last: EvictedSession[] = [];
  #evictedSessions = 0;
  #evictedBytes = 0;
  /** After a plan that could not make enough room there is no other before this time. */
  #restUntilMs = 0;
  #agesSeenAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  use(): RetentionUse {
    return {
      storedBytes: readStoredBytes(this.#parts.catalog),
      bytesMax: this.#parts.policy.bytesMax ?? null,
      evictedSessions: this.#evictedSessions,
      evictedBytes: this.#evictedBytes,
      last: this.#last,
    };
  }

  /** To be called once a second, never twice at once. */
  async tick(): Promise<void> {
    const { catalog, clock, space, policy } = this.#parts;
    const overQuota = policy.bytesMax === undefined ? 0 : readStoredBytes(catalog) - policy.bytesMax;
    if (overQuota <= 0) space.restrict(undefined);
    const bytes = Math.max(0, overQuota, space.lackingBytes());
    const nowMs = clock.monotonicMs();
    const looksAtAges = policy.ageMaxNs !== undefined && nowMs - this.#agesSeenAtMs >= retentionRestMs;
    if ((bytes === 0 || nowMs < this.#restUntilMs) && !looksAtAges) return;
    if (looksAtAges) this.#agesSeenAtMs = nowMs;
    const candidates = await this.#candidates();
    const plan = planEviction(candidates, { bytes, maxAgeNs: policy.ageMaxNs, nowNs: clock.wallNs() });
    space.advise(adviceOf(plan));
    for (const eviction of plan.evictions) await this.#evict(eviction as Eviction & { candidate: NamedCandidate });
    if (policy.bytesMax !== undefined && readStoredBytes(catalog) > policy.bytesMax && plan.lackingBytes > 0) {
      space.restrict(
        `The quota is used up: ${readStoredBytes(catalog)} bytes are stored, ${policy.bytesMax} are allowed (max_bytes).`,
      );
    }
    this.#restUntilMs = plan.lackingBytes > 0 ? clock.monotonicMs() + retentionRestMs : 0;
  }

  async #evict({ candidate, reason }: Eviction & { candidate: NamedCandidate }): Promise<void> {
    const { catalog, clock, log, evict } = this.#parts;
    const { session, locator, sequence, bytes } = candidate;
    await evict(session);
    const atNs = clock.wallNs();
    const fields = { session: locator, class: candidate.class.name, reason, bytes };
    log.warning("session_evicted", fields);
    this.#evictedSessions += 1;
    this.#evictedBytes += bytes;
    this.#last.push({ ...fields, atNs });
    if (this.#last.length > evictionsShownMax) this.#last.shift();
    await catalog.transaction(() => {
      const row = findSequence(catalog, sequence);
      if (row === undefined) return;
      const message = `Session ${locator} was deleted by retention (${reason}, class ${candidate.class.name}): ${bytes} bytes.`;
      putNotification(catalog, row.uuid, { type: "error", message, createdAtNs: atNs });
    });
  }

  /** All finalized sessions. Reads the catalog page by page, so that calls are served in between. */
  async #candidates(): Promise<NamedCandidate[]> {
    const { catalog, policy } = this.#parts;
    const { rules, rest } = policy;
    const candidates: NamedCandidate[] = [];
    for (const page of sequencePages(catalog)) {
      for (const sequence of page) {
        const topics = Map.groupBy(listTopics(catalog, sequence.name), (topic) => topic.session);
        for (const session of listSessions(catalog, sequence.ulid)) {
          const own = topics.get(session.ulid) ?? [];
          const candidate = this.#candidate(session, own, classOf({ sequence, topics: own }, rules, rest));
          if (candidate !== undefined) candidates.push(candidate);
        }
      }
      await turn();
    }
    return candidates;
  }

  #candidate(session: Session, topics: readonly Topic[], retentionClass: RetentionClass): NamedCandidate | undefined {
    if (session.completedAtNs === undefined) return undefined;
    return {
      session: session.ulid,
      locator: session.locator,
      sequence: session.sequence,
      completedAtNs: session.completedAtNs,
      bytes: topics.reduce((sum, { extent }) => sum + extent.bytes, 0),
      // Nothing is synced before there is an agent that does it.
      synced: false,
      class: retentionClass,
    };
  }
}

function adviceOf({ lackingBytes, kept }: EvictionPlan): string {
  if (lackingBytes === 0) return "";
  const reasons = [
    kept.unsynced > 0 ? `${kept.unsynced} are not synced (evict_unsynced)` : "",
    kept.pinned > 0 ? `${kept.pinned} are kept by their class` : "",
    kept.young > 0 ? `${kept.young} are younger than their class allows` : "",
  ].filter((reason) => reason !== "");
  const which =
    reasons.length > 0 ? `: of the finalized sessions ${reasons.join(", ")}` : ": there is no finalized session";
  return `Nothing more can be deleted by itself${which}. Delete sessions, or free space on the disk.`;
}
