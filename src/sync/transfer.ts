/**
 * One session on its way to one remote: pure. A cursor says how far it has come and survives everything; whatever breaks off, be it
 * the link, this process or the remote, the transfer begins again at its cursor. So the rule of the one who carries commands out is:
 * first the cursor is on disk, then the command is sent. What a lost reply leaves open is asked, never guessed and never sent twice.
 *
 * An edge takes UUIDs of the client's choice: repeating a call answers the same, and uploads go on behind the durable rows. The
 * central daemon chooses them itself and cannot continue an upload, so there a cursor says what may have been begun.
 */

import { assert } from "../model/assert.ts";
import { sequenceOfTopic } from "../model/locator.ts";
import type { Uuid } from "../model/resource.ts";
import { transferLimits } from "../model/sync-limits.ts";
import type { Cursor } from "../model/transfer.ts";
import { type Answer, differenceOf, type TopicFacts } from "./command.ts";
import {
  anew,
  arrive,
  createSequence,
  createSession,
  createTopic,
  lookAtTopic,
  nextTopic,
  putTopic,
  toTopics,
} from "./transfer-place.ts";
import {
  behind,
  isDenied,
  isGone,
  isWhatBegan,
  park,
  type Transfer,
  type TransferContext,
  topicOf,
  unexpected,
  wasThere,
} from "./transfer-state.ts";

/** The next command, after the answer to the one before. */
export function step(transfer: Transfer, answer: Answer, context: TransferContext): Transfer {
  const { cursor, command } = transfer;
  const { traits } = context;
  switch (command.kind) {
    case "create_sequence":
      return afterCreateSequence(transfer, answer, context);
    case "show_sequence":
      return afterShowSequence(transfer, answer, context);
    case "create_session":
      if (answer.kind === "made")
        return toTopics(
          { ...transfer, cursor: { ...cursor, session: { uuid: answer.uuid, locator: answer.locator } } },
          context,
        );
      if (answer.kind !== "refused") return unexpected(transfer, answer);
      // The sequence went, with all that was in it.
      if (answer.code === "absent") return anew(transfer, { kind: "sequence" }, answer.reason, context);
      // Of this UUID, and finalized: nobody else knows it.
      if (answer.code === "wrong_state" && traits.kind === "edge") return isThereAlready(transfer, context);
      return park(transfer, "refused", answer.reason);
    case "create_topic":
      return afterCreateTopic(transfer, command.index, answer, context);
    case "topic_status":
      if (cursor.place.kind !== "topic") return afterTaken(transfer, answer, context);
      return afterStatus(transfer, command, answer, context);
    case "show_topic":
      if (cursor.place.kind === "check") return afterCheck(transfer, command.index, answer, context);
      if (cursor.place.kind === "finalize") return afterLook(transfer, answer, context);
      return afterShowTopic(transfer, command.index, answer, context);
    case "compare_topic":
      return afterCompare(transfer, command.index, answer, context);
    case "delete_topic":
      // Gone, or trouble: then creating meets it again.
      if (isGone(answer) || (answer.kind === "refused" && answer.code === "internal"))
        return createTopic(transfer, command.index, context);
      if (isDenied(answer)) return withoutDelete({ ...transfer, mayDelete: false }, command.index, context);
      return unexpected(transfer, answer);
    case "put":
      return afterPut(transfer, command, answer, context);
    case "end_put":
      if (answer.kind === "done") return nextTopic(transfer, command.index, context);
      // What became of it is asked.
      return askTopic(transfer, command.index, answer, context);
    case "add_notes":
      // They are told of the data, and no reason to keep these back.
      return answer.kind === "done" || answer.kind === "refused"
        ? arrive(transfer, { kind: "finalize" }, context)
        : unexpected(transfer, answer);
    case "finalize":
      return afterFinalize(transfer, answer, context);
    case "delete_session":
      return afterDeleteSession(transfer, answer, context);
    case "wait":
      return arrive(transfer, cursor.place, context);
    case "end":
      return transfer;
  }
}

function afterCreateSequence(transfer: Transfer, answer: Answer, context: TransferContext): Transfer {
  const { cursor } = transfer;
  const { traits } = context;
  if (answer.kind === "done") return sequenceIsOurs(transfer, context);
  if (answer.kind !== "refused") return unexpected(transfer, answer);
  if (answer.code === "exists" && traits.kind === "edge") return takenAtEdge(transfer, answer.reason, context);
  // Of our UUID, with other metadata: an older version of us may have sent others.
  if (answer.code === "wrong_state" && traits.kind === "edge")
    return cursor.sequence === "ours" ? sequenceIsOurs(transfer, context) : conflict(transfer, answer.reason, context);
  // The central daemon says the same of a name that is taken and of trouble with its database.
  if (answer.code === "exists" || answer.code === "internal")
    return { ...transfer, command: { kind: "show_sequence" } };
  return park(transfer, "refused", answer.reason);
}

function afterShowSequence(transfer: Transfer, answer: Answer, context: TransferContext): Transfer {
  if (answer.kind !== "sequence") return unexpected(transfer, answer);
  const { found } = answer;
  const asked = transfer.asked + 1;
  if (found === undefined) {
    if (asked > transferLimits.askedMax)
      return park(transfer, "refused", "The remote neither has nor makes the sequence.");
    return createSequence({ ...transfer, asked, cursor: { ...transfer.cursor, place: { kind: "sequence" } } });
  }
  // Made by us when the answer was lost, or by somebody who wanted just the same; nothing is in it.
  if (transfer.cursor.sequence === "ours" || (found.isAlike && found.topics === 0))
    return sequenceIsOurs(transfer, context);
  return conflict(transfer, "The remote has a sequence of this name that was not made by this store.", context);
}

function sequenceIsOurs(transfer: Transfer, context: TransferContext): Transfer {
  const cursor: Cursor = { ...transfer.cursor, sequence: "ours" };
  return createSession({ ...transfer, cursor, asked: 0 }, context.facts, context.traits);
}

/** The name is somebody else's, or we brought the sequence with another UUID: then the session may be there. */
function takenAtEdge(transfer: Transfer, reason: string, context: TransferContext): Transfer {
  const [topic] = context.facts.topics;
  return topic === undefined || context.traits.onConflict === "extend"
    ? conflict(transfer, reason, context)
    : { ...transfer, command: { kind: "topic_status", index: 0, uuid: topic.uuid } };
}

/** A complete topic of our UUID is nobody else's, and so is its session. */
function afterTaken(transfer: Transfer, answer: Answer, context: TransferContext): Transfer {
  if (answer.kind === "status" && answer.status.state === "finalized") return isThereAlready(transfer, context);
  if (answer.kind === "refused" && answer.code !== "absent") return unexpected(transfer, answer);
  const name = sequenceOfTopic(topicOf(context.facts, 0).locator);
  return conflict(transfer, `The remote has a sequence \`${name}\` that was not made by this store.`, context);
}

/** At an edge: a session of our UUID came by a bundle, or before our catalog was lost. */
function isThereAlready(transfer: Transfer, context: TransferContext): Transfer {
  const session = { uuid: context.facts.session, locator: undefined };
  const at: Transfer = { ...transfer, isComplete: true, cursor: { ...transfer.cursor, session } };
  return arrive(at, { kind: "check", index: 0, wasThere: true }, context);
}

function conflict(transfer: Transfer, reason: string, context: TransferContext): Transfer {
  return context.traits.onConflict === "extend"
    ? sequenceIsOurs(transfer, context)
    : park(transfer, "conflict", reason);
}

function afterCreateTopic(transfer: Transfer, index: number, answer: Answer, context: TransferContext): Transfer {
  const { traits, facts } = context;
  if (answer.kind === "made") {
    // Whoever begins anew, with another catalog, has begun nothing, and some of it may be there all the same.
    const isFresh = transfer.fresh && topicOf(facts, index).lostRows === 0;
    const fromStart = traits.kind === "central" || isFresh;
    return fromStart
      ? putTopic(transfer, index, answer.uuid, 0, context)
      : { ...transfer, command: { kind: "topic_status", index, uuid: topicOf(facts, index).uuid } };
  }
  if (answer.kind !== "refused") return unexpected(transfer, answer);
  switch (answer.code) {
    case "absent":
      return anew(transfer, { kind: "session" }, answer.reason, context);
    case "wrong_state":
      // Finalized, though not by us: an edge would have known the topic.
      return traits.kind === "edge"
        ? differs(transfer, notInSession(topicOf(facts, index)), context)
        : arrive(transfer, { kind: "check", index: 0 }, context);
    case "exists":
      return traits.kind === "edge" ? park(transfer, "conflict", answer.reason) : lookAtTopic(transfer, index);
    case "internal":
      return lookAtTopic(transfer, index);
    default:
      return park(transfer, "refused", answer.reason);
  }
}

/** At an edge: what of the topic is durable. */
function afterStatus(
  transfer: Transfer,
  { index, uuid }: { index: number; uuid: Uuid },
  answer: Answer,
  context: TransferContext,
): Transfer {
  if (answer.kind === "refused" && answer.code === "absent")
    return anew(transfer, { kind: "session" }, answer.reason, context);
  if (answer.kind !== "status") return unexpected(transfer, answer);
  const { rows, state, lostRows } = answer.status;
  const topic = topicOf(context.facts, index);
  const { locator, rows: wanted } = topic;
  const whyLess = lostRows > 0 ? `has lost ${lostRows} durable rows there` : undefined;
  if (state === "finalized") {
    const difference = whyLess ?? (rows === wanted ? undefined : `has ${rows} rows there, here ${wanted}`);
    return difference === undefined
      ? nextTopic(transfer, index, context)
      : differs(transfer, `\`${locator}\` ${difference}`, context);
  }
  if (whyLess !== undefined) return remove(transfer, `\`${locator}\` ${whyLess}`, context);
  if (rows > wanted) return leaveThere(transfer, `\`${locator}\` has ${rows} rows there, here ${wanted}`, context);
  if (rows > 0 && !isWhatBegan(topic, transfer.cursor))
    return remove(transfer, `\`${locator}\` has lost rows here, perhaps some of the ${rows} that are there`, context);
  if (state === "open") return putTopic(transfer, index, uuid, rows, context);
  if (rows === wanted) return nextTopic(transfer, index, context);
  return remove(transfer, `\`${locator}\` has ${rows} rows there, sent were ${wanted}`, context);
}

function afterPut(
  transfer: Transfer,
  { index, uuid }: { index: number; uuid: Uuid },
  answer: Answer,
  context: TransferContext,
): Transfer {
  if (answer.kind === "done") {
    const { cursor } = transfer;
    const ended: Cursor =
      context.traits.kind === "edge"
        ? cursor
        : { ...cursor, place: { kind: "topic", index, state: { kind: "ended", uuid } } };
    return { ...transfer, cursor: ended, command: { kind: "end_put", index } };
  }
  return askTopic(transfer, index, answer, context);
}

/** After an upload that was refused. */
function askTopic(transfer: Transfer, index: number, answer: Answer, context: TransferContext): Transfer {
  if (answer.kind !== "refused") return unexpected(transfer, answer);
  const { traits, facts } = context;
  const asked = transfer.asked + 1;
  if (answer.code === "invalid" || answer.code === "unsupported" || asked > transferLimits.askedMax)
    return park(transfer, "refused", answer.reason);
  const at: Transfer = { ...transfer, asked, fresh: false };
  if (traits.kind === "central") return lookAtTopic(at, index);
  // What it says may have changed since it was asked: another process, a repair, a deletion.
  return { ...at, command: { kind: "topic_status", index, uuid: topicOf(facts, index).uuid } };
}

/** At the central daemon: a topic of which is not known what became of it. */
function afterShowTopic(transfer: Transfer, index: number, answer: Answer, context: TransferContext): Transfer {
  if (answer.kind !== "topic") return unexpected(transfer, answer);
  const { place } = transfer.cursor;
  assert(place.kind === "topic", "a topic is being sent");
  const { state } = place;
  const { found } = answer;
  const topic = topicOf(context.facts, index);
  const asked = transfer.asked + 1;
  if (found === undefined) {
    // The session may have gone: the central daemon says of that only that it is in trouble.
    if (asked > transferLimits.askedMax)
      return anew(transfer, { kind: "session" }, `The remote neither has nor makes \`${topic.locator}\`.`, context);
    return createTopic({ ...transfer, asked }, index, context);
  }
  const wasSent = state.kind === "sending" || state.kind === "ended";
  if (!(found.isOfSession ?? wasSent))
    return park(transfer, "conflict", `The remote has a topic \`${topic.locator}\` that is not of this session.`);
  if (found.locked && wasSent)
    return differenceOf(found, topic) === undefined
      ? nextTopic(transfer, index, context)
      : differs(transfer, `\`${topic.locator}\` is complete there with other contents`, context);
  if (found.locked)
    return park(transfer, "conflict", `The remote has a topic \`${topic.locator}\` that was not sent by us.`);
  if (!transfer.mayDelete) return withoutDelete(transfer, index, context);
  if (asked > transferLimits.askedMax)
    return park(transfer, "refused", `The remote does not delete \`${topic.locator}\`, which is incomplete.`);
  return { ...transfer, asked, command: { kind: "delete_topic", index } };
}

/** An incomplete topic at the central daemon that may not be deleted. */
function withoutDelete(transfer: Transfer, index: number, context: TransferContext): Transfer {
  const { place } = transfer.cursor;
  assert(place.kind === "topic", "a topic is being sent");
  const { state } = place;
  const { locator } = topicOf(context.facts, index);
  const asked = transfer.asked + 1;
  switch (state.kind) {
    case "new":
    case "asked":
      return park(
        transfer,
        "reply_lost",
        `\`${locator}\` exists there, and the UUID that allows to upload it got lost.`,
      );
    case "sending":
      // Its end was never sent, so it cannot become complete by itself: it is overwritten from its first row on.
      return putTopic(transfer, index, state.uuid, 0, context);
    case "ended":
      // Perhaps it is still being completed. To send it again meanwhile would mix the two.
      return asked <= transferLimits.settledMax
        ? { ...transfer, asked, command: { kind: "wait" } }
        : park(
            transfer,
            "reply_lost",
            `All rows of \`${locator}\` were sent, and the remote does not say that it is complete.`,
          );
  }
}

function afterFinalize(transfer: Transfer, answer: Answer, context: TransferContext): Transfer {
  if (answer.kind === "done") return arrive(transfer, { kind: "check", index: 0 }, context);
  if (answer.kind !== "refused") return unexpected(transfer, answer);
  if (answer.code === "absent") return anew(transfer, { kind: "session" }, answer.reason, context);
  if (answer.code === "internal") return { ...transfer, command: { kind: "show_topic", index: 0 } };
  // An edge names topics that are not complete: deleted or repaired since, or in its eyes not fit to be finalized.
  const { cursor } = transfer;
  if (answer.code === "wrong_state" && context.traits.kind === "edge" && cursor.anew < transferLimits.anewMax)
    return toTopics({ ...transfer, cursor: { ...cursor, anew: cursor.anew + 1 } }, context);
  return park(transfer, "refused", answer.reason);
}

/** Whether a session is gone that the central daemon does not finalize. */
function afterLook(transfer: Transfer, answer: Answer, context: TransferContext): Transfer {
  if (answer.kind !== "topic") return unexpected(transfer, answer);
  if (answer.found === undefined) return anew(transfer, { kind: "session" }, "The session is gone there.", context);
  const asked = transfer.asked + 1;
  if (asked > transferLimits.askedMax) return park(transfer, "refused", "The remote does not finalize the session.");
  return { ...transfer, asked, command: { kind: "wait" } };
}

function afterCheck(transfer: Transfer, index: number, answer: Answer, context: TransferContext): Transfer {
  if (answer.kind !== "topic") return unexpected(transfer, answer);
  const { found } = answer;
  const topic = topicOf(context.facts, index);
  if (found === undefined) return isGoneThere(transfer, topic, context);
  const difference = differenceOf(found, topic);
  if (difference !== undefined) return differs(transfer, `\`${topic.locator}\` ${difference}`, context);
  return arrive(transfer, behind(transfer.cursor.place, context), context);
}

function afterCompare(transfer: Transfer, index: number, answer: Answer, context: TransferContext): Transfer {
  const topic = topicOf(context.facts, index);
  // Gone since it was checked.
  if (answer.kind === "refused" && answer.code === "absent") return isGoneThere(transfer, topic, context);
  if (answer.kind !== "compared") return unexpected(transfer, answer);
  const { difference } = answer;
  if (difference !== undefined) return differs(transfer, `\`${topic.locator}\` ${difference}`, context);
  return arrive(transfer, behind(transfer.cursor.place, context), context);
}

/** What is complete there is not what is here. What may be the better one is not deleted: somebody has to decide. */
function differs(transfer: Transfer, reason: string, context: TransferContext): Transfer {
  const isLost = context.facts.topics.some(({ lostRows }) => lostRows > 0);
  if (wasThere(transfer.cursor)) return leaveThere(transfer, `${reason}; it was complete there before`, context);
  if (isLost) return leaveThere(transfer, `${reason}; rows were lost here since`, context);
  return remove(transfer, reason, context);
}

/** Until somebody has decided. */
function leaveThere(transfer: Transfer, reason: string, { traits }: TransferContext): Transfer {
  const { cursor } = transfer;
  // At a daemon a second one would be made, for who creates one that is there is not told so.
  const before: Cursor =
    traits.kind === "edge" ? { ...cursor, place: { kind: "session" }, session: undefined } : cursor;
  return park({ ...transfer, cursor: before }, "different", `${reason}, and stays there`);
}

function isGoneThere(transfer: Transfer, topic: TopicFacts, context: TransferContext): Transfer {
  const reason = `\`${topic.locator}\` is not there`;
  if (context.traits.kind === "central") return remove(transfer, reason, context);
  // The session is gone, or, if it says then that it is not, somebody deleted the topic alone.
  return transfer.isComplete && wasThere(transfer.cursor)
    ? leaveThere(transfer, notInSession(topic), context)
    : anew(transfer, { kind: "session" }, reason, context);
}

function notInSession({ locator }: TopicFacts): string {
  return `\`${locator}\` is not in the session, which is complete there`;
}

/** What is there is not what was sent: it goes, and is sent anew. */
function remove(transfer: Transfer, reason: string, context: TransferContext): Transfer {
  if (!transfer.mayDelete) return park(transfer, "different", reason);
  return arrive(transfer, { kind: "remove", reason }, context);
}

function afterDeleteSession(transfer: Transfer, answer: Answer, context: TransferContext): Transfer {
  const { place } = transfer.cursor;
  assert(place.kind === "remove", "a session is being removed");
  if (isGone(answer)) return anew(transfer, { kind: "session" }, place.reason, context);
  // Gone, or trouble: the central daemon says the same of both.
  if (answer.kind === "refused" && answer.code === "internal")
    return transfer.asked < transferLimits.askedMax
      ? { ...transfer, asked: transfer.asked + 1, command: { kind: "wait" } }
      : anew(transfer, { kind: "session" }, place.reason, context);
  if (isDenied(answer))
    return park({ ...transfer, mayDelete: false }, "different", `${place.reason}, and it may not be deleted there`);
  return unexpected(transfer, answer);
}
