/**
 * What lies in the data directory without a row, and what it holds. Rows of sessions and topics are on the disk before their
 * directories are made, and outlive them until the trash has them: a directory with batches and without a row was acknowledged,
 * and the catalog is older than it. Names that we do not give belong to somebody else.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { listChunks } from "../catalog/chunk-rows.ts";
import { listTopicsOfSession } from "../catalog/resources.ts";
import type { Disk } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import { isCompleted, isFinalized, isUlid, type Session, type Ulid } from "../model/resource.ts";
import { readSessionDocument } from "../store/documents.ts";
import { sessionDirectory, sessionFile, sessionsDirectory } from "../store/layout.ts";
import { readChunkRecord, readSchemaHeader } from "./chunk-record.ts";
import { listDirectory } from "./directory.ts";
import { readTailRecords, type TailRecords } from "./tail-record.ts";

const topicName = /^(0|[1-9][0-9]*)$/;
const chunkName = /^[0-9]{5,}\.arrow(\.repaired)?$/;

/** Whether we give such names: what lies under another one is left alone. */
export const isOurs = {
  sequence: (name: string): boolean => /\.json(\.new)?$/.test(name) && isUlid(name.replace(/\.json(\.new)?$/, "")),
  session: isUlid,
  trash: isUlid,
  /** Below a session: its document, one that is being written, its topics. */
  inSession: (name: string): boolean => /^session\.json(\.new)?$/.test(name) || topicName.test(name),
  inTopic: (name: string): boolean => /^topic\.json(\.new)?$/.test(name) || chunkName.test(name),
};

/** What would be lost with a path. */
export interface Holding {
  readonly bytes: number;
  readonly rows: number;
  /** Whole batches, a footer, a manifest, or something that is not ours: nobody can say that it was never acknowledged. */
  readonly isKept: boolean;
}

const nothingHeld: Holding = { bytes: 0, rows: 0, isKept: false };

function both(a: Holding, b: Holding): Holding {
  return { bytes: a.bytes + b.bytes, rows: a.rows + b.rows, isKept: a.isKept || b.isKept };
}

/** Of anything: all of it, foreign as it is. */
export async function holdingOfForeign(disk: Disk, path: string): Promise<Holding> {
  const state = await disk.stateOf(path);
  if (state?.kind !== "directory") return { bytes: state?.bytes ?? 0, rows: 0, isKept: state !== undefined };
  let held: Holding = { ...nothingHeld, isKept: true };
  for (const name of await disk.list(path)) held = both(held, await holdingOfForeign(disk, `${path}/${name}`));
  return held;
}

/** Of a file that may be a chunk. */
export async function holdingOfChunk(disk: Disk, path: string): Promise<Holding> {
  const state = await disk.stateOf(path);
  if (state?.kind !== "file") return await holdingOfForeign(disk, path);
  const { bytes } = state;
  const schemaHeader = await readSchemaHeader(disk, path);
  if (schemaHeader === undefined) return { bytes, rows: 0, isKept: false };
  try {
    const { chunk } = await readChunkRecord(disk, { path, number: 0, schemaHeader });
    return { bytes, rows: chunk.rows, isKept: chunk.sealed || chunk.entries > 0 };
  } catch (error) {
    if (error instanceof Fault) return { bytes, rows: 0, isKept: true };
    throw error;
  }
}

/** Of a topic's directory, with what lies of it in tail logs. @param place `<session ULID>/<topic number>` */
export async function holdingOfTopic(disk: Disk, place: string, tails: TailRecords): Promise<Holding> {
  const directory = `${sessionsDirectory}/${place}`;
  if ((await disk.stateOf(directory))?.kind !== "directory") return await holdingOfForeign(disk, directory);
  const rows = (tails.topics.get(place) ?? []).reduce((sum, { entry }) => sum + entry.rows, 0);
  let held: Holding = { bytes: 0, rows, isKept: rows > 0 };
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    const state = await disk.stateOf(path);
    if (!isOurs.inTopic(name)) held = both(held, await holdingOfForeign(disk, path));
    else if (chunkName.test(name)) held = both(held, await holdingOfChunk(disk, path));
    else held = both(held, { bytes: state?.bytes ?? 0, rows: 0, isKept: state?.kind !== "file" });
  }
  return held;
}

async function holdingOfSession(disk: Disk, ulid: Ulid, tails: TailRecords): Promise<Holding> {
  const directory = sessionDirectory(ulid);
  let held: Holding = { ...nothingHeld, isKept: await hasManifest(disk, ulid) };
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    if (!isOurs.inSession(name)) held = both(held, await holdingOfForeign(disk, path));
    else if (topicName.test(name)) held = both(held, await holdingOfTopic(disk, `${ulid}/${name}`, tails));
    else held = both(held, { ...nothingHeld, bytes: (await disk.stateOf(path))?.bytes ?? 0 });
  }
  return held;
}

export async function hasManifest(disk: Disk, session: Ulid): Promise<boolean> {
  if ((await disk.stateOf(sessionFile(session)))?.kind !== "file") return false;
  return (await disk.readText(sessionFile(session))).includes('"completed_at_ns"');
}

export interface Stray {
  readonly path: string;
  readonly holding: Holding;
}

export interface Strays {
  /** Directories of sessions, and of topics of open sessions, that no row names. */
  readonly directories: readonly Stray[];
  /** Paths that are not ours. */
  readonly foreign: readonly string[];
  /**
   * Something was acknowledged that the catalog does not know, so nothing that it does not name can be taken for what a kill has
   * left: a catalog that was restored from a backup is like that.
   */
  readonly isCatalogOlder: boolean;
}

/** Looks at sessions that rows do not know and at those that are open; touches nothing. */
export async function findStrays(
  { disk, catalog }: { disk: Disk; catalog: Catalog },
  sessions: readonly Session[],
): Promise<Strays> {
  const known = new Map(sessions.map((session) => [String(session.ulid), session]));
  const foreign: string[] = [];
  const unknown: { path: string; hold(tails: TailRecords): Promise<Holding> }[] = [];
  for (const name of await disk.list(sessionsDirectory)) {
    const path = `${sessionsDirectory}/${name}`;
    if (known.has(name)) continue;
    if (!isOurs.session(name) || (await disk.stateOf(path))?.kind !== "directory") foreign.push(path);
    else unknown.push({ path, hold: (tails) => holdingOfSession(disk, name as Ulid, tails) });
  }
  let isCatalogOlder = false;
  for (const session of sessions) {
    if (isFinalized(session)) continue;
    const numbers = new Set(listTopicsOfSession(catalog, session).map(({ number }) => String(number)));
    for (const name of await listDirectory(disk, sessionDirectory(session.ulid))) {
      const path = `${sessionDirectory(session.ulid)}/${name}`;
      if (!isOurs.inSession(name)) foreign.push(path);
      else if (topicName.test(name) && !numbers.has(name))
        unknown.push({ path, hold: (tails) => holdingOfTopic(disk, `${session.ulid}/${name}`, tails) });
    }
    isCatalogOlder ||= await isManifestNewer(disk, catalog, session);
  }
  const tails: TailRecords = unknown.length === 0 ? { topics: new Map(), breaks: [] } : await readTailRecords(disk);
  const directories: Stray[] = [];
  for (const { path, hold } of unknown) directories.push({ path, holding: await hold(tails) });
  return {
    directories,
    foreign,
    isCatalogOlder: isCatalogOlder || directories.some(({ holding }) => holding.isKept),
  };
}

/** Whether an open session has a manifest of more than its rows tell: a kill leaves one that tells just that. */
async function isManifestNewer(disk: Disk, catalog: Catalog, session: Session): Promise<boolean> {
  if (!(await hasManifest(disk, session.ulid))) return false;
  try {
    const path = sessionFile(session.ulid);
    const { topics: listed = [] } = readSessionDocument(await disk.readText(path), path);
    const topics = new Map(listTopicsOfSession(catalog, session).map((topic) => [topic.uuid, topic]));
    return !listed.every(({ topic, chunks }) => {
      const row = topics.get(topic.uuid);
      const rows = [...listChunks(catalog, topic.uuid)];
      const same = rows.length === chunks.length && rows.every(({ bytes }, index) => bytes === chunks[index]?.bytes);
      return row !== undefined && isCompleted(row) && same;
    });
  } catch (error) {
    // Damaged: it says nothing about the catalog.
    if (error instanceof Fault) return false;
    throw error;
  }
}
