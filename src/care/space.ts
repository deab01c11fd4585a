/**
 * Keeps the disk from being filled: nothing is taken in that would go below the floor of free space, whoever filled it. When the
 * disk is full all the same the catalog commits into room that its own file has, and takes in no more rows when that comes to
 * its end.
 */

import type { Catalog } from "../catalog/catalog.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import {
  catalogRoomBytes,
  evictionMarginBytes,
  freeSpaceLookMs,
  freshLookBytes,
  overheadBytes,
  rowPagesBytes,
} from "../model/limits.ts";

export interface SpaceParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly catalog: Catalog;
  /** Free bytes below which nothing is taken in. */
  readonly floorBytes: number;
}

export interface SpaceUse {
  readonly freeBytes: number;
  readonly floorBytes: number;
  /** Bytes that the catalog's file has for commits on a full disk. */
  readonly catalogRoomBytes: number;
  readonly refusing: boolean;
  readonly refusals: number;
}

export class Space {
  readonly #parts: SpaceParts;
  #freeBytes = Number.POSITIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Bytes that were let in since. */
  #letInBytes = 0;
  /** Bytes that were let in and are not in files yet. */
  #pendingBytes = 0;
  /** Bytes of rows that were let in and whose commit has not ended. */
  #pendingRowBytes = 0;
  #refusing = false;
  #refusals = 0;
  /** Why nothing goes by itself, for the sentence of a refusal. */
  #advice = "";
  #overQuota: string | undefined;

  constructor(parts: SpaceParts) {
    this.#parts = parts;
  }

  use(): SpaceUse {
    return {
      freeBytes: this.#look(),
      floorBytes: this.#parts.floorBytes,
      catalogRoomBytes: this.#parts.catalog.roomBytes(),
      refusing: this.#refusing,
      refusals: this.#refusals,
    };
  }

  /** Bytes that have to come free until there is room again, with a margin so that eviction comes before refusal. */
  lackingBytes(): number {
    return Math.max(0, this.#parts.floorBytes + overheadBytes + evictionMarginBytes - this.#look());
  }

  /** What a refusal tells besides the numbers: why nothing goes by itself. */
  advise(advice: string): void {
    this.#advice = advice;
  }

  /** Takes nothing in while there is more than the quota allows and nothing may go; undefined when there is room. */
  restrict(overQuota: string | undefined): void {
    this.#overQuota = overQuota;
  }

  /**
   * Lets in bytes that are about to be written; what it returns is disposed when they are in their file.
   * @throws Fault overloaded when they would go below the floor, or beyond the quota
   */
  admit(bytes: number): Disposable {
    const { clock, floorBytes } = this.#parts;
    if (this.#overQuota !== undefined) throw this.#refusal(this.#overQuota);
    // Others fill disks too: before many bytes a fresh look, for few an old one will do. Many times few are many.
    const old = clock.monotonicMs() - this.#lookedAtMs >= freeSpaceLookMs;
    if (old || this.#letInBytes + bytes >= freshLookBytes) this.#look();
    const isRoom = this.#freeBytes - this.#pendingBytes - bytes >= floorBytes + overheadBytes;
    this.#become(isRoom ? "open" : "refusing");
    if (!isRoom) {
      throw this.#refusal(
        `The disk is full: ${this.#freeBytes} bytes are free, ${floorBytes} are kept free (free_space_floor).`,
      );
    }
    this.#pendingBytes += bytes;
    this.#letInBytes += bytes;
    return {
      [Symbol.dispose]: () => {
        this.#pendingBytes -= bytes;
      },
    };
  }

  /**
   * Lets in rows of the catalog of so many bytes together; what it returns is disposed when their commit has ended. Until then
   * nobody else is given the room that they take.
   * @throws Fault overloaded when the disk is full and the catalog needs its room
   */
  admitRow(bytes: number): Disposable {
    const { catalog, floorBytes } = this.#parts;
    const takes = bytes + rowPagesBytes;
    const roomBytes = catalog.roomBytes() - this.#pendingRowBytes;
    const isRoom = roomBytes - takes >= catalogRoomBytes / 4;
    if (!isRoom && this.#look() - this.#pendingBytes - this.#pendingRowBytes - takes < floorBytes) {
      throw this.#refusal(`The disk is full: the catalog has ${roomBytes} bytes left, which deletes may need.`);
    }
    this.#pendingRowBytes += takes;
    let pending = true;
    return {
      [Symbol.dispose]: () => {
        if (pending) this.#pendingRowBytes -= takes;
        pending = false;
      },
    };
  }

  /** Looks anew and gives the catalog its room when there is some; to be called at least once a second. */
  async tick(): Promise<void> {
    const { catalog, floorBytes } = this.#parts;
    if (this.#look() >= floorBytes) await catalog.keepRoom(catalogRoomBytes);
    this.#become(this.#freeBytes >= floorBytes + overheadBytes ? "open" : "refusing");
  }

  #refusal(sentence: string): Fault {
    this.#refusals += 1;
    return new Fault("overloaded", `${sentence} ${this.#advice}`.trim());
  }

  #look(): number {
    this.#freeBytes = this.#parts.disk.freeBytesNow();
    this.#lookedAtMs = this.#parts.clock.monotonicMs();
    this.#letInBytes = 0;
    return this.#freeBytes;
  }

  #become(state: "open" | "refusing"): void {
    if ((state === "refusing") === this.#refusing) return;
    this.#refusing = state === "refusing";
    const fields = { freeBytes: this.#freeBytes, floorBytes: this.#parts.floorBytes };
    if (this.#refusing) this.#parts.log.warning("space_refusing", fields);
    else this.#parts.log.info("space_open", fields);
  }
}
