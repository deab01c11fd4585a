/**
 * Open sessions that nobody returns to: after a grace time without a client they are kept, finalized with what has arrived, or
 * deleted. Whatever is done is noted on the sequence, with what was kept and what may be missing.
 */

import { setImmediate as turn } from "node:timers/promises";
import type { Catalog } from "../catalog/catalog.ts";
import { listNotifications, putNotification } from "../catalog/notifications.ts";
import { findSequence, listSessions, listTopics, sequencePages } from "../catalog/resources.ts";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { topicsNamedMax } from "../model/limits.ts";
import type { SequenceName } from "../model/locator.ts";
import { isCompleted, isFinalized, type Session, type Topic, type Ulid } from "../model/resource.ts";

export type AbandonedPolicy = "keep" | "finalize" | "delete";

/** What is done to sessions and topics, by those who do it for clients too. */
export interface SessionHands {
  isUploading(topic: Topic): boolean;
  /** Ends a topic with what it has. */
  completeTopic(topic: Topic): Promise<void>;
  deleteTopic(topic: Topic): Promise<void>;
  finalizeSession(session: Session): Promise<void>;
  deleteSession(session: Session): Promise<void>;
}

export interface AbandonedParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: AbandonedPolicy;
  readonly graceMs: number;
  readonly hands: SessionHands;
}

interface Watched {
  /** Changes whenever a client has done something that is kept. */
  readonly mark: string;
  readonly sinceMs: number;
  /** Whether the policy has had its turn. */
  done: boolean;
}

interface OpenSession {
  readonly session: Session;
  readonly topics: readonly Topic[];
}

export class Abandoned {
  readonly #parts: AbandonedParts;
  #watched = new Map<Ulid, Watched>();

  constructor(parts: AbandonedParts) {
    this.#parts = parts;
  }

  /** To be called a few times per grace time, never twice at once. */
  async tick(): Promise<void> {
    const { clock, graceMs, hands } = this.#parts;
    const nowMs = clock.monotonicMs();
    const watched = new Map<Ulid, Watched>();
    const due: OpenSession[] = [];
    for await (const open of this.#openSessions()) {
      const before = this.#watched.get(open.session.ulid);
      const mark = markOf(open);
      const isIdle = before?.mark === mark && !open.topics.some((topic) => hands.isUploading(topic));
      const entry = isIdle ? before : { mark, sinceMs: nowMs, done: false };
      watched.set(open.session.ulid, entry);
      if (!entry.done && nowMs - entry.sinceMs >= graceMs) due.push(open);
    }
    this.#watched = watched;
    for (const open of due) {
      await this.#settle(open);
      const entry = watched.get(open.session.ulid);
      if (entry !== undefined) entry.done = true;
    }
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

  async #settle({ session, topics }: OpenSession): Promise<void> {
    const { catalog, policy, hands, log, graceMs } = this.#parts;
    const idle = `Session ${session.locator} had no client for ${Math.round(graceMs / 1_000)} s`;
    const uncertain = topics.filter((topic) => !isCompleted(topic));
    const kept = uncertain.filter((topic) => catalog.schemas.get(topic.uuid) !== undefined);
    const empty = uncertain.filter((topic) => !kept.includes(topic));
    const isEmpty = topics.length === empty.length;
    let sentence: string;
    if (policy === "keep") sentence = `${idle}. It stays open${missing(kept)}${never(empty)}.`;
    else if (policy === "delete" || isEmpty) {
      await hands.deleteSession(session);
      sentence = `${idle}. It was deleted with ${rowsOf(topics)} rows of ${topics.length} topics${never(empty)}.`;
    } else {
      for (const topic of kept) await hands.completeTopic(topic);
      for (const topic of empty) await hands.deleteTopic(topic);
      await hands.finalizeSession(session);
      sentence = `${idle}. It was finalized with what had arrived${missing(kept)}${never(empty)}.`;
    }
    log.warning("session_abandoned", {
      session: session.locator,
      policy,
      rows: rowsOf(topics),
      openTopics: kept.length,
    });
    await this.#note(session.sequence, sentence);
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

function markOf({ session, topics }: OpenSession): string {
  const completed = topics.filter(isCompleted).length;
  return [session.topicNumberNext, topics.length, completed, rowsOf(topics)].join(" ");
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
