// Where golden data directories lie: an archive of each state of each format, and what a client reads of them.

import { createHash } from "node:crypto";
import path from "node:path";

/** As a kill and as a stop leave a store. */
export const goldenStates = ["killed", "closed"] as const;
export type GoldenState = (typeof goldenStates)[number];

const folder = import.meta.dirname;

export function archiveOf(format: number, state: GoldenState): string {
  return path.join(folder, `format-${format}-${state}.tar.gz`);
}

/** Of each topic a digest of the messages that a client reads. */
export function writtenFile(format: number): string {
  return path.join(folder, `format-${format}.json`);
}

export function digestsOf(stored: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  return Object.fromEntries(
    [...stored].map(([locator, messages]) => [
      locator,
      `${messages.length} ${createHash("sha256").update(messages.join("\n")).digest("hex")}`,
    ]),
  );
}
