/**
 * How far a session has come on its way to a remote: what is kept of it. A cursor is written before what it says is asked of the
 * remote, so that whoever finds it knows what may have been done there, and that nothing behind it was.
 */

import type { SessionLocator } from "./locator.ts";
import type { Session, Uuid } from "./resource.ts";
import type { Target } from "./target.ts";
import type { TimeNs } from "./time.ts";

export type ParkCause =
  /** The remote has a sequence or topic of this name that is not ours. */
  | "conflict"
  /** What is stored here cannot be read. */
  | "damaged"
  /** The remote refuses what we ask, and would again. */
  | "refused"
  /** What arrived is not what was sent, and may not be deleted there. */
  | "different"
  /** A reply got lost whose answer cannot be asked for, and what it left may not be deleted there. */
  | "reply_lost"
  /** It was begun anew too often. */
  | "repeated"
  /** This program failed at it. */
  | "failed";

/** Where a transfer is. What stands here has perhaps been asked of the remote, and nothing behind it. */
export type Place =
  | { readonly kind: "sequence" }
  | { readonly kind: "session" }
  | { readonly kind: "topic"; readonly index: number; readonly state: TopicState }
  | { readonly kind: "notes" }
  | { readonly kind: "finalize" }
  /** `wasThere`: it was complete there before anything of it was sent, and is not deleted, whatever it is. */
  | { readonly kind: "check"; readonly index: number; readonly wasThere?: true }
  /** All topics were checked; their contents are being compared. */
  | { readonly kind: "compare"; readonly index: number; readonly wasThere?: true }
  /** The session is being deleted there, to be begun anew. */
  | { readonly kind: "remove"; readonly reason: string }
  | { readonly kind: "synced" }
  /** It is of a class that does not go there, by the rules of a target that had changed so often. */
  | { readonly kind: "left_out"; readonly class: string; readonly rules: number; readonly from?: Place }
  | { readonly kind: "parked"; readonly cause: ParkCause; readonly reason: string; readonly from: Place };

/** Of an edge only `new`: it is asked. */
export type TopicState =
  /** How many rows there were here when the first ones were sent: by another number what is there may be others. */
  | { readonly kind: "new"; readonly rows?: number }
  /** It may exist. */
  | { readonly kind: "asked" }
  /** Rows may have arrived. */
  | { readonly kind: "sending"; readonly uuid: Uuid }
  /** All was sent, and the end of the stream; it may be complete. */
  | { readonly kind: "ended"; readonly uuid: Uuid };

/** Whether a sequence there is ours, for all sessions of it: asked means that we may have made it. */
export type SequenceClaim = "unknown" | "asked" | "ours";

export interface Cursor {
  readonly place: Place;
  readonly sequence: SequenceClaim;
  /** As it is there, or, where its UUID is ours to choose, may be. */
  readonly session: RemoteSession | undefined;
  /** How often all was begun anew. */
  readonly anew: number;
}

export interface RemoteSession {
  readonly uuid: Uuid;
  /** Where the remote tells it: by which it may be deleted there. */
  readonly locator: string | undefined;
}

export const firstCursor: Cursor = { place: { kind: "sequence" }, sequence: "unknown", session: undefined, anew: 0 };

/** What the catalog has of a session and a target. */
export interface TransferRow {
  readonly cursor: Cursor;
  /** When the cursor was last moved. */
  readonly changedAtNs: TimeNs;
}

export function isSynced({ place }: Cursor): boolean {
  return place.kind === "synced";
}

/** Whether it does not go there, by what is said of the target now. */
export function isLeftOut({ place }: Cursor, { rules = 0 }: Pick<Target, "rules">): boolean {
  return place.kind === "left_out" && place.rules === rules;
}

/** Where it goes on, should it go there after all; the first versions did not note it, and left out nothing that was begun. */
export function unlessLeftOut(cursor: Cursor): Cursor {
  const { place } = cursor;
  return place.kind === "left_out" ? { ...cursor, place: place.from ?? firstCursor.place } : cursor;
}

export function parkedCursor(cursor: Cursor, cause: ParkCause, reason: string): Cursor {
  return { ...cursor, place: { kind: "parked", cause, reason, from: cursor.place } };
}

/** A parked transfer where it is to be tried again, on somebody's word. */
export function retriedCursor(cursor: Cursor): Cursor {
  const { place } = cursor;
  if (place.kind !== "parked") return cursor;
  // Whoever mended a conflict may have removed what was in the way.
  const sequence = place.cause === "conflict" && cursor.sequence !== "ours" ? "unknown" : cursor.sequence;
  // Or what was not to be deleted there.
  const from: Place = place.from.kind === "remove" ? { kind: "check", index: 0 } : place.from;
  return { ...cursor, place: from, sequence, anew: 0 };
}

/** An incomplete session at a target that was deleted here, and is to be deleted there. */
export interface Leftover {
  /** What it was called here. */
  readonly locator: SessionLocator;
  readonly session: RemoteSession;
}

/** Whether something of a session may be at a target without being complete there. */
export function isBegun(cursor: Cursor): boolean {
  const { place, session } = cursor;
  const at = place.kind === "parked" ? place.from : unlessLeftOut(cursor).place;
  return session !== undefined && !(["check", "compare", "synced"] as const).some((kind) => kind === at.kind);
}

/** What of a session may be at a target without being complete there; undefined when nothing is. */
export function leftoverOf({ locator }: Pick<Session, "locator">, cursor: Cursor): Leftover | undefined {
  const { session } = cursor;
  return session !== undefined && isBegun(cursor) ? { locator, session } : undefined;
}
