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

/** Chunks of four batches of 16 MiB. */
export const manyChunks = { sequences: 1_000, topics: 10, chunks: 100, batches: 4 } as const;
const batchBytes = 16 * 2 ** 20;
const userMetadata = "{}" as JsonText;

/** Fills a data directory that was never used. */
export async function makeManyChunks(dataDir: string): Promise<void> {
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
  for (let number = 0; number < manyChunks.sequences; number += 1) {
    const name = `drive-${number}` as SequenceName;
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
        topicNumberNext: manyChunks.topics,
      });
      for (let topic = 0; topic < manyChunks.topics; topic += 1) {
        const uuid = newUuid();
        for (let chunk = 0; chunk < manyChunks.chunks; chunk += 1) {
          const { batches, ...summary } = chunkOf(chunk);
          putChunk(catalog, uuid, { summary, first: 0, batches });
        }
        const last = chunkOf(manyChunks.chunks - 1);
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
            rows: manyChunks.chunks * last.rows,
            bytes: manyChunks.chunks * last.bytes,
            chunks: manyChunks.chunks,
            range: { startNs: 0n, endNs: last.range?.endNs ?? 0n },
          },
        });
      }
    });
  }
}

function chunkOf(number: number): Chunk {
  const batches = Array.from({ length: manyChunks.batches }, (_none, index): BatchEntry => {
    const startNs = BigInt(manyChunks.batches * number + index) * 1_000n;
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
    bytes: 2_048 + manyChunks.batches * (batchBytes + 512),
    rows: 1_000 * manyChunks.batches,
    entries: manyChunks.batches,
    range: { startNs, endNs: startNs + BigInt(manyChunks.batches) * 1_000n - 1n },
    batches,
  };
}
