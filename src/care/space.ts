/**
 * Keeps the disk from being filled, and the quota from being passed: nothing is taken in that would go below the floor of free
 * space, whoever filled it, or beyond the bytes that all sessions may have together. What would be refused waits for retention first.
 * When the disk is full all the same the catalog commits into room that its own file has, and takes in no more rows when that
 * comes to its end.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Catalog } from "../catalog/catalog.ts";
import { readStoredBytes } from "../catalog/store-facts.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk } from "../host/disk.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import {
  catalogRoomBytes,
  evictionMargin,
  freeSpaceLookMs,
  freshLookBytes,
  overheadBytes,
  roomWaitMs,
  rowPagesBytes,
  spaceOpenMs,
  spaceToldMs,
} from "../model/limits.ts";

export interface SpaceParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly catalog: Catalog;
  /** Free bytes below which nothing is taken in. */
  readonly floorBytes: number;
  /** Bytes of all sessions together; undefined for no limit. */
  readonly quotaBytes: number | undefined;
  /** Bytes that are in files and not in the catalog yet. */
  unstoredBytes(): number;
}

/** What is at its end. */
export type SpaceLimit = "floor" | "quota";

export interface SpaceUse {
  readonly freeBytes: number;
  readonly floorBytes: number;
  /** Bytes that the catalog's file has for commits on a full disk. */
  readonly catalogRoomBytes: number;
  readonly refusing: boolean;
  readonly refusingFor: SpaceLimit | null;
  readonly refusals: number;
}

interface Obstacle {
  readonly limit: SpaceLimit;
  readonly sentence: string;
}

export class Space {
  readonly #parts: SpaceParts;
  #freeBytes = Number.POSITIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Bytes that were let in since. */
  #letInBytes = 0;
  /** Bytes that were let in since the last tick, and between the two ticks before. */
  #comingBytes = 0;
  #bytesPerTick = 0;
  /** Bytes that were let in and are not in files yet. */
  #pendingBytes = 0;
  /** Bytes of rows that were let in and whose commit has not ended. */
  #pendingRowBytes = 0;
  /** Bytes that wait for retention. */
  #waitingBytes = 0;
  /** Lets old sessions go; whether any went. */
  #makeRoom: (() => Promise<boolean>) | undefined;
  #refusing: SpaceLimit | undefined;
  #refusals = 0;
  /** Most of what was refused since: there is room again when that fits. */
  #refusedBytes = 0;
  #refusedAtMs = Number.NEGATIVE_INFINITY;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  /** Whether the log says that uploads are refused. */
  #told = false;
  /** What goes by itself and what does not, for the sentence of a refusal. */
  #advice = "";

  constructor(parts: SpaceParts) {
    this.#parts = parts;
  }

  use(): SpaceUse {
    return {
      freeBytes: this.#look(),
      floorBytes: this.#parts.floorBytes,
      catalogRoomBytes: this.#parts.catalog.roomBytes(),
      refusing: this.#refusing !== undefined,
      refusingFor: this.#refusing ?? null,
      refusals: this.#refusals,
    };
  }

  /** Bytes that have to go until there is room for what waits, with a margin, so that nobody waits for eviction. */
  lacking(): Readonly<Record<SpaceLimit, number>> {
    const { floorBytes, quotaBytes } = this.#parts;
    const coming = this.#pendingBytes + this.#waitingBytes;
    const { ofFloor, ofQuota, seconds, bytesMax } = evictionMargin;
    const soon = seconds * Math.max(this.#bytesPerTick, this.#comingBytes);
    const floorMargin = Math.min(bytesMax, floorBytes / 2, Math.max(soon, Math.floor(floorBytes * ofFloor)));
    const wanted = floorBytes + overheadBytes + floorMargin + coming;
    const quotaMargin = Math.min(bytesMax, soon, Math.floor((quotaBytes ?? 0) * ofQuota));
    return {
      floor: Math.max(0, wanted - this.#look()),
      quota: quotaBytes === undefined ? 0 : Math.max(0, this.#storedBytes() + quotaMargin + coming - quotaBytes),
    };
  }

  /** Who lets old sessions go when there is no room, and what a refusal tells besides the numbers. */
  onLacking(makeRoom: () => Promise<boolean>): void {
    this.#makeRoom = makeRoom;
  }

  advise(advice: string): void {
    this.#advice = advice;
  }

  /**
   * Lets in bytes that are about to be written, at once when there is room, for that is asked a thousand times a second, and else
   * when retention has made some; what it returns is disposed when they are in their file.
   * @throws Fault overloaded when they would go below the floor, or beyond the quota, and retention makes no room in time
   */
  admit(bytes: number): Disposable | Promise<Disposable> {
    const obstacle = this.#obstacle(bytes);
    if (obstacle === undefined) return this.#letIn(bytes);
    if (this.#makeRoom === undefined) throw this.#refusal(obstacle, bytes);
    return this.#admitLater(bytes, this.#makeRoom);
  }

  async #admitLater(bytes: number, makeRoom: () => Promise<boolean>): Promise<Disposable> {
    const over = new AbortController();
    const late = sleep(roomWaitMs, false, { signal: over.signal, ref: false }).catch(() => false);
    this.#waitingBytes += bytes;
    try {
      let mayMakeMore = true;
      for (;;) {
        const obstacle = this.#obstacle(bytes, "fresh");
        // Let in before anybody else is asked: what was made room for others may take.
        if (obstacle === undefined) return this.#letIn(bytes);
        if (!mayMakeMore) throw this.#refusal(obstacle, bytes);
        mayMakeMore = await Promise.race([makeRoom(), late]);
      }
    } finally {
      this.#waitingBytes -= bytes;
      over.abort();
    }
  }

  #letIn(bytes: number): Disposable {
    if (this.#refusing !== undefined && bytes > 0) this.#openAgain();
    this.#pendingBytes += bytes;
    this.#letInBytes += bytes;
    this.#comingBytes += bytes;
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
      const sentence = `The disk is full: the catalog has ${roomBytes} bytes left, which deletes may need.`;
      throw this.#refusal({ limit: "floor", sentence }, 0);
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

  /** Gives the catalog its room when there is some; to be called at least once a second. */
  async keepCatalogRoom(): Promise<void> {
    const { catalog, floorBytes } = this.#parts;
    if (this.#look() >= floorBytes) await catalog.keepRoom(catalogRoomBytes);
  }

  /**
   * Looks anew and says whether uploads are refused; to be called once a second, right after retention, for a disk that
   * room is made on is not full: who uploads waits for it.
   */
  tick(retention: "made room" | "made none"): void {
    this.#bytesPerTick = this.#comingBytes;
    this.#comingBytes = 0;
    const obstacle = this.#obstacle(0, "fresh");
    if (obstacle === undefined) {
      if (this.#parts.clock.monotonicMs() - this.#refusedAtMs >= spaceOpenMs) this.#openAgain();
    } else if (retention === "made none") this.#refuse(obstacle.limit);
  }

  /** Why so many bytes cannot be taken in now. */
  #obstacle(bytes: number, look: "fresh" | "as due" = "as due"): Obstacle | undefined {
    const { clock, floorBytes, quotaBytes } = this.#parts;
    if (quotaBytes !== undefined) {
      const stored = this.#storedBytes();
      if (stored + this.#pendingBytes + bytes > quotaBytes) {
        const more = `${this.#pendingBytes + bytes} more were to be written`;
        const sentence = `The quota is used up: ${stored} bytes are stored, ${quotaBytes} are allowed (max_bytes), ${more}.`;
        return { limit: "quota", sentence };
      }
    }
    // Others fill disks too: before many bytes a fresh look, for few an old one will do. Many times few are many.
    const old = clock.monotonicMs() - this.#lookedAtMs >= freeSpaceLookMs;
    if (look === "fresh" || old || this.#letInBytes + bytes >= freshLookBytes) this.#look();
    if (this.#freeBytes - this.#pendingBytes - bytes >= floorBytes + overheadBytes) return undefined;
    const kept = `${floorBytes} are kept free (free_space_floor) and ${overheadBytes} for what is written besides`;
    const more = `${this.#pendingBytes + bytes} bytes were to be written`;
    return { limit: "floor", sentence: `The disk is full: ${this.#freeBytes} bytes are free, ${kept}; ${more}.` };
  }

  /** With what is on its way to the catalog. */
  #storedBytes(): number {
    return readStoredBytes(this.#parts.catalog) + this.#parts.unstoredBytes();
  }

  #look(): number {
    this.#freeBytes = this.#parts.disk.freeBytesNow();
    this.#lookedAtMs = this.#parts.clock.monotonicMs();
    this.#letInBytes = 0;
    return this.#freeBytes;
  }

  #refusal({ limit, sentence }: Obstacle, bytes: number): Fault {
    this.#refusals += 1;
    this.#refusedBytes = Math.max(this.#refusedBytes, bytes);
    this.#refusedAtMs = this.#parts.clock.monotonicMs();
    this.#refuse(limit);
    return new Fault("overloaded", `${sentence} ${this.#advice}`.trim());
  }

  #refuse(limit: SpaceLimit): void {
    const { clock, log, floorBytes } = this.#parts;
    this.#refusing = limit;
    // Many that meet a full disk one after the other are one line, and so is a disk that is full again and again.
    const nowMs = clock.monotonicMs();
    if (this.#told || nowMs - this.#toldAtMs < spaceToldMs) return;
    this.#told = true;
    this.#toldAtMs = nowMs;
    const { quotaBytes = null } = this.#parts;
    const fields = {
      reason: limit,
      freeBytes: this.#freeBytes,
      floorBytes,
      storedBytes: this.#storedBytes(),
      quotaBytes,
    };
    log.warning("space_refusing", { ...fields, refusals: this.#refusals });
  }

  /** Not before there is room for the largest that was refused: what is smaller fits into any gap. */
  #openAgain(): void {
    if (this.#refusing === undefined || this.#obstacle(this.#refusedBytes) !== undefined) return;
    this.#refusing = undefined;
    this.#refusedBytes = 0;
    if (!this.#told) return;
    this.#told = false;
    const { log, floorBytes } = this.#parts;
    log.info("space_open", { freeBytes: this.#freeBytes, floorBytes, refusals: this.#refusals });
  }
}
