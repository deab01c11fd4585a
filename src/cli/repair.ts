/** The command `repair`: says what it does, a line each, and what is left to be done. */

import { describeFinding } from "../care/finding.ts";
import { repair } from "../care/repair.ts";
import { machineClock } from "../host/clock.ts";
import { findDisk } from "../host/disk.ts";
import { printOut } from "../host/log.ts";
import { openProgress } from "./progress.ts";

/** The exit code: 0 when nothing is damaged any more. @throws Fault absent, wrong_state (a server runs), corrupt (the catalog) */
export async function repairStore(dataDirectory: string): Promise<number> {
  const disk = await findDisk(dataDirectory);
  const progress = openProgress("repair");
  const onDone = (sentence: string): void => void printOut(`${sentence}\n`);
  const left = await repair(disk, { clock: machineClock(), onProgress: progress.show, onDone }).finally(progress.end);
  for (const finding of left) printOut(`${describeFinding(finding)}\n`);
  printOut(left.length === 0 ? "sound\n" : "damaged\n");
  return left.length === 0 ? 0 : 1;
}
