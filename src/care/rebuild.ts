/**
 * Rebuild: a catalog from the directories. What only the catalog knew does not come back: API keys, notifications, what SDK
 * clients were, registered ontology models, and what was created and never got data. The new catalog takes its place when it is
 * whole; the old one goes to quarantine.
 */

import { type Catalog, openCatalog } from "../catalog/catalog.ts";
import { replaceChunk } from "../catalog/chunk-rows.ts";
import { putNotification } from "../catalog/notifications.ts";
import { findTopic, putSequence, putSession, putTopic } from "../catalog/resources.ts";
import { readStoreFacts, takeOwnership, writeStoreFacts } from "../catalog/store-facts.ts";
import { putSwap } from "../catalog/swap-rows.ts";
import { putTailRun } from "../catalog/tail-rows.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { newUlid, newUuid } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";
import { sequenceOfTopic } from "../model/locator.ts";
import type { JsonText, Sequence, Session, Ulid } from "../model/resource.ts";
import { readSequenceDocument, readStoreDocument, storeDocument, storeFormatVersion } from "../store/documents.ts";
import {
  catalogDirectory,
  newCatalogDirectory,
  sequencesDirectory,
  sessionDirectory,
  sessionsDirectory,
  storeFile,
  tailDirectory,
  tailFile,
  topicDirectory,
  trashDirectory,
  trashPath,
} from "../store/layout.ts";
import { checkCatalogRows } from "./catalog-check.ts";
import { checkCatalogFormat, checkIsStore } from "./identity.ts";
import { isServed, own } from "./ownership.ts";
import { Quarantine } from "./quarantine.ts";
import { readSessionBooks } from "./session-books.ts";
import {
  isCommitted,
  type RecordParts,
  readSessionRecord,
  recoverSessionRecord,
  type SessionRecord,
  type TopicRecord,
  type UnreadSession,
} from "./session-record.ts";
import { finishSwaps } from "./swap.ts";
import { readTailRecords } from "./tail-record.ts";
import { TailRescue } from "./tail-rescue.ts";
import { repairTopic } from "./topic-repair.ts";
import { findCatalogProblem } from "./verify.ts";

export interface RebuildOptions {
  readonly clock: Clock;
  /** Whether a sound catalog goes to quarantine too. */
  readonly existing: "keep" | "replace";
  /** Hears what could not be used, in sentences. */
  onProblem(sentence: string): void;
}

export interface Rebuilt {
  readonly sequences: number;
  readonly sessions: number;
  readonly topics: number;
  /** What could not be used, or has to be repaired. */
  readonly problems: number;
}

/** @throws Fault absent (no store), wrong_state (a server runs, or there is a sound catalog) */
export async function rebuild(disk: Disk, options: RebuildOptions): Promise<Rebuilt> {
  await checkIsStore(disk);
  if (await isServed(disk))
    throw new Fault("wrong_state", `A server is running on ${disk.root}: stop it, then rebuild its catalog.`);
  await using old = await openSound(disk);
  if (old !== undefined && options.existing === "keep") {
    throw new Fault(
      "wrong_state",
      `${disk.root} has a sound catalog, and what only a catalog knows, as API keys, would be lost. Nothing was touched; --replace does it all the same.`,
    );
  }
  // Nobody may begin to serve what is being replaced; a catalog that is damaged nobody can serve.
  await using _owner =
    old === undefined ? undefined : await own(disk, old, async () => JSON.stringify({ pid: process.pid }));
  return await new Rebuild(disk, options).run();
}

/** Undefined when there is none, when it is damaged, or when nothing is in it. */
async function openSound(disk: Disk): Promise<Catalog | undefined> {
  if ((await findCatalogProblem(disk, false)) !== undefined) return undefined;
  let catalog: Catalog | undefined;
  try {
    catalog = await openCatalog({
      disk,
      directory: catalogDirectory,
      whenMissing: "refuse",
      onFailure: () => undefined,
    });
    checkCatalogFormat(catalog);
    if (checkCatalogRows(catalog).length === 0 && readStoreFacts(catalog) !== undefined) return catalog;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === "wrong_state") {
      await catalog?.[Symbol.asyncDispose]();
      throw error;
    }
  }
  await catalog?.[Symbol.asyncDispose]();
  return undefined;
}

class Rebuild {
  readonly #disk: Disk;
  readonly #options: RebuildOptions;
  readonly #quarantine: Quarantine;
  readonly #unusable: { path: string; reason: string }[] = [];
  readonly #unread: { path: string; from: number; reason: string }[] = [];
  /** Of the store, when it has lost its own. */
  #newDocument: string | undefined;
  #problems = 0;

  constructor(disk: Disk, options: RebuildOptions) {
    this.#disk = disk;
    this.#options = options;
    this.#quarantine = new Quarantine(disk, options.clock.wallNs());
  }

  async run(): Promise<Rebuilt> {
    // What an attempt that was broken off has left is nobody's.
    await this.#disk.remove(newCatalogDirectory);
    const counts = await this.#fill();
    for (const { path, from, reason } of this.#unread)
      await this.#quarantine.copyEnd({ path, reasons: [reason] }, from);
    // A server that starts sweeps what no row names: what is of no use to us may be to somebody.
    for (const { path, reason } of this.#unusable) {
      // It may have gone with the directory that it was in.
      if ((await this.#disk.stateOf(path)) !== undefined) await this.#quarantine.put({ path, reasons: [reason] });
    }
    if ((await this.#disk.stateOf(catalogDirectory)) !== undefined)
      await this.#quarantine.put({ path: catalogDirectory, reasons: ["another catalog was made of the directories"] });
    await this.#disk.rename(newCatalogDirectory, catalogDirectory);
    await this.#disk.syncDirectory(".");
    await using catalog = await openCatalog({
      disk: this.#disk,
      directory: catalogDirectory,
      onFailure: () => undefined,
    });
    await finishSwaps({ disk: this.#disk, catalog });
    if (this.#newDocument !== undefined) await this.#disk.replaceText(storeFile, this.#newDocument);
    return { ...counts, problems: this.#problems };
  }

  async #fill(): Promise<Omit<Rebuilt, "problems">> {
    await using catalog = await openCatalog({
      disk: this.#disk,
      directory: newCatalogDirectory,
      onFailure: () => undefined,
    });
    await this.#writeFacts(catalog);
    const sequences = await this.#readSequences();
    const tails = await readTailRecords(this.#disk);
    const parts: RecordParts = {
      disk: this.#disk,
      tails,
      onUnusable: (path, reason) => this.#putAside(path, reason),
      onDamaged: (path, reason) => this.#tell(`${path} is damaged: ${reason}`),
      onUnread: (path, from) => this.#leaveEnd(path, from),
    };
    const rescue = new TailRescue(tails);
    const counts = { sessions: 0, topics: 0 };
    const write = async (record: SessionRecord): Promise<void> => {
      this.#sequenceOf(sequences, record.session);
      const written = await this.#writeSession(catalog, record);
      for (const topic of written) rescue.add(topic);
      await this.#noteLosses(catalog, sequences.get(record.session.sequence), record);
      counts.topics += written.length;
      counts.sessions += 1;
    };
    const unread: UnreadSession[] = [];
    for (const name of (await this.#disk.list(sessionsDirectory)).toSorted()) {
      const record = await readSessionRecord(parts, name);
      if (record === undefined) continue;
      if ("session" in record) await write(record);
      else unread.push(record);
    }
    // These go by what the others say of their sequences.
    for (const one of unread) {
      const record = await recoverSessionRecord(parts, one, (name) => sequences.get(name)?.ulid);
      if (record === undefined) continue;
      // A copy of a directory has topics that are known.
      const known = record.topics.find(({ topic }) => findTopic(catalog, topic.locator) !== undefined);
      if (known === undefined) await write(record);
      else this.#putAside(sessionDirectory(one.ulid), `there is another topic ${known.topic.locator}`);
    }
    await catalog.transaction(() => {
      for (const sequence of sequences.values()) putSequence(catalog, sequence);
    });
    await this.#rescueTails(catalog, sequences, rescue);
    await this.#keepTrash(catalog);
    await this.#keepUnusableFrames(rescue);
    return { sequences: sequences.size, ...counts };
  }

  /** A topic that cannot be used may have batches in logs, which the next starts remove. */
  async #keepUnusableFrames({ tails, isNeeded, written }: TailRescue): Promise<void> {
    const logs = new Map<number, string>();
    for (const [place, records] of tails.topics) {
      // What was deleted has left no directory.
      if (written.has(place) || (await this.#disk.stateOf(`${sessionsDirectory}/${place}`)) === undefined) continue;
      for (const { log } of records) logs.set(log, place);
    }
    // Otherwise they are in quarantine anyway.
    if (isNeeded) return;
    for (const [log, place] of logs) {
      const path = tailFile(log);
      this.#unread.push({
        path,
        from: 0,
        reason: `it has batches of ${sessionsDirectory}/${place}, which cannot be used`,
      });
      this.#tell(`a copy of ${path} goes to quarantine: it has batches of ${sessionsDirectory}/${place}`);
    }
  }

  /** Tells of what is lost here and, for whoever reads the data later, on the sequence. */
  async #noteLosses(
    catalog: Catalog,
    sequence: Sequence | undefined,
    { session, topics, lost }: SessionRecord,
  ): Promise<void> {
    const losses = topics.flatMap(({ topic, lost: ofTopic }) =>
      ofTopic.map((what) => `topic \`${topic.locator}\` has lost ${what}`),
    );
    losses.push(...lost.map((what) => `session \`${session.locator}\` has lost ${what}`));
    await this.#note(catalog, sequence, losses);
  }

  async #note(catalog: Catalog, sequence: Sequence | undefined, losses: readonly string[]): Promise<void> {
    for (const loss of losses) this.#tell(loss);
    if (sequence === undefined || losses.length === 0) return;
    const createdAtNs = this.#options.clock.wallNs();
    await catalog.transaction(() => {
      for (const loss of losses)
        putNotification(catalog, sequence.uuid, { type: "error", message: `Rebuild: ${loss}`, createdAtNs });
    });
  }

  /**
   * Where a frame is damaged, all that is sound moves to chunk files, and the logs go to quarantine: batches behind a gap get other
   * numbers, and a log that says the old ones must not be read again.
   */
  async #rescueTails(catalog: Catalog, sequences: ReadonlyMap<string, Sequence>, rescue: TailRescue): Promise<void> {
    const { tails, isNeeded } = rescue;
    for (const { log, from, to, kind } of tails.breaks) {
      if (kind === "hole") this.#tell(`${tailFile(log)} is damaged: no whole frame between ${from} and ${to}`);
      else if (isNeeded) this.#tell(`the end of ${tailFile(log)} is no whole frame from ${from} on`);
      else this.#leaveEnd(tailFile(log), from);
    }
    for (const { topic, sentence } of rescue.suspected()) {
      await this.#note(catalog, sequences.get(sequenceOfTopic(topic.locator)), [sentence]);
    }
    if (!isNeeded) return;
    const { clock } = this.#options;
    const parts = { disk: this.#disk, catalog, clock, quarantine: this.#quarantine, state: "killed" } as const;
    const reasons = ["what it has in tail logs, of which one is damaged, has moved to it"];
    for (const topic of rescue.topics()) {
      const books = readSessionBooks(catalog, topic.session);
      const own = books?.topics.find((one) => one.topic.uuid === topic.uuid);
      if (books === undefined || own === undefined || own.tails.length === 0) continue;
      const { loss } = await repairTopic(parts, books, own, reasons);
      if (loss !== undefined) this.#tell(loss);
    }
    const aside = ["a frame in a tail log is damaged; what is sound in them has moved to chunk files"];
    for (const name of await this.#disk.list(tailDirectory)) {
      const path = `${tailDirectory}/${name}`;
      const quarantine = await this.#quarantine.note({ path, reasons: aside });
      await catalog.transaction(() => putSwap(catalog, { path, quarantine }));
      this.#options.onProblem(`${path} goes to quarantine`);
    }
  }

  #tell(sentence: string): void {
    this.#problems += 1;
    this.#options.onProblem(sentence);
  }

  /** The next start cuts it off. */
  #leaveEnd(path: string, from: number): void {
    this.#unread.push({ path, from, reason: `only its first ${from} bytes can be used; these come behind` });
    this.#tell(`the end of ${path} goes to quarantine: only its first ${from} bytes can be used`);
  }

  #putAside(path: string, reason: string): void {
    this.#unusable.push({ path, reason });
    this.#tell(`${path} goes to quarantine: ${reason}`);
  }

  async #writeFacts(catalog: Catalog): Promise<void> {
    let facts = { id: newUuid() as string, format: storeFormatVersion, createdAtNs: this.#options.clock.wallNs() };
    try {
      const found = readStoreDocument(await this.#disk.readText(storeFile), storeFile);
      facts = { ...found, format: storeFormatVersion };
      if (found.format !== storeFormatVersion) this.#newDocument = storeDocument(facts);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if ((await this.#disk.stateOf(storeFile)) !== undefined)
        this.#unusable.push({ path: storeFile, reason: error.message });
      this.#tell(`The store gets another identity: ${error.message}`);
      this.#newDocument = storeDocument(facts);
    }
    await writeStoreFacts(catalog, facts);
    // Nobody knows how the store was left: what a kill may leave is for the next start to clear away, and no damage.
    await takeOwnership(catalog, { socket: `control-${newUlid(Date.now())}.sock`, pid: process.pid }, undefined);
  }

  /** By name. */
  async #readSequences(): Promise<Map<string, Sequence>> {
    const sequences = new Map<string, Sequence>();
    for (const name of await this.#disk.list(sequencesDirectory)) {
      const path = `${sequencesDirectory}/${name}`;
      try {
        const sequence = readSequenceDocument(await this.#disk.readText(path), path);
        if (name !== `${sequence.ulid}.json`) throw new Fault("corrupt", `${path} is the document of ${sequence.ulid}`);
        sequences.set(sequence.name, sequence);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        this.#putAside(path, error.message);
      }
    }
    return sequences;
  }

  /** A sequence whose document is lost is known by its sessions, but for its UUID and what its user said of it. */
  #sequenceOf(sequences: Map<string, Sequence>, session: Session): void {
    if (sequences.get(session.sequence)?.ulid === session.sequenceUlid) return;
    this.#tell(`Sequence ${session.sequence} has lost its document: it gets another UUID and no user metadata`);
    sequences.set(session.sequence, {
      ulid: session.sequenceUlid,
      uuid: newUuid(),
      name: session.sequence,
      userMetadata: "{}" as JsonText,
      createdAtNs: session.createdAtNs,
    });
  }

  /** The topics that it has then. */
  async #writeSession(catalog: Catalog, { session, topics }: SessionRecord): Promise<TopicRecord[]> {
    const unique = topics.filter(({ topic }) => {
      if (findTopic(catalog, topic.locator) === undefined) return true;
      this.#putAside(topicDirectory(session.ulid, topic.number), `there is another topic ${topic.locator}`);
      return false;
    });
    if (unique.length < topics.length && session.completedAtNs !== undefined)
      this.#tell(`${sessionDirectory(session.ulid)} has lost topics`);
    await catalog.transaction(() => {
      putSession(catalog, session);
      for (const record of unique) {
        const { topic, schemaHeader, chunks, tails } = record;
        putTopic(catalog, topic);
        if (isCommitted(record)) catalog.schemas.put(topic.uuid, schemaHeader);
        for (const chunk of chunks) replaceChunk(catalog, topic.uuid, chunk);
        for (const run of tails) putTailRun(catalog, topic.uuid, run);
      }
    });
    return unique;
  }

  /** What lies in the trash was deleted: the next start goes on removing it. */
  async #keepTrash(catalog: Catalog): Promise<void> {
    const names = await this.#disk.list(trashDirectory);
    await catalog.transaction(() => {
      for (const name of names) catalog.trash.put(name, trashPath(name as Ulid));
    });
  }
}
