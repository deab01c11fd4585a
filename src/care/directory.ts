/** Directories as those who look after a store need them. */

import type { Disk } from "../host/disk.ts";

/** Names in what may be no directory. */
export async function listDirectory(disk: Disk, path: string): Promise<string[]> {
  return (await disk.stateOf(path))?.kind === "directory" ? await disk.list(path) : [];
}

/** Makes a directory and those above it; durable when it ends. */
export async function makeDurableDirectory(disk: Disk, directory: string): Promise<void> {
  for (const parent of await disk.makeDirectory(directory)) await disk.syncDirectory(parent);
}
