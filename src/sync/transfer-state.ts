/** What a transfer is between two commands, and how it ends. */

import { assert } from "../model/assert.ts";
import { type Cursor, type ParkCause, type Place, parkedCursor, type RemoteSession } from "../model/transfer.ts";
import type { Answer, Command, RemoteTraits, TopicFacts, TransferFacts } from "./command.ts";

export interface Transfer {
  readonly cursor: Cursor;
  readonly command: Command;
  /** Whether the topic that is looked at was never begun: then nothing of it can be there. */
  readonly fresh: boolean;
  /** Whether it was said since this was begun that the session is complete there. */
  readonly isComplete: boolean;
  /** False when deleting was refused. */
  readonly mayDelete: boolean;
  /** How often the same was asked without an answer that decides. */
  readonly asked: number;
}

export interface TransferContext {
  readonly facts: TransferFacts;
  readonly traits: RemoteTraits;
}

/** Ends a transfer for a reason that no time mends. */
export function park(transfer: Transfer, cause: ParkCause, reason: string): Transfer {
  return { ...transfer, cursor: parkedCursor(transfer.cursor, cause, reason), command: { kind: "end" } };
}

/** A refusal for which there is no other way. An answer of another kind is a bug of whoever carries commands out. */
export function unexpected(transfer: Transfer, answer: Answer): Transfer {
  assert(answer.kind === "refused", `an answer to ${transfer.command.kind} is none of kind ${answer.kind}`);
  return park(transfer, "refused", answer.reason);
}

export function isGone(answer: Answer): boolean {
  return answer.kind === "done" || (answer.kind === "refused" && answer.code === "absent");
}

export function isDenied(answer: Answer): boolean {
  return answer.kind === "refused" && answer.code === "denied";
}

export function sessionOf({ session }: Cursor): RemoteSession {
  assert(session !== undefined, "a session was created before what belongs to it");
  return session;
}

export function topicOf({ topics }: TransferFacts, index: number): TopicFacts {
  const topic = topics[index];
  assert(topic !== undefined, "a session has the topic");
  return topic;
}

/** Whether a topic is the same here as when its first rows were sent; where nobody knows, whether it may be. */
export function isWhatBegan({ rows, lostRows }: TopicFacts, { place }: Cursor): boolean {
  assert(place.kind === "topic" && place.state.kind === "new", "a topic is being sent to an edge");
  return place.state.rows === undefined ? lostRows === 0 : place.state.rows === rows;
}

/** Whether the session was complete there before anything of it was sent. */
export function wasThere({ place }: Cursor): boolean {
  return "wasThere" in place && place.wasThere === true;
}

/** Behind a topic that is the same: the next one, then contents where they are compared, then the end. */
export function behind(place: Place, { facts, traits }: TransferContext): Place {
  assert(place.kind === "check" || place.kind === "compare", "topics are being looked at");
  if (place.index + 1 < facts.topics.length) return { ...place, index: place.index + 1 };
  const isCompared = place.kind === "compare" || !traits.comparesContents;
  return isCompared ? { kind: "synced" } : { ...place, kind: "compare", index: 0 };
}
