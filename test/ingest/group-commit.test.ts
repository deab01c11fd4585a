// What was noted is committed, whatever happens while a commit is under way; and a commit that finds no free descriptor: nothing
// is lost, nothing is poisoned, and what was not synced is before the next row.

import { expect, test } from "vitest";
import { machineClock } from "../../src/host/clock.ts";
import { type Disk, openDisk, type WritableFile } from "../../src/host/disk.ts";
import { newUlid } from "../../src/host/entropy.ts";
import { toFault } from "../../src/host/errno.ts";
import { type CommitPart, GroupCommit, type Participant } from "../../src/ingest/group-commit.ts";
import { Poison } from "../../src/store/poison.ts";
import { TailLog, type TailPlace } from "../../src/store/tail-log.ts";
import { openScratch } from "../catalog/scratch.ts";

/** What the disk's next syncs of paths fail with. */
async function openFailing(root: string, failures: string[]): Promise<{ disk: Disk; synced: string[] }> {
  const disk = await openDisk(root);
  const synced: string[] = [];
  const sync = async (path: string): Promise<void> => {
    const errno = failures.shift();
    if (errno !== undefined) throw toFault(Object.assign(new Error(errno), { code: errno }), `sync ${path}`);
    synced.push(path);
  };
  return { disk: { ...disk, syncFile: sync, syncDirectory: sync }, synced };
}

/** Hands its document out once, and its row until it is committed, as uploads do. */
class Upload implements Participant {
  committed = 0;
  #documents: readonly string[] = ["topic.json"];
  readonly #apply: () => void;

  constructor(apply: () => void) {
    this.#apply = apply;
  }

  part(): CommitPart | undefined {
    if (this.committed > 0) return undefined;
    const documents = this.#documents;
    this.#documents = [];
    return {
      files: [],
      documents,
      directories: [],
      apply: this.#apply,
      committed: async () => {
        this.committed += 1;
      },
    };
  }
}

async function commitTwice(failures: string[]) {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const { disk, synced } = await openFailing(scratch.directory, failures);
  const poison = new Poison(() => undefined);
  const tail = new TailLog(disk, { found: [], onFailure: () => undefined, onCrowded: () => undefined });
  const parts = { disk, catalog, poison, tail, clock: machineClock() };
  const commit = new GroupCommit(parts, { intervalMs: 60_000, bytes: 1e9 });
  const upload = new Upload(() => catalog.facts.put("row", "there"));
  commit.note(upload, 1);
  const first = await commit.commit().then(
    () => undefined,
    (error: unknown) => error,
  );
  const rowAfterFirst = catalog.facts.get("row");
  const second = await commit.commit().then(
    () => undefined,
    (error: unknown) => error,
  );
  return { first, rowAfterFirst, second, row: catalog.facts.get("row"), synced, poisoned: poison.poisoned };
}

test.each(["EMFILE", "ENFILE"])("%s from an open is refused, and made up for by the next commit", async (errno) => {
  const { first, rowAfterFirst, second, row, synced, poisoned } = await commitTwice([errno]);
  expect(first).toMatchObject({ code: "overloaded" });
  expect(rowAfterFirst).toBeUndefined();
  expect(second).toBeUndefined();
  expect({ row, synced, poisoned }).toEqual({ row: "there", synced: ["topic.json"], poisoned: false });
});

test("EIO poisons the store", async () => {
  const { first, second, row, poisoned } = await commitTwice(["EIO"]);
  expect(first).toMatchObject({ code: "unavailable" });
  expect(second).toMatchObject({ code: "unavailable" });
  expect({ row, poisoned }).toEqual({ row: undefined, poisoned: true });
});

test("without a descriptor the commit is tried again by itself", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const { disk } = await openFailing(scratch.directory, ["EMFILE", "EMFILE"]);
  const poison = new Poison(() => undefined);
  const tail = new TailLog(disk, { found: [], onFailure: () => undefined, onCrowded: () => undefined });
  const commit = new GroupCommit({ disk, catalog, poison, tail, clock: machineClock() }, { intervalMs: 5, bytes: 1e9 });
  const upload = new Upload(() => catalog.facts.put("row", "there"));
  commit.note(upload, 1);
  await expect.poll(() => upload.committed).toBe(1);
});

/** Commits how many of its batches are in the tail log's file. */
class SmallBatches implements Participant {
  committed = 0;
  readonly #tail: TailLog;
  readonly #places: TailPlace[] = [];

  constructor(tail: TailLog) {
    this.#tail = tail;
  }

  async append(): Promise<void> {
    const index = this.#places.length;
    const facts = { rows: 1, sorted: true, range: { startNs: 1n, endNs: 1n } };
    const place = { session: newUlid(1), topicNumber: 0, index };
    this.#places.push(
      await this.#tail.append({ ...place, ...facts, header: new Uint8Array(8), body: new Uint8Array(8) }),
    );
  }

  part(): CommitPart | undefined {
    const whole = this.#places.filter((place) => this.#tail.isWhole(place)).length;
    if (whole === this.committed) return undefined;
    const committed = async (): Promise<void> => {
      this.committed = whole;
    };
    return { files: [], documents: [], directories: [], apply: () => undefined, committed };
  }
}

test("a small batch that comes while the log is written for a commit is committed by the next one", async () => {
  await using scratch = await openScratch();
  const disk = await openDisk(scratch.directory);
  let beforeWrite: () => Promise<void> = async () => undefined;
  const interrupted: Disk = {
    ...disk,
    async openWritable(path) {
      const file = await disk.openWritable(path);
      const write: WritableFile["write"] = async (buffers, position) => {
        await beforeWrite();
        await file.write(buffers, position);
      };
      return {
        path: file.path,
        write,
        sync: () => file.sync(),
        truncate: (at) => file.truncate(at),
        close: () => file.close(),
      };
    },
  };
  const { catalog } = scratch;
  const poison = new Poison(() => undefined);
  const tail = new TailLog(interrupted, { found: [], onFailure: () => undefined, onCrowded: () => undefined });
  const parts = { disk, catalog, poison, tail, clock: machineClock() };
  const commit = new GroupCommit(parts, { intervalMs: 5, bytes: 1e9 });
  const upload = new SmallBatches(tail);
  beforeWrite = async () => {
    beforeWrite = async () => undefined;
    await upload.append();
    commit.note(upload, 1);
  };
  await upload.append();
  commit.note(upload, 1);
  await expect.poll(() => upload.committed).toBe(2);
});
