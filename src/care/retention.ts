/**
 * Makes room: looks once a second at quota, age and free space, and whenever something would be refused, and lets the sessions go
 * that the plan (model/retention.ts) names.
 * Deleting itself is done as for a client, crash-safe. Every eviction is logged, counted, and noted on its sequence.
 */

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Catalog } from "../catalog/catalog.ts";
import { putNotification } from "../catalog/notifications.ts";
import { findSequence, findSession, listSessions, listTopics, sequencePages } from "../catalog/resources.ts";
import { readStoredBytes } from "../catalog/store-facts.ts";
import { listTargets } from "../catalog/target-rows.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { bytesOfTopics } from "../model/extent.ts";
import { agesRestMs, evictionsShownMax, planRest } from "../model/limits.ts";
import type { SequenceName, SessionLocator } from "../model/locator.ts";
import type { Session, Topic, Ulid } from "../model/resource.ts";
import {
  type Eviction,
  type EvictionCandidate,
  type EvictionPlan,
  planEviction,
  type RetentionClass,
} from "../model/retention.ts";
import type { Target } from "../model/target.ts";
import type { TimeNs } from "../model/time.ts";
import { type ClassRule, classOf } from "./retention-class.ts";
import type { Space } from "./space.ts";
import { isSyncedEverywhere } from "./synced.ts";

export interface RetentionPolicy {
  /** Bytes of all sessions together; undefined for no limit. */
  readonly bytesMax: number | undefined;
  readonly ageMaxNs: bigint | undefined;
  readonly rules: readonly ClassRule[];
  /** Of sessions that no rule is for. */
  readonly rest: RetentionClass;
}

/** It was planned as synced, and is not any more. */
class NotSynced extends Error {}

export interface RetentionParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  readonly space: Space;
  readonly policy: RetentionPolicy;
  /**
   * Deletes a session, and its sequence when that has no other; ends when the space is back.
   * @param check runs inside the transaction; when it throws, nothing is done
   */
  evict(session: Ulid, check: () => void): Promise<void>;
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

  #running: Promise<boolean> | undefined;
  /** Whether that run has not begun. */
  #isResting = false;
  readonly #classes: readonly RetentionClass[];

  constructor(parts: RetentionParts) {
    this.#parts = parts;
    const { rules, rest } = parts.policy;
    this.#classes = [...rules.map((rule) => rule.class), rest];
    parts.space.onLacking(() => this.makeRoom());
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

  /** To be called once a second. Whether any session went. */
  async tick(): Promise<boolean> {
    // One that rests for those who wait begins by itself.
    if (this.#isResting) return false;
    return await (this.#running ?? this.#start(0));
  }

  /**
   * For those who wait for room: whether any session went. A run that began before somebody asked did not know of their bytes, so
   * one more, the same for all who wait, begins when that one let nothing go. After a plan that could not make enough it waits
   * until there may be another one, for sessions may have been finalized since.
   */
  async makeRoom(): Promise<boolean> {
    if (this.#running !== undefined && (await this.#running)) return true;
    const restMs = this.#restUntilMs - this.#parts.clock.monotonicMs();
    if (restMs > 0 && !this.#mayEvict()) return false;
    return await (this.#running ?? this.#start(restMs));
  }

  /** Whether the policy lets anything go at all. What only goes when it is synced never does without a target. */
  #mayEvict(): boolean {
    const isAnywhere = listTargets(this.#parts.catalog).length > 0;
    return this.#classes.some(({ keep, requireSynced }) => !keep && (isAnywhere || !requireSynced));
  }

  #start(restMs: number): Promise<boolean> {
    const run = this.#runAfter(restMs).finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  async #runAfter(restMs: number): Promise<boolean> {
    // A timer may be early by a millisecond, and drops parts of one.
    if (restMs > 0) {
      this.#isResting = true;
      await sleep(Math.ceil(restMs) + 1, undefined, { ref: false });
      this.#isResting = false;
    }
    return await this.#run();
  }

  /** Whether any session went. */
  async #run(): Promise<boolean> {
    const { clock, space, policy } = this.#parts;
    const { floor, quota } = space.lacking();
    const startedMs = clock.monotonicMs();
    const looksAtAges = policy.ageMaxNs !== undefined && startedMs - this.#agesSeenAtMs >= agesRestMs;
    if (((floor === 0 && quota === 0) || startedMs < this.#restUntilMs) && !looksAtAges) return false;
    if (looksAtAges) this.#agesSeenAtMs = startedMs;
    const candidates = await this.#candidates();
    const need = { floorBytes: floor, quotaBytes: quota, maxAgeNs: policy.ageMaxNs, nowNs: clock.wallNs() };
    const plan = planEviction(candidates, need);
    const { leastMs, mostMs, timesTaken } = planRest;
    const endedMs = clock.monotonicMs();
    const restMs = Math.min(mostMs, Math.max(leastMs, timesTaken * (endedMs - startedMs)));
    this.#restUntilMs = plan.lackingBytes > 0 ? endedMs + restMs : 0;
    space.advise(adviceOf(plan));
    let went = 0;
    for (const eviction of plan.evictions)
      if (await this.#evict(eviction as Eviction & { candidate: NamedCandidate })) went += 1;
    return went > 0;
  }

  /** Whether it went. */
  async #evict({ candidate, reason }: Eviction & { candidate: NamedCandidate }): Promise<boolean> {
    const { catalog, clock, log, evict } = this.#parts;
    const { session, locator, sequence, bytes } = candidate;
    try {
      await evict(session, () => this.#checkStillSynced(candidate));
    } catch (error) {
      if (error instanceof NotSynced) return false;
      throw error;
    }
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
    return true;
  }

  /** Targets may have been added or changed since the plan was made. @throws NotSynced */
  #checkStillSynced({ session: ulid, synced }: NamedCandidate): void {
    const { catalog } = this.#parts;
    const session = findSession(catalog, ulid);
    if (synced && session !== undefined && !isSyncedEverywhere(catalog, session, listTargets(catalog)))
      throw new NotSynced();
  }

  /** All finalized sessions. Reads the catalog page by page, so that calls are served in between. */
  async #candidates(): Promise<NamedCandidate[]> {
    const { catalog, policy } = this.#parts;
    const { rules, rest } = policy;
    const targets = listTargets(catalog);
    const candidates: NamedCandidate[] = [];
    for (const page of sequencePages(catalog)) {
      for (const sequence of page) {
        const topics = Map.groupBy(listTopics(catalog, sequence.name), (topic) => topic.session);
        for (const session of listSessions(catalog, sequence.ulid)) {
          const own = topics.get(session.ulid) ?? [];
          const about = { topics: own, class: classOf({ sequence, topics: own }, rules, rest), targets };
          const candidate = this.#candidate(session, about);
          if (candidate !== undefined) candidates.push(candidate);
        }
      }
      await turn();
    }
    return candidates;
  }

  #candidate(
    session: Session,
    about: { topics: readonly Topic[]; class: RetentionClass; targets: readonly Target[] },
  ): NamedCandidate | undefined {
    if (session.completedAtNs === undefined) return undefined;
    return {
      session: session.ulid,
      locator: session.locator,
      sequence: session.sequence,
      completedAtNs: session.completedAtNs,
      bytes: bytesOfTopics(about.topics),
      synced: isSyncedEverywhere(this.#parts.catalog, session, about.targets),
      class: about.class,
    };
  }
}

function adviceOf({ lackingBytes, kept, evictions }: EvictionPlan): string {
  if (lackingBytes === 0) return evictions.length > 0 ? "Old sessions are being deleted; try again." : "";
  const reasons = [
    kept.unsynced > 0 ? `${kept.unsynced} are not synced (evict_unsynced)` : "",
    kept.pinned > 0 ? `${kept.pinned} are kept by their class` : "",
    kept.young > 0 ? `${kept.young} are younger than their class allows` : "",
  ].filter((reason) => reason !== "");
  const which =
    reasons.length > 0
      ? `: of the finalized sessions ${reasons.join(", ")}`
      : evictions.length > 0
        ? ": no other session is finalized"
        : ": there is no finalized session";
  return `Nothing more can be deleted by itself${which}. Delete sessions, or free space on the disk.`;
}
