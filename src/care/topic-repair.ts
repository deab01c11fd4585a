/**
 * Writes the damaged chunk files of one topic anew with every batch that is sound, and moves what the topic has in tail logs behind
 * them where numbers have changed or a log is damaged. New files first, then one transaction, then they take their place.
 */

import { dirname } from "node:path/posix";
import type { Catalog } from "../catalog/catalog.ts";
import { readWholeChunk, replaceChunk } from "../catalog/chunk-rows.ts";
import { putNotification } from "../catalog/notifications.ts";
import { putTopic } from "../catalog/resources.ts";
import { putSwap, type Swap } from "../catalog/swap-rows.ts";
import { removeTailRuns } from "../catalog/tail-rows.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import { assert } from "../model/assert.ts";
import { type BatchEntry, type Chunk, messageBytesOf, sumEntries } from "../model/chunk.ts";
import type { Topic } from "../model/resource.ts";
import { ChunkWriter } from "../store/chunk-writer.ts";
import { FileScan } from "../store/file-scan.ts";
import { chunkFile, tailFile } from "../store/layout.ts";
import { checkChunkFile } from "./chunk-check.ts";
import { makeDurableDirectory } from "./directory.ts";
import type { StoreState } from "./finding.ts";
import type { Quarantine } from "./quarantine.ts";
import { completionIn, extentOf, type SessionBooks, type TopicBooks } from "./session-books.ts";
import { repairedFile } from "./swap.ts";
import { checkTailRuns } from "./tail-check.ts";

export interface TopicRepairParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly quarantine: Quarantine;
  /** How the store was left: it says what is damage. */
  readonly state: StoreState;
}

export interface RepairedTopic {
  /** What was lost, as a sentence for people; undefined when nothing was. */
  readonly loss: string | undefined;
  /** Files that have been written. */
  readonly files: number;
}

/** A batch and the file where its bytes are. */
interface Kept {
  readonly path: string;
  readonly entry: BatchEntry;
}

interface Rewrite {
  readonly chunk: Chunk;
  readonly path: string;
  readonly kept: Kept[];
  /** Whether the file has to be written, and is not right as it is. */
  needed: boolean;
}

/** The new files lie beside their places when this ends: it is for the caller to finish the swaps. */
export async function repairTopic(
  parts: TopicRepairParts,
  { sequence, session }: SessionBooks,
  books: TopicBooks,
  reasons: readonly string[],
): Promise<RepairedTopic> {
  const { disk, catalog, clock, quarantine } = parts;
  const { topic, schemaHeader } = books;
  assert(schemaHeader !== undefined, "a topic with files has a schema");
  const lost: BatchEntry[] = [];
  const rewrites = await planChunks(parts, books, schemaHeader, lost);
  const moved = await planTails(parts, books, rewrites, lost);

  const written: Chunk[] = [];
  const swaps: Swap[] = [];
  await makeDurableDirectory(disk, dirname(chunkFile(session.ulid, topic.number, 0)));
  for (const rewrite of rewrites.filter(({ needed }) => needed)) {
    written.push(
      await writeChunk(disk, rewrite, { schemaHeader, completedAtNs: completionIn(books, rewrite.chunk.number) }),
    );
    swaps.push({ path: rewrite.path, quarantine: await quarantine.note({ path: rewrite.path, reasons }) });
  }
  const message = lossOf(topic.locator, lost, await isAnythingLeft(disk, books, rewrites));
  const chunks = rewrites.map(({ chunk }) => written.find(({ number }) => number === chunk.number) ?? chunk);
  const extent = extentOf({ ...books, chunks, tails: moved ? [] : books.tails });
  await catalog.transaction(() => {
    for (const chunk of written) replaceChunk(catalog, topic.uuid, chunk);
    if (moved) removeTailRuns(catalog, topic.uuid);
    putTopic(catalog, { ...topic, extent, ...lostRowsOf(topic, lost) });
    for (const swap of swaps) putSwap(catalog, swap);
    if (message !== undefined && sequence !== undefined)
      putNotification(catalog, sequence.uuid, { type: "error", message, createdAtNs: clock.wallNs() });
  });
  return { loss: message, files: written.length };
}

function lostRowsOf(topic: Topic, lost: readonly BatchEntry[]): Pick<Topic, "lostRows"> {
  const rows = lost.reduce((sum, entry) => sum + entry.rows, topic.lostRows ?? 0);
  return { lostRows: rows === 0 ? undefined : rows };
}

/** Whether there are files, damaged as they may be, of what has been looked at. */
async function isAnythingLeft(disk: Disk, { tails }: TopicBooks, rewrites: readonly Rewrite[]): Promise<boolean> {
  const paths = [
    ...rewrites.filter(({ needed }) => needed).map(({ path }) => path),
    ...tails.map(({ log }) => tailFile(log)),
  ];
  for (const path of paths) if ((await disk.stateOf(path)) !== undefined) return true;
  return false;
}

async function planChunks(
  { disk, catalog, state }: TopicRepairParts,
  books: TopicBooks,
  schemaHeader: Uint8Array,
  lost: BatchEntry[],
): Promise<Rewrite[]> {
  const { topic } = books;
  const rewrites: Rewrite[] = [];
  for (const { number } of books.chunks) {
    const chunk = readWholeChunk(catalog, topic.uuid, number);
    assert(chunk !== undefined, "a chunk that is listed can be read");
    const path = chunkFile(topic.session, topic.number, number);
    const place = { path, session: topic.session, schemaHeader, completedAtNs: completionIn(books, number) };
    const isFile = (await disk.stateOf(path))?.kind === "file";
    const checked = isFile
      ? await checkChunkFile(disk, place, chunk, { state, onBytes: () => undefined })
      : { findings: ["missing"], sound: chunk.batches.map(() => false) };
    const kept = usableEntries(chunk.batches, checked.sound);
    lost.push(...chunk.batches.filter((entry) => !kept.includes(entry)));
    rewrites.push({
      chunk,
      path,
      kept: kept.map((entry) => ({ path, entry })),
      needed: checked.findings.some((finding) => typeof finding === "string" || finding.severity === "damage"),
    });
  }
  return rewrites;
}

/** Sound entries; behind a dictionary that is lost nobody knows what indices mean. Pure. */
export function usableEntries(entries: readonly BatchEntry[], sound: readonly boolean[]): BatchEntry[] {
  const lostDictionary = entries.findIndex(({ kind }, index) => kind === "dictionary" && sound[index] !== true);
  const usable = lostDictionary < 0 ? entries : entries.slice(0, lostDictionary);
  return usable.filter((_entry, index) => sound[index] === true);
}

/** Whether the tail moves behind the chunks: it does when batches before it are gone or frames are damaged. */
async function planTails(
  { disk }: TopicRepairParts,
  { topic, tails }: TopicBooks,
  rewrites: Rewrite[],
  lost: BatchEntry[],
): Promise<boolean> {
  if (tails.length === 0) return false;
  const { sound } = await checkTailRuns(disk, topic, tails);
  const places = tails.flatMap(({ log, batches }) => batches.map((entry) => ({ path: tailFile(log), entry })));
  let target = rewrites.at(-1);
  if (target === undefined || target.chunk.sealed) {
    const number = target === undefined ? 0 : target.chunk.number + 1;
    const chunk: Chunk = { number, sealed: false, bytes: 0, rows: 0, entries: 0, batches: [] };
    target = { chunk, path: chunkFile(topic.session, topic.number, number), kept: [], needed: true };
    rewrites.push(target);
  }
  target.needed = true;
  for (const [index, place] of places.entries()) {
    if (sound[index] === true) target.kept.push(place);
    else lost.push(place.entry);
  }
  return true;
}

/** Writes the file beside its place; durable when it ends. */
async function writeChunk(
  disk: Disk,
  { chunk, path, kept }: Rewrite,
  { schemaHeader, completedAtNs }: { schemaHeader: Uint8Array; completedAtNs: bigint | undefined },
): Promise<Chunk> {
  const writer = await ChunkWriter.create(disk, repairedFile(path), chunk.number, schemaHeader);
  try {
    for (const { path: source, entry } of kept) {
      await using scan = await FileScan.open(disk, source);
      const bytes = messageBytesOf(entry);
      const zone = { entries: 1, bytes, statistics: undefined };
      await writer.appendRun(Buffer.from(await scan.read(entry.offset, bytes)), [entry], [zone]);
    }
    if (chunk.sealed) await writer.seal(completedAtNs);
    await writer.file.sync();
    await disk.syncDirectory(dirname(path));
    return { ...writer.summary(), batches: [...writer.entries], skips: writer.skips };
  } finally {
    await writer.close();
  }
}

function lossOf(locator: string, lost: readonly BatchEntry[], isLeft: boolean): string | undefined {
  if (lost.length === 0) return undefined;
  const { rows, range } = sumEntries(lost);
  const when = range === undefined ? "" : ` with times from ${range.startNs} to ${range.endNs}`;
  return `Repair: topic \`${locator}\` has lost ${rows} rows in ${lost.length} damaged batches${when}. ${isLeft ? "What is left of them is in quarantine" : "Nothing is left of them"}.`;
}
