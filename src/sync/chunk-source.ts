/** A chunk of a topic that is finalized, as its batches are read for a remote: whatever is wrong with them names where they lie. */

import type { Batch } from "../arrow/batch.ts";
import { unfoldedBytes } from "../arrow/compression.ts";
import type { Schema } from "../arrow/schema.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { readChunk } from "../catalog/chunk-rows.ts";
import type { ReadDisk } from "../host/disk.ts";
import type { BatchEntry, Chunk } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import type { Topic } from "../model/resource.ts";
import { readStoredBatch, unfoldStoredBatch } from "../query/stored-batch.ts";
import { ChunkReader } from "../store/chunk-reader.ts";
import { chunkFile } from "../store/layout.ts";

export interface ChunkPlace {
  readonly topic: Topic;
  readonly schema: Schema;
  readonly chunk: Chunk;
}

export class ChunkSource implements AsyncDisposable {
  readonly #place: ChunkPlace;
  readonly reader: ChunkReader;

  private constructor(place: ChunkPlace, reader: ChunkReader) {
    this.#place = place;
    this.reader = reader;
  }

  /** @throws Fault absent when the topic is deleted, corrupt when the file is missing */
  static async open(
    { disk, catalog }: { disk: Pick<ReadDisk, "openReadable">; catalog: Catalog },
    place: ChunkPlace,
  ): Promise<ChunkSource> {
    const { topic, chunk } = place;
    try {
      return new ChunkSource(place, await ChunkReader.open(disk, chunkFile(topic.session, topic.number, chunk.number)));
    } catch (error) {
      if (!(error instanceof Fault && error.code === "absent")) throw error;
      catalog.refresh();
      // Who deletes takes the rows first.
      if (readChunk(catalog, topic.uuid, chunk.number) === undefined) throw deletedMeanwhile(topic);
      throw new Fault(
        "corrupt",
        `Cannot read chunk ${chunk.number} of \`${topic.locator}\`: its file is missing`,
        error,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reader[Symbol.asyncDispose]();
  }

  placeOf(entry: BatchEntry): string {
    const { chunk, topic } = this.#place;
    return `chunk ${chunk.number} of \`${topic.locator}\` at ${entry.offset}`;
  }

  /** A batch as it lies there, its checksum checked. @throws Fault corrupt */
  async stored(entry: BatchEntry): Promise<Batch> {
    return readStoredBatch(this.placeOf(entry), this.#place.schema, await this.reader.readMessage(entry));
  }

  /** @throws Fault corrupt */
  async plain(entry: BatchEntry, batch: Batch, bytesMax: number): Promise<Batch> {
    return await unfoldStoredBatch(this.placeOf(entry), this.#place.schema, batch, bytesMax);
  }

  /** Bytes of a batch that is unfolded. @throws Fault unsupported when they are more than there is memory for */
  plainBytes(entry: BatchEntry, batch: Batch, bytesMax: number): number {
    try {
      return unfoldedBytes(batch, bytesMax);
    } catch (error) {
      if (!(error instanceof Fault && error.code === "overloaded")) throw error;
      const problem = `unfolds to more than the ${bytesMax} bytes of memory that there are for messages`;
      throw new Fault("unsupported", `A batch of ${this.placeOf(entry)} ${problem}.`, error);
    }
  }
}

export function deletedMeanwhile({ locator }: Topic): Fault {
  return new Fault("absent", `Topic \`${locator}\` was deleted while it was sent.`);
}
