/** What a start does with what no row names: removes it, or puts it into quarantine. Each is a line of the log. */

import { dirname } from "node:path/posix";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import type { Log } from "../host/log.ts";
import { scanBlockBytes } from "../model/limits.ts";
import { quarantineDirectory } from "../store/layout.ts";
import { Quarantine } from "./quarantine.ts";
import { type Holding, holdingOfForeign, listDirectory } from "./strays.ts";
import { makeDurableDirectory } from "./swap.ts";

export class PutAside {
  readonly #disk: Disk;
  readonly #log: Log;
  readonly #quarantine: Quarantine;
  #paths = 0;

  constructor({ disk, clock, log }: { disk: Disk; clock: Clock; log: Log }) {
    this.#disk = disk;
    this.#log = log;
    this.#quarantine = new Quarantine(disk, clock.wallNs());
  }

  /** Paths that are not where they were. */
  get paths(): number {
    return this.#paths;
  }

  async remove(path: string): Promise<void> {
    await this.#disk.remove(path);
    this.#paths += 1;
  }

  /** Moves a path with all that is below it; durable when it ends. */
  async keep(path: string, { bytes, rows }: Holding, reason: string): Promise<void> {
    const to = await this.#quarantine.put({ path, reasons: [reason] });
    this.#log.warning("path_quarantined", { path, to, bytes, rows, reason });
    this.#paths += 1;
  }

  /** Copies what lies behind `bytes` of a file that is about to be cut there. */
  async keepEnd(path: string, bytes: number, reason: string): Promise<void> {
    const to = await this.#quarantine.note({ path: `${path}.from-${bytes}`, reasons: [reason] });
    await makeDurableDirectory(this.#disk, dirname(to));
    await using stack = new AsyncDisposableStack();
    const source = stack.adopt(await this.#disk.openReadable(path), (file) => file.close());
    const target = stack.adopt(await this.#disk.openWritable(to), (file) => file.close());
    const end = await source.size();
    const block = Buffer.allocUnsafe(Math.min(scanBlockBytes, Math.max(1, end - bytes)));
    for (let at = bytes; at < end; ) {
      const piece = block.subarray(0, Math.min(block.byteLength, end - at));
      await source.read(piece, at);
      await target.write([piece], at - bytes);
      at += piece.byteLength;
    }
    await target.sync();
    await this.#disk.syncDirectory(dirname(to));
    this.#log.warning("path_quarantined", { path: `${path}.from-${bytes}`, to, bytes: end - bytes, reason });
  }

  /** Says what quarantine takes of the disk: nobody but people removes anything there. */
  async tell(): Promise<void> {
    if ((await listDirectory(this.#disk, quarantineDirectory)).length === 0) return;
    const { bytes } = await holdingOfForeign(this.#disk, quarantineDirectory);
    const files = await countFiles(this.#disk, quarantineDirectory);
    this.#log.warning("quarantine_holds", { files, bytes });
  }
}

async function countFiles(disk: Disk, directory: string): Promise<number> {
  let files = 0;
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    const isDirectory = (await disk.stateOf(path))?.kind === "directory";
    files += isDirectory ? await countFiles(disk, path) : 1;
  }
  return files;
}
