/** How many files and sockets this process may have open. */

import fs from "node:fs";

/** What Linux gives to a process by default, where nobody says. */
const usual = 1_024;

/** The soft limit as the kernel has it: Node raises it to the hard one when it starts. */
export function openFilesMax(): number {
  let limits: string;
  try {
    limits = fs.readFileSync("/proc/self/limits", "utf8");
  } catch {
    return usual;
  }
  const soft = /^Max open files +(\d+|unlimited) /m.exec(limits)?.[1];
  if (soft === "unlimited") return Number.POSITIVE_INFINITY;
  return soft === undefined ? usual : Number(soft);
}
