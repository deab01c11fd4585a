/** Where things lie in the data directory. Paths are made of ULIDs and numbers, never of client text. */

import type { Ulid } from "../model/resource.ts";

export const storeFile = "store.json";
export const lockFile = "LOCK";
export const catalogDirectory = "catalog";
/** LMDB's name for its data. */
export const catalogFile = `${catalogDirectory}/data.mdb`;
/** A catalog that is being rebuilt, until it is whole. */
export const newCatalogDirectory = `${catalogDirectory}.new`;
export const sequencesDirectory = "sequences";
export const sessionsDirectory = "sessions";
export const tailDirectory = "tail";
export const trashDirectory = "trash";
export const quarantineDirectory = "quarantine";
/** What is known of bundles whose sessions are on their way out of them; each has a directory with a catalog of its own. */
export const bundlesDirectory = "bundles";

export function sequenceFile(sequence: Ulid): string {
  return `${sequencesDirectory}/${sequence}.json`;
}

export function sessionDirectory(session: Ulid): string {
  return `${sessionsDirectory}/${session}`;
}

/** Open form while the session is open; replaced by the manifest when it is finalized. */
export function sessionFile(session: Ulid): string {
  return `${sessionDirectory(session)}/session.json`;
}

export function topicDirectory(session: Ulid, topicNumber: number): string {
  return `${sessionDirectory(session)}/${topicNumber}`;
}

export function topicFile(session: Ulid, topicNumber: number): string {
  return `${topicDirectory(session, topicNumber)}/topic.json`;
}

export function chunkFile(session: Ulid, topicNumber: number, chunkNumber: number): string {
  return `${topicDirectory(session, topicNumber)}/${String(chunkNumber).padStart(5, "0")}.arrow`;
}

/** Small batches of all topics that are not in a chunk file yet. */
export function tailFile(log: number): string {
  return `${tailDirectory}/${String(log).padStart(8, "0")}.log`;
}

/** The number of a log by the name of its file; undefined for any other name. */
export function tailNumberOf(name: string): number | undefined {
  const match = /^([0-9]{8,})\.log$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function trashPath(item: Ulid): string {
  return `${trashDirectory}/${item}`;
}
