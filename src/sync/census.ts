/** Where all finalized sessions stand with one target: found by a walk over the catalog, which others are let in between. */

import { setImmediate as turn } from "node:timers/promises";
import { isIncluded } from "../care/synced.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { listSessions, listTopicsOfSession, sequencePages } from "../catalog/resources.ts";
import { findTransfer } from "../catalog/transfer-rows.ts";
import { bytesOfTopics } from "../model/extent.ts";
import type { SessionLocator } from "../model/locator.ts";
import type { Sequence, Session, Ulid } from "../model/resource.ts";
import { lookedForMax, parkedShownMax, pendingHeldMax } from "../model/sync-limits.ts";
import { restClass, type SyncClass, type Target } from "../model/target.ts";
import type { TimeNs } from "../model/time.ts";
import { isLeftOut, type ParkCause } from "../model/transfer.ts";

export interface PendingSession {
  readonly session: Ulid;
  readonly class: SyncClass;
  /** Why its class cannot be found out; it has any then. */
  readonly problem: { readonly cause: ParkCause; readonly reason: string } | undefined;
  readonly completedAtNs: TimeNs;
  readonly bytes: number;
}

export interface ParkedSession {
  readonly session: SessionLocator;
  readonly cause: ParkCause;
  readonly reason: string;
}

export interface SyncedSession {
  readonly session: Ulid;
  readonly syncedAtNs: TimeNs;
}

export type CensusTarget = Pick<Target, "id" | "include" | "exclude" | "rules">;

export interface Census {
  /** In the order in which they are to be sent, the first ones. */
  readonly next: readonly PendingSession[];
  readonly pending: { readonly sessions: number; readonly bytes: number; readonly oldestNs: TimeNs | undefined };
  readonly synced: number;
  /** The last ones of them, the newest first. */
  readonly lastSynced: readonly SyncedSession[];
  /** By the names of their sequences, or of classes that do not go there. */
  readonly leftOut: number;
  readonly parked: number;
  /** The first ones. */
  readonly parkedSessions: readonly ParkedSession[];
}

/** Says to which class a session belongs. */
export type Classify = (sequence: Sequence, session: Session) => Promise<Pick<PendingSession, "class" | "problem">>;

/** @param classify undefined where only numbers are asked for */
export async function takeCensus(
  catalog: Catalog,
  target: CensusTarget,
  { classify, signal }: { classify?: Classify; signal: AbortSignal },
): Promise<Census> {
  const next: PendingSession[] = [];
  const parkedSessions: ParkedSession[] = [];
  const lastSynced: SyncedSession[] = [];
  let [sessions, bytes, synced, leftOut, parked] = [0, 0, 0, 0, 0];
  let oldestNs: TimeNs | undefined;
  for (const page of sequencePages(catalog)) {
    for (const sequence of page) {
      const goes = isIncluded(target, sequence.name);
      for (const session of listSessions(catalog, sequence.ulid)) {
        if (session.completedAtNs === undefined) continue;
        if (!goes) {
          leftOut += 1;
          continue;
        }
        const row = findTransfer(catalog, session.ulid, target.id);
        const cursor = row?.cursor;
        const place = cursor?.place;
        if (row !== undefined && place?.kind === "synced") {
          synced += 1;
          keepNewest(lastSynced, { session: session.ulid, syncedAtNs: row.changedAtNs });
        } else if (cursor !== undefined && isLeftOut(cursor, target)) leftOut += 1;
        else if (place?.kind === "parked") {
          parked += 1;
          const { cause, reason } = place;
          if (parkedSessions.length < parkedShownMax) parkedSessions.push({ session: session.locator, cause, reason });
        } else {
          const own = {
            session: session.ulid,
            ...(classify === undefined ? unclassed : await classify(sequence, session)),
            completedAtNs: session.completedAtNs,
            bytes: bytesOfTopics(listTopicsOfSession(catalog, session)),
          };
          next.push(own);
          sessions += 1;
          bytes += own.bytes;
          if (oldestNs === undefined || own.completedAtNs < oldestNs) oldestNs = own.completedAtNs;
          // Held are twice as many at most, so that memory is flat whatever waits.
          if (next.length > 2 * pendingHeldMax) keepFirst(next);
        }
      }
    }
    await turn();
    signal.throwIfAborted();
  }
  keepFirst(next);
  return { next, pending: { sessions, bytes, oldestNs }, synced, lastSynced, leftOut, parked, parkedSessions };
}

/** Where it does not matter. */
export const unclassed = { class: restClass(true), problem: undefined };

/** High priority before low, old before new. */
function keepFirst(next: PendingSession[]): void {
  next.sort(
    (a, b) =>
      b.class.priority - a.class.priority ||
      (a.completedAtNs < b.completedAtNs ? -1 : a.completedAtNs > b.completedAtNs ? 1 : 0),
  );
  next.length = Math.min(next.length, pendingHeldMax);
}

function keepNewest(last: SyncedSession[], session: SyncedSession): void {
  const oldest = last.at(-1);
  if (last.length === lookedForMax && oldest !== undefined && oldest.syncedAtNs >= session.syncedAtNs) return;
  last.push(session);
  last.sort((a, b) => (a.syncedAtNs > b.syncedAtNs ? -1 : a.syncedAtNs < b.syncedAtNs ? 1 : 0));
  last.length = Math.min(last.length, lookedForMax);
}
