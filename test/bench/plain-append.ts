// The floor of the storage: the same bytes appended to new files of 64 MiB in a plain loop, synced every 200 ms.

import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { batchesOf, bytesOf, type Load } from "./loads.ts";

const fileBytes = 64 * 2 ** 20;
const syncEveryMs = 200;

export async function plainAppend(directory: string, load: Load) {
  const bytes = bytesOf(load);
  const batches = batchesOf(load);
  const batch = Buffer.alloc(Math.floor(bytes / batches), 1);
  const folder = await mkdtemp(path.join(directory, "mosaico-edge-plain-"));
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  try {
    let descriptor = -1;
    let syncedMs = startedMs;
    let number = 0;
    for (let index = 0, inFile = fileBytes; index < batches; index += 1) {
      if (inFile + batch.byteLength > fileBytes) {
        if (descriptor >= 0) finish(descriptor);
        descriptor = openSync(path.join(folder, String(number)), "w");
        number += 1;
        inFile = 0;
      }
      writeSync(descriptor, batch);
      inFile += batch.byteLength;
      if (performance.now() - syncedMs < syncEveryMs) continue;
      fdatasyncSync(descriptor);
      syncedMs = performance.now();
    }
    finish(descriptor);
    const { user, system } = process.cpuUsage(cpu);
    return {
      name: "plain durable append",
      bytes,
      batches,
      seconds: (performance.now() - startedMs) / 1000,
      cpuSeconds: (user + system) / 1e6,
      peakAnonymousBytes: 0,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Takes as much from the directory as the largest load will, and gives it back: on a virtual machine a page that was never
 * touched costs four times the copy (493 against 1,800 MB/s for a plain loop), and whoever comes first would pay for all.
 */
export async function touchPages(directory: string, bytes: number): Promise<void> {
  const file = path.join(directory, `mosaico-edge-touch-${process.pid}`);
  const piece = Buffer.alloc(4 * 2 ** 20, 1);
  const descriptor = openSync(file, "w");
  try {
    for (let written = 0; written < bytes; written += piece.byteLength) writeSync(descriptor, piece);
  } finally {
    closeSync(descriptor);
    await rm(file);
  }
}

function finish(descriptor: number): void {
  fdatasyncSync(descriptor);
  closeSync(descriptor);
}
