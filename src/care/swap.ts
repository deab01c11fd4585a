/**
 * Puts files that repair has written into their place, and tail logs whose frames it has moved aside. The rows say what the new
 * files hold since the transaction that made them right, so this is done to its end, at the latest by the next start of the server.
 */

import { dirname } from "node:path/posix";
import type { Catalog } from "../catalog/catalog.ts";
import { listSwaps, removeSwap } from "../catalog/swap-rows.ts";
import type { Disk } from "../host/disk.ts";
import { tailDirectory } from "../store/layout.ts";
import { makeDurableDirectory } from "./directory.ts";

/** What is written anew lies beside what it replaces. */
export function repairedFile(path: string): string {
  return `${path}.repaired`;
}

/** May be broken off anywhere, and run again. */
export async function finishSwaps({ disk, catalog }: { disk: Disk; catalog: Catalog }): Promise<void> {
  const swaps = listSwaps(catalog);
  for (const { path, quarantine } of swaps) {
    // What a log held lies in chunk files then: nothing takes its place.
    const isReplaced = dirname(path) !== tailDirectory;
    if (isReplaced && (await disk.stateOf(repairedFile(path))) === undefined) continue;
    if ((await disk.stateOf(path)) !== undefined) {
      await makeDurableDirectory(disk, dirname(quarantine));
      await disk.rename(path, quarantine);
      await disk.syncDirectory(dirname(quarantine));
    }
    if (isReplaced) await disk.rename(repairedFile(path), path);
    await disk.syncDirectory(dirname(path));
  }
  if (swaps.length === 0) return;
  await catalog.transaction(() => {
    for (const swap of swaps) removeSwap(catalog, swap);
  });
}
