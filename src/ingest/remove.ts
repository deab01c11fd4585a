/** Deletes sequences, sessions and topics: complete when answered, names free at once, space back soon, no orphan ever. */

import type { Catalog } from "../catalog/catalog.ts";
import {
  findSequence,
  findSession,
  findTopic,
  listSessions,
  listTopics,
  listTopicsOfSession,
  removeSequence,
  removeSession,
  removeTopic,
} from "../catalog/resources.ts";
import { listTailRuns } from "../catalog/tail-rows.ts";
import type { DeletedWhere } from "../catalog/transfer-rows.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { newUlid } from "../host/entropy.ts";
import { failPoint } from "../host/fail-point.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import type { SequenceName, SessionLocator, TopicLocator } from "../model/locator.ts";
import { isFinalized, type Sequence, type Session, type Topic, type Ulid, type Uuid } from "../model/resource.ts";
import { sequenceFile, sessionDirectory, topicDirectory } from "../store/layout.ts";
import type { Poison } from "../store/poison.ts";
import type { TailLog, TailPlace } from "../store/tail-log.ts";
import { moveToTrash, removeFromTrash, type TrashItem } from "../store/trash.ts";
import type { Uploads } from "./uploads.ts";

export interface RemoveParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly poison: Poison;
  readonly log: Log;
  readonly uploads: Uploads;
  readonly tail: TailLog;
  /** Deletes whose space is still to come back: to be waited for before the catalog closes. */
  readonly emptying: Set<Promise<void>>;
}

/**
 * Deletes a sequence with all its sessions, whatever their state.
 * @param check runs before its uploads are stopped, and inside the transaction; when it throws, nothing is done
 * @throws Fault absent, unavailable
 */
export async function deleteSequence(
  parts: RemoveParts,
  name: SequenceName,
  check: (sequence: Sequence) => void = () => undefined,
): Promise<void> {
  const { catalog } = parts;
  const find = (ulid?: Ulid): Sequence => {
    const sequence = findSequence(catalog, name);
    // Another one of this name may have come when somebody else had deleted it: its uploads go on.
    if (sequence === undefined || (ulid ?? sequence.ulid) !== sequence.ulid)
      throw new Fault("absent", `Not found: sequence \`${name}\`.`);
    check(sequence);
    return sequence;
  };
  const { ulid } = find();
  using _closed = await closeUploads(parts, ulid, [...listTopics(catalog, name)]);
  await remove(parts, () => {
    const sequence = find(ulid);
    const sessions = [...listSessions(catalog, sequence.ulid)];
    const tail = removeTopics(catalog, [...listTopics(catalog, name)]);
    for (const session of sessions) removeSession(catalog, session, "everywhere");
    removeSequence(catalog, sequence);
    return { paths: [...sessions.map((session) => sessionDirectory(session.ulid)), sequenceFile(sequence.ulid)], tail };
  });
}

/** @param uuid of the one that is meant @throws Fault absent, wrong_state when it has sessions, unavailable */
export async function deleteEmptySequence(parts: RemoveParts, name: SequenceName, uuid: Uuid): Promise<void> {
  const { catalog } = parts;
  await deleteSequence(parts, name, (sequence) => {
    if (sequence.uuid !== uuid) throw new Fault("absent", `Not found: sequence \`${name}\` of ours.`);
    if (!listSessions(catalog, sequence.ulid).next().done)
      throw new Fault("wrong_state", `Sequence \`${name}\` has sessions: it was not deleted.`);
  });
}

/** @throws Fault absent, wrong_state when it is finalized, unavailable */
export async function deleteOpenSession(parts: RemoveParts, uuid: Uuid): Promise<void> {
  await deleteSession(parts, uuid, () => {
    const found = findSession(parts.catalog, uuid);
    if (found !== undefined && isFinalized(found))
      throw new Fault("wrong_state", `Session \`${found.locator}\` is finalized: it was not deleted.`);
  });
}

/**
 * Deletes a session with its topics, open or finalized; the sequence stays.
 * @param check runs before its uploads are stopped, and inside the transaction; when it throws, nothing is done
 * @param where whether what targets of sync have of it, should that be incomplete, goes too
 * @throws Fault absent, unavailable
 */
export async function deleteSession(
  parts: RemoveParts,
  id: Uuid | SessionLocator | Ulid,
  check: () => void = () => undefined,
  where: DeletedWhere = "everywhere",
): Promise<Deleted> {
  const { catalog } = parts;
  const find = (by: Uuid | SessionLocator | Ulid): Session => {
    const session = findSession(catalog, by);
    if (session === undefined) throw new Fault("absent", "Not found: there is no such session.");
    return session;
  };
  const found = find(id);
  // No upload begins between the two: the second one refuses them before it waits for anything.
  check();
  using _closed = await closeUploads(parts, found.ulid, listTopicsOfSession(catalog, found));
  return await remove(parts, () => {
    // A client may have chosen its UUID again for another one.
    const session = find(found.ulid);
    check();
    const tail = removeTopics(catalog, listTopicsOfSession(catalog, session));
    removeSession(catalog, session, where);
    return { paths: [sessionDirectory(session.ulid)], tail };
  });
}

/**
 * Deletes a topic of an open session.
 * @param check as that of `deleteSession`
 * @throws Fault absent, wrong_state (finalized session), unavailable
 */
export async function deleteTopic(
  parts: RemoveParts,
  locator: TopicLocator,
  check: () => void = () => undefined,
): Promise<void> {
  const { catalog } = parts;
  const find = (uuid?: Uuid): Topic => {
    const topic = findTopic(catalog, locator);
    if (topic === undefined || (uuid ?? topic.uuid) !== topic.uuid)
      throw new Fault("absent", `Not found: topic \`${locator}\`.`);
    const session = findSession(catalog, topic.session);
    if (session !== undefined && isFinalized(session)) {
      throw new Fault("wrong_state", `Session \`${session.locator}\` is locked: its topics go only with the session.`);
    }
    return topic;
  };
  const found = find();
  check();
  using _closed = await closeUploads(parts, found.uuid, [found]);
  await remove(parts, () => {
    const topic = find(found.uuid);
    check();
    const tail = removeTopics(catalog, [topic]);
    return { paths: [topicDirectory(topic.session, topic.number)], tail };
  });
}

/** @param what is deleted with these topics, and with those that it gets meanwhile */
function closeUploads({ uploads }: RemoveParts, what: Uuid | Ulid, topics: readonly Topic[]): Promise<Disposable> {
  return uploads.close(
    what,
    topics,
    ({ locator }) => new Fault("wrong_state", `Topic \`${locator}\` was deleted while it was uploaded.`),
  );
}

/** Removes the rows of topics and says what they had in tail logs. */
function removeTopics(catalog: Catalog, topics: readonly Topic[]): TailPlace[] {
  const places: TailPlace[] = [];
  for (const topic of topics) {
    for (const { log, batches } of listTailRuns(catalog, topic.uuid)) {
      for (const entry of batches) places.push({ log, entry });
    }
    removeTopic(catalog, topic);
  }
  return places;
}

/** What is deleted is out of sight; its space comes back a little later. */
export interface Deleted {
  readonly emptied: Promise<void>;
}

interface Removed {
  /** Paths that have lost their rows. */
  readonly paths: readonly string[];
  readonly tail: readonly TailPlace[];
}

/** @param removeRows runs inside the transaction */
async function remove(parts: RemoveParts, removeRows: () => Removed): Promise<Deleted> {
  const { disk, catalog, clock, poison, log, tail, emptying } = parts;
  poison.check();
  const removed = await catalog.transaction(() => {
    const { paths, tail: places } = removeRows();
    const items = paths.map((path): TrashItem => ({ id: newUlid(Number(clock.wallNs() / 1_000_000n)), path }));
    for (const item of items) catalog.trash.put(item.id, item.path);
    failPoint("remove: rows");
    return { items, places };
  });
  tail.release(removed.places);
  const { items } = removed;
  await moveToTrash(disk, items);
  const emptied = emptyTrash(parts, items)
    .catch((error: unknown) => log.warning("trash_not_emptied", { reason: String(error) }))
    .finally(() => emptying.delete(emptied));
  emptying.add(emptied);
  return { emptied };
}

/** Removes what lies in the trash, then its rows. What fails is done again at the next start. */
export async function emptyTrash(
  { disk, catalog }: Pick<RemoveParts, "disk" | "catalog">,
  items: readonly TrashItem[],
): Promise<void> {
  await removeFromTrash(disk, items);
  failPoint("remove: emptied");
  await catalog.transaction(() => {
    for (const item of items) catalog.trash.remove(item.id);
  });
  failPoint("remove: forgotten");
}
