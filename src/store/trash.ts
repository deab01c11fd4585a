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

/** Moves items out of sight; durable when it returns. What is not there any more has been moved before. */
export async function moveToTrash(disk: Disk, items: readonly TrashItem[]): Promise<void> {
  if (items.length === 0) return;
  for (const created of await disk.makeDirectory(trashDirectory)) await disk.syncDirectory(created);
  const parents = new Set<string>();
  for (const item of items) {
    try {
      await disk.rename(item.path, trashPath(item.id));
      parents.add(dirname(item.path));
      failPoint("remove: renamed");
    } catch (error) {
      if (!(error instanceof Fault && error.code === "absent")) throw error;
    }
  }
  if (parents.size === 0) return;
  for (const parent of [...parents, trashDirectory]) await disk.syncDirectory(parent);
  failPoint("remove: synced");
}

/** Gives the space back. */
export async function removeFromTrash(disk: Disk, items: readonly TrashItem[]): Promise<void> {
  for (const item of items) await disk.remove(trashPath(item.id));
}
