/** The JSON files beside the data: what a catalog can be rebuilt from. Written with the first data commit, then immutable. */

import type { ChunkSummary } from "../model/chunk.ts";
import { jsonInteger } from "../model/json.ts";
import { composeJson, EmbeddedJson } from "../model/json-text.ts";
import type { Sequence, Session, Topic } from "../model/resource.ts";
import type { TimeNs, TimeRange } from "../model/time.ts";

export const storeFormatVersion = 1;

export function sequenceDocument(sequence: Sequence): string {
  return writeDocument({
    format: storeFormatVersion,
    name: sequence.name,
    ulid: sequence.ulid,
    uuid: sequence.uuid,
    created_at_ns: jsonInteger(sequence.createdAtNs),
    user_metadata: new EmbeddedJson(sequence.userMetadata),
  });
}

export function sessionDocument(session: Session): string {
  return writeDocument(sessionFields(session));
}

export function topicDocument(topic: Topic): string {
  return writeDocument(topicFields(topic));
}

export interface ManifestTopic {
  readonly topic: Topic;
  readonly chunks: readonly ChunkSummary[];
}

/** The manifest of a finalized session: everything that a reader needs to find and check its data. */
export function manifestDocument(session: Session, finalizedAtNs: TimeNs, topics: readonly ManifestTopic[]): string {
  return writeDocument({
    ...sessionFields(session),
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

function sessionFields(session: Session): object {
  return {
    format: storeFormatVersion,
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
    format: storeFormatVersion,
    number: topic.number,
    uuid: topic.uuid,
    locator: topic.locator,
    ontology_tag: topic.ontologyTag,
    serialization_format: topic.serializationFormat,
    created_at_ns: jsonInteger(topic.createdAtNs),
    user_metadata: new EmbeddedJson(topic.userMetadata),
  };
}

function rangeFields(range: TimeRange | undefined): object | null {
  return range === undefined ? null : { start_ns: jsonInteger(range.startNs), end_ns: jsonInteger(range.endNs) };
}

function writeDocument(fields: object): string {
  return `${composeJson(fields)}\n`;
}
