/**
 * What is deleted: gone from the catalog first, then moved to `trash/`, then removed. A row names each item from the first
 * step to the last, so that a crash anywhere is repaired by doing it again.
 */

import { dirname } from "node:path/posix";
import type { Disk } from "../host/disk.ts";
import { failPoint } from "../host/fail-point.ts";
import { Fault } from "../model/fault.ts";
import type { Ulid } from "../model/resource.ts";
import { trashDirectory, trashPath } from "./layout.ts";

export interface TrashItem {
  readonly id: Ulid;
  /** Where it lay, relative to the data directory. */
  readonly path: string;
}

/**
 * Moves items out of sight; durable when it returns. What is not there any more has been moved before, by a process that may have
 * been killed before it synced that: without the sync a power cut would bring it back when its row is gone.
 */
export async function moveToTrash(disk: Disk, items: readonly TrashItem[]): Promise<void> {
  if (items.length === 0) return;
  for (const created of await disk.makeDirectory(trashDirectory)) await disk.syncDirectory(created);
  for (const item of items) {
    if (await isDone(disk.rename(item.path, trashPath(item.id)))) failPoint("remove: renamed");
  }
  const parents = new Set(items.map((item) => dirname(item.path)));
  // A session that was deleted after its topic has taken that one's parent along.
  for (const parent of parents) await isDone(disk.syncDirectory(parent));
  await disk.syncDirectory(trashDirectory);
  failPoint("remove: synced");
}

/** Whether there was something to do it to. */
async function isDone(act: Promise<void>): Promise<boolean> {
  try {
    await act;
    return true;
  } catch (error) {
    if (error instanceof Fault && error.code === "absent") return false;
    throw error;
  }
}

/** Gives the space back. */
export async function removeFromTrash(disk: Disk, items: readonly TrashItem[]): Promise<void> {
  for (const item of items) await disk.remove(trashPath(item.id));
}
