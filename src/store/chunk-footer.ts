/**
 * The footer of a chunk file with what a catalog is rebuilt from, in its custom metadata:
 *
 *   "mosaico-edge:batches"          the chunk's entries in the order of the file (model/batch-codec.ts), in base64
 *   "mosaico-edge:statistics"       what is known of all rows together (model/statistics-codec.ts), in base64
 *   "mosaico-edge:zones"            the same of parts of the file (model/zone-codec.ts); both or none
 *   "mosaico-edge:completed_at_ns"  in the last chunk of a topic whose upload has ended: the time of that, decimal
 *
 * Equal facts give equal bytes. So a footer that was read is checked by writing it again: whatever has changed shows, also where
 * the format itself would not care.
 */

import { encodeFooter, type Footer, readFooter, readFooterLength, tailBytes } from "../arrow/file.ts";
import { decodeBatches, encodeBatches } from "../model/batch-codec.ts";
import type { BatchEntry } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import type { TimeNs } from "../model/time.ts";
import type { ChunkSkips } from "../model/zone-codec.ts";

const batchesKey = "mosaico-edge:batches";
const statisticsKey = "mosaico-edge:statistics";
const zonesKey = "mosaico-edge:zones";
const completedKey = "mosaico-edge:completed_at_ns";

export interface ChunkFooter {
  readonly schemaHeader: Uint8Array;
  readonly entries: readonly BatchEntry[];
  readonly skips?: ChunkSkips | undefined;
  /** Only in the last chunk of a topic that is complete. */
  readonly completedAtNs?: TimeNs | undefined;
}

/** All bytes behind the last message. */
export function chunkFooter({ schemaHeader, entries, skips, completedAtNs }: ChunkFooter): Uint8Array {
  const metadata = new Map([[batchesKey, toBase64(encodeBatches(entries))]]);
  if (skips !== undefined) {
    metadata.set(statisticsKey, toBase64(skips.chunk));
    metadata.set(zonesKey, toBase64(skips.zones));
  }
  if (completedAtNs !== undefined) metadata.set(completedKey, completedAtNs.toString());
  return encodeFooter({
    schemaHeader,
    dictionaries: entries.filter((entry) => entry.kind === "dictionary"),
    batches: entries.filter((entry) => entry.kind === "batch"),
    metadata,
  });
}

/** Bytes at the end of a file by which the length of its footer is known. */
export const footerTailBytes = tailBytes;

/** Bytes of the footer's flatbuffer. @param tail the last `footerTailBytes` of the file @throws Fault corrupt */
export function footerBytesOf(tail: Uint8Array, fileBytes: number): number {
  return readFooterLength(tail, fileBytes);
}

/**
 * Reads a footer by its flatbuffer.
 * @throws Fault corrupt when it is not as `chunkFooter` writes it for this schema
 */
export function readChunkFooter(flatbuffer: Uint8Array, schemaHeader: Uint8Array): ChunkFooter {
  const { metadata } = parsed(flatbuffer);
  const batches = metadata.get(batchesKey);
  if (batches === undefined) throw new Fault("corrupt", `The footer has no ${batchesKey}`);
  const completed = metadata.get(completedKey);
  if (completed !== undefined && !/^-?[0-9]{1,19}$/.test(completed))
    throw new Fault("corrupt", `The footer has ${completedKey} ${JSON.stringify(completed.slice(0, 40))}`);
  const footer: ChunkFooter = {
    schemaHeader,
    entries: decodeBatches(Buffer.from(batches, "base64")),
    skips: skipsIn(metadata),
    completedAtNs: completed === undefined ? undefined : BigInt(completed),
  };
  const whole = chunkFooter(footer);
  const own = whole.subarray(whole.byteLength - tailBytes - flatbuffer.byteLength, whole.byteLength - tailBytes);
  if (whole.byteLength !== flatbuffer.byteLength + 8 + tailBytes || Buffer.compare(own, flatbuffer) !== 0)
    throw new Fault("corrupt", "The footer's schema, blocks and entries do not agree");
  return footer;
}

function skipsIn(metadata: ReadonlyMap<string, string>): ChunkSkips | undefined {
  const chunk = metadata.get(statisticsKey);
  const zones = metadata.get(zonesKey);
  if (chunk === undefined || zones === undefined) return undefined;
  return { chunk: Uint8Array.from(Buffer.from(chunk, "base64")), zones: Uint8Array.from(Buffer.from(zones, "base64")) };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function parsed(flatbuffer: Uint8Array): Footer {
  try {
    return readFooter(flatbuffer);
  } catch (error) {
    throw new Fault("corrupt", `The footer cannot be read: ${error instanceof Error ? error.message : error}`, error);
  }
}
