/** Frames of all tail logs by topic, as far as they are whole. */

import type { TailRun } from "../catalog/tail-rows.ts";
import type { Disk } from "../host/disk.ts";
import type { BatchEntry } from "../model/chunk.ts";
import { FileScan } from "../store/file-scan.ts";
import { tailDirectory, tailFile, tailNumberOf } from "../store/layout.ts";
import { isWholeTailFrame, type ReadTailFrame, readTailHeader, tailHeaderBytes } from "../store/tail-frame.ts";

export interface TailRecord {
  readonly index: number;
  readonly log: number;
  readonly entry: BatchEntry;
}

/** By `<session ULID>/<topic number>`, in the order in which they were written. */
export type TailRecords = ReadonlyMap<string, readonly TailRecord[]>;

export async function readTailRecords(disk: Disk): Promise<TailRecords> {
  const records = new Map<string, TailRecord[]>();
  const logs = (await disk.list(tailDirectory)).flatMap((name) => tailNumberOf(name) ?? []);
  for (const log of logs.toSorted((a, b) => a - b)) {
    await using scan = await FileScan.open(disk, tailFile(log));
    for (let at = 0; ; ) {
      const header = Buffer.from(await scan.read(at, tailHeaderBytes));
      const frame = readTailHeader(header);
      const messageBytes = frame === undefined ? 0 : frame.metadataBytes + frame.bodyBytes;
      const checksum = frame && (await scan.checksum(at + tailHeaderBytes, messageBytes));
      if (frame === undefined || checksum === undefined) break;
      // A frame that is not whole is none; its lengths lead to the next one, or nowhere.
      if (isWholeTailFrame(header, frame, checksum)) {
        const place = `${frame.session}/${frame.topicNumber}`;
        const known = records.get(place) ?? [];
        records.set(place, known);
        known.push({ index: frame.index, log, entry: entryOf(frame, at + tailHeaderBytes, checksum) });
      }
      at += tailHeaderBytes + messageBytes;
    }
  }
  return records;
}

function entryOf(
  { metadataBytes, bodyBytes, rows, sorted, range }: ReadTailFrame,
  offset: number,
  crc32: number,
): BatchEntry {
  return { kind: "batch", offset, metadataBytes, bodyBytes, rows, crc32, sorted, range };
}

/**
 * Runs of the batches that come behind `first` ones in chunk files, without a gap. A number that comes again replaces what had it:
 * whoever wrote it had given up what was there. Pure.
 */
export function tailRunsOf(records: readonly TailRecord[], first: number): { runs: TailRun[]; unused: number } {
  let taken: TailRecord[] = [];
  let unused = 0;
  for (const record of records) {
    const place = record.index - first;
    if (place < 0) continue;
    if (place > taken.length) unused += 1;
    else taken = [...taken.slice(0, place), record];
  }
  const runs: { first: number; log: number; batches: BatchEntry[] }[] = [];
  for (const { index, log, entry } of taken) {
    const last = runs.at(-1);
    if (last?.log === log) last.batches.push(entry);
    else runs.push({ first: index, log, batches: [entry] });
  }
  return { runs, unused };
}
