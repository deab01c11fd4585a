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
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { newUlid } from "../host/entropy.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import type { SequenceName, SessionLocator, TopicLocator } from "../model/locator.ts";
import { isFinalized, type Session, type Topic, type Uuid } from "../model/resource.ts";
import { sequenceFile, sessionDirectory, topicDirectory } from "../store/layout.ts";
import type { Poison } from "../store/poison.ts";
import { moveToTrash, removeFromTrash, type TrashItem } from "../store/trash.ts";
import type { Uploads } from "./uploads.ts";

export interface RemoveParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly poison: Poison;
  readonly log: Log;
  readonly uploads: Uploads;
}

/** Deletes a sequence with all its sessions, whatever their state. @throws Fault absent, unavailable */
export async function deleteSequence(parts: RemoveParts, name: SequenceName): Promise<void> {
  const { catalog } = parts;
  const find = () => {
    const sequence = findSequence(catalog, name);
    if (sequence === undefined) throw new Fault("absent", `Not found: sequence \`${name}\`.`);
    return sequence;
  };
  find();
  await stopUploads(parts, [...listTopics(catalog, name)]);
  await remove(parts, () => {
    const sequence = find();
    const sessions = [...listSessions(catalog, sequence.ulid)];
    for (const topic of [...listTopics(catalog, name)]) removeTopic(catalog, topic);
    for (const session of sessions) removeSession(catalog, session);
    removeSequence(catalog, sequence);
    return [...sessions.map((session) => sessionDirectory(session.ulid)), sequenceFile(sequence.ulid)];
  });
}

/** Deletes a session with its topics, open or finalized; the sequence stays. @throws Fault absent, unavailable */
export async function deleteSession(parts: RemoveParts, id: Uuid | SessionLocator): Promise<void> {
  const { catalog } = parts;
  const find = (): Session => {
    const session = findSession(catalog, id);
    if (session === undefined) throw new Fault("absent", "Not found: there is no such session.");
    return session;
  };
  await stopUploads(parts, listTopicsOfSession(catalog, find()));
  await remove(parts, () => {
    const session = find();
    for (const topic of listTopicsOfSession(catalog, session)) removeTopic(catalog, topic);
    removeSession(catalog, session);
    return [sessionDirectory(session.ulid)];
  });
}

/** Deletes a topic of an open session. @throws Fault absent, wrong_state (finalized session), unavailable */
export async function deleteTopic(parts: RemoveParts, locator: TopicLocator): Promise<void> {
  const { catalog } = parts;
  const find = (): Topic => {
    const topic = findTopic(catalog, locator);
    if (topic === undefined) throw new Fault("absent", `Not found: topic \`${locator}\`.`);
    const session = findSession(catalog, topic.session);
    if (session !== undefined && isFinalized(session)) {
      throw new Fault("wrong_state", `Session \`${session.locator}\` is locked: its topics go only with the session.`);
    }
    return topic;
  };
  await stopUploads(parts, [find()]);
  await remove(parts, () => {
    const topic = find();
    removeTopic(catalog, topic);
    return [topicDirectory(topic.session, topic.number)];
  });
}

async function stopUploads({ uploads }: RemoveParts, topics: readonly Topic[]): Promise<void> {
  const reason = (topic: Topic) =>
    new Fault("wrong_state", `Topic \`${topic.locator}\` was deleted while it was uploaded.`);
  await Promise.all(topics.map((topic) => uploads.stop(topic.uuid, reason(topic))));
}

/** @param removeRows runs inside the transaction and says which paths have lost their rows */
async function remove(parts: RemoveParts, removeRows: () => string[]): Promise<void> {
  const { disk, catalog, clock, poison, log } = parts;
  poison.check();
  const items = await catalog.transaction(() => {
    const trash = removeRows().map((path): TrashItem => ({ id: newUlid(Number(clock.wallNs() / 1_000_000n)), path }));
    for (const item of trash) catalog.trash.put(item.id, item.path);
    return trash;
  });
  await moveToTrash(disk, items);
  emptyTrash(parts, items).catch((error: unknown) => log.warning("trash_not_emptied", { reason: String(error) }));
}

/** Removes what lies in the trash, then its rows. What fails is done again at the next start. */
export async function emptyTrash(
  { disk, catalog }: Pick<RemoveParts, "disk" | "catalog">,
  items: readonly TrashItem[],
): Promise<void> {
  await removeFromTrash(disk, items);
  await catalog.transaction(() => {
    for (const item of items) catalog.trash.remove(item.id);
  });
}
