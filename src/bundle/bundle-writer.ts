/**
 * Writes an archive to one file or to parts, under names of work until all is there. What an earlier try has left is compared with
 * what comes, and written from the first difference on: so whoever gives the same bytes again goes on where that one was broken off.
 */

import type { ReadableFile, WritableFile } from "../host/disk.ts";
import { isDiskFull, isFileTooLarge } from "../host/errno.ts";
import {
  openOutside,
  openOutsideToWrite,
  outsideState,
  removeOutside,
  renameOutside,
  syncOutsideDirectory,
} from "../host/outside-file.ts";
import { bundleSyncBytes } from "../model/bundle-limits.ts";
import { Fault } from "../model/fault.ts";
import { partName } from "./parts.ts";

export interface WriterOptions {
  readonly file: string;
  /** Of the whole archive. */
  readonly bytes: number;
  readonly partBytes: number | undefined;
  /** What stands before the first session: it comes into being at once, so that every try finds all of it or nothing. */
  readonly head: Uint8Array;
}

/** Where an archive is while it is written. */
export function unfinishedName(file: string): string {
  return `${file}.partial`;
}

/** The first file of an archive, or the only one. */
export function firstName(file: string, partBytes: number | undefined): string {
  return partBytes === undefined ? file : partName(file, 0);
}

interface OpenPart {
  readonly name: string;
  /** Whether it has its last name, and may only be compared. */
  readonly isFinal: boolean;
  readonly start: number;
  readonly bytes: number;
  readonly source: ReadableFile;
  readonly target: WritableFile | undefined;
  /** Bytes that an earlier try has left, as far as they are the right ones. */
  left: number;
  unsynced: number;
}

export class BundleWriter implements AsyncDisposable {
  readonly #options: WriterOptions;
  #at = 0;
  #part: OpenPart | undefined;
  #writtenBytes = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Bytes that were not there already. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** @throws Fault exists when the file has other bytes under its last name; overloaded, unavailable */
  async write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.byteLength; ) {
      const part = this.#part ?? (await this.#open());
      const at = this.#at - part.start;
      const piece = bytes.subarray(done, done + Math.min(bytes.byteLength - done, part.bytes - at));
      await this.#put(part, piece, at);
      done += piece.byteLength;
      this.#at += piece.byteLength;
      if (this.#at === part.start + part.bytes) await this.#end(part);
    }
  }

  /** Gives all files their last names: the first one last, for by that the archive is known. */
  async finish(): Promise<void> {
    for (let index = this.#count - 1; index >= 0; index -= 1) {
      const name = this.#nameOf(index);
      if ((await outsideState(name)) === undefined) await renameOutside(unfinishedName(name), name);
    }
  }

  /** Removes what is not finished. */
  async remove(): Promise<void> {
    await this[Symbol.asyncDispose]();
    for (let index = 0; index < this.#count; index += 1) await removeOutside(unfinishedName(this.#nameOf(index)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const part = this.#part;
    this.#part = undefined;
    await part?.source.close();
    await part?.target?.close();
  }

  get #count(): number {
    const { bytes, partBytes } = this.#options;
    return partBytes === undefined ? 1 : Math.ceil(bytes / partBytes);
  }

  #nameOf(index: number): string {
    const { file, partBytes } = this.#options;
    return partBytes === undefined ? file : partName(file, index);
  }

  async #open(): Promise<OpenPart> {
    const { bytes, partBytes = bytes, head } = this.#options;
    const index = Math.floor(this.#at / partBytes);
    const name = this.#nameOf(index);
    const isFinal = (await outsideState(name)) !== undefined;
    const place = isFinal ? name : unfinishedName(name);
    if (index === 0 && !isFinal && (await outsideState(place)) === undefined) await this.#begin(place, head);
    const target = isFinal ? undefined : await openOutsideToWrite(place);
    const source = await openOutside(place);
    const size = Math.min(partBytes, bytes - index * partBytes);
    const left = await source.size();
    if (isFinal && left !== size) throw foreign(name);
    this.#part = { name: place, isFinal, start: index * partBytes, bytes: size, source, target, left, unsynced: 0 };
    return this.#part;
  }

  async #begin(place: string, head: Uint8Array): Promise<void> {
    const fresh = `${place}.new`;
    const file = await openOutsideToWrite(fresh);
    try {
      await file.truncate(0);
      await this.#told(file.write([head], 0));
      await file.sync();
    } catch (error) {
      await removeOutside(fresh);
      throw error;
    } finally {
      await file.close();
    }
    await renameOutside(fresh, place);
    this.#writtenBytes += head.byteLength;
  }

  async #put(part: OpenPart, bytes: Uint8Array, at: number): Promise<void> {
    const known = Math.max(0, Math.min(bytes.byteLength, part.left - at));
    if (known > 0) {
      const found = Buffer.allocUnsafe(known);
      await part.source.read(found, at);
      if (Buffer.compare(found, bytes.subarray(0, known)) !== 0) part.left = at;
      else if (known === bytes.byteLength) return;
    }
    if (part.target === undefined) throw foreign(part.name);
    const from = part.left > at ? known : 0;
    part.left = Math.min(part.left, at + from);
    await this.#told(part.target.write([bytes.subarray(from)], at + from));
    this.#writtenBytes += bytes.byteLength - from;
    part.unsynced += bytes.byteLength - from;
    if (part.unsynced < bundleSyncBytes) return;
    await this.#told(part.target.sync());
    part.unsynced = 0;
  }

  async #end(part: OpenPart): Promise<void> {
    if (part.target !== undefined) {
      if ((await part.source.size()) > part.bytes) await part.target.truncate(part.bytes);
      await this.#told(part.target.sync());
      await syncOutsideDirectory(part.name);
    }
    await this[Symbol.asyncDispose]();
  }

  /** Says what to do where the disk takes no more. */
  async #told(write: Promise<void>): Promise<void> {
    try {
      await write;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (isFileTooLarge(error))
        throw new Fault(
          "overloaded",
          `${reason}. The file system takes no larger files: remove ${this.#part?.name ?? unfinishedName(this.#options.file)} and cut the bundle with --split, like --split 4000MB.`,
          error,
        );
      if (isDiskFull(error))
        throw new Fault(
          "overloaded",
          `${reason}. What is written stays: make room, and the same command goes on with it.`,
          error,
        );
      throw error;
    }
  }
}

function foreign(name: string): Fault {
  return new Fault("exists", `${name} is there and is another file than this export would write. Nothing was touched.`);
}
