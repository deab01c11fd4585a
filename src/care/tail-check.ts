/** Tail logs against their rows: each frame that a row names is whole, and says of itself what the row says. */

import type { TailRun } from "../catalog/tail-rows.ts";
import type { Disk } from "../host/disk.ts";
import { type BatchEntry, endOfEntry, messageBytesOf } from "../model/chunk.ts";
import type { Topic } from "../model/resource.ts";
import { FileScan } from "../store/file-scan.ts";
import { tailFile } from "../store/layout.ts";
import { isWholeTailFrame, type ReadTailFrame, readTailHeader, tailHeaderBytes } from "../store/tail-frame.ts";
import { damage, type Finding, leftover, type StoreState } from "./finding.ts";

export interface CheckedTail {
  readonly findings: readonly Finding[];
  /** For each batch whether its frame is as it was written, in the order of the runs. */
  readonly sound: readonly boolean[];
}

/** The frames of one topic. */
export async function checkTailRuns(disk: Disk, topic: Topic, runs: readonly TailRun[]): Promise<CheckedTail> {
  const findings: Finding[] = [];
  const sound: boolean[] = [];
  for (const run of runs) {
    const path = tailFile(run.log);
    const isFile = (await disk.stateOf(path))?.kind === "file";
    await using scan = isFile ? await FileScan.open(disk, path) : undefined;
    for (const [offset, entry] of run.batches.entries()) {
      const problem = scan === undefined ? "no file" : await frameProblem(scan, topic, run.first + offset, entry);
      sound.push(problem === undefined);
      // A log that is missing is one finding, of whoever looks at all logs.
      if (problem === undefined || scan === undefined) continue;
      const where = `${path}@${entry.offset - tailHeaderBytes}`;
      const expected = `batch ${run.first + offset} of ${topic.locator}`;
      findings.push(damage({ where, what: "frame", expected, found: problem, session: topic.session }));
    }
  }
  return { findings, sound };
}

async function frameProblem(
  scan: FileScan,
  topic: Topic,
  index: number,
  entry: BatchEntry,
): Promise<string | undefined> {
  const header = Buffer.from(await scan.read(entry.offset - tailHeaderBytes, tailHeaderBytes));
  const frame = readTailHeader(header);
  if (frame === undefined) return "no frame";
  const checksum = await scan.checksum(entry.offset, messageBytesOf(entry));
  if (checksum === undefined) return "the end of the log";
  if (checksum !== entry.crc32) return `a message with the checksum ${checksum}, expected ${entry.crc32}`;
  if (!isWholeTailFrame(header, frame, checksum)) return "a header that does not fit its checksum";
  return frameText(frame) === rowText(topic, index, entry) ? undefined : `one that says ${frameText(frame)}`;
}

function frameText({
  session,
  topicNumber,
  index,
  metadataBytes,
  bodyBytes,
  rows,
  sorted,
  range,
}: ReadTailFrame): string {
  return `${session}/${topicNumber} ${index} ${metadataBytes}+${bodyBytes} ${rows} ${sorted} ${range.startNs} ${range.endNs}`;
}

function rowText(topic: Topic, index: number, { metadataBytes, bodyBytes, rows, sorted, range }: BatchEntry): string {
  return `${topic.session}/${topic.number} ${index} ${metadataBytes}+${bodyBytes} ${rows} ${sorted} ${range?.startNs} ${range?.endNs}`;
}

/** Behind the last frame that a row names nothing was acknowledged. */
export async function checkTailEnd(
  disk: Disk,
  log: number,
  runs: readonly TailRun[],
  state: StoreState,
): Promise<Finding[]> {
  const path = tailFile(log);
  const end = Math.max(0, ...runs.flatMap(({ batches }) => batches.map(endOfEntry)));
  await using scan = await FileScan.open(disk, path);
  if (scan.bytes < end)
    return [damage({ where: path, what: "too_short", expected: `${end} bytes`, found: `${scan.bytes} bytes` })];
  if (scan.bytes === end || (await areFrames(scan, end))) return [];
  const finding = {
    where: path,
    what: "too_long",
    expected: `${end} bytes and whole frames`,
    found: `${scan.bytes} bytes`,
  } as const;
  // An upload that ended on a full disk may leave such bytes in a store that was closed.
  return leftover(state === "closed" ? "killed" : state, finding);
}

async function areFrames(scan: FileScan, start: number): Promise<boolean> {
  for (let at = start; at < scan.bytes; ) {
    const header = Buffer.from(await scan.read(at, tailHeaderBytes));
    const frame = readTailHeader(header);
    if (frame === undefined) return false;
    const messageBytes = frame.metadataBytes + frame.bodyBytes;
    const checksum = await scan.checksum(at + tailHeaderBytes, messageBytes);
    if (checksum === undefined || !isWholeTailFrame(header, frame, checksum)) return false;
    at += tailHeaderBytes + messageBytes;
  }
  return true;
}
