/** Where a topic belongs, and the documents that lie beside its data and say so. */

import type { Sequence, Session, Topic } from "../model/resource.ts";
import { sequenceDocument, sessionDocument, topicDocument } from "../store/documents.ts";
import {
  sequenceFile,
  sequencesDirectory,
  sessionDirectory,
  sessionFile,
  topicDirectory,
  topicFile,
} from "../store/layout.ts";

export interface TopicPlace {
  readonly sequence: Sequence;
  readonly session: Session;
  readonly topic: Topic;
}

export interface PlacedDocument {
  readonly file: string;
  readonly directory: string;
  readonly text: string;
}

/** @param schemaHeader the schema message as the client sent it */
export function documentsOf({ sequence, session, topic }: TopicPlace, schemaHeader: Uint8Array): PlacedDocument[] {
  return [
    { file: sequenceFile(sequence.ulid), directory: sequencesDirectory, text: sequenceDocument(sequence) },
    { file: sessionFile(session.ulid), directory: sessionDirectory(session.ulid), text: sessionDocument(session) },
    {
      file: topicFile(session.ulid, topic.number),
      directory: topicDirectory(session.ulid, topic.number),
      text: topicDocument(topic, schemaHeader),
    },
  ];
}
