/**
 * The JSON files beside the data: what a catalog is rebuilt from. Those of sequences, sessions and topics are written with the
 * first data commit, then immutable, but for the session's, which the manifest replaces once. All end with a checksum.
 */

import type { ChunkSummary } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { jsonInteger } from "../model/json.ts";
import { EmbeddedJson } from "../model/json-text.ts";
import type { SequenceName, SessionLocator, TopicLocator } from "../model/locator.ts";
import {
  emptyExtent,
  type Sequence,
  type SerializationFormat,
  type Session,
  type Topic,
  type Ulid,
  type Uuid,
} from "../model/resource.ts";
import type { TimeNs, TimeRange } from "../model/time.ts";
import { type DocumentFields, readDocument } from "./document-fields.ts";
import { writeDocument } from "./document-seal.ts";

/** 2: the catalog has an index over its sequences and topics, which who writes to it has to keep. */
export const storeFormatVersion = 2;

/** Of the documents of sequences, sessions and topics: they are as they were. */
const documentFormat = 1;

export interface StoreDocument {
  readonly format: number;
  readonly id: string;
  readonly createdAtNs: TimeNs;
}

export function storeDocument({ format, id, createdAtNs }: StoreDocument): string {
  return writeDocument({ format, id, created_at_ns: jsonInteger(createdAtNs) });
}

/** @throws Fault corrupt */
export function readStoreDocument(text: string, path: string): StoreDocument {
  const fields = readDocument(text, path);
  return { format: fields.count("format"), id: fields.text("id"), createdAtNs: fields.integer("created_at_ns") };
}

/** Also of a document that a newer version has written; undefined when it is not as it was written. */
export function readStoreFormat(text: string, path: string): number | undefined {
  try {
    return readDocument(text, path).count("format");
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

export function sequenceDocument(sequence: Sequence): string {
  return writeDocument({
    format: documentFormat,
    name: sequence.name,
    ulid: sequence.ulid,
    uuid: sequence.uuid,
    created_at_ns: jsonInteger(sequence.createdAtNs),
    user_metadata: new EmbeddedJson(sequence.userMetadata),
  });
}

/** @throws Fault corrupt */
export function readSequenceDocument(text: string, path: string): Sequence {
  const fields = readDocument(text, path);
  return {
    ulid: fields.text("ulid") as Ulid,
    uuid: fields.text("uuid") as Uuid,
    name: fields.text("name") as SequenceName,
    userMetadata: fields.json("user_metadata"),
    createdAtNs: fields.integer("created_at_ns"),
  };
}

/** The form of an open session: topics say themselves that they are there. */
export function sessionDocument(session: Session): string {
  return writeDocument(sessionFields(session));
}

export interface ManifestTopic {
  readonly topic: Topic;
  readonly chunks: readonly ChunkSummary[];
}

/** The manifest of a finalized session: everything that a reader needs to find and check its data. */
export function manifestDocument(session: Session, finalizedAtNs: TimeNs, topics: readonly ManifestTopic[]): string {
  return writeDocument({
    ...sessionFields(session),
    topic_number_next: session.topicNumberNext,
    completed_at_ns: jsonInteger(finalizedAtNs),
    topics: topics.map(({ topic, chunks }) => ({
      ...topicFields(topic),
      completed_at_ns: topic.completedAtNs === undefined ? null : jsonInteger(topic.completedAtNs),
      chunks: chunks.map((chunk) => ({
        number: chunk.number,
        bytes: chunk.bytes,
        rows: chunk.rows,
        entries: chunk.entries,
        range: rangeFields(chunk.range),
      })),
    })),
  });
}

/** A session as its document tells; the number of the next topic stands in manifests only. */
export interface ReadSession {
  readonly session: Session;
  /** Undefined for an open session. */
  readonly topics: readonly ManifestTopic[] | undefined;
}

/** Reads both forms. @throws Fault corrupt */
export function readSessionDocument(text: string, path: string): ReadSession {
  const fields = readDocument(text, path);
  const open: Session = {
    ulid: fields.text("ulid") as Ulid,
    uuid: fields.text("uuid") as Uuid,
    alias: fields.text("alias") as Uuid,
    locator: fields.text("locator") as SessionLocator,
    sequence: fields.text("sequence") as SequenceName,
    sequenceUlid: fields.text("sequence_ulid") as Ulid,
    createdAtNs: fields.integer("created_at_ns"),
    topicNumberNext: 0,
    creator: fields.optional("creator") === undefined ? undefined : fields.text("creator"),
  };
  if (fields.optional("completed_at_ns") === undefined) return { session: open, topics: undefined };
  const session = {
    ...open,
    topicNumberNext: fields.count("topic_number_next"),
    completedAtNs: fields.integer("completed_at_ns"),
  };
  return { session, topics: fields.list("topics").map((topic) => readManifestTopic(topic, open.ulid)) };
}

function readManifestTopic(fields: DocumentFields, session: Ulid): ManifestTopic {
  const completedAtNs =
    fields.optional("completed_at_ns") === undefined ? undefined : fields.integer("completed_at_ns");
  const chunks = fields.list("chunks").map((chunk): ChunkSummary => {
    const range = chunk.optional("range") === undefined ? undefined : chunk.object("range");
    return {
      number: chunk.count("number"),
      sealed: true,
      bytes: chunk.count("bytes"),
      rows: chunk.count("rows"),
      entries: chunk.count("entries"),
      range: range && { startNs: range.integer("start_ns"), endNs: range.integer("end_ns") },
    };
  });
  return { topic: { ...readTopicFields(fields, session), completedAtNs }, chunks };
}

/** Also has the schema message, padded, in base64: a topic may have rows in a tail log and no file yet. */
export function topicDocument(topic: Topic, schemaHeader: Uint8Array): string {
  return writeDocument({ ...topicFields(topic), schema: Buffer.from(schemaHeader).toString("base64") });
}

/** A topic without its extent and completion, which the document does not know. @throws Fault corrupt */
export function readTopicDocument(
  text: string,
  path: string,
  session: Ulid,
): { readonly topic: Topic; readonly schemaHeader: Uint8Array } {
  const fields = readDocument(text, path);
  return {
    topic: readTopicFields(fields, session),
    schemaHeader: Uint8Array.from(Buffer.from(fields.text("schema"), "base64")),
  };
}

function sessionFields(session: Session): object {
  return {
    format: documentFormat,
    ulid: session.ulid,
    uuid: session.uuid,
    alias: session.alias,
    locator: session.locator,
    sequence: session.sequence,
    sequence_ulid: session.sequenceUlid,
    created_at_ns: jsonInteger(session.createdAtNs),
    creator: session.creator ?? null,
  };
}

function topicFields(topic: Topic): object {
  return {
    format: documentFormat,
    number: topic.number,
    uuid: topic.uuid,
    locator: topic.locator,
    ontology_tag: topic.ontologyTag,
    serialization_format: topic.serializationFormat,
    created_at_ns: jsonInteger(topic.createdAtNs),
    user_metadata: new EmbeddedJson(topic.userMetadata),
    ...(topic.lostRows === undefined ? {} : { lost_rows: topic.lostRows }),
  };
}

function readTopicFields(fields: DocumentFields, session: Ulid): Topic {
  return {
    uuid: fields.text("uuid") as Uuid,
    locator: fields.text("locator") as TopicLocator,
    session,
    number: fields.count("number"),
    ontologyTag: fields.text("ontology_tag"),
    serializationFormat: fields.text("serialization_format") as SerializationFormat,
    userMetadata: fields.json("user_metadata"),
    createdAtNs: fields.integer("created_at_ns"),
    extent: emptyExtent,
    ...(fields.optional("lost_rows") === undefined ? {} : { lostRows: fields.count("lost_rows") }),
  };
}

function rangeFields(range: TimeRange | undefined): object | null {
  return range === undefined ? null : { start_ns: jsonInteger(range.startNs), end_ns: jsonInteger(range.endNs) };
}
