/** The command `rebuild`: says what could not be used, a line each, and what there is now. */

import { rebuild } from "../care/rebuild.ts";
import { machineClock } from "../host/clock.ts";
import { findDisk } from "../host/disk.ts";
import { printOut } from "../host/log.ts";

/** The exit code: 0 when everything could be used as it is. @throws Fault absent, wrong_state (a server runs, a sound catalog) */
export async function rebuildStore(dataDirectory: string, existing: "keep" | "replace"): Promise<number> {
  const disk = await findDisk(dataDirectory);
  const onProblem = (sentence: string): void => void printOut(`${sentence}\n`);
  const { sequences, sessions, topics, problems } = await rebuild(disk, { clock: machineClock(), existing, onProblem });
  printOut(`a catalog of ${sequences} sequences, ${sessions} sessions, ${topics} topics; ${problems} problems\n`);
  return problems === 0 ? 0 : 1;
}
