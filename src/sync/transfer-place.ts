/** What is asked of a remote at each place of a transfer, also where it was perhaps asked before. Pure, as transfer.ts. */

import type { Uuid } from "../model/resource.ts";
import { transferLimits } from "../model/sync-limits.ts";
import type { Cursor, Place, TopicState } from "../model/transfer.ts";
import type { RemoteTraits, TransferFacts } from "./command.ts";
import { park, sessionOf, type Transfer, type TransferContext, topicOf } from "./transfer-state.ts";

/** What is known of a session before it is asked for. */
const unasked = { fresh: false, isComplete: false, asked: 0 } as const;

/** A transfer at its cursor: for the first time, or after it broke off. */
export function beginTransfer(cursor: Cursor, context: TransferContext): Transfer {
  const transfer: Transfer = { cursor, command: { kind: "end" }, ...unasked, mayDelete: true };
  return arrive(transfer, cursor.place, context);
}

/** What is to be done at a place whose calls may have been made before. */
export function arrive(transfer: Transfer, place: Place, context: TransferContext): Transfer {
  const { facts, traits } = context;
  const isEdge = traits.kind === "edge";
  const at = { ...transfer, cursor: { ...transfer.cursor, place } };
  switch (place.kind) {
    case "sequence":
      return at.cursor.sequence === "asked" && !isEdge
        ? { ...at, command: { kind: "show_sequence" } }
        : createSequence(at);
    case "session":
      // An edge says whether it is still ours. The central daemon says the same of one that is gone and of trouble with its database.
      if (isEdge) return createSequence(at);
      return at.cursor.sequence === "ours"
        ? { ...at, command: { kind: "show_sequence" } }
        : createSession(at, facts, traits);
    case "topic":
      return isEdge ? createTopic(at, place.index, context, place.state) : resumeTopic(at, place, context);
    case "notes":
      return { ...at, command: { kind: "add_notes" } };
    case "finalize":
      return { ...at, command: { kind: "finalize", session: sessionOf(at.cursor).uuid } };
    case "check":
      return { ...at, command: { kind: "show_topic", index: place.index } };
    case "compare":
      return { ...at, command: { kind: "compare_topic", index: place.index } };
    case "remove":
      return { ...at, command: { kind: "delete_session", session: sessionOf(at.cursor) } };
    case "synced":
    case "left_out":
    case "parked":
      return { ...at, command: { kind: "end" } };
  }
}

export function createSequence(transfer: Transfer): Transfer {
  const { cursor } = transfer;
  // What is ours once is ours; it is asked for again where it turned out to be gone.
  const sequence = cursor.sequence === "unknown" ? "asked" : cursor.sequence;
  return { ...transfer, cursor: { ...cursor, sequence }, command: { kind: "create_sequence" } };
}

export function createSession(transfer: Transfer, facts: TransferFacts, { kind }: RemoteTraits): Transfer {
  const uuid = kind === "edge" ? facts.session : undefined;
  const session = uuid === undefined ? transfer.cursor.session : { uuid, locator: undefined };
  return {
    ...transfer,
    cursor: { ...transfer.cursor, place: { kind: "session" }, session },
    command: { kind: "create_session", uuid },
  };
}

export function createTopic(
  transfer: Transfer,
  index: number,
  { facts, traits }: TransferContext,
  known: TopicState = { kind: "new" },
): Transfer {
  const { cursor } = transfer;
  const isEdge = traits.kind === "edge";
  // Where it has become an edge, what was known of a daemon says nothing.
  const atEdge: TopicState = known.kind === "new" ? known : { kind: "new" };
  const state: TopicState = isEdge ? atEdge : { kind: "asked" };
  return {
    ...transfer,
    cursor: { ...cursor, place: { kind: "topic", index, state } },
    command: {
      kind: "create_topic",
      index,
      session: sessionOf(cursor).uuid,
      uuid: isEdge ? topicOf(facts, index).uuid : undefined,
    },
  };
}

/** At the central daemon. */
function resumeTopic(
  transfer: Transfer,
  { index, state }: Extract<Place, { kind: "topic" }>,
  context: TransferContext,
): Transfer {
  return state.kind === "new" ? createTopic(transfer, index, context) : lookAtTopic(transfer, index);
}

/** At the central daemon, where somebody else's may have its name. */
export function lookAtTopic(transfer: Transfer, index: number): Transfer {
  return { ...transfer, command: { kind: "show_topic", index, of: sessionOf(transfer.cursor) } };
}

export function putTopic(
  transfer: Transfer,
  index: number,
  uuid: Uuid,
  fromRow: number,
  context: TransferContext,
): Transfer {
  const { rows } = topicOf(context.facts, index);
  const state: TopicState = context.traits.kind === "edge" ? { kind: "new", rows } : { kind: "sending", uuid };
  return {
    ...transfer,
    cursor: { ...transfer.cursor, place: { kind: "topic", index, state } },
    command: { kind: "put", index, uuid, fromRow },
  };
}

export function nextTopic(transfer: Transfer, done: number, context: TransferContext): Transfer {
  const index = done + 1;
  const next: Place =
    index < context.facts.topics.length ? { kind: "topic", index, state: { kind: "new" } } : { kind: "notes" };
  return arrive({ ...transfer, fresh: true, asked: 0 }, next, context);
}

export function toTopics(transfer: Transfer, context: TransferContext): Transfer {
  return arrive({ ...transfer, fresh: false, asked: 0 }, { kind: "topic", index: 0, state: { kind: "new" } }, context);
}

export function anew(transfer: Transfer, place: Place, reason: string, context: TransferContext): Transfer {
  const count = transfer.cursor.anew + 1;
  const cursor: Cursor = {
    place,
    sequence: place.kind === "sequence" ? "unknown" : transfer.cursor.sequence,
    session: undefined,
    anew: count,
  };
  if (count > transferLimits.anewMax)
    return park(
      { ...transfer, cursor },
      "repeated",
      `It was begun anew ${transferLimits.anewMax} times, at last because of: ${reason}`,
    );
  return arrive({ ...transfer, ...unasked, cursor }, place, context);
}
