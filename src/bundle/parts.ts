/** The files of a bundle as the one that they are together. */

import path from "node:path";
import type { ReadableFile } from "../host/disk.ts";
import { openOutside, outsideState } from "../host/outside-file.ts";
import { bundleMax } from "../model/bundle-limits.ts";
import { Fault } from "../model/fault.ts";

interface Part {
  readonly file: ReadableFile;
  /** Its name without the directory. */
  readonly name: string;
  readonly start: number;
  readonly bytes: number;
}

/** Name of a part, from 0 on: `FILE.001`. */
export function partName(file: string, index: number): string {
  return `${file}.${String(index + 1).padStart(3, "0")}`;
}

export class Parts implements ReadableFile, AsyncDisposable {
  readonly path: string;
  readonly bytes: number;
  readonly #parts: readonly Part[];

  private constructor(parts: readonly Part[]) {
    this.#parts = parts;
    const last = parts.at(-1);
    this.bytes = last === undefined ? 0 : last.start + last.bytes;
    this.path = parts[0]?.name ?? "";
  }

  /**
   * @param given the file, its first part, or all parts in their order
   * @throws Fault absent, invalid (no file), unavailable
   */
  static async open(given: readonly string[]): Promise<Parts> {
    const parts: Part[] = [];
    let start = 0;
    try {
      for (const name of await partsOf(given)) {
        const file = await openOutside(name);
        const bytes = await file.size();
        parts.push({ file, name: path.basename(name), start, bytes });
        start += bytes;
      }
    } catch (error) {
      for (const { file } of parts) await file.close();
      throw error;
    }
    return new Parts(parts);
  }

  get count(): number {
    return this.#parts.length;
  }

  /** Of a part: its name and bytes; the name that it would have when it is not there. */
  part(index: number): { readonly name: string; readonly bytes: number } {
    const base = this.path.replace(/\.001$/, "");
    return this.#parts[index] ?? { name: partName(base, index), bytes: 0 };
  }

  /** The name of the file that has the byte, or the last one. */
  nameAt(position: number): string {
    const part = this.#parts.find(({ start, bytes }) => position < start + bytes) ?? this.#parts.at(-1);
    return part?.name ?? this.path;
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    let done = 0;
    for (const { file, start, bytes } of this.#parts) {
      const at = position + done - start;
      if (at >= bytes || done >= target.byteLength) continue;
      const length = Math.min(target.byteLength - done, bytes - at);
      await file.read(target.subarray(done, done + length), at);
      done += length;
    }
    if (done < target.byteLength)
      throw new Fault("corrupt", `${this.nameAt(position + done)}: it ends at ${position + done} of the archive`);
  }

  size(): Promise<number> {
    return Promise.resolve(this.bytes);
  }

  async close(): Promise<void> {
    for (const { file } of this.#parts) await file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function partsOf(given: readonly string[]): Promise<readonly string[]> {
  const [first, ...more] = given;
  if (first === undefined) return given;
  if (more.length > 0) return inOrder(given);
  const isPart = first.endsWith(".001");
  const base = isPart ? first.slice(0, -".001".length) : first;
  const isSplit = isPart || ((await outsideState(first)) === undefined && (await isThere(base, 0)));
  if (!isSplit) return given;
  const found: string[] = [];
  while (found.length < bundleMax.parts && (await isThere(base, found.length)))
    found.push(partName(base, found.length));
  return found.length === 0 ? given : found;
}

/** @throws Fault invalid when parts that are numbered are not one after the other */
function inOrder(given: readonly string[]): readonly string[] {
  const base = given[0]?.replace(/\.[0-9]{3}$/, "") ?? "";
  const isNumbered = given.every((name) => /\.[0-9]{3}$/.test(name) && name.startsWith(base));
  const wrong = isNumbered ? given.findIndex((name, index) => name !== partName(base, index)) : -1;
  if (wrong < 0) return given;
  throw new Fault("invalid", `Parts of a bundle: expected ${partName(base, wrong)}, found ${given[wrong]}`);
}

async function isThere(base: string, index: number): Promise<boolean> {
  return (await outsideState(partName(base, index))) !== undefined;
}
