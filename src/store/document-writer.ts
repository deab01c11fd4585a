/** Writes the JSON documents beside the data, each once, though the streams of a session all want them at the same time. */

import type { Disk } from "../host/disk.ts";
import { failPoint } from "../host/fail-point.ts";

export class DocumentWriter {
  readonly #disk: Disk;
  readonly #running = new Map<string, Promise<void>>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Ends when the document is there with this text; not synced. A torn one of an earlier life is replaced. */
  ensure(file: string, text: string): Promise<void> {
    const running = this.#running.get(file);
    if (running !== undefined) return running;
    const run = this.#write(file, text).finally(() => this.#running.delete(file));
    this.#running.set(file, run);
    return run;
  }

  async #write(file: string, text: string): Promise<void> {
    if (!(await this.#disk.exists(file))) {
      failPoint("document: made");
      await this.#disk.writeText(file, text);
      failPoint("document: written");
      return;
    }
    if ((await this.#disk.readText(file)) !== text) await this.#disk.replaceText(file, text);
  }
}
