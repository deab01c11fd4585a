/** Where repair and rebuild put what is broken, and a start what it cannot place, with a note beside it: `quarantine/<time>/`, paths as before. Never removed. */

import { dirname } from "node:path/posix";
import type { Disk } from "../host/disk.ts";
import type { TimeNs } from "../model/time.ts";
import { quarantineDirectory } from "../store/layout.ts";
import { makeDurableDirectory } from "./swap.ts";

export interface Note {
  /** Where it lay. */
  readonly path: string;
  readonly reasons: readonly string[];
}

export class Quarantine {
  readonly directory: string;
  readonly #disk: Disk;
  #notes = 0;

  constructor(disk: Disk, timeNs: TimeNs) {
    this.#disk = disk;
    const time = new Date(Number(timeNs / 1_000_000n)).toISOString().replace(/[:.]/g, "-");
    this.directory = `${quarantineDirectory}/${time}`;
  }

  /** Says what will be put aside and why; where it will lie. The note is on the disk when this ends. */
  async note({ path, reasons }: Note): Promise<string> {
    await makeDurableDirectory(this.#disk, this.directory);
    let place = `${this.directory}/${path}`;
    // The same path may be broken twice in one run.
    for (let again = 2; (await this.#disk.stateOf(place)) !== undefined; again += 1)
      place = `${this.directory}/${path}.${again}`;
    this.#notes += 1;
    const note = { path, quarantined: place, reasons };
    await this.#disk.replaceText(
      `${this.directory}/note-${String(this.#notes).padStart(5, "0")}.json`,
      `${JSON.stringify(note, undefined, 2)}\n`,
    );
    return place;
  }

  /** Moves what lies there aside; durable when it ends. Where it lies then. */
  async put(note: Note): Promise<string> {
    const place = await this.note(note);
    await makeDurableDirectory(this.#disk, dirname(place));
    await this.#disk.rename(note.path, place);
    await this.#disk.syncDirectory(dirname(place));
    await this.#disk.syncDirectory(dirname(note.path));
    return place;
  }
}
