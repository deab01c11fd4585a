/** What a start does with what no row names: removes it, or puts it into quarantine. Each is a line of the log. */

import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import type { Log } from "../host/log.ts";
import { quarantineDirectory } from "../store/layout.ts";
import { Quarantine } from "./quarantine.ts";
import type { Holding } from "./strays.ts";

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

  /** Copies what lies behind `from` bytes of a file that is about to be cut there. */
  async keepEnd(path: string, from: number, reason: string): Promise<void> {
    const name = `${path}.from-${from}`;
    const to = await this.#quarantine.copyEnd({ path, name, reasons: [reason] }, from);
    this.#log.warning("path_quarantined", { path: name, to, bytes: this.#disk.sizeNow(to), reason });
  }

  /** Says what quarantine takes of the disk: nobody but people removes anything there. */
  async tell(): Promise<void> {
    const { files, bytes } = await extentOf(this.#disk, quarantineDirectory);
    if (files > 0) this.#log.warning("quarantine_holds", { files, bytes });
  }
}

async function extentOf(disk: Disk, path: string): Promise<{ files: number; bytes: number }> {
  const state = await disk.stateOf(path);
  if (state === undefined) return { files: 0, bytes: 0 };
  if (state.kind !== "directory") return { files: 1, bytes: state.bytes };
  const extent = { files: 0, bytes: 0 };
  for (const name of await disk.list(path)) {
    const { files, bytes } = await extentOf(disk, `${path}/${name}`);
    extent.files += files;
    extent.bytes += bytes;
  }
  return extent;
}
