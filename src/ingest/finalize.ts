/** Makes a session immutable: everything is checked against the catalog, the manifest is on disk, then one row flips. */

import type { Catalog } from "../catalog/catalog.ts";
import { listChunks } from "../catalog/chunk-rows.ts";
import { findSession, listTopicsOfSession, putSession } from "../catalog/resources.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { failPoint } from "../host/fail-point.ts";
import { Fault } from "../model/fault.ts";
import { isCompleted, isFinalized, type Session, type Topic, type Uuid } from "../model/resource.ts";
import { type ManifestTopic, manifestDocument } from "../store/documents.ts";
import { chunkFile, sessionFile } from "../store/layout.ts";
import type { Poison } from "../store/poison.ts";

export interface FinalizeParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly poison: Poison;
}

/**
 * Repeating it is harmless.
 * @throws Fault absent, wrong_state (empty, or topics that are still open), corrupt (files that are not as committed)
 */
export async function finalizeSession(parts: FinalizeParts, uuid: Uuid): Promise<Session> {
  const { disk, catalog, clock, poison } = parts;
  poison.check();
  const session = sessionOf(catalog, uuid);
  if (isFinalized(session)) return session;
  const topics = completedTopics(catalog, session);
  const manifest: ManifestTopic[] = [];
  for (const topic of topics) manifest.push(await checkTopic(parts, session, topic));
  const completedAtNs = clock.wallNs();
  await disk.replaceText(sessionFile(session.ulid), manifestDocument(session, completedAtNs, manifest));
  return await catalog.transaction(() => {
    const row = sessionOf(catalog, uuid);
    if (isFinalized(row)) return row;
    if (completedTopics(catalog, row).length !== topics.length) {
      throw new Fault(
        "wrong_state",
        `Session \`${row.locator}\` got another topic while it was finalized; finalize it again.`,
      );
    }
    const finalized: Session = { ...row, completedAtNs };
    putSession(catalog, finalized);
    failPoint("finalize: row");
    return finalized;
  });
}

function sessionOf(catalog: Catalog, uuid: Uuid): Session {
  const session = findSession(catalog, uuid);
  if (session?.uuid !== uuid) throw new Fault("absent", "Not found: there is no session with this UUID.");
  return session;
}

function completedTopics(catalog: Catalog, session: Session): Topic[] {
  const topics = listTopicsOfSession(catalog, session);
  if (topics.length === 0) throw new Fault("wrong_state", `Session \`${session.locator}\` is empty: it has no topic.`);
  const open = topics.filter((topic) => !isCompleted(topic)).map((topic) => `\`${topic.locator}\``);
  if (open.length > 0) {
    const named = open.slice(0, 10).join(", ");
    throw new Fault(
      "wrong_state",
      `Topic ${named}${open.length > 10 ? ` and ${open.length - 10} more` : ""} is unlocked: its upload has not ended.`,
    );
  }
  return topics;
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
