// Uploads on a real disk whose calls a test may hold up or refuse, without a server around them.

import type { Finding } from "../../src/care/finding.ts";
import { checkSession } from "../../src/care/session-check.ts";
import { Space } from "../../src/care/space.ts";
import { findTopicByUuid } from "../../src/catalog/resources.ts";
import { Budget } from "../../src/flow/budget.ts";
import { type Clock, machineClock } from "../../src/host/clock.ts";
import { type Disk, openDisk } from "../../src/host/disk.ts";
import { toFault } from "../../src/host/errno.ts";
import { openLog } from "../../src/host/log.ts";
import { LoopUse } from "../../src/host/loop-use.ts";
import { type CreateParts, createSequence, createSession, createTopic } from "../../src/ingest/create.ts";
import { GroupCommit } from "../../src/ingest/group-commit.ts";
import type { RemoveParts } from "../../src/ingest/remove.ts";
import type { Upload } from "../../src/ingest/upload.ts";
import { Uploads } from "../../src/ingest/uploads.ts";
import { parseSequenceName, parseTopicLocator } from "../../src/model/locator.ts";
import type { JsonText, Session, Topic } from "../../src/model/resource.ts";
import { sequencesDirectory, sessionsDirectory, trashDirectory } from "../../src/store/layout.ts";
import { Poison } from "../../src/store/poison.ts";
import { TailLog } from "../../src/store/tail-log.ts";
import { openScratch } from "../catalog/scratch.ts";
import type { Outgoing } from "../load/flight-client.ts";

/** A call to the disk that is about to be made. */
export interface DiskCall {
  readonly kind: "open" | "read" | "write" | "cut" | "sync" | "close";
  readonly path: string;
  readonly bytes: number;
}

export interface Ingest extends AsyncDisposable, CreateParts, RemoveParts {
  readonly commit: GroupCommit;
  /** Runs before each call; what it throws is what the call fails with. */
  before: (call: DiskCall) => Promise<void> | void;
  /** Whether half of a write gets through before the disk is full. */
  half: (call: DiskCall) => boolean;
  /** From now on the disk says that so many bytes are free; undefined for what there is. */
  leave(freeBytes: number | undefined): void;
  /** Files that are open for writing. */
  readonly openFiles: ReadonlySet<object>;
  /** What the store was poisoned with. */
  readonly poisonedBy: readonly unknown[];
  openSession(sequence: string): Promise<Session>;
  createTopic(session: Session, name: string): Promise<Topic>;
  begin(topic: Topic, messages: readonly Outgoing[]): Promise<Upload>;
  rowsOf(topic: Topic): number | undefined;
  /** What a walk through rows and files of a session finds. */
  check(session: Session): Promise<readonly Finding[]>;
}

const userMetadata = "{}" as JsonText;
export const floorBytes = 1_000_000;

export async function openIngest(options: { clock?: Clock; chunkBytesMax?: number } = {}): Promise<Ingest> {
  const scratch = await openScratch();
  const { catalog } = scratch;
  const clock = options.clock ?? machineClock();
  const log = openLog("error");
  const openFiles = new Set<object>();
  let freeBytes: number | undefined;
  const disk = watch(
    await openDisk(scratch.directory),
    openFiles,
    () => ingest,
    () => freeBytes,
  );
  for (const name of [sequencesDirectory, sessionsDirectory, trashDirectory]) await disk.makeDirectory(name);
  const poisonedBy: unknown[] = [];
  const poison = new Poison((cause) => poisonedBy.push(cause));
  const left: Promise<void>[] = [];
  const tail = new TailLog(disk, {
    found: [],
    onFailure: (error) => poison.poison(error),
    onCrowded: (number) => void left.push(uploads.leaveTailLog(number)),
  });
  const space = new Space({ disk, clock, log, catalog, floorBytes, quotaBytes: undefined, unstoredBytes: () => 0 });
  // Commits come when they are asked for.
  const commit = new GroupCommit({ disk, catalog, poison, tail, clock }, { intervalMs: 3_600_000, bytes: 1e12 });
  const unfoldBudget = new Budget(64 * 2 ** 20);
  const chunkBytesMax = options.chunkBytesMax ?? 0;
  const uploads = new Uploads({
    given: new Map(),
    keepsStatistics: true,
    loop: new LoopUse(),
    disk,
    catalog,
    clock,
    commit,
    tail,
    space,
    poison,
    unfoldBudget,
    chunkBytesMax,
    damaged: new Map(),
  });
  const ingest: Ingest = {
    ...{
      disk,
      catalog,
      clock,
      log,
      poison,
      tail,
      emptying: new Set<Promise<void>>(),
      space,
      commit,
      uploads,
      openFiles,
      poisonedBy,
    },
    before: () => undefined,
    half: () => false,
    leave(bytes) {
      freeBytes = bytes;
      // What it has seen before is of no use any more.
      space.use();
    },
    async openSession(name) {
      const sequence = parseSequenceName(name);
      await createSequence(ingest, { name: sequence, userMetadata });
      return await createSession(ingest, { sequence, creator: undefined });
    },
    createTopic: (session, name) =>
      createTopic(ingest, {
        ...{ session: session.uuid, ontologyTag: "t", serializationFormat: "default", userMetadata },
        locator: parseTopicLocator(`${session.sequence}/${name}`),
      }),
    begin: ({ locator, uuid }, [schema]) =>
      uploads.begin({
        ...{ topic: locator, uuid, memoryWaitMs: () => 0 },
        schemaHeader: schema?.header ?? new Uint8Array(0),
      }),
    rowsOf: ({ uuid }) => findTopicByUuid(catalog, uuid)?.extent.rows,
    check: ({ ulid }) => checkSession({ disk, catalog, state: "closed", onBytes: () => undefined }, ulid),
    async [Symbol.asyncDispose]() {
      ingest.before = () => undefined;
      await Promise.all(left);
      // Ends the timer of what was noted and never committed.
      await commit.commit().catch(() => undefined);
      await tail[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
  return ingest;
}

/** Appends messages behind the schema, as a stream does. */
export async function feed(upload: Upload, messages: readonly Outgoing[]): Promise<void> {
  for (const { header, body } of messages) await upload.append({ header, body, release: () => undefined });
}

/** What the system refuses a call with. */
export function errno(code: "ENOSPC" | "EMFILE" | "EIO" | "ENOENT"): Error {
  return Object.assign(new Error(`${code}: made by a test`), { code });
}

/** Ends when `act` has made a call that fits; it stands there until `go` is called. */
export function stopAt(ingest: Ingest, fits: (call: DiskCall) => boolean): { met: Promise<void>; go: () => void } {
  const met = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  ingest.before = async (call) => {
    if (!fits(call)) return;
    ingest.before = () => undefined;
    met.resolve();
    await gone.promise;
  };
  return { met: met.promise, go: gone.resolve };
}

function watch(disk: Disk, openFiles: Set<object>, ingest: () => Ingest, freeBytes: () => number | undefined): Disk {
  const before = async (kind: DiskCall["kind"], path: string, bytes = 0): Promise<void> => {
    try {
      await ingest().before({ kind, path, bytes });
    } catch (error) {
      throw toFault(error, `${kind} ${path}`);
    }
  };
  return {
    ...disk,
    async syncFile(path) {
      await before("sync", path);
      await disk.syncFile(path);
    },
    async openReadable(path) {
      await before("read", path);
      return await disk.openReadable(path);
    },
    async openWritable(path) {
      await before("open", path);
      const file = await disk.openWritable(path);
      openFiles.add(file);
      return {
        path,
        async write(pieces, position) {
          const bytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
          await before("write", path, bytes);
          if (!ingest().half({ kind: "write", path, bytes })) return await file.write(pieces, position);
          await file.write([Buffer.concat(pieces).subarray(0, bytes / 2)], position);
          throw toFault(errno("ENOSPC"), `write ${path}`);
        },
        async truncate(bytes) {
          await before("cut", path, bytes);
          await file.truncate(bytes);
        },
        async sync() {
          await before("sync", path);
          await file.sync();
        },
        async close() {
          await before("close", path);
          openFiles.delete(file);
          await file.close();
        },
      };
    },
    freeBytesNow: () => freeBytes() ?? disk.freeBytesNow(),
  };
}
