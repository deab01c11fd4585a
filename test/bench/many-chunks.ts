// A store of a million chunks, made by writing rows: what a start and a listing cost does not depend on what lies in the files.

import { openCatalog } from "../../src/catalog/catalog.ts";
import { putChunk } from "../../src/catalog/chunk-rows.ts";
import { putSequence, putSession, putTopic } from "../../src/catalog/resources.ts";
import { openDisk } from "../../src/host/disk.ts";
import { newUlid, newUuid } from "../../src/host/entropy.ts";
import type { BatchEntry, Chunk } from "../../src/model/chunk.ts";
import type { SequenceName, SessionLocator, TopicLocator } from "../../src/model/locator.ts";
import type { JsonText } from "../../src/model/resource.ts";
import { catalogDirectory } from "../../src/store/layout.ts";
import { startServer } from "../server.ts";

export interface RowsOfStore {
  readonly sequences: number;
  /** Of each sequence. */
  readonly topics: number;
  /** Of each topic, of four batches of 16 MiB each. */
  readonly chunks: number;
}

export const manyChunks: RowsOfStore = { sequences: 1_000, topics: 10, chunks: 100 };
const batchesOfChunk = 4;
const batchBytes = 16 * 2 ** 20;

/** Fills a data directory that was never used. */
export async function makeRows(dataDir: string, { sequences, topics, chunks }: RowsOfStore): Promise<void> {
  await using server = await startServer({ dataDir });
  await server.stop();
  const disk = await openDisk(dataDir);
  await using catalog = await openCatalog({
    disk,
    directory: catalogDirectory,
    onFailure(error) {
      throw error;
    },
  });
  for (let number = 0; number < sequences; number += 1) {
    const name = `drive-${number}` as SequenceName;
    const userMetadata = JSON.stringify({ run: number, robot: `milo-${number % 7}` }) as JsonText;
    await catalog.transaction(() => {
      const createdAtNs = BigInt(number) * 1_000_000_000n;
      const ulid = newUlid(Date.now());
      putSequence(catalog, { ulid, uuid: newUuid(), name, userMetadata, createdAtNs });
      const session = newUlid(Date.now());
      putSession(catalog, {
        ulid: session,
        uuid: newUuid(),
        alias: newUuid(),
        locator: `${name}:${session}` as SessionLocator,
        sequence: name,
        sequenceUlid: ulid,
        createdAtNs,
        completedAtNs: createdAtNs,
        topicNumberNext: topics,
      });
      for (let topic = 0; topic < topics; topic += 1) {
        const uuid = newUuid();
        for (let chunk = 0; chunk < chunks; chunk += 1) {
          const { batches, ...summary } = chunkOf(chunk);
          putChunk(catalog, uuid, { summary, first: 0, batches });
        }
        const last = chunkOf(chunks - 1);
        putTopic(catalog, {
          uuid,
          locator: `${name}/t${topic}` as TopicLocator,
          session,
          number: topic,
          ontologyTag: "load",
          serializationFormat: "default",
          userMetadata,
          createdAtNs,
          completedAtNs: createdAtNs,
          extent: {
            rows: chunks * last.rows,
            bytes: chunks * last.bytes,
            chunks,
            range: { startNs: 0n, endNs: last.range?.endNs ?? 0n },
          },
        });
      }
    });
  }
}

function chunkOf(number: number): Chunk {
  const batches = Array.from({ length: batchesOfChunk }, (_none, index): BatchEntry => {
    const startNs = BigInt(batchesOfChunk * number + index) * 1_000n;
    return {
      kind: "batch",
      offset: 1_024 + index * (batchBytes + 512),
      metadataBytes: 512,
      bodyBytes: batchBytes,
      rows: 1_000,
      crc32: index,
      sorted: true,
      range: { startNs, endNs: startNs + 999n },
    };
  });
  const startNs = batches[0]?.range?.startNs ?? 0n;
  return {
    number,
    sealed: true,
    bytes: 2_048 + batchesOfChunk * (batchBytes + 512),
    rows: 1_000 * batchesOfChunk,
    entries: batchesOfChunk,
    range: { startNs, endNs: startNs + BigInt(batchesOfChunk) * 1_000n - 1n },
    batches,
  };
}
