/**
 * Frames of all tail logs by topic, and where there are none though bytes are there. Behind such a place the next frame is searched:
 * one that is damaged must not cost those behind it.
 */

import type { TailRun } from "../catalog/tail-rows.ts";
import type { Disk } from "../host/disk.ts";
import type { BatchEntry } from "../model/chunk.ts";
import { scanBlockBytes, tailBufferBytes, tailSearchBytesMax } from "../model/limits.ts";
import { FileScan } from "../store/file-scan.ts";
import { tailDirectory, tailFile, tailNumberOf } from "../store/layout.ts";
import {
  findTailMagic,
  isWholeTailFrame,
  type ReadTailFrame,
  readTailHeader,
  tailFrameAlignment,
  tailHeaderBytes,
} from "../store/tail-frame.ts";

export interface TailRecord {
  readonly index: number;
  readonly log: number;
  readonly entry: BatchEntry;
}

/** Bytes of a log that are no whole frame. */
export interface TailBreak {
  readonly log: number;
  readonly from: number;
  readonly to: number;
  /** A kill may leave half a frame at the end; where frames follow, one was damaged. */
  readonly kind: "hole" | "end";
  /** Of which topic the frame says it was, as far as it is there: it may be damaged itself. */
  readonly place: string | undefined;
}

export interface TailRecords {
  /** By `<session ULID>/<topic number>`, in the order in which they were written. */
  readonly topics: ReadonlyMap<string, readonly TailRecord[]>;
  readonly breaks: readonly TailBreak[];
}

export async function readTailRecords(disk: Disk): Promise<TailRecords> {
  const topics = new Map<string, TailRecord[]>();
  const breaks: TailBreak[] = [];
  const logs = (await disk.list(tailDirectory)).flatMap((name) => tailNumberOf(name) ?? []);
  for (const log of logs.toSorted((a, b) => a - b)) {
    if ((await disk.stateOf(tailFile(log)))?.kind !== "file") continue;
    await using scan = await FileScan.open(disk, tailFile(log));
    const search = new FrameSearch(scan);
    for (let at = 0; at < scan.bytes; ) {
      const found = await readFrame(scan, at);
      if (found !== undefined) {
        const { frame, checksum } = found;
        const known = topics.get(placeOf(frame)) ?? [];
        topics.set(placeOf(frame), known);
        known.push({ index: frame.index, log, entry: entryOf(frame, at + tailHeaderBytes, checksum) });
        at = found.end;
        continue;
      }
      const damaged = readTailHeader(Buffer.from(await scan.read(at, tailHeaderBytes)));
      const next = await search.nextFrame(at, damaged);
      const kind = next === undefined ? "end" : "hole";
      const to = next ?? scan.bytes;
      breaks.push({ log, from: at, to, kind, place: damaged && placeOf(damaged) });
      at = to;
    }
  }
  return { topics, breaks };
}

function placeOf({ session, topicNumber }: ReadTailFrame): string {
  return `${session}/${topicNumber}`;
}

function entryOf(
  { metadataBytes, bodyBytes, rows, sorted, range }: ReadTailFrame,
  offset: number,
  crc32: number,
): BatchEntry {
  return { kind: "batch", offset, metadataBytes, bodyBytes, rows, crc32, sorted, range };
}

interface FoundFrame {
  readonly frame: ReadTailFrame;
  readonly checksum: number;
  readonly end: number;
}

/** Undefined when no whole frame begins there. */
async function readFrame(scan: FileScan, at: number): Promise<FoundFrame | undefined> {
  const header = Buffer.from(await scan.read(at, tailHeaderBytes));
  const frame = readTailHeader(header);
  if (frame === undefined) return undefined;
  const end = endOf(frame, at);
  const checksum = await scan.checksum(at + tailHeaderBytes, end - at - tailHeaderBytes);
  if (checksum === undefined || !isWholeTailFrame(header, frame, checksum)) return undefined;
  return { frame, checksum, end };
}

function endOf({ metadataBytes, bodyBytes }: ReadTailFrame, at: number): number {
  return at + tailHeaderBytes + metadataBytes + bodyBytes;
}

class FrameSearch {
  readonly #scan: FileScan;
  /** Data may look like the beginnings of frames, each of which costs a checksum. */
  #bytesLeft = tailSearchBytesMax;

  constructor(scan: FileScan) {
    this.#scan = scan;
  }

  /** Where the next whole frame behind a damaged one begins; undefined when none does. */
  async nextFrame(at: number, damaged: ReadTailFrame | undefined): Promise<number | undefined> {
    const scan = this.#scan;
    // Its own lengths first: what a client has sent may look like a frame.
    const end = damaged === undefined ? at : endOf(damaged, at);
    if (end > at && end < scan.bytes && (await this.#isFrame(end))) return end;
    for (let from = at + tailFrameAlignment; from < scan.bytes; ) {
      const block = await scan.read(from, scanBlockBytes / 2);
      const found = findTailMagic(block);
      if (found === undefined) from += Math.max(tailFrameAlignment, alignedDown(block.byteLength));
      else if (await this.#isFrame(from + found)) return from + found;
      else from += found + tailFrameAlignment;
    }
    return undefined;
  }

  async #isFrame(at: number): Promise<boolean> {
    const frame = readTailHeader(Buffer.from(await this.#scan.read(at, tailHeaderBytes)));
    if (frame === undefined) return false;
    const bytes = endOf(frame, at) - at;
    if (bytes > tailBufferBytes || bytes > this.#bytesLeft) return false;
    this.#bytesLeft -= bytes;
    return (await readFrame(this.#scan, at)) !== undefined;
  }
}

function alignedDown(bytes: number): number {
  return bytes - (bytes % tailFrameAlignment);
}

/** Batches of a topic that are in no chunk file and in no log, though later ones are. */
export interface TailGap {
  readonly batches: number;
  /** The log of the batch behind them, and between which bytes of that log they may have been. */
  readonly log: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Runs of the batches that come behind `first` ones in chunk files, each without a gap. A number that comes again replaces what had
 * it, and all behind that: whoever wrote it had given up what was there. Pure.
 */
export function tailRunsOf(records: readonly TailRecord[], first: number): { runs: TailRun[]; gaps: TailGap[] } {
  const taken: TailRecord[] = [];
  for (const record of records) {
    if (record.index < first) continue;
    while ((taken.at(-1)?.index ?? -1) >= record.index) taken.pop();
    taken.push(record);
  }
  const runs: { first: number; log: number; batches: BatchEntry[] }[] = [];
  const gaps: TailGap[] = [];
  let next = first;
  let before: TailRecord | undefined;
  for (const record of taken) {
    const { index, log, entry } = record;
    const last = runs.at(-1);
    if (index > next) {
      const from = before?.log === log ? before.entry.offset : 0;
      gaps.push({ batches: index - next, log, from, to: entry.offset });
    }
    if (last?.log === log && index === next) last.batches.push(entry);
    else runs.push({ first: index, log, batches: [entry] });
    next = index + 1;
    before = record;
  }
  return { runs, gaps };
}
