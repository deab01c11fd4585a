/**
 * The document of a session's notifications: those of its sequence and of its topics, oldest first. They are no part of what a store
 * keeps in documents, and go along as they do with sync.
 *
 *   {"format":1,"sequence":[{"message":TEXT,"created_at_ns":N},...],
 *    "topics":[{"number":N,"notes":[{"message":TEXT,"created_at_ns":N},...]},...],"crc32":N}
 */

import type { Notification } from "../catalog/notifications.ts";
import { Fault } from "../model/fault.ts";
import { jsonInteger } from "../model/json.ts";
import { notificationBytesMax, notificationsMax } from "../model/limits.ts";
import { type DocumentFields, readDocument } from "../store/document-fields.ts";
import { writeDocument } from "../store/document-seal.ts";

const notesFormat = 1;

export interface SessionNotes {
  readonly sequence: readonly Notification[];
  /** Of topics that have some, by number. */
  readonly topics: ReadonlyMap<number, readonly Notification[]>;
}

export function notesDocument({ sequence, topics }: SessionNotes): string {
  return writeDocument({
    format: notesFormat,
    sequence: sequence.map(noteFields),
    topics: [...topics].map(([number, notes]) => ({ number, notes: notes.map(noteFields) })),
  });
}

/** @throws Fault corrupt when it is not just what `notesDocument` writes */
export function readNotesDocument(text: string, path: string): SessionNotes {
  const fields = readDocument(text, path);
  const topics = new Map<number, readonly Notification[]>();
  for (const topic of fields.list("topics")) topics.set(topic.count("number"), readNotes(topic, "notes", path));
  const notes = { sequence: readNotes(fields, "sequence", path), topics };
  if (notesDocument(notes) !== text)
    throw new Fault("corrupt", `${path}: expected it in the form in which it is written, found another one`);
  return notes;
}

function noteFields({ message, createdAtNs }: Notification): object {
  return { message, created_at_ns: jsonInteger(createdAtNs) };
}

function readNotes(fields: DocumentFields, name: string, path: string): Notification[] {
  const notes = fields.list(name);
  if (notes.length > notificationsMax)
    throw new Fault("corrupt", `${path}: expected at most ${notificationsMax} notifications, found ${notes.length}`);
  return notes.map((note) => {
    const message = note.text("message");
    if (Buffer.byteLength(message) > notificationBytesMax)
      throw new Fault("corrupt", `${path}: expected notifications of at most ${notificationBytesMax} bytes`);
    return { type: "error", message, createdAtNs: note.integer("created_at_ns") };
  });
}
