/**
 * Repair: brings a damaged store to where verify finds nothing, without deleting anything. What is broken goes to quarantine with
 * a note; what can be written anew from the catalog is; of damaged chunks every sound batch stays. May be broken off anywhere.
 */

import { dirname } from "node:path/posix";
import { type Catalog, openCatalog } from "../catalog/catalog.ts";
import { findTopicByUuid, listSequences } from "../catalog/resources.ts";
import { readStoreFacts } from "../catalog/store-facts.ts";
import { listAllTailRuns } from "../catalog/tail-rows.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import type { Ulid } from "../model/resource.ts";
import { readSessionDocument, sequenceDocument, storeDocument, topicDocument } from "../store/documents.ts";
import {
  catalogDirectory,
  sequenceFile,
  sequencesDirectory,
  sessionFile,
  sessionsDirectory,
  storeFile,
  tailFile,
  topicFile,
} from "../store/layout.ts";
import { makeDurableDirectory } from "./directory.ts";
import { describeFinding, type Finding, type StoreState } from "./finding.ts";
import { checkCatalogFormat, checkIsStore } from "./identity.ts";
import { isServed, own } from "./ownership.ts";
import { Quarantine } from "./quarantine.ts";
import { type PathPlan, planRepair, type RepairPlan } from "./repair-plan.ts";
import { readSessionBooks, type SessionBooks, type TopicBooks } from "./session-books.ts";
import { sessionText } from "./session-check.ts";
import { finishSwaps } from "./swap.ts";
import { repairTopic } from "./topic-repair.ts";
import { findCatalogProblem, lookAtEverything, readState } from "./verify.ts";

export interface RepairOptions {
  readonly clock: Clock;
  onProgress(bytes: number, bytesTotal: number): void;
  /** Hears what has been done, in sentences. */
  onDone(sentence: string): void;
}

/** What is still wrong afterwards. @throws Fault absent (no store), wrong_state (a server runs), corrupt (the catalog) */
export async function repair(disk: Disk, options: RepairOptions): Promise<readonly Finding[]> {
  await checkIsStore(disk);
  if (await isServed(disk))
    throw new Fault("wrong_state", `A server is running on ${disk.root}: stop it, then repair.`);
  const problem = await findCatalogProblem(disk, false);
  if (problem !== undefined) throw beyondRepair([problem]);
  await using catalog = await openCatalog({
    disk,
    directory: catalogDirectory,
    whenMissing: "refuse",
    onFailure: () => undefined,
  });
  checkCatalogFormat(catalog);
  const state = readState(catalog);
  await using _owner = await own(disk, catalog, async () => JSON.stringify({ pid: process.pid }));
  await finishSwaps({ disk, catalog });
  const look = async (): Promise<readonly Finding[]> =>
    (await lookAtEverything({ disk, catalog, state, options: { onProgress: options.onProgress } })).findings;
  const plan = planRepair(await look());
  if (plan.beyond.length > 0) throw beyondRepair(plan.beyond);
  await new Repair(disk, catalog, state, options).run(plan);
  return (await look()).filter(({ severity }) => severity === "damage");
}

function beyondRepair(findings: readonly Finding[]): Fault {
  const [first] = findings;
  const what = first === undefined ? "" : describeFinding(first);
  return new Fault(
    "corrupt",
    `The catalog is damaged or missing, and it is what repair goes by; make another one: mosaico-edge rebuild. ${what}`,
  );
}

class Repair {
  readonly #disk: Disk;
  readonly #catalog: Catalog;
  readonly #options: RepairOptions;
  readonly #quarantine: Quarantine;
  readonly #state: StoreState;

  constructor(disk: Disk, catalog: Catalog, state: StoreState, options: RepairOptions) {
    this.#disk = disk;
    this.#catalog = catalog;
    this.#options = options;
    this.#state = state;
    this.#quarantine = new Quarantine(disk, options.clock.wallNs());
  }

  async run(plan: RepairPlan): Promise<void> {
    for (const path of plan.aside) await this.#putAside(path);
    for (const directory of [sequencesDirectory, sessionsDirectory]) await makeDurableDirectory(this.#disk, directory);
    for (const { session, number, reasons } of this.#topicsOf(plan)) await this.#repairTopic(session, number, reasons);
    for (const path of plan.logs) await this.#putAside(path);
    for (const path of plan.documents) await this.#writeDocument(path);
  }

  async #putAside(plan: PathPlan): Promise<void> {
    if ((await this.#disk.stateOf(plan.path)) === undefined) return;
    await this.#quarantine.put(plan);
    this.#options.onDone(`${plan.path} is in quarantine`);
  }

  /** Those that have something in a damaged log are among them. */
  #topicsOf({ topics, logs }: RepairPlan): { session: Ulid; number: number; reasons: readonly string[] }[] {
    const byPlace = new Map(topics.map((topic) => [`${topic.session}/${topic.number}`, topic]));
    for (const { topic: uuid, log } of listAllTailRuns(this.#catalog)) {
      const damaged = logs.find(({ path }) => path === tailFile(log));
      const topic = damaged === undefined ? undefined : findTopicByUuid(this.#catalog, uuid);
      if (damaged === undefined || topic === undefined) continue;
      const place = `${topic.session}/${topic.number}`;
      byPlace.set(
        place,
        byPlace.get(place) ?? { session: topic.session, number: topic.number, reasons: damaged.reasons },
      );
    }
    return [...byPlace.values()];
  }

  async #repairTopic(ulid: Ulid, number: number, reasons: readonly string[]): Promise<void> {
    const books = this.#booksOf(ulid);
    const topic = books.topics.find((one) => one.topic.number === number);
    // Of a topic without a commit there is a document at most.
    if (topic?.schemaHeader === undefined) return;
    const { clock } = this.#options;
    const parts = { disk: this.#disk, catalog: this.#catalog, clock, quarantine: this.#quarantine, state: this.#state };
    const unlisted = await this.#rowsUnlisted(books, topic);
    const { loss, files } = await repairTopic(parts, books, topic, reasons);
    await finishSwaps(parts);
    const { locator } = topic.topic;
    if (loss !== undefined) {
      // It says how many rows are lost.
      const path = topicFile(ulid, number);
      await this.#writeDocument({ path, reasons: [`it is as it was before ${locator} was repaired`] });
      this.#options.onDone(loss);
    } else if (files > 0) this.#options.onDone(`${locator} is written anew, with all batches that the catalog lists`);
    if (unlisted > 0)
      this.#options.onDone(
        `${locator} has lost ${unlisted} rows before: its manifest lists them, which goes to quarantine, and the catalog does not`,
      );
  }

  /** Rows that a finalized session's manifest lists and the catalog does not know: a rebuild has not found them. */
  async #rowsUnlisted({ session }: SessionBooks, { topic }: TopicBooks): Promise<number> {
    const path = sessionFile(session.ulid);
    try {
      const { topics = [] } = readSessionDocument(await this.#disk.readText(path), path);
      const listed = topics.find((one) => one.topic.uuid === topic.uuid);
      const rows = listed?.chunks.reduce((sum, chunk) => sum + chunk.rows, 0) ?? 0;
      return rows - topic.extent.rows;
    } catch (error) {
      // What the document is like is a finding of its own.
      if (error instanceof Fault) return 0;
      throw error;
    }
  }

  #booksOf(ulid: Ulid): SessionBooks {
    const books = readSessionBooks(this.#catalog, ulid);
    if (books === undefined) throw new Fault("internal", `Session ${ulid} is not in the catalog any more`);
    return books;
  }

  async #writeDocument(plan: PathPlan): Promise<void> {
    const text = this.#textOf(plan.path);
    const state = await this.#disk.stateOf(plan.path);
    if (text === undefined || (state?.kind === "file" && (await this.#disk.readText(plan.path)) === text)) return;
    await this.#putAside(plan);
    await makeDurableDirectory(this.#disk, dirname(plan.path));
    await this.#disk.replaceText(plan.path, text);
    this.#options.onDone(`${plan.path} is written anew`);
  }

  /** What the catalog says that a document has to be. */
  #textOf(path: string): string | undefined {
    if (path === storeFile) {
      const facts = readStoreFacts(this.#catalog);
      return facts === undefined ? undefined : storeDocument(facts);
    }
    for (const sequence of listSequences(this.#catalog))
      if (sequenceFile(sequence.ulid) === path) return sequenceDocument(sequence);
    const [, ulid = "", number] = path.split("/");
    const books = readSessionBooks(this.#catalog, ulid as Ulid);
    if (books === undefined || number === "session.json") return books === undefined ? undefined : sessionText(books);
    const topic = books.topics.find((one) => String(one.topic.number) === number);
    return topic?.schemaHeader === undefined ? undefined : topicDocument(topic.topic, topic.schemaHeader);
  }
}
