/**
 * A session as it leaves the store: under the UUIDs that a sync would give it elsewhere, so that it is there once however often and
 * by whatever way it comes. Its own UUIDs let whoever has them write, and stay.
 */

import { readSessionBooks, type SessionBooks } from "../care/session-books.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { listNotifications, type Notification } from "../catalog/notifications.ts";
import { derivedUuid } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";
import type { Sequence, Ulid } from "../model/resource.ts";
import { notesDocument } from "./notes.ts";

export interface CarriedSession {
  readonly sequence: Sequence;
  readonly books: SessionBooks;
  readonly notes: string;
}

/** @throws Fault absent when it is gone or not finalized */
export function readCarried(catalog: Catalog, ulid: Ulid): CarriedSession {
  const books = readSessionBooks(catalog, ulid);
  if (books?.sequence === undefined || books.session.completedAtNs === undefined)
    throw new Fault("absent", `There is no finalized session ${ulid} any more`);
  const { sequence, session, topics } = books;
  const notesOfTopics = new Map<number, readonly Notification[]>();
  for (const { topic } of topics) {
    const notes = listNotifications(catalog, topic.uuid);
    if (notes.length > 0) notesOfTopics.set(topic.number, notes);
  }
  return {
    sequence: { ...sequence, uuid: derivedUuid(sequence.uuid, "sequence") },
    books: {
      sequence,
      session: {
        ...session,
        uuid: derivedUuid(session.uuid, "session"),
        alias: derivedUuid(session.alias, "alias"),
        creator: undefined,
      },
      topics: topics.map((one) => ({ ...one, topic: { ...one.topic, uuid: derivedUuid(one.topic.uuid, "topic") } })),
    },
    notes: notesDocument({ sequence: listNotifications(catalog, sequence.uuid), topics: notesOfTopics }),
  };
}
