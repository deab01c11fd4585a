/**
 * Brings the data directory to what the catalog says, before the first call is served. The catalog row decides: what was
 * written and not committed goes, what was deleted goes on being deleted. Only what was never acknowledged is removed: where the
 * catalog is older than the directory, what it does not know is put aside. Costs what is open, not what is stored.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { listChunks } from "../catalog/chunk-rows.ts";
import { findTopicByUuid, listAllSessions, listSequences, listTopicsOfSession } from "../catalog/resources.ts";
import { hasSearchKeys } from "../catalog/search-keys.ts";
import { readStoreFacts, type StoreFacts, writeStoreFacts } from "../catalog/store-facts.ts";
import { listAllTailRuns } from "../catalog/tail-rows.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { newUuid } from "../host/entropy.ts";
import { failPoint } from "../host/fail-point.ts";
import type { Log } from "../host/log.ts";
import { endOfEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { indexGrowth, overheadBytes, pathsNamedMax } from "../model/limits.ts";
import { isFinalized, type Session, type Topic, type Ulid, type Uuid } from "../model/resource.ts";
import { sessionDocument, storeDocument, storeFormatVersion } from "../store/documents.ts";
import {
  catalogFile,
  chunkFile,
  quarantineDirectory,
  sequencesDirectory,
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
import { listDirectory, makeDurableDirectory } from "./directory.ts";
import { fillSearchKeys } from "./fill-search-keys.ts";
import { newerFormat } from "./identity.ts";
import { PutAside } from "./put-aside.ts";
import { findStrays, hasManifest, holdingOfChunk, holdingOfForeign, isOurs, type Stray } from "./strays.ts";
import { finishSwaps } from "./swap.ts";
import { readTailRecords } from "./tail-record.ts";

export interface RecoveryParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
}

/** What recovery did, for the ready line and the log. */
export interface Recovered {
  readonly openSessions: number;
  /** Paths that were removed or put into quarantine. */
  readonly sweptPaths: number;
  readonly cutFiles: number;
  /** Tail logs that rows name. */
  readonly tailLogs: readonly FoundLog[];
  /** Topics of open sessions whose files lack what was committed, and what is wrong with them. */
  readonly damaged: ReadonlyMap<Uuid, string>;
}

/**
 * @throws Fault wrong_state when the directory is of a newer version, or its catalog another store's, corrupt when the catalog is
 * missing while there is data, or nobody can tell: nothing is touched then
 */
export async function recover(parts: RecoveryParts): Promise<Recovered> {
  await checkStore(parts);
  const aside = new PutAside(parts);
  await makeWay(parts, aside);
  await finishSwaps(parts);
  await finishDeletes(parts);
  const sessions = [...listAllSessions(parts.catalog)];
  const strays = await findStrays(parts, sessions);
  const work: Work = { ...parts, aside, isCatalogOlder: strays.isCatalogOlder, damaged: new Map() };
  if (strays.isCatalogOlder) tellOlder(parts);
  const foreign = [...strays.foreign];
  for (const stray of strays.directories) await clear(work, stray);
  const tail = await recoverTails(work, foreign);
  await sweepSequences(work, foreign);
  let cutFiles = tail.cutFiles;
  const open = sessions.filter((session) => !isFinalized(session));
  for (const session of open) cutFiles += await recoverSession(work, session, foreign);
  for (const [uuid, reason] of work.damaged)
    parts.log.error("topic_damaged", {
      topic: findTopicByUuid(parts.catalog, uuid)?.locator,
      reason: `${reason}. The rest is served; stop the server and run mosaico-edge verify, then mosaico-edge repair.`,
    });
  for (const name of await parts.disk.list(trashDirectory)) foreign.push(`${trashDirectory}/${name}`);
  if (foreign.length > 0)
    parts.log.warning("foreign_paths", { count: foreign.length, paths: foreign.slice(0, pathsNamedMax) });
  await aside.tell();
  failPoint("recover: done");
  return {
    openSessions: open.length,
    sweptPaths: aside.paths,
    cutFiles,
    tailLogs: tail.logs,
    damaged: work.damaged,
  };
}

/** What a start works with, once it knows how far the catalog may be trusted. */
interface Work extends RecoveryParts {
  readonly aside: PutAside;
  /** Nothing that holds batches is removed or cut off then. */
  readonly isCatalogOlder: boolean;
  readonly damaged: Map<Uuid, string>;
}

const olderReason = "the catalog does not know it, and is older than this directory";

function tellOlder({ disk, log }: RecoveryParts): void {
  log.error("catalog_is_older", {
    reason: `The catalog does not know all data of ${disk.root}, as when it was restored from a backup. What it does not know goes to ${quarantineDirectory}. To have it back: stop the server, move it to where its note says it lay, run mosaico-edge rebuild --replace.`,
  });
}

/** Files that lie where directories of ours belong. */
async function makeWay({ disk }: RecoveryParts, aside: PutAside): Promise<void> {
  for (const directory of [sequencesDirectory, sessionsDirectory, tailDirectory, trashDirectory]) {
    if ((await disk.stateOf(directory))?.kind !== "file") continue;
    await aside.keep(directory, await holdingOfForeign(disk, directory), "it is no directory, and one belongs here");
  }
  for (const directory of [sequencesDirectory, sessionsDirectory]) await makeDurableDirectory(disk, directory);
}

/** Puts aside what holds something, and removes what holds nothing: nothing was acknowledged by that. */
async function clear({ aside, log }: Pick<Work, "aside" | "log">, { path, holding }: Stray): Promise<void> {
  if (holding.isKept) return await aside.keep(path, holding, olderReason);
  log.warning("path_swept", { path, bytes: holding.bytes });
  await aside.remove(path);
}

async function checkStore(parts: RecoveryParts): Promise<void> {
  const { disk, catalog, clock } = parts;
  const facts = readStoreFacts(catalog);
  const document = (await disk.exists(storeFile)) ? await readIdentity(disk) : undefined;
  if (facts !== undefined && facts.format > storeFormatVersion) throw newerFormat(facts.format);
  if (document !== undefined && document.format > storeFormatVersion) throw newerFormat(document.format);
  const sessions = (await listDirectory(disk, sessionsDirectory)).filter(isOurs.session);
  if (facts === undefined && sessions.length > 0) {
    throw new Fault(
      "corrupt",
      `The catalog of ${disk.root} is missing or empty, but there are ${sessions.length} sessions on disk. Nothing was touched. \`mosaico-edge rebuild\` makes another one of the directories.`,
    );
  }
  if (facts !== undefined && document !== undefined && document.id !== facts.id) {
    throw new Fault(
      "wrong_state",
      `The catalog of ${disk.root} belongs to store ${facts.id}, the directory to store ${document.id}. Nothing was touched. \`mosaico-edge rebuild --replace\` makes another one of the directories.`,
    );
  }
  const own: StoreFacts = facts ?? {
    id: document?.id ?? newUuid(),
    format: storeFormatVersion,
    createdAtNs: clock.wallNs(),
  };
  if (facts === undefined) await writeStoreFacts(catalog, own);
  else if (!hasSearchKeys(catalog)) await upgrade(parts, facts);
  const current = readStoreFacts(catalog) ?? own;
  if (document?.format !== current.format) await disk.replaceText(storeFile, storeDocument(current));
}

/**
 * From format 1, whose catalog has no index over sequences and topics: a program that knows of none must not write to it any more.
 * Where there is no room for it the store is served as it is, and queries look at all rows.
 */
async function upgrade({ disk, catalog, log }: RecoveryParts, facts: StoreFacts): Promise<void> {
  const wantedBytes = overheadBytes + indexGrowth * disk.sizeNow(catalogFile);
  const freeBytes = disk.freeBytesNow();
  if (freeBytes < wantedBytes) {
    log.warning("upgrade_postponed", { format: facts.format, to: storeFormatVersion, freeBytes, wantedBytes });
    return;
  }
  await fillSearchKeys(catalog);
  await writeStoreFacts(catalog, { ...facts, format: storeFormatVersion });
  log.info("store_upgraded", { format: facts.format, to: storeFormatVersion });
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
    `${disk.root}/${storeFile}: expected JSON with a whole number "format" and a text "id", found ${found}. Run \`mosaico-edge verify\`, then \`mosaico-edge repair\`, which writes it anew.`,
  );
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function finishDeletes({ disk, catalog }: RecoveryParts): Promise<void> {
  const items: TrashItem[] = [...catalog.trash.range("\u0001", "\u007f")].map(({ key, value }) => ({
    id: String(key) as Ulid,
    path: value,
  }));
  await moveToTrash(disk, items);
  if (items.length > 0) failPoint("recover: trash");
  // Also what no row names any more: after a power cut it may be back.
  for (const name of (await disk.list(trashDirectory)).filter(isOurs.trash))
    await disk.remove(`${trashDirectory}/${name}`);
  if (items.length > 0) {
    await catalog.transaction(() => {
      for (const item of items) catalog.trash.remove(item.id);
    });
  }
}

/** Tail logs that no row names have moved; what lies behind the last frame that a row names was never acknowledged. */
async function recoverTails(work: Work, foreign: string[]): Promise<{ logs: FoundLog[]; cutFiles: number }> {
  const { disk, catalog, aside } = work;
  const named = new Map<number, { bytes: number; offsets: number[]; topics: Map<Uuid, number> }>();
  for (const run of listAllTailRuns(catalog)) {
    const last = run.batches.at(-1);
    const known = named.get(run.log) ?? { bytes: 0, offsets: [] as number[], topics: new Map<Uuid, number>() };
    const end = last === undefined ? 0 : endOfEntry(last);
    known.topics.set(run.topic, Math.max(known.topics.get(run.topic) ?? 0, end));
    for (const { offset } of run.batches) known.offsets.push(offset);
    named.set(run.log, { ...known, bytes: Math.max(known.bytes, end) });
  }
  for (const name of await disk.list(tailDirectory)) {
    const path = `${tailDirectory}/${name}`;
    const number = tailNumberOf(name);
    const state = await disk.stateOf(path);
    if (number === undefined) foreign.push(path);
    else if (named.has(number)) continue;
    else if (state?.kind !== "file" || (work.isCatalogOlder && state.bytes > 0))
      await aside.keep(
        path,
        { bytes: state?.bytes ?? 0, rows: await rowsInLog(disk, number), isKept: true },
        olderReason,
      );
    else await aside.remove(path);
  }
  let cutFiles = 0;
  for (const [number, { bytes, topics }] of named) {
    const { cut, lacking } = await cutFile(work, tailFile(number), bytes);
    if (cut) cutFiles += 1;
    if (lacking === undefined) continue;
    for (const [topic, end] of topics) if (end > lacking.found) work.damaged.set(topic, lacking.sentence);
  }
  const logs = [...named].map(([number, { bytes, offsets }]) => ({ number, bytes, offsets }));
  return { logs, cutFiles };
}

/** Rows in the whole frames of one log, as far as it can be read. */
async function rowsInLog(disk: Disk, number: number): Promise<number> {
  if ((await disk.stateOf(tailFile(number)))?.kind !== "file") return 0;
  const records = [...(await readTailRecords(disk)).topics.values()].flat();
  return records.filter(({ log }) => log === number).reduce((sum, { entry }) => sum + entry.rows, 0);
}

interface Cut {
  readonly cut: boolean;
  /** When the file is shorter than what was committed, or not there. */
  readonly lacking?: { readonly found: number; readonly sentence: string };
}

/** Cuts what lies behind `bytes`. */
async function cutFile({ disk, log, aside, isCatalogOlder }: Work, path: string, bytes: number): Promise<Cut> {
  const state = await disk.stateOf(path);
  const found = state?.kind === "file" ? state.bytes : 0;
  if (state?.kind !== "file" || found < bytes) {
    const what = state === undefined ? "is missing" : state.kind === "file" ? `has ${found} bytes` : "is no file";
    return { cut: false, lacking: { found, sentence: `${path} ${what}, ${bytes} bytes were committed` } };
  }
  if (found === bytes) return { cut: false };
  if (isCatalogOlder) await aside.keepEnd(path, bytes, olderReason);
  log.info("file_cut", { path, bytes, cutBytes: found - bytes });
  const file = await disk.openWritable(path);
  try {
    await file.truncate(bytes);
    failPoint("recover: cut");
  } finally {
    await file.close();
  }
  return { cut: true };
}

/** Documents that were not whole when a kill came: nothing was committed by them, and their sequence may be gone since. */
async function sweepSequences({ disk, catalog, aside, isCatalogOlder }: Work, foreign: string[]): Promise<void> {
  const known = new Set(isCatalogOlder ? [...listSequences(catalog)].map(({ ulid }) => `${ulid}.json`) : []);
  for (const name of await disk.list(sequencesDirectory)) {
    const path = `${sequencesDirectory}/${name}`;
    if (!isOurs.sequence(name)) foreign.push(path);
    else if (name.endsWith(".json.new")) await aside.remove(path);
    else if (isCatalogOlder && !known.has(name))
      await aside.keep(path, await holdingOfForeign(disk, path), olderReason);
  }
}

/** The number of files that were cut. */
async function recoverSession(work: Work, session: Session, foreign: string[]): Promise<number> {
  const { disk, catalog, aside } = work;
  const path = sessionFile(session.ulid);
  if (await hasManifest(disk, session.ulid)) {
    if (work.isCatalogOlder) await aside.keep(path, await holdingOfForeign(disk, path), olderReason);
    // A manifest without its row was never answered: the session is open.
    await disk.replaceText(path, sessionDocument(session));
  }
  if ((await disk.stateOf(`${path}.new`))?.kind === "file") await aside.remove(`${path}.new`);
  let cutFiles = 0;
  for (const topic of listTopicsOfSession(catalog, session))
    cutFiles += await recoverTopic(work, session, topic, foreign);
  return cutFiles;
}

/** Cuts open chunks to their committed length and sweeps files that no row names; the number of files that were cut. */
async function recoverTopic(work: Work, session: Session, topic: Topic, foreign: string[]): Promise<number> {
  const { disk, catalog } = work;
  const directory = topicDirectory(session.ulid, topic.number);
  const expected = new Set(["topic.json"]);
  let cutFiles = 0;
  for (const chunk of listChunks(catalog, topic.uuid)) {
    const path = chunkFile(session.ulid, topic.number, chunk.number);
    expected.add(path.slice(directory.length + 1));
    if (chunk.sealed) continue;
    const { cut, lacking } = await cutFile(work, path, chunk.bytes);
    if (cut) cutFiles += 1;
    if (lacking !== undefined) work.damaged.set(topic.uuid, lacking.sentence);
  }
  for (const name of await listDirectory(disk, directory)) {
    const path = `${directory}/${name}`;
    if (expected.has(name)) continue;
    if (!isOurs.inTopic(name)) foreign.push(path);
    else await sweepFile(work, path);
  }
  return cutFiles;
}

async function sweepFile({ disk, aside, isCatalogOlder }: Work, path: string): Promise<void> {
  const holding = isCatalogOlder ? await holdingOfChunk(disk, path) : undefined;
  if (holding?.isKept === true) await aside.keep(path, holding, olderReason);
  else await aside.remove(path);
  failPoint("recover: swept");
}
