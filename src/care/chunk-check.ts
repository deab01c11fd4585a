/** One chunk file against its row: every byte that means something. */

import { fileMagic } from "../arrow/file.ts";
import { frameHeader, splitFrame } from "../arrow/frame.ts";
import { readMessage } from "../arrow/message.ts";
import { dictionaryIds, readSchema } from "../arrow/schema.ts";
import type { ReadDisk } from "../host/disk.ts";
import { type BatchEntry, type Chunk, endOfEntry, messageBytesOf, sumEntries } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import type { Ulid } from "../model/resource.ts";
import type { TimeNs } from "../model/time.ts";
import { chunkFooter } from "../store/chunk-footer.ts";
import { FileScan } from "../store/file-scan.ts";
import { damage, type Finding, leftover, type StoreState } from "./finding.ts";

export interface ChunkPlace {
  readonly path: string;
  readonly session: Ulid;
  readonly schemaHeader: Uint8Array;
  /** Which its footer has to tell. */
  readonly completedAtNs: TimeNs | undefined;
}

export interface CheckedChunk {
  readonly findings: readonly Finding[];
  /** For each entry whether its bytes are as they were written. */
  readonly sound: readonly boolean[];
}

/** What a row alone tells: its entries lie one behind the other and add up. Pure. */
export function checkChunkRow(place: ChunkPlace, chunk: Chunk): Finding[] {
  const { path, session } = place;
  const wrong = (expected: string, found: string): Finding =>
    damage({ where: `catalog: chunks ${path}`, what: "row", expected, found, session });
  const findings: Finding[] = [];
  let end = headBytes(place);
  for (const [index, entry] of chunk.batches.entries()) {
    if (entry.offset !== end) {
      findings.push(wrong(`entry ${index} at ${end}`, `at ${entry.offset}`));
      break;
    }
    end = endOfEntry(entry);
  }
  const { rows, range } = sumEntries(chunk.batches);
  const said = `${chunk.rows} rows from ${chunk.range?.startNs} to ${chunk.range?.endNs}`;
  const summed = `${rows} rows from ${range?.startNs} to ${range?.endNs}`;
  if (said !== summed) findings.push(wrong(summed, said));
  const bytes =
    end + (chunk.sealed ? chunkFooter({ ...place, entries: chunk.batches, skips: chunk.skips }).byteLength : 0);
  if (findings.length === 0 && chunk.bytes !== bytes) findings.push(wrong(`${bytes} bytes`, `${chunk.bytes}`));
  return findings;
}

function headBytes({ schemaHeader }: ChunkPlace): number {
  return fileMagic.byteLength + frameHeader(schemaHeader).byteLength;
}

/** @param onBytes hears how many bytes have been read @throws Fault absent (the file) */
export async function checkChunkFile(
  disk: Pick<ReadDisk, "openReadable">,
  place: ChunkPlace,
  chunk: Chunk,
  options: { state: StoreState; onBytes(bytes: number): void },
): Promise<CheckedChunk> {
  const { path, session } = place;
  await using scan = await FileScan.open(disk, path);
  const findings: Finding[] = [];
  const add = (where: string, what: Finding["what"], expected: string, found: string): void => {
    findings.push(damage({ where, what, expected, found, session }));
  };
  const head = Buffer.concat([fileMagic, frameHeader(place.schemaHeader)]);
  const foundHead = await scan.read(0, head.byteLength);
  if (Buffer.compare(head, foundHead) !== 0)
    add(
      path,
      "chunk_head",
      "the magic and the schema message of the catalog",
      `other bytes in the first ${head.byteLength}`,
    );

  const sound: boolean[] = [];
  const lacking = dictionariesOf(place);
  for (const entry of chunk.batches) {
    const where = `${path}@${entry.offset}`;
    if (entry.kind === "dictionary") await strike(lacking, scan, entry);
    else if (lacking.size > 0) {
      add(where, "dictionary", "its dictionaries before it", `a batch without dictionary ${[...lacking].join(", ")}`);
      // What holds for one holds for all behind it.
      lacking.clear();
    }
    const found = await scan.checksum(entry.offset, messageBytesOf(entry));
    sound.push(found === entry.crc32);
    options.onBytes(messageBytesOf(entry));
    if (found === entry.crc32) continue;
    add(
      where,
      "batch_checksum",
      `CRC-32 ${entry.crc32} of ${messageBytesOf(entry)} bytes`,
      `${found ?? "the end of the file"}`,
    );
  }

  if (scan.bytes < chunk.bytes) add(path, "too_short", `${chunk.bytes} bytes`, `${scan.bytes} bytes`);
  const tooLong = {
    where: path,
    what: "too_long",
    expected: `${chunk.bytes} bytes`,
    found: `${scan.bytes} bytes`,
    session,
  } as const;
  if (!chunk.sealed) {
    if (scan.bytes > chunk.bytes) findings.push(...leftover(options.state, tooLong));
    return { findings, sound };
  }
  if (scan.bytes > chunk.bytes) findings.push(damage(tooLong));
  const footer = chunkFooter({ ...place, entries: chunk.batches, skips: chunk.skips });
  const footerAt = chunk.bytes - footer.byteLength;
  const foundFooter = Buffer.from(await scan.read(footerAt, footer.byteLength));
  if (Buffer.compare(footer, foundFooter) !== 0)
    add(`${path}@${footerAt}`, "footer", `the ${footer.byteLength} bytes that belong to its entries`, "others");
  return { findings, sound };
}

/** The dictionaries that each batch needs. */
function dictionariesOf({ schemaHeader }: ChunkPlace): Set<bigint> {
  return new Set(unlessBroken(() => dictionaryIds(readSchema(schemaHeader))));
}

/** Takes a dictionary off the list of those that are lacking. */
async function strike(lacking: Set<bigint>, scan: FileScan, { offset, metadataBytes }: BatchEntry): Promise<void> {
  if (lacking.size === 0) return;
  const header = await scan.read(offset, metadataBytes);
  const message = unlessBroken(() => readMessage(splitFrame(header)));
  if (message?.kind === "dictionary") lacking.delete(message.id);
  // Of which one it was nobody knows; that it is broken its checksum tells.
  else lacking.clear();
}

function unlessBroken<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
