/** What the catalog says of one session at one moment, but for the entries of its chunks, which may be millions. */

import type { Catalog } from "../catalog/catalog.ts";
import { listChunks } from "../catalog/chunk-rows.ts";
import { findSequence, findSession, listTopicsOfSession } from "../catalog/resources.ts";
import { listTailRuns, type TailRun } from "../catalog/tail-rows.ts";
import type { ChunkSummary } from "../model/chunk.ts";
import { addBatch, addChunk } from "../model/extent.ts";
import {
  type Extent,
  emptyExtent,
  isCompleted,
  type Sequence,
  type Session,
  type Topic,
  type Ulid,
} from "../model/resource.ts";

export interface TopicBooks {
  readonly topic: Topic;
  /** Undefined until the first commit. */
  readonly schemaHeader: Uint8Array | undefined;
  readonly chunks: readonly ChunkSummary[];
  readonly tails: readonly TailRun[];
}

export interface SessionBooks {
  readonly sequence: Sequence | undefined;
  readonly session: Session;
  readonly topics: readonly TopicBooks[];
}

/** Undefined when there is no such session. Reads without a pause, so it is one moment. @throws Fault corrupt (a row) */
export function readSessionBooks(catalog: Catalog, ulid: Ulid): SessionBooks | undefined {
  catalog.refresh();
  const session = findSession(catalog, ulid);
  if (session === undefined) return undefined;
  const topics = listTopicsOfSession(catalog, session).map((topic) => ({
    topic,
    schemaHeader: catalog.schemas.get(topic.uuid),
    chunks: [...listChunks(catalog, topic.uuid)],
    tails: [...listTailRuns(catalog, topic.uuid)],
  }));
  return { sequence: findSequence(catalog, session.sequence), session, topics };
}

/** Whether files of the topic must be there: something of it was committed. */
export function hasFiles({ topic, chunks, tails }: TopicBooks): boolean {
  return chunks.length > 0 || tails.length > 0 || isCompleted(topic);
}

export function extentOf({ chunks, tails }: TopicBooks): Extent {
  const extent = chunks.reduce(addChunk, emptyExtent);
  return tails.flatMap(({ batches }) => batches).reduce(addBatch, extent);
}

/** What the footer of a sealed chunk says of the topic's completion: only the last one does. */
export function completionIn({ topic, chunks }: TopicBooks, chunkNumber: number): bigint | undefined {
  return chunks.at(-1)?.number === chunkNumber ? topic.completedAtNs : undefined;
}
