/**
 * Where repair and rebuild put what is broken, and a start what it cannot place, with a note beside it: `quarantine/<time>/`,
 * paths as before. Never removed.
 */

import { dirname } from "node:path/posix";
import type { Disk } from "../host/disk.ts";
import { scanBlockBytes } from "../model/limits.ts";
import type { TimeNs } from "../model/time.ts";
import { FileScan } from "../store/file-scan.ts";
import { quarantineDirectory } from "../store/layout.ts";
import { makeDurableDirectory } from "./directory.ts";

export interface Note {
  /** Where it lay. */
  readonly path: string;
  /** What it is called here, `path` unless said. */
  readonly name?: string;
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

  /**
   * Says what will be put aside and why; where it will lie. Of what is not there only the reasons are noted. The note is on the
   * disk when this ends.
   */
  async note({ path, name = path, reasons }: Note): Promise<string> {
    const exists = (await this.#disk.stateOf(path)) !== undefined;
    await makeDurableDirectory(this.#disk, this.directory);
    let place = `${this.directory}/${name}`;
    // The same path may be broken twice in one run.
    for (let again = 2; (await this.#disk.stateOf(place)) !== undefined; again += 1)
      place = `${this.directory}/${name}.${again}`;
    this.#notes += 1;
    const note = { path, quarantined: exists ? place : undefined, reasons };
    await this.#disk.replaceText(
      `${this.directory}/note-${String(this.#notes).padStart(5, "0")}.json`,
      `${JSON.stringify(note, undefined, 2)}\n`,
    );
    return place;
  }

  /** Copies the bytes of a file from `from` on, which stay where they are; durable when it ends. Where the copy lies. */
  async copyEnd(note: Note, from: number): Promise<string> {
    const place = await this.note(note);
    await makeDurableDirectory(this.#disk, dirname(place));
    await using scan = await FileScan.open(this.#disk, note.path);
    const file = await this.#disk.openWritable(place);
    try {
      for (let at = from; at < scan.bytes; ) {
        const bytes = await scan.read(at, scanBlockBytes);
        await file.write([bytes], at - from);
        at += bytes.byteLength;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.syncDirectory(dirname(place));
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
