/**
 * Keeps the disk from being filled: nothing is taken in that would go below the floor of free space, whoever filled it. When the
 * disk is full all the same the catalog commits into room that its own file has; where that does not help, as on file systems
 * that never write in place, the reserve is given up for it.
 */

import type { Catalog } from "../catalog/catalog.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import type { Log } from "../host/log.ts";
import type { Reserve } from "../host/reserve.ts";
import { Fault } from "../model/fault.ts";
import { evictionMarginBytes, freeSpaceLookMs, freshLookBytes, overheadBytes } from "../model/limits.ts";

export interface SpaceParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly reserve: Reserve;
  /** Free bytes below which nothing is taken in. */
  readonly floorBytes: number;
}

export interface SpaceUse {
  readonly freeBytes: number;
  readonly floorBytes: number;
  readonly reserveHeld: boolean;
  /** Bytes that the catalog's file has for commits, at the last look. */
  readonly catalogRoomBytes: number;
  readonly refusing: boolean;
  readonly refusals: number;
}

export class Space {
  readonly #parts: SpaceParts;
  #freeBytes = Number.POSITIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Bytes that were let in and are not in files yet. */
  #pendingBytes = 0;
  #roomBytes = 0;
  #gaveUpReserve = false;
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
      reserveHeld: this.#parts.reserve.held,
      catalogRoomBytes: this.#roomBytes,
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
   * @throws Fault overloaded when they would go below the floor, or while the reserve is given up
   */
  admit(bytes: number): Disposable {
    const { clock, floorBytes } = this.#parts;
    if (this.#overQuota !== undefined) {
      this.#refusals += 1;
      throw new Fault("overloaded", `${this.#overQuota} ${this.#advice}`.trim());
    }
    // Others fill disks too: before many bytes a fresh look, for few an old one will do.
    const old = clock.monotonicMs() - this.#lookedAtMs >= freeSpaceLookMs;
    if (old || bytes >= freshLookBytes) this.#look();
    if (!this.#gaveUpReserve && this.#freeBytes - this.#pendingBytes - bytes >= floorBytes + overheadBytes) {
      this.#become("open");
      this.#pendingBytes += bytes;
      return {
        [Symbol.dispose]: () => {
          this.#pendingBytes -= bytes;
        },
      };
    }
    this.#refusals += 1;
    this.#become("refusing");
    const why = !this.#gaveUpReserve ? "" : " and the reserve of the catalog is used up";
    throw new Fault(
      "overloaded",
      `The disk is full: ${this.#freeBytes} bytes are free, ${floorBytes} are kept free (free_space_floor)${why}. ${this.#advice}`.trim(),
    );
  }

  /** Looks anew and fetches the reserve back when there is room; to be called at least once a second. */
  async tick(catalog: Catalog): Promise<void> {
    const { reserve, floorBytes } = this.#parts;
    const freeBytes = this.#look();
    if (freeBytes >= floorBytes + reserve.bytes) {
      this.#roomBytes = await catalog.keepRoom(reserve.bytes);
    }
    if (!reserve.held && freeBytes >= floorBytes + reserve.bytes) {
      await reserve.take();
      this.#gaveUpReserve = false;
    }
    if (freeBytes >= floorBytes + overheadBytes && !this.#gaveUpReserve) this.#become("open");
    else this.#become("refusing");
  }

  /** The catalog could not commit: gives up the reserve for it. */
  async rescueCatalog(): Promise<void> {
    const given = await this.#parts.reserve.giveUp();
    this.#gaveUpReserve = true;
    if (given) this.#parts.log.error("disk_full", { reserveGivenUp: true, freeBytes: this.#look() });
    this.#become("refusing");
  }

  #look(): number {
    this.#freeBytes = this.#parts.disk.freeBytesNow();
    this.#lookedAtMs = this.#parts.clock.monotonicMs();
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
