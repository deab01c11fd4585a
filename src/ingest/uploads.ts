/** Opens uploads: says who may write which topic now, and knows the uploads that are open. One upload per topic. */

import { derivationsOf } from "../arrow/derivations.ts";
import { paddedHeader } from "../arrow/frame.ts";
import { leavesOf } from "../arrow/leaf.ts";
import { withMetadata } from "../arrow/metadata.ts";
import { equalSchema, readSchema, type Schema, timestampField } from "../arrow/schema.ts";
import { schemaDifference } from "../arrow/schema-types.ts";
import { batchStatistics } from "../arrow/statistics.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { findSequence, findSession, findTopic, findTopicByUuid } from "../catalog/resources.ts";
import { listAllTailRuns } from "../catalog/tail-rows.ts";
import type { Budget } from "../flow/budget.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import type { LoopUse } from "../host/loop-use.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import type { TopicLocator } from "../model/locator.ts";
import type { OntologyModel } from "../model/ontology.ts";
import { isCompleted, isFinalized, type Topic, type Ulid, type Uuid } from "../model/resource.ts";
import { DocumentWriter } from "../store/document-writer.ts";
import type { Poison } from "../store/poison.ts";
import type { TailLog } from "../store/tail-log.ts";
import { DictionaryState } from "./dictionary-state.ts";
import type { GroupCommit } from "./group-commit.ts";
import { modelsOfTag, type OntologyParts } from "./ontology-gate.ts";
import type { SpaceGate } from "./space-gate.ts";
import type { TopicPlace } from "./topic-place.ts";
import { TopicWriter } from "./topic-writer.ts";
import { Upload, type UploadParts, type UploadUse } from "./upload.ts";

export interface UploadsParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly loop: LoopUse;
  readonly commit: GroupCommit;
  readonly tail: TailLog;
  readonly space: SpaceGate;
  readonly poison: Poison;
  readonly unfoldBudget: Budget;
  /** Whether what is known of the contents is kept. */
  readonly keepsStatistics: boolean;
  /** Ontology models of a directory. */
  readonly given: OntologyParts["given"];
  /** Topics whose files lack what was committed, and what is wrong with them: nothing can be written behind that. */
  readonly damaged: ReadonlyMap<Uuid, string>;
  /** 0 means unlimited. */
  readonly chunkBytesMax: number;
}

export interface UploadRequest {
  readonly topic: TopicLocator;
  /** The topic's UUID: whoever knows it may write. */
  readonly uuid: Uuid;
  /** The first message of the stream, a schema; it is kept. */
  readonly schemaHeader: Uint8Array;
  /** Rows that the client takes for durable; who says so may take over from a stream that is still open. */
  readonly resumeRows?: number | undefined;
  /** Time that the stream has waited for memory so far, in milliseconds. */
  memoryWaitMs(): number;
}

export class Uploads {
  readonly #parts: UploadsParts;
  readonly #documents: DocumentWriter;
  /** By topic; undefined when it could not be opened after all. */
  readonly #open = new Map<Uuid, Promise<Upload | undefined>>();
  /** Topics without an upload whose tail is being moved. */
  readonly #moving = new Map<Uuid, Promise<void>>();
  /** What is being deleted, and by how many: topics, or sessions and sequences with all that is created in them meanwhile. */
  readonly #closed = new Map<Uuid | Ulid, number>();

  constructor(parts: UploadsParts) {
    this.#parts = parts;
    this.#documents = new DocumentWriter(parts.disk);
    const { signal } = parts.poison;
    signal.addEventListener("abort", () => void this.#stopAll(signal.reason), { once: true });
  }

  /**
   * @throws Fault invalid (schema), absent (topic), denied (wrong UUID), wrong_state (finished topic, finalized session, second
   * upload, other schema than before), corrupt (damaged topic), unavailable (poisoned store)
   */
  async begin(request: UploadRequest): Promise<Upload> {
    const { catalog, poison } = this.#parts;
    poison.check();
    const schema = readSchema(request.schemaHeader);
    timestampField(schema);
    // Readers get the schema with keys merged in: what cannot be merged must not be stored.
    withMetadata(request.schemaHeader, new Map(), "all");
    // Before files are made for it.
    (await this.#parts.space.admit(0))[Symbol.dispose]();
    if (request.resumeRows !== undefined) await this.#takeOver(request);
    // Another one may have begun while the one before ended.
    while (this.#moving.has(request.uuid)) await this.#moving.get(request.uuid);
    const place = this.#admit(request);
    const { topic } = place;
    if (request.resumeRows !== undefined && topic.lostRows !== undefined) {
      throw new Fault(
        "wrong_state",
        `Topic \`${topic.locator}\` has lost ${topic.lostRows} rows by damage (a notification on its sequence says which), so that its ${topic.extent.rows} durable rows do not say where the upload goes on. An upload without the header goes on behind them.`,
      );
    }
    if (request.resumeRows !== undefined && request.resumeRows !== topic.extent.rows) {
      throw new Fault(
        "wrong_state",
        `Topic \`${topic.locator}\` has ${topic.extent.rows} durable rows, the upload wants to go on after ${request.resumeRows}.`,
      );
    }
    const stored = catalog.schemas.get(topic.uuid);
    if (stored !== undefined && !equalSchema(readSchema(stored), schema)) {
      throw new Fault(
        "wrong_state",
        `Topic \`${topic.locator}\` goes on with the schema that it has; this upload has another one: ${schemaDifference(readSchema(stored), schema)}.`,
      );
    }
    // From here to the end of the upload nobody else may begin one.
    const opening = this.#openUpload(place, schema, {
      ...request,
      schemaHeader: stored ?? paddedHeader(request.schemaHeader),
    });
    this.#open.set(
      topic.uuid,
      opening.catch(() => undefined),
    );
    try {
      return await opening;
    } catch (error) {
      this.#open.delete(topic.uuid);
      throw error;
    }
  }

  async #openUpload(place: TopicPlace, schema: Schema, { schemaHeader, memoryWaitMs }: UploadRequest): Promise<Upload> {
    const { disk, clock, loop, commit, poison, space, unfoldBudget } = this.#parts;
    const writer = await this.#openWriter(place, schemaHeader);
    const dictionaries = new DictionaryState(disk, schema);
    // The new stream sends its dictionaries anew, and they may differ from those of the chunk that is open.
    try {
      if (dictionaries.needed && writer.current !== undefined) await writer.rotate();
    } catch (error) {
      await writer.close();
      throw error;
    }
    const { topic } = place;
    const shared = { commit, space, poison, clock, loop, unfoldBudget };
    const statisticsOf = this.#statisticsFor(topic, schema);
    return new Upload({ ...shared, topic, schema, statisticsOf, writer, dictionaries, memoryWaitMs });
  }

  /** What is noted of each batch; undefined for nothing. */
  #statisticsFor({ ontologyTag: tag }: Topic, schema: Schema): UploadParts["statisticsOf"] {
    if (!this.#parts.keepsStatistics) return undefined;
    const leaves = leavesOf(schema);
    const derivations = derivationsOf(schema, leaves, { tag, models: this.#modelsOf(tag) });
    return (batch) => batchStatistics(leaves, batch, derivations);
  }

  #modelsOf(tag: string): OntologyModel[] {
    const { catalog, given } = this.#parts;
    try {
      return modelsOfTag(catalog, given, tag);
    } catch (error) {
      // No model is worth an upload: queries read more, and finalize tells what is wrong with it.
      if (error instanceof Fault && error.code === "corrupt") return [];
      throw error;
    }
  }

  #openWriter(place: TopicPlace, schemaHeader: Uint8Array): Promise<TopicWriter> {
    const { disk, catalog, tail, space, chunkBytesMax } = this.#parts;
    const documents = this.#documents;
    return TopicWriter.open({ disk, catalog, documents, tail, space, place, schemaHeader, chunkBytesMax });
  }

  /** Ends the stream before, so that what it has sent is counted. @throws Fault as `begin` for who may not write the topic */
  async #takeOver({ topic: locator, uuid }: UploadRequest): Promise<void> {
    if (findTopic(this.#parts.catalog, locator)?.uuid !== uuid) return;
    await this.endIntake(uuid, new Fault("cancelled", `Topic \`${locator}\` is continued by another stream.`));
  }

  /** Ends the stream of a topic, if there is one, and waits until all that has arrived whole is committed. */
  async endIntake(topic: Uuid, reason: Fault): Promise<void> {
    const upload = await this.#open.get(topic);
    await upload?.stop(reason);
    await this.#moving.get(topic);
  }

  #admit({ topic: locator, uuid }: UploadRequest): TopicPlace {
    const { catalog } = this.#parts;
    const topic = findTopic(catalog, locator);
    if (topic === undefined) throw new Fault("absent", `Topic \`${locator}\` does not exist.`);
    if (topic.uuid !== uuid) throw new Fault("denied", `Unauthorized: the UUID is not that of topic \`${locator}\`.`);
    if (isCompleted(topic)) throw new Fault("wrong_state", `Topic \`${locator}\` is locked.`);
    this.#checkSound(topic);
    const place = this.#placeOf(topic);
    const { session } = place;
    if (isFinalized(session)) throw new Fault("wrong_state", `Session \`${session.locator}\` is locked.`);
    if (this.#open.has(topic.uuid)) {
      throw new Fault("wrong_state", `Topic \`${locator}\` is being uploaded by another stream.`);
    }
    if (this.#isClosed(place)) throw new Fault("wrong_state", `Topic \`${locator}\` is being deleted.`);
    return place;
  }

  /** @throws Fault corrupt */
  #checkSound({ uuid, locator }: Topic): void {
    const damage = this.#parts.damaged.get(uuid);
    if (damage === undefined) return;
    throw new Fault(
      "corrupt",
      `Topic \`${locator}\` is damaged, nothing can be written behind that: ${damage}. Stop the server and run \`mosaico-edge verify\`, then \`mosaico-edge repair\`; or delete the topic.`,
    );
  }

  /** Streams that rest are told at once that nothing more is written. */
  async #stopAll(reason: Fault): Promise<void> {
    for (const upload of await Promise.all(this.#open.values())) void upload?.stop(reason);
  }

  #placeOf(topic: Topic): TopicPlace {
    const { catalog } = this.#parts;
    const session = findSession(catalog, topic.session);
    const sequence = session === undefined ? undefined : findSequence(catalog, session.sequence);
    assert(session !== undefined && sequence !== undefined, "a topic has a session, a session has a sequence");
    return { sequence, session, topic };
  }

  /** Ends an upload on our side; to be called once for every `begin`. */
  async end(upload: Upload, topic: Uuid): Promise<void> {
    try {
      await upload.close();
    } finally {
      this.#open.delete(topic);
    }
  }

  /**
   * Stops the uploads of what is to be deleted, `what` with its topics, and waits until they wrote their last byte. Nobody may
   * begin another one until what it returns is disposed, also of a topic that is created meanwhile: it would make files where a
   * deleted session lay.
   */
  async close(what: Uuid | Ulid, topics: readonly Topic[], reason: (topic: Topic) => Fault): Promise<Disposable> {
    this.#closed.set(what, (this.#closed.get(what) ?? 0) + 1);
    const open = (): void => {
      const others = (this.#closed.get(what) ?? 0) - 1;
      if (others > 0) this.#closed.set(what, others);
      else this.#closed.delete(what);
    };
    try {
      await Promise.all(topics.map((topic) => this.endIntake(topic.uuid, reason(topic))));
    } catch (error) {
      open();
      throw error;
    }
    return { [Symbol.dispose]: open };
  }

  #isClosed({ sequence, session, topic }: TopicPlace): boolean {
    return [sequence.ulid, session.ulid, topic.uuid].some((what) => this.#closed.has(what));
  }

  /** Moves everything that is left in a tail log to chunk files, so that the log can go. */
  async leaveTailLog(log: number): Promise<void> {
    for (const opening of [...this.#open.values()]) {
      const upload = await opening;
      await upload?.leaveTailLog(log);
    }
    const topics = new Set<Uuid>();
    for (const run of listAllTailRuns(this.#parts.catalog)) if (run.log === log) topics.add(run.topic);
    for (const topic of topics) await this.#moveClosed(topic);
  }

  /** The streams that are open, those that have waited longest for the disk first. */
  async use(most: number): Promise<{ open: number; streams: UploadUse[] }> {
    const uploads = await Promise.all(this.#open.values());
    const streams = uploads.flatMap((upload) => upload?.use() ?? []);
    streams.sort((a, b) => b.diskWaitMs - a.diskWaitMs);
    return { open: streams.length, streams: streams.slice(0, most) };
  }

  /** Seals chunks that have been open for so long. */
  async sealOlder(ageMs: number): Promise<void> {
    const beforeMs = this.#parts.clock.monotonicMs() - ageMs;
    for (const opening of [...this.#open.values()]) {
      const upload = await opening;
      // Its stream is told by itself when the disk refuses.
      await upload?.sealOlder(beforeMs).catch(() => undefined);
    }
  }

  openTopics(): Iterable<Uuid> {
    return this.#open.keys();
  }

  isUploading({ uuid }: Topic): boolean {
    return this.#open.has(uuid) || this.#moving.has(uuid);
  }

  /** Ends a topic that nobody uploads any more, with what is committed of it. @throws Fault wrong_state when somebody does, corrupt */
  async completeTopic(topic: Topic): Promise<void> {
    const { uuid, locator } = topic;
    this.#checkSound(topic);
    if (this.#open.has(uuid)) throw new Fault("wrong_state", `Topic \`${locator}\` is being uploaded.`);
    await this.#withWriter(uuid, async (writer) => {
      await writer.moveTail();
      await writer.complete(this.#parts.clock.wallNs());
    });
  }

  /** Moves the tail of a topic that nobody uploads. */
  async #moveClosed(uuid: Uuid): Promise<void> {
    if (this.#open.has(uuid) || this.#parts.damaged.has(uuid)) return;
    await this.#withWriter(uuid, (writer) => writer.moveTail());
  }

  /** Opens a topic without an upload, writes, and commits. Uploads that begin meanwhile wait. */
  async #withWriter(uuid: Uuid, act: (writer: TopicWriter) => Promise<void>): Promise<void> {
    const { catalog, commit, poison } = this.#parts;
    poison.check();
    const topic = findTopicByUuid(catalog, uuid);
    const schemaHeader = catalog.schemas.get(uuid);
    if (topic === undefined || schemaHeader === undefined || this.#moving.has(uuid)) return;
    const place = this.#placeOf(topic);
    if (this.#isClosed(place)) return;
    const run = async (): Promise<void> => {
      const writer = await this.#openWriter(place, schemaHeader);
      try {
        await act(writer);
        commit.note(writer, 0);
        await commit.commit();
      } finally {
        await writer.close();
      }
    };
    const running = run();
    this.#moving.set(
      uuid,
      running.catch(() => undefined),
    );
    await running.finally(() => this.#moving.delete(uuid));
  }
}
