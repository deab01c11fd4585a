/** Opens uploads: says who may write which topic now, and knows the uploads that are open. One upload per topic. */

import { withMetadata } from "../arrow/metadata.ts";
import { equalSchema, readSchema, timestampField } from "../arrow/schema.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { findSequence, findSession, findTopic } from "../catalog/resources.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import type { TopicLocator } from "../model/locator.ts";
import { isCompleted, isFinalized, type Uuid } from "../model/resource.ts";
import { DocumentWriter } from "../store/document-writer.ts";
import type { Poison } from "../store/poison.ts";
import { DictionaryState } from "./dictionary-state.ts";
import type { GroupCommit } from "./group-commit.ts";
import { type TopicPlace, TopicWriter } from "./topic-writer.ts";
import { Upload } from "./upload.ts";

export interface UploadsParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly commit: GroupCommit;
  readonly poison: Poison;
  /** 0 means unlimited. */
  readonly chunkBytesMax: number;
}

export interface UploadRequest {
  readonly topic: TopicLocator;
  /** The topic's UUID: whoever knows it may write. */
  readonly uuid: Uuid;
  /** The first message of the stream, a schema; it is kept. */
  readonly schemaHeader: Uint8Array;
}

export class Uploads {
  readonly #parts: UploadsParts;
  readonly #documents: DocumentWriter;
  readonly #open = new Map<Uuid, Upload | undefined>();

  constructor(parts: UploadsParts) {
    this.#parts = parts;
    this.#documents = new DocumentWriter(parts.disk);
  }

  /**
   * @throws Fault invalid (schema), absent (topic), denied (wrong UUID), wrong_state (finished topic, finalized session, second
   * upload, other schema than before), unavailable (poisoned store)
   */
  async begin(request: UploadRequest): Promise<Upload> {
    const { disk, catalog, clock, commit, poison, chunkBytesMax } = this.#parts;
    poison.check();
    const schema = readSchema(request.schemaHeader);
    timestampField(schema);
    // Readers get the schema with keys merged in: what cannot be merged must not be stored.
    withMetadata(request.schemaHeader, new Map(), "all");
    const place = this.#admit(request);
    const { topic } = place;
    const stored = catalog.schemas.get(topic.uuid);
    if (stored !== undefined && !equalSchema(readSchema(stored), schema)) {
      throw new Fault(
        "wrong_state",
        `Topic \`${topic.locator}\` goes on with the schema that it has; this upload has another one.`,
      );
    }
    // From here to the end of the upload nobody else may begin one.
    this.#open.set(topic.uuid, undefined);
    try {
      const writer = await TopicWriter.open({
        disk,
        catalog,
        documents: this.#documents,
        place,
        schemaHeader: stored ?? Uint8Array.from(request.schemaHeader),
        chunkBytesMax,
      });
      const dictionaries = new DictionaryState(disk, schema);
      // The new stream sends its dictionaries anew, and they may differ from those of the chunk that is open.
      if (dictionaries.needed && writer.current !== undefined) await writer.rotate();
      const upload = new Upload({ topic, schema, writer, commit, poison, clock, dictionaries });
      this.#open.set(topic.uuid, upload);
      return upload;
    } catch (error) {
      this.#open.delete(topic.uuid);
      throw error;
    }
  }

  #admit({ topic: locator, uuid }: UploadRequest): TopicPlace {
    const { catalog } = this.#parts;
    const topic = findTopic(catalog, locator);
    if (topic === undefined) throw new Fault("absent", `Topic \`${locator}\` does not exist.`);
    if (topic.uuid !== uuid) throw new Fault("denied", `Unauthorized: the UUID is not that of topic \`${locator}\`.`);
    if (isCompleted(topic)) throw new Fault("wrong_state", `Topic \`${locator}\` is locked.`);
    const session = findSession(catalog, topic.session);
    const sequence = session === undefined ? undefined : findSequence(catalog, session.sequence);
    assert(session !== undefined && sequence !== undefined, "a topic has a session, a session has a sequence");
    if (isFinalized(session)) throw new Fault("wrong_state", `Session \`${session.locator}\` is locked.`);
    if (this.#open.has(topic.uuid)) {
      throw new Fault("wrong_state", `Topic \`${locator}\` is being uploaded by another stream.`);
    }
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

  /** Stops the upload of a topic, if there is one, and waits until it wrote its last byte. */
  async stop(topic: Uuid, reason: Fault): Promise<void> {
    await this.#open.get(topic)?.stop(reason);
  }
}
