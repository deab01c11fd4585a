/** Sequence, session and topic as the catalog knows them. Rows are values; what changes is replaced. */

import type { SequenceName, SessionLocator, TopicLocator } from "./locator.ts";
import type { TimeNs, TimeRange } from "./time.ts";

/** 26 characters of Crockford base 32, of which the first is at most 7: 128 bits. Names a directory, sorts by creation. */
export type Ulid = string & { readonly __brand: "Ulid" };

export function isUlid(text: string): text is Ulid {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);
}

/** RFC 9562 version 4, lower case with hyphens; a token of authority. */
export type Uuid = string & { readonly __brand: "Uuid" };

/** JSON text as the client wrote it, but for white space: the spelling of numbers is kept. */
export type JsonText = string & { readonly __brand: "JsonText" };

export const serializationFormats = ["default", "ragged", "image"] as const;
export type SerializationFormat = (typeof serializationFormats)[number];

export interface Sequence {
  readonly ulid: Ulid;
  readonly uuid: Uuid;
  readonly name: SequenceName;
  readonly userMetadata: JsonText;
  readonly createdAtNs: TimeNs;
}

/** A session is open until `completedAtNs` is set; from then on it is immutable. */
export interface Session {
  readonly ulid: Ulid;
  readonly uuid: Uuid;
  readonly locator: SessionLocator;
  readonly sequence: SequenceName;
  readonly sequenceUlid: Ulid;
  readonly createdAtNs: TimeNs;
  readonly completedAtNs?: TimeNs | undefined;
  /** The number that the next topic's directory gets; numbers are never used twice. */
  readonly topicNumberNext: number;
  /** Fingerprint of the API key that created it: its holder sees the session's UUID in listings. */
  readonly creator?: string | undefined;
  /** What listings show in place of the UUID to everybody else; only `session_delete` takes it. */
  readonly alias: Uuid;
}

/** A topic is open until `completedAtNs` is set: the successful end of its `do_put`. */
export interface Topic {
  readonly uuid: Uuid;
  readonly locator: TopicLocator;
  readonly session: Ulid;
  readonly number: number;
  readonly ontologyTag: string;
  readonly serializationFormat: SerializationFormat;
  readonly userMetadata: JsonText;
  readonly createdAtNs: TimeNs;
  readonly completedAtNs?: TimeNs | undefined;
  readonly extent: Extent;
  /** Rows that were durable and are damaged or gone: how many there are does not tell any more which ones, of an upload or at a remote. */
  readonly lostRows?: number | undefined;
}

/** What a topic holds, as far as it is committed. */
export interface Extent {
  readonly rows: number;
  /** Bytes of the chunk files. */
  readonly bytes: number;
  /** Chunk files that hold rows. */
  readonly chunks: number;
  /** Undefined while there is no row. */
  readonly range?: TimeRange | undefined;
}

export const emptyExtent: Extent = { rows: 0, bytes: 0, chunks: 0 };

export function isFinalized(session: Session): boolean {
  return session.completedAtNs !== undefined;
}

export function isCompleted(topic: Pick<Topic, "completedAtNs">): boolean {
  return topic.completedAtNs !== undefined;
}
