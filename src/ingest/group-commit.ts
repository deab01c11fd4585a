/**
 * Group commit: sync what was touched, then ONE catalog transaction, then acknowledge. Streams in flight share a commit per
 * interval or per so many bytes; whoever waits for an acknowledgement starts one at once when none runs and joins the next
 * one otherwise.
 */

import type { Catalog } from "../catalog/catalog.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk, WritableFile } from "../host/disk.ts";
import { isOutOfFiles } from "../host/errno.ts";
import { failPoint } from "../host/fail-point.ts";
import { Fault } from "../model/fault.ts";
import type { Poison } from "../store/poison.ts";
import type { TailLog } from "../store/tail-log.ts";

/** What one participant brings to a commit. */
export interface CommitPart {
  readonly files: readonly WritableFile[];
  /** Documents and directories to be synced, by path. */
  readonly documents: readonly string[];
  readonly directories: readonly string[];
  /** Puts the rows; runs inside the transaction. */
  apply(): void;
  /** Runs when everything is durable. */
  committed(): Promise<void>;
}

export interface Participant {
  /** What is whole and not yet committed; undefined when there is nothing. */
  part(): CommitPart | undefined;
}

export interface CommitUse {
  readonly commits: number;
  /** Of the last one, and the longest: syncs and transaction. */
  readonly lastMs: number;
  readonly longestMs: number;
  readonly lastSyncMs: number;
  readonly filesSynced: number;
  /** Durable lag: how long the oldest batch waits that is not durable yet, and the longest that one has waited. */
  readonly lagMs: number;
  readonly longestLagMs: number;
  readonly uncommittedBytes: number;
}

export interface GroupCommitOptions {
  readonly intervalMs: number;
  readonly bytes: number;
}

export interface GroupCommitParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly poison: Poison;
  readonly tail: TailLog;
  readonly clock: Clock;
}

export class GroupCommit {
  readonly #disk: Disk;
  readonly #catalog: Catalog;
  readonly #poison: Poison;
  readonly #tail: TailLog;
  readonly #clock: Clock;
  readonly #options: GroupCommitOptions;
  readonly #dirty = new Set<Participant>();
  #dirtyBytes = 0;
  /** Bytes of the commit that runs. */
  #committingBytes = 0;
  /** Time of the first note that no commit has begun for, and of the one that runs. */
  #notedAtMs: number | undefined;
  #committingSinceMs: number | undefined;
  #use = { commits: 0, lastMs: 0, longestMs: 0, lastSyncMs: 0, filesSynced: 0, longestLagMs: 0 };
  /** What could not be opened to be synced, and is to be before the next row. */
  #owed: Owed = { documents: [], directories: [] };
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor({ disk, catalog, poison, tail, clock }: GroupCommitParts, options: GroupCommitOptions) {
    this.#disk = disk;
    this.#catalog = catalog;
    this.#poison = poison;
    this.#tail = tail;
    this.#clock = clock;
    this.#options = options;
  }

  use(): CommitUse {
    const sinceMs = this.#committingSinceMs ?? this.#notedAtMs;
    const lagMs = sinceMs === undefined ? 0 : this.#clock.monotonicMs() - sinceMs;
    return { ...this.#use, lagMs, uncommittedBytes: this.#dirtyBytes };
  }

  /** Bytes that are in files, and in no row yet. */
  get unstoredBytes(): number {
    return this.#dirtyBytes + this.#committingBytes;
  }

  /** Says that a participant has `bytes` more to commit; they will be, within the interval. */
  note(participant: Participant, bytes: number): void {
    this.#dirty.add(participant);
    this.#dirtyBytes += bytes;
    this.#notedAtMs ??= this.#clock.monotonicMs();
    if (this.#dirtyBytes >= this.#options.bytes) void this.commit().catch(() => undefined);
    else this.#timer ??= setTimeout(() => void this.commit().catch(() => undefined), this.#options.intervalMs);
  }

  /**
   * Resolves when everything noted and whole at the time of the call is durable.
   * @throws Fault unavailable when sync or commit failed: the store is poisoned then; overloaded when the disk is too full for the
   * catalog or no descriptor was free: nothing is lost then, and the next commit tries again
   */
  commit(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    // What is noted now may have missed the snapshot of the commit that runs.
    this.#next ??= this.#running.catch(() => undefined).then(() => this.#start());
    return this.#next;
  }

  #start(): Promise<void> {
    this.#next = undefined;
    const run = this.#run().finally(() => {
      this.#committingBytes = 0;
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#poison.check();
    const startedMs = this.#clock.monotonicMs();
    this.#committingSinceMs = this.#notedAtMs;
    this.#notedAtMs = undefined;
    // Before the log is written: what is noted from now on may have missed that, and is for the next commit.
    const participants = [...this.#dirty];
    this.#dirty.clear();
    this.#committingBytes = this.#dirtyBytes;
    this.#dirtyBytes = 0;
    await this.#tail.flush();
    const parts = participants.flatMap((participant) => participant.part() ?? []);
    if (parts.length === 0) {
      this.#committingSinceMs = undefined;
      return;
    }
    failPoint("commit: begun");
    try {
      await this.#sync(parts);
    } catch (error) {
      // Without a descriptor nothing was synced and nothing is in doubt.
      if (isOutOfFiles(error)) for (const participant of participants) this.note(participant, 0);
      throw error;
    }
    try {
      await this.#catalog.transaction(() => {
        for (const part of parts) part.apply();
        failPoint("commit: rows");
      });
      this.#committingBytes = 0;
      failPoint("commit: committed");
    } catch (error) {
      this.#poison.poison(error);
      throw error;
    }
    this.#measure(startedMs);
    for (const part of parts) await part.committed();
  }

  #measure(startedMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const use = this.#use;
    use.commits += 1;
    use.lastMs = nowMs - startedMs;
    use.longestMs = Math.max(use.longestMs, use.lastMs);
    if (this.#committingSinceMs !== undefined)
      use.longestLagMs = Math.max(use.longestLagMs, nowMs - this.#committingSinceMs);
    this.#committingSinceMs = undefined;
  }

  /** Content first, then the directories that gained a name: a name without content would be worse than none. */
  async #sync(parts: readonly CommitPart[]): Promise<void> {
    try {
      await this.#syncParts(parts);
    } catch (error) {
      if (isOutOfFiles(error)) throw error;
      // Nobody knows what is on disk now, and a sync that is tried again lies.
      this.#poison.poison(error);
      this.#poison.check();
    }
  }

  /** @throws what could not be synced; only when nothing worse happened, what could not be opened */
  async #syncParts(parts: readonly CommitPart[]): Promise<void> {
    const tail = this.#tail.takeUnsynced();
    const files = new Set([...parts.flatMap((part) => part.files), ...tail.files]);
    const documents = new Set([...this.#owed.documents, ...parts.flatMap((part) => part.documents)]);
    const directories = new Set([
      ...this.#owed.directories,
      ...parts.flatMap((part) => part.directories),
      ...tail.directories,
    ]);
    const owed: Owed = { documents: [...documents], directories: [...directories] };
    const gone = new Set([...this.#owed.documents, ...this.#owed.directories]);
    const startedMs = this.#clock.monotonicMs();
    this.#owed = owed;
    await allOf([
      ...[...files].map((file) => file.sync()),
      ...owed.documents.map((path) => unlessGone(gone.has(path), this.#disk.syncFile(path))),
    ]);
    const synced = files.size + documents.size;
    this.#use.lastSyncMs = this.#clock.monotonicMs() - startedMs;
    this.#use.filesSynced += synced;
    if (synced > 0) this.#tail.noteSyncMs(this.#use.lastSyncMs / synced);
    failPoint("commit: files synced");
    await allOf(owed.directories.map((path) => unlessGone(gone.has(path), this.#disk.syncDirectory(path))));
    failPoint("commit: directories synced");
    this.#owed = { documents: [], directories: [] };
  }
}

interface Owed {
  readonly documents: readonly string[];
  readonly directories: readonly string[];
}

/** Ends when all have. The worst failure counts: a sync that failed before an open that found no descriptor. */
async function allOf(syncs: readonly Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(syncs)).flatMap((end) => (end.status === "rejected" ? [end.reason] : []));
  if (failures.length > 0) throw failures.find((failure) => !isOutOfFiles(failure)) ?? failures[0];
}

/** What is owed from an earlier commit may have been deleted since. */
async function unlessGone(mayBeGone: boolean, sync: Promise<void>): Promise<void> {
  try {
    await sync;
  } catch (error) {
    if (!(mayBeGone && error instanceof Fault && error.code === "absent")) throw error;
  }
}
