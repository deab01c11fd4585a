/**
 * Open sessions that nobody returns to: after a grace time without a client they are kept, finalized with what has arrived, or
 * deleted. Whatever is done is noted on the sequence, with what was kept and what may be missing.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { Catalog } from "../catalog/catalog.ts";
import { listNotifications, putNotification } from "../catalog/notifications.ts";
import {
  findSequence,
  findSession,
  listSessions,
  listTopics,
  listTopicsOfSession,
  sequencePages,
} from "../catalog/resources.ts";
import type { Clock } from "../host/clock.ts";
import type { Log, LogFields } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { refusalIntervalMs, settleRetryMs, topicsNamedMax } from "../model/limits.ts";
import type { SequenceName } from "../model/locator.ts";
import { isCompleted, isFinalized, type Session, type Topic, type Ulid } from "../model/resource.ts";

export type AbandonedPolicy = "keep" | "finalize" | "delete";

/**
 * What is done to sessions and topics, by those who do it for clients too. `check` throws when a client has come back: it runs
 * before anything is stopped, without a pause in between, and again inside the transaction; when it throws, nothing is done.
 */
export interface SessionHands {
  isUploading(topic: Topic): boolean;
  /** Ends a topic with what it has; an upload that begins meanwhile is refused. @throws Fault wrong_state when one is open */
  completeTopic(topic: Topic): Promise<void>;
  deleteTopic(topic: Topic, check: () => void): Promise<void>;
  finalizeSession(session: Session): Promise<void>;
  deleteSession(session: Session, check: () => void): Promise<void>;
}

export interface AbandonedParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: AbandonedPolicy;
  readonly graceMs: number;
  readonly hands: SessionHands;
}

/** What changes whenever a client has done something that is kept. */
interface Mark {
  readonly topicNumberNext: number;
  readonly topics: number;
  readonly completed: number;
  readonly rows: number;
}

interface Watched {
  /** As its client left it, and as we have changed it since. */
  mark: Mark;
  readonly sinceMs: number;
  /** Whether the policy has had its turn. */
  done: boolean;
  /** Times that the policy could not be carried out, and when it is tried again. */
  failures: number;
  retryAtMs: number;
  /** Whether the failure is noted on the sequence. */
  noted: boolean;
}

interface OpenSession {
  readonly session: Session;
  readonly topics: readonly Topic[];
}

/** What was done, for `status`. */
export interface AbandonedUse {
  readonly settled: number;
  readonly failures: number;
  /** Sessions that could not be settled and are tried again. */
  readonly failing: number;
}

export class Abandoned {
  readonly #parts: AbandonedParts;
  #watched = new Map<Ulid, Watched>();
  #settled = 0;
  #failures = 0;
  /** When a failure was last told, and how many were left out since. */
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #leftOut = 0;

  constructor(parts: AbandonedParts) {
    this.#parts = parts;
  }

  use(): AbandonedUse {
    const failing = [...this.#watched.values()].filter(({ failures, done }) => failures > 0 && !done).length;
    return { settled: this.#settled, failures: this.#failures, failing };
  }

  /** To be called a few times per grace time, never twice at once. */
  async tick(): Promise<void> {
    const { clock, graceMs } = this.#parts;
    const nowMs = clock.monotonicMs();
    const watched = new Map<Ulid, Watched>();
    const due: Ulid[] = [];
    for await (const open of this.#openSessions()) {
      const { ulid } = open.session;
      const before = this.#watched.get(ulid);
      const entry = before !== undefined && this.#isLeft(open, before.mark) ? before : watch(open, nowMs);
      watched.set(ulid, entry);
      if (!entry.done && nowMs - entry.sinceMs >= graceMs && nowMs >= entry.retryAtMs) due.push(ulid);
    }
    this.#watched = watched;
    // What comes first may take long, or fail: each is looked at anew when it is its turn.
    for (const ulid of due) await this.#attend(ulid);
  }

  /** Settles one session, unless its client is there again. Does not throw: one that fails must not hold up others. */
  async #attend(ulid: Ulid): Promise<void> {
    const entry = this.#watched.get(ulid);
    if (entry === undefined) return;
    try {
      const open = this.#find(ulid);
      if (open !== undefined && this.#isLeft(open, entry.mark)) {
        await this.#settle(open, entry);
        entry.done = true;
        this.#settled += 1;
        return;
      }
      this.#watchAnew(ulid, open);
    } catch (error) {
      await this.#failed(ulid, entry, error);
    }
  }

  #watchAnew(ulid: Ulid, open: OpenSession | undefined): void {
    if (open === undefined) this.#watched.delete(ulid);
    else this.#watched.set(ulid, watch(open, this.#parts.clock.monotonicMs()));
  }

  /** A client that came back in the middle is no failure. */
  async #failed(ulid: Ulid, entry: Watched, error: unknown): Promise<void> {
    const { clock, log, policy, graceMs } = this.#parts;
    try {
      const open = this.#find(ulid);
      if (open === undefined || !this.#isLeft(open, entry.mark)) return this.#watchAnew(ulid, open);
      const waitMs = Math.min(settleRetryMs.most, Math.min(settleRetryMs.first, graceMs) * 2 ** entry.failures);
      entry.failures += 1;
      entry.retryAtMs = clock.monotonicMs() + waitMs;
      this.#failures += 1;
      const { locator, sequence } = open.session;
      this.#tell({ session: locator, policy, failures: entry.failures, retryInMs: waitMs, reason: String(error) });
      // That of a store which takes nothing more is not this session's.
      if (entry.noted || (error instanceof Fault && error.code === "unavailable")) return;
      const reason = error instanceof Fault ? error.message : "Internal error";
      await this.#note(sequence, `${this.#idle(open)}. It could not be settled (${policy}): ${reason}`);
      entry.noted = true;
    } catch (second) {
      entry.retryAtMs = clock.monotonicMs() + settleRetryMs.first;
      log.warning("abandoned_failed", { policy, reason: String(second) });
    }
  }

  /** At most one line per interval, with the number of those that were left out. */
  #tell(fields: LogFields): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#toldAtMs < refusalIntervalMs) {
      this.#leftOut += 1;
      return;
    }
    this.#parts.log.warning("abandoned_failed", this.#leftOut === 0 ? fields : { ...fields, leftOut: this.#leftOut });
    this.#toldAtMs = nowMs;
    this.#leftOut = 0;
  }

  #find(ulid: Ulid): OpenSession | undefined {
    const { catalog } = this.#parts;
    const session = findSession(catalog, ulid);
    if (session === undefined || isFinalized(session)) return undefined;
    return { session, topics: listTopicsOfSession(catalog, session) };
  }

  /** Whether it is as it was, and nobody uploads to it. */
  #isLeft(open: OpenSession, mark: Mark): boolean {
    return isSame(markOf(open), mark) && !open.topics.some((topic) => this.#parts.hands.isUploading(topic));
  }

  /** Reads the catalog page by page, so that calls are served in between. */
  async *#openSessions(): AsyncGenerator<OpenSession> {
    const { catalog } = this.#parts;
    for (const page of sequencePages(catalog)) {
      for (const sequence of page) {
        const open = [...listSessions(catalog, sequence.ulid)].filter((session) => !isFinalized(session));
        if (open.length === 0) continue;
        const topics = Map.groupBy(listTopics(catalog, sequence.name), (topic) => topic.session);
        for (const session of open) yield { session, topics: topics.get(session.ulid) ?? [] };
      }
      await turn();
    }
  }

  #idle({ session }: OpenSession): string {
    return `Session ${session.locator} had no client for ${Math.round(this.#parts.graceMs / 1_000)} s`;
  }

  async #settle(open: OpenSession, entry: Watched): Promise<void> {
    const { catalog, policy, hands, log } = this.#parts;
    const { session, topics } = open;
    const idle = this.#idle(open);
    const uncertain = topics.filter((topic) => !isCompleted(topic));
    const kept = uncertain.filter((topic) => catalog.schemas.get(topic.uuid) !== undefined);
    const empty = uncertain.filter((topic) => !kept.includes(topic));
    const isEmpty = topics.length === empty.length;
    const check = (): void => {
      const found = this.#find(session.ulid);
      if (found !== undefined && this.#isLeft(found, entry.mark)) return;
      throw new Fault("wrong_state", `Session \`${session.locator}\` has a client again.`);
    };
    let outcome = policy === "keep" ? "kept" : policy === "delete" || isEmpty ? "deleted" : "finalized";
    let sentence: string;
    if (outcome === "kept") sentence = `${idle}. It stays open${missing(kept)}${never(empty)}.`;
    else if (outcome === "deleted") {
      await hands.deleteSession(session, check);
      sentence = `${idle}. It was deleted with ${rowsOf(topics)} rows of ${topics.length} topics${never(empty)}.`;
    } else {
      for (const topic of kept) {
        check();
        await hands.completeTopic(topic);
        entry.mark = { ...entry.mark, completed: entry.mark.completed + 1 };
      }
      for (const topic of empty) {
        await hands.deleteTopic(topic, check);
        entry.mark = { ...entry.mark, topics: entry.mark.topics - 1 };
      }
      check();
      const refused = await this.#finalize(session);
      // Not by its contents, when the client is there again.
      if (refused !== undefined) {
        check();
        outcome = "kept";
      }
      sentence =
        refused === undefined
          ? `${idle}. It was finalized with what had arrived${missing(kept)}${never(empty)}.`
          : `${idle}. It stays open, for it could not be finalized: ${refused}`;
    }
    log.warning("session_abandoned", {
      session: session.locator,
      policy,
      outcome,
      rows: rowsOf(topics),
      openTopics: kept.length,
    });
    await this.#note(session.sequence, sentence);
  }

  /** Why it was refused, by its contents: to ask again would be refused again. */
  async #finalize(session: Session): Promise<string | undefined> {
    try {
      await this.#parts.hands.finalizeSession(session);
      return undefined;
    } catch (error) {
      if (error instanceof Fault && error.code === "wrong_state") return error.message;
      throw error;
    }
  }

  async #note(name: SequenceName, message: string): Promise<void> {
    const { catalog, clock } = this.#parts;
    const createdAtNs = clock.wallNs();
    await catalog.transaction(() => {
      const sequence = findSequence(catalog, name);
      if (sequence === undefined) return;
      // Kept sessions are found again after each restart.
      if (listNotifications(catalog, sequence.uuid).some((known) => known.message === message)) return;
      putNotification(catalog, sequence.uuid, { type: "error", message, createdAtNs });
    });
  }
}

function watch(open: OpenSession, nowMs: number): Watched {
  return { mark: markOf(open), sinceMs: nowMs, done: false, failures: 0, retryAtMs: nowMs, noted: false };
}

function markOf({ session, topics }: OpenSession): Mark {
  return {
    topicNumberNext: session.topicNumberNext,
    topics: topics.length,
    completed: topics.filter(isCompleted).length,
    rows: rowsOf(topics),
  };
}

function isSame(one: Mark, other: Mark): boolean {
  return (
    one.topicNumberNext === other.topicNumberNext &&
    one.topics === other.topics &&
    one.completed === other.completed &&
    one.rows === other.rows
  );
}

function rowsOf(topics: readonly Topic[]): number {
  return topics.reduce((sum, { extent }) => sum + extent.rows, 0);
}

function missing(topics: readonly Topic[]): string {
  if (topics.length === 0) return "";
  const named = someOf(topics.map(({ locator, extent }) => `${locator} (${extent.rows} rows)`));
  return `; the upload of these has not ended, what came behind their last row may be missing: ${named}`;
}

function never(topics: readonly Topic[]): string {
  if (topics.length === 0) return "";
  return `; nothing was ever uploaded to: ${someOf(topics.map(({ locator }) => locator))}`;
}

function someOf(names: readonly string[]): string {
  const more = names.length > topicsNamedMax ? ` and ${names.length - topicsNamedMax} more` : "";
  return `${names.slice(0, topicsNamedMax).join(", ")}${more}`;
}
