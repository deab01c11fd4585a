/**
 * Brings the data directory to what the catalog says, before the first call is served. The catalog row decides: what was
 * written and not committed goes, what was deleted goes on being deleted. Costs what is open, not what is stored.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { listChunks } from "../catalog/chunk-rows.ts";
import { listAllSessions, listTopicsOfSession } from "../catalog/resources.ts";
import { readStoreFacts, type StoreFacts, writeStoreFacts } from "../catalog/store-facts.ts";
import { listAllTailRuns } from "../catalog/tail-rows.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { newUuid } from "../host/entropy.ts";
import { failPoint } from "../host/fail-point.ts";
import type { Log } from "../host/log.ts";
import { endOfEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { isFinalized, type Session, type Topic, type Ulid } from "../model/resource.ts";
import { sessionDocument, storeDocument, storeFormatVersion } from "../store/documents.ts";
import {
  catalogDirectory,
  chunkFile,
  quarantineDirectory,
  sequencesDirectory,
  sessionDirectory,
  sessionFile,
  sessionsDirectory,
  storeFile,
  tailDirectory,
  tailFile,
  tailNumberOf,
  topicDirectory,
  trashDirectory,
} from "../store/layout.ts";
import type { FoundLog } from "../store/tail-log.ts";
import { moveToTrash, type TrashItem } from "../store/trash.ts";
import { finishSwaps } from "./swap.ts";

export interface RecoveryParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
}

/** What recovery did, for the ready line and the log. */
export interface Recovered {
  readonly openSessions: number;
  readonly sweptPaths: number;
  readonly cutFiles: number;
  /** Tail logs that rows name. */
  readonly tailLogs: readonly FoundLog[];
}

/**
 * @throws Fault wrong_state when the directory is of a newer version, or its catalog is missing or another store's while there
 * is data, corrupt when nobody can tell: nothing is touched then
 */
export async function recover(parts: RecoveryParts): Promise<Recovered> {
  await checkStore(parts);
  await finishSwaps(parts);
  await finishDeletes(parts);
  const tail = await recoverTails(parts);
  const sessions = [...listAllSessions(parts.catalog)];
  const open = sessions.filter((session) => !isFinalized(session));
  let sweptPaths = tail.sweptPaths + (await sweepSessions(parts, new Set(sessions.map((session) => session.ulid))));
  sweptPaths += await sweepSequences(parts);
  let cutFiles = tail.cutFiles;
  for (const session of open) {
    const done = await recoverSession(parts, session);
    sweptPaths += done.sweptPaths;
    cutFiles += done.cutFiles;
  }
  failPoint("recover: done");
  return { openSessions: open.length, sweptPaths, cutFiles, tailLogs: tail.logs };
}

/**
 * Looks at a directory before anything is made in it: what is not empty and has neither `store.json` nor a catalog belongs to
 * somebody else.
 * @throws Fault wrong_state
 */
export async function checkOurs(disk: Disk): Promise<void> {
  if ((await disk.exists(storeFile)) || (await disk.exists(catalogDirectory))) return;
  // A disk of its own has this from the day it was made.
  const names = (await disk.list(".")).filter((name) => name !== "lost+found");
  if (names.length === 0) return;
  const shown = names.slice(0, 5).join(", ");
  throw new Fault(
    "wrong_state",
    `${disk.root} is no data directory: it has no ${storeFile} and no ${catalogDirectory}, but ${shown}. Expected an empty directory or one of mosaico-edge. Nothing was touched.`,
  );
}

async function checkStore({ disk, catalog, clock }: RecoveryParts): Promise<void> {
  const facts = readStoreFacts(catalog);
  const document = (await disk.exists(storeFile)) ? await readIdentity(disk) : undefined;
  if (facts !== undefined && facts.format > storeFormatVersion) throw newerVersion(facts.format);
  if (document !== undefined && document.format > storeFormatVersion) throw newerVersion(document.format);
  const sessions = await disk.list(sessionsDirectory);
  if (facts === undefined && sessions.length > 0) {
    throw new Fault(
      "wrong_state",
      `The catalog of ${disk.root} is empty, but there are ${sessions.length} sessions on disk. Nothing was touched.`,
    );
  }
  if (facts !== undefined && document !== undefined && document.id !== facts.id) {
    throw new Fault(
      "wrong_state",
      `The catalog of ${disk.root} belongs to store ${facts.id}, the directory to store ${document.id}. Nothing was touched.`,
    );
  }
  const own: StoreFacts = facts ?? {
    id: document?.id ?? newUuid(),
    format: storeFormatVersion,
    createdAtNs: clock.wallNs(),
  };
  if (facts === undefined) await writeStoreFacts(catalog, own);
  if (document === undefined) await disk.replaceText(storeFile, storeDocument(own));
}

/** What has to be known before anything is touched, also of a newer version's document. */
async function readIdentity(disk: Disk): Promise<{ format: number; id: string }> {
  const text = await disk.readText(storeFile);
  const document = tryParse(text);
  if (typeof document === "object" && document !== null && "format" in document && "id" in document) {
    if (Number.isInteger(document.format) && typeof document.id === "string")
      return { format: Number(document.format), id: document.id };
  }
  const found = text === "" ? "nothing" : JSON.stringify(text.slice(0, 200));
  throw new Fault(
    "corrupt",
    `${disk.root}/${storeFile}: expected JSON with a whole number "format" and a text "id", found ${found}`,
  );
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function newerVersion(found: number): Fault {
  return new Fault(
    "wrong_state",
    `The data directory has format ${found}, this program reads up to ${storeFormatVersion}. Use the newer program. Nothing was touched.`,
  );
}

async function finishDeletes({ disk, catalog }: RecoveryParts): Promise<void> {
  const items: TrashItem[] = [...catalog.trash.range("\u0001", "\u007f")].map(({ key, value }) => ({
    id: String(key) as Ulid,
    path: value,
  }));
  await moveToTrash(disk, items);
  if (items.length > 0) failPoint("recover: trash");
  // Also what no row names any more: after a power cut it may be back.
  for (const name of await disk.list(trashDirectory)) await disk.remove(`${trashDirectory}/${name}`);
  if (items.length > 0) {
    await catalog.transaction(() => {
      for (const item of items) catalog.trash.remove(item.id);
    });
  }
}

/** Tail logs that no row names have moved; what lies behind the last frame that a row names was never acknowledged. */
async function recoverTails({
  disk,
  catalog,
  log,
}: RecoveryParts): Promise<{ logs: FoundLog[]; sweptPaths: number; cutFiles: number }> {
  const named = new Map<number, { bytes: number; offsets: number[] }>();
  for (const run of listAllTailRuns(catalog)) {
    const last = run.batches.at(-1);
    const known = named.get(run.log) ?? { bytes: 0, offsets: [] };
    const bytes = Math.max(known.bytes, last === undefined ? 0 : endOfEntry(last));
    for (const { offset } of run.batches) known.offsets.push(offset);
    named.set(run.log, { ...known, bytes });
  }
  let sweptPaths = 0;
  let cutFiles = 0;
  for (const name of await disk.list(tailDirectory)) {
    const number = tailNumberOf(name);
    if (number !== undefined && named.has(number)) continue;
    await disk.remove(`${tailDirectory}/${name}`);
    sweptPaths += 1;
  }
  for (const [number, { bytes }] of named) {
    if (await cutFile({ disk, log }, tailFile(number), bytes)) cutFiles += 1;
  }
  return { logs: [...named].map(([number, facts]) => ({ number, ...facts })), sweptPaths, cutFiles };
}

/** Cuts what lies behind `bytes`; whether there was anything. @throws Fault corrupt when there is less */
async function cutFile(
  { disk, log }: Pick<RecoveryParts, "disk" | "log">,
  path: string,
  bytes: number,
): Promise<boolean> {
  const file = await disk.openWritable(path);
  try {
    const reader = await disk.openReadable(path);
    const found = await reader.size().finally(() => reader.close());
    if (found < bytes) throw new Fault("corrupt", `${path} has ${found} bytes, ${bytes} were committed.`);
    if (found === bytes) return false;
    log.info("file_cut", { path, bytes, cutBytes: found - bytes });
    await file.truncate(bytes);
    failPoint("recover: cut");
    return true;
  } finally {
    await file.close();
  }
}

/** Directories without a row: left by an upload whose first commit never came. Finalized ones are put aside, never removed. */
async function sweepSessions({ disk, log }: RecoveryParts, known: ReadonlySet<string>): Promise<number> {
  const unknown = (await disk.list(sessionsDirectory)).filter((name) => !known.has(name));
  for (const name of unknown) {
    const finalized = await hasManifest(disk, name as Ulid);
    log.warning(finalized ? "session_quarantined" : "session_swept", { session: name });
    if (!finalized) await disk.remove(sessionDirectory(name as Ulid));
    else {
      await disk.makeDirectory(quarantineDirectory);
      await disk.rename(sessionDirectory(name as Ulid), `${quarantineDirectory}/${name}`);
      await disk.syncDirectory(quarantineDirectory);
    }
  }
  if (unknown.length > 0) await disk.syncDirectory(sessionsDirectory);
  return unknown.length;
}

/** Documents that were not whole when a kill came: nothing was committed by them, and their sequence may be gone since. */
async function sweepSequences({ disk }: RecoveryParts): Promise<number> {
  const unfinished = (await disk.list(sequencesDirectory)).filter((name) => name.endsWith(".json.new"));
  for (const name of unfinished) await disk.remove(`${sequencesDirectory}/${name}`);
  return unfinished.length;
}

async function hasManifest(disk: Disk, session: Ulid): Promise<boolean> {
  if (!(await disk.exists(sessionFile(session)))) return false;
  return (await disk.readText(sessionFile(session))).includes('"completed_at_ns"');
}

async function recoverSession(
  parts: RecoveryParts,
  session: Session,
): Promise<{ sweptPaths: number; cutFiles: number }> {
  const { disk, catalog } = parts;
  // A manifest without its row was never answered: the session is open.
  if (await hasManifest(disk, session.ulid))
    await disk.replaceText(sessionFile(session.ulid), sessionDocument(session));
  const topics = listTopicsOfSession(catalog, session);
  const numbers = new Set(topics.map((topic) => String(topic.number)));
  let sweptPaths = 0;
  let cutFiles = 0;
  for (const name of await disk.list(sessionDirectory(session.ulid))) {
    if (name === "session.json" || numbers.has(name)) continue;
    await disk.remove(`${sessionDirectory(session.ulid)}/${name}`);
    sweptPaths += 1;
  }
  for (const topic of topics) {
    const done = await recoverTopic(parts, session, topic);
    sweptPaths += done.sweptPaths;
    cutFiles += done.cutFiles;
  }
  return { sweptPaths, cutFiles };
}

/** Cuts open chunks to their committed length and sweeps files that no row names. */
async function recoverTopic(
  { disk, catalog, log }: RecoveryParts,
  session: Session,
  topic: Topic,
): Promise<{ sweptPaths: number; cutFiles: number }> {
  const directory = topicDirectory(session.ulid, topic.number);
  const expected = new Set(["topic.json"]);
  let sweptPaths = 0;
  let cutFiles = 0;
  for (const chunk of listChunks(catalog, topic.uuid)) {
    const path = chunkFile(session.ulid, topic.number, chunk.number);
    expected.add(path.slice(directory.length + 1));
    if (!chunk.sealed && (await cutFile({ disk, log }, path, chunk.bytes))) cutFiles += 1;
  }
  for (const name of await disk.list(directory)) {
    if (expected.has(name)) continue;
    await disk.remove(`${directory}/${name}`);
    failPoint("recover: swept");
    sweptPaths += 1;
  }
  return { sweptPaths, cutFiles };
}
