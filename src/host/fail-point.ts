/**
 * Places between two durable steps at which a test build can be made to die. In the product the constant is not defined, and a
 * fail point does nothing. `MOSAICO_FAIL_POINT=<name>:<n>` kills the process when the point is met for the n-th time;
 * `MOSAICO_FAIL_LOG` names a file that gets the name of each point when it is met for the first time.
 */

import fs from "node:fs";

declare const MOSAICO_FAIL_POINTS: boolean | undefined;

/** In the order of the data's way. */
export const failPoints = [
  "create: row",
  "document: made",
  "document: written",
  "chunk: made",
  "chunk: appended",
  "chunk: footer",
  "tail: written",
  "tail: copied",
  "commit: begun",
  "commit: files synced",
  "commit: directories synced",
  "commit: rows",
  "commit: committed",
  "tail: removed",
  "replace: written",
  "replace: synced",
  "replace: renamed",
  "replace: done",
  "finalize: row",
  "remove: rows",
  "remove: renamed",
  "remove: synced",
  "remove: emptied",
  "remove: forgotten",
  "recover: trash",
  "recover: swept",
  "recover: cut",
  "recover: done",
] as const;
export type FailPoint = (typeof failPoints)[number];

const met = new Map<FailPoint, number>();

export function failPoint(name: FailPoint): void {
  if (typeof MOSAICO_FAIL_POINTS === "undefined") return;
  meet(name);
}

function meet(name: FailPoint): void {
  const times = (met.get(name) ?? 0) + 1;
  met.set(name, times);
  const { MOSAICO_FAIL_LOG: log, MOSAICO_FAIL_POINT: wanted } = process.env;
  if (times === 1 && log !== undefined) fs.appendFileSync(log, `${name}\n`);
  if (wanted !== `${name}:${times}`) return;
  process.kill(process.pid, "SIGKILL");
  // Nothing more may happen until the signal has come.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
