/** Makes a session immutable: everything is checked against the catalog, the manifest is on disk, then one row flips. */

import type { Catalog } from "../catalog/catalog.ts";
import { listChunks } from "../catalog/chunk-rows.ts";
import { findSession, listTopicsOfSession, putSession } from "../catalog/resources.ts";
import { encodeRow } from "../catalog/row.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { failPoint } from "../host/fail-point.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { isCompleted, isFinalized, type Session, type Topic, type Uuid } from "../model/resource.ts";
import { type ManifestTopic, manifestDocument, sessionDocument } from "../store/documents.ts";
import { chunkFile, sessionFile } from "../store/layout.ts";
import type { Poison } from "../store/poison.ts";
import { OntologyGate, type OntologyParts } from "./ontology-gate.ts";

export interface FinalizeParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly poison: Poison;
  readonly log: Log;
  readonly ontology: OntologyParts;
  isUploading(topic: Topic): boolean;
  /** Sessions that are being finalized: two at once would write their manifests over one another. */
  readonly finalizing: Map<Uuid, Promise<Session>>;
  /** Told of each session that is finalized now. */
  finalized(session: Session): void;
}

/**
 * Repeating it is harmless, also while the first one runs.
 * @throws Fault absent, wrong_state (empty, topics that are still open, that changed meanwhile or that fit no model of their tag),
 *   corrupt (files that are not as committed)
 */
export async function finalizeSession(parts: FinalizeParts, uuid: Uuid): Promise<Session> {
  const running = parts.finalizing.get(uuid);
  if (running !== undefined) return await running;
  const run = finalizeAlone(parts, uuid).finally(() => parts.finalizing.delete(uuid));
  parts.finalizing.set(uuid, run);
  return await run;
}

async function finalizeAlone(parts: FinalizeParts, uuid: Uuid): Promise<Session> {
  const { disk, catalog, clock, poison, log, ontology } = parts;
  poison.check();
  // Models may have been registered by another process, and not every session is finalized by a call, which looks anew itself.
  catalog.refresh();
  const session = sessionOf(catalog, uuid);
  if (isFinalized(session)) return session;
  const topics = completedTopics(parts, session);
  const manifest: ManifestTopic[] = [];
  const gate = new OntologyGate(catalog, ontology);
  for (const topic of topics) {
    manifest.push(await checkTopic(parts, session, topic));
    gate.look(topic);
  }
  gate.check(session);
  const completedAtNs = clock.wallNs();
  await disk.replaceText(sessionFile(session.ulid), manifestDocument(session, completedAtNs, manifest));
  try {
    const finalized = await catalog.transaction(() => {
      const row = sessionOf(catalog, uuid);
      checkUnchanged({ session, topics }, { session: row, topics: completedTopics(parts, row) });
      gate.put(row, completedAtNs);
      const flipped: Session = { ...row, completedAtNs };
      putSession(catalog, flipped);
      failPoint("finalize: row");
      return flipped;
    });
    gate.tell(log, finalized);
    parts.finalized(finalized);
    return finalized;
  } catch (error) {
    await reopenDocument(parts, session);
    throw error;
  }
}

/**
 * The session goes on, so its file must not say that it is finalized. Where that cannot be written, because the session was
 * deleted or the disk is full, the next start does it: the row decides.
 */
async function reopenDocument({ disk, poison }: FinalizeParts, session: Session): Promise<void> {
  if (poison.poisoned) return;
  await disk.replaceText(sessionFile(session.ulid), sessionDocument(session)).catch(() => undefined);
}

interface Content {
  readonly session: Session;
  readonly topics: readonly Topic[];
}

/** Whether the manifest, which was written before the transaction, tells what the transaction sees. @throws Fault wrong_state */
function checkUnchanged(manifest: Content, found: Content): void {
  // A topic that came and went again has left its mark on the file of the session.
  const sameNumber = manifest.session.topicNumberNext === found.session.topicNumberNext;
  const sameTopics =
    manifest.topics.length === found.topics.length &&
    manifest.topics.every((topic, index) => encodeRow(topic) === encodeRow(found.topics[index] ?? {}));
  if (sameNumber && sameTopics) return;
  throw new Fault(
    "wrong_state",
    `Topics of session \`${found.session.locator}\` came or went while it was finalized; finalize it again.`,
  );
}

function sessionOf(catalog: Catalog, uuid: Uuid): Session {
  const session = findSession(catalog, uuid);
  if (session?.uuid !== uuid) throw new Fault("absent", "Not found: there is no session with this UUID.");
  return session;
}

function completedTopics(parts: FinalizeParts, session: Session): Topic[] {
  const topics = listTopicsOfSession(parts.catalog, session);
  if (topics.length === 0) throw new Fault("wrong_state", `Session \`${session.locator}\` is empty: it has no topic.`);
  const open = topics.filter((topic) => !isCompleted(topic));
  if (open.length > 0) {
    const named = open.slice(0, 10).map((topic) => whyOpen(parts, topic));
    if (open.length > named.length) named.push(`${open.length - named.length} more topics are unlocked.`);
    throw new Fault("wrong_state", named.join(" "));
  }
  return topics;
}

/** What an open topic lacks, and what its client can do. */
function whyOpen({ catalog, isUploading }: FinalizeParts, topic: Topic): string {
  const { locator, uuid, extent } = topic;
  const head = `Topic \`${locator}\` is unlocked:`;
  if (isUploading(topic)) return `${head} it is being uploaded.`;
  if (catalog.schemas.get(uuid) === undefined)
    return `${head} nothing was ever uploaded to it; upload to it, or delete it.`;
  return `${head} its upload broke off after ${extent.rows} rows (\`edge_topic_status\` tells); continue it (a \`do_put\` of the schema alone ends it as it is), or delete it.`;
}

/** Lengths and counts only: contents are checked by `verify`, and at each read. */
async function checkTopic({ disk, catalog }: FinalizeParts, session: Session, topic: Topic): Promise<ManifestTopic> {
  const chunks = [...listChunks(catalog, topic.uuid)];
  let rows = 0;
  for (const chunk of chunks) {
    rows += chunk.rows;
    const path = chunkFile(session.ulid, topic.number, chunk.number);
    if (!(await disk.exists(path))) throw new Fault("corrupt", `Topic \`${topic.locator}\`: ${path} is missing.`);
    const file = await disk.openReadable(path);
    const bytes = await file.size().finally(() => file.close());
    if (bytes !== chunk.bytes || !chunk.sealed) {
      throw new Fault(
        "corrupt",
        `Topic \`${topic.locator}\`: ${path} has ${bytes} bytes${chunk.sealed ? "" : " and is not sealed"}, expected ${chunk.bytes}.`,
      );
    }
  }
  if (rows !== topic.extent.rows) {
    throw new Fault(
      "corrupt",
      `Topic \`${topic.locator}\` has ${rows} rows in its chunks, expected ${topic.extent.rows}.`,
    );
  }
  return { topic, chunks };
}
