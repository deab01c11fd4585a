/** The members that a session of the store becomes, one after the other, in pieces. Made again they are the same bytes. */

import { checkChunkFile } from "../care/chunk-check.ts";
import { describeFinding } from "../care/finding.ts";
import { completionIn, type SessionBooks, type TopicBooks } from "../care/session-books.ts";
import { sessionText } from "../care/session-check.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { readWholeChunk } from "../catalog/chunk-rows.ts";
import { findTopic } from "../catalog/resources.ts";
import type { Disk } from "../host/disk.ts";
import { bundlePieceBytes } from "../model/bundle-limits.ts";
import type { ChunkSummary } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import type { Ulid } from "../model/resource.ts";
import { sequenceDocument, topicDocument } from "../store/documents.ts";
import { chunkFile, sequenceFile, sessionFile, topicFile } from "../store/layout.ts";
import { type CarriedSession, readCarried } from "./carried.ts";
import { notesName } from "./member-name.ts";

export interface StoreParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
}

export interface MemberSource {
  readonly name: string;
  readonly bytes: number;
  /** Borrowed until the next one is asked for. @throws Fault absent, corrupt (it has other bytes than the catalog says) */
  pieces(): AsyncIterable<Uint8Array>;
  /** Looks whether it is sound. @throws Fault corrupt, absent */
  check(): Promise<void>;
}

/**
 * @param sequences those that have been among members already; that of the session is added
 * @throws Fault absent when the session is gone
 */
export function* sessionMembers(
  parts: StoreParts,
  ulid: Ulid,
  { sequences }: { sequences: Set<Ulid> },
): Generator<MemberSource, CarriedSession> {
  const carried = readCarried(parts.catalog, ulid);
  const { sequence, books, notes } = carried;
  if (!sequences.has(sequence.ulid)) yield document(sequenceFile(sequence.ulid), sequenceDocument(sequence));
  sequences.add(sequence.ulid);
  yield document(sessionFile(ulid), sessionText(books));
  yield document(notesName(ulid), notes);
  for (const topic of books.topics.toSorted((a, b) => a.topic.number - b.topic.number)) {
    const { number, locator } = topic.topic;
    const { schemaHeader } = topic;
    if (schemaHeader === undefined) throw new Fault("corrupt", `Topic \`${locator}\` has no schema`);
    yield document(topicFile(ulid, number), topicDocument(topic.topic, schemaHeader));
    for (const chunk of topic.chunks) yield chunkMember(parts, books, topic, chunk);
  }
  return carried;
}

function document(name: string, text: string): MemberSource {
  const bytes = Buffer.from(text);
  return {
    name,
    bytes: bytes.byteLength,
    async *pieces() {
      yield bytes;
    },
    check: () => Promise.resolve(),
  };
}

function chunkMember(
  parts: StoreParts,
  { session }: SessionBooks,
  topic: TopicBooks,
  chunk: ChunkSummary,
): MemberSource {
  const name = chunkFile(session.ulid, topic.topic.number, chunk.number);
  const { bytes } = chunk;
  return {
    name,
    bytes,
    async *pieces() {
      const file = await parts.disk.openReadable(name);
      try {
        const found = await file.size();
        if (found !== bytes) throw new Fault("corrupt", `${name}: expected ${bytes} bytes, found ${found}`);
        const piece = Buffer.allocUnsafe(Math.min(bundlePieceBytes, bytes));
        for (let at = 0; at < bytes; at += piece.byteLength) {
          const target = piece.subarray(0, Math.min(piece.byteLength, bytes - at));
          await file.read(target, at);
          yield target;
        }
      } finally {
        await file.close();
      }
    },
    check: () => checkChunk(parts, topic, name, chunk.number),
  };
}

/** What is damaged is not signed. */
async function checkChunk(
  { disk, catalog }: StoreParts,
  books: TopicBooks,
  path: string,
  number: number,
): Promise<void> {
  const { topic, schemaHeader } = books;
  // Rows are known by the UUID that the topic has in the store.
  const stored = findTopic(catalog, topic.locator);
  const chunk = stored === undefined ? undefined : readWholeChunk(catalog, stored.uuid, number);
  if (chunk === undefined || schemaHeader === undefined)
    throw new Fault("absent", `Topic \`${topic.locator}\` is gone`);
  const place = { path, session: topic.session, schemaHeader, completedAtNs: completionIn(books, number) };
  const { findings } = await checkChunkFile(disk, place, chunk, { state: "closed", onBytes: () => undefined });
  const [first] = findings;
  if (first !== undefined)
    throw new Fault("corrupt", `${describeFinding(first)}; mosaico-edge verify says more, repair keeps what is sound`);
}
