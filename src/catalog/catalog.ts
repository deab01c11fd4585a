/**
 * The catalog: facts in LMDB. Its rows are the commit of everything else, so a transaction that resolved is on disk.
 * One open function gives every process the same options; several processes may have it open at once.
 */

import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import type { Disk } from "../host/disk.ts";
import { newNoise } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";
import { catalogMapBytes, catalogPagesCheckedMax, roomStepBytes } from "../model/limits.ts";
import { checkLmdbFile } from "./lmdb-file.ts";
import { catalogRemedy, lmdbFile } from "./lmdb-page.ts";
import { bytesSeal, type RowSeal, textSeal } from "./row-seal.ts";

export type Key = string | readonly (string | number)[];

/** Each row has a checksum over table, key and value; one that is wrong is a Fault `corrupt` for whoever reads the row. */
export interface Table<Value> {
  get(key: Key): Value | undefined;
  /** Whether there is such a row, sound or not. */
  has(key: Key): boolean;
  put(key: Key, value: Value): void;
  remove(key: Key): void;
  /** Entries with `start` <= key < `end` in order of the keys. */
  range(start: Key, end: Key): Iterable<{ key: Key; value: Value }>;
  /**
   * All keys, or the first `limit`, with `start` <= key < `end`, in order, without looking at the values: what is to be removed
   * need not be sound. Nothing of the catalog is held open when it returns.
   */
  keys(start: Key, end: Key, limit?: number): Key[];
  count(): number;
  /** Every row, sound or not. */
  rows(): Iterable<FoundRow<Value>>;
}

export interface FoundRow<Value> {
  readonly key: Key;
  /** Undefined when the row is damaged: `problem` says how. */
  readonly value: Value | undefined;
  readonly problem?: string | undefined;
}

export type TextTable = Table<string>;
export type BytesTable = Table<Uint8Array>;

export interface Catalog extends AsyncDisposable {
  /** Store identity, owner, counters. */
  readonly facts: TextTable;
  /** Sequence name -> Sequence. */
  readonly sequences: TextTable;
  /** [sequence ULID, session ULID] -> Session. */
  readonly sessions: TextTable;
  /** Session UUID, alias or ULID -> JSON of the session's key. */
  readonly sessionKeys: TextTable;
  /** Topic locator -> Topic. */
  readonly topics: TextTable;
  /** Topic UUID -> locator. */
  readonly topicLocators: TextTable;
  /** Keys of the index over sequences and topics (search-keys.ts) -> nothing. */
  readonly searchKeys: TextTable;
  /** Topic UUID -> schema message, as the client sent it. */
  readonly schemas: BytesTable;
  /** [topic UUID, chunk number] -> chunk row. */
  readonly chunks: BytesTable;
  /** [topic UUID, chunk number] -> what is known of all rows of a sealed chunk; number -1: of all sealed chunks. */
  readonly statistics: BytesTable;
  /** [topic UUID, chunk number] -> what is known of parts of a sealed chunk. */
  readonly zones: BytesTable;
  /** [topic UUID, chunk number, first batch] -> packed batches of an open chunk. */
  readonly batches: BytesTable;
  /** [topic UUID, first batch] -> packed batches in a tail log. */
  readonly tails: BytesTable;
  /** [resource UUID, number] -> notification. */
  readonly notifications: TextTable;
  /** Fingerprint -> API key. */
  readonly keys: TextTable;
  /** [kind, name] -> dialect memory. */
  readonly dialects: TextTable;
  /** Name -> Target: other Mosaicos that finalized sessions go to. */
  readonly targets: TextTable;
  /** [session ULID, target ULID] -> TransferRow. */
  readonly transfers: TextTable;
  /** [sequence ULID, target ULID] -> SequenceClaim: what of a sequence there is of our making. */
  readonly claims: TextTable;
  /** [target ULID, session ULID] -> Leftover: what was deleted here and is to be deleted there. */
  readonly leftovers: TextTable;
  /** ULID -> directory that has to go. */
  readonly trash: TextTable;
  /**
   * Runs `act` inside one write transaction and resolves when it is on disk. `act` decides before it writes: when it
   * throws, it must not have written anything, for what it wrote would be committed with its neighbours.
   * @throws Fault unavailable when it could not be written: `onFailure` is told. That the disk was full is no exception: lmdb writes
   *   the reason over the end of its buffer (malloc(100) in mdb_page_flush), so the process is not to be trusted any more.
   *   `keepRoom` sees to it that it does not come to that.
   */
  transaction<T>(act: () => T): Promise<T>;
  /** Makes the next read see what other processes have committed. */
  refresh(): void;
  /** Bytes of the file behind the pages that are in use: what commits may write on a full disk. */
  roomBytes(): number;
  /**
   * Writes bytes behind the pages that are in use, so that later commits find their room in the file when the disk is full.
   * Where file systems never write in place this alone does not help.
   * Does nothing while half of them are there, and little at once.
   * @throws Fault overloaded when there is no room for them now
   */
  keepRoom(bytes: number): Promise<void>;
}

export const textTableNames = [
  "facts",
  "sequences",
  "sessions",
  "sessionKeys",
  "topics",
  "topicLocators",
  "searchKeys",
  "notifications",
  "keys",
  "dialects",
  "targets",
  "transfers",
  "claims",
  "leftovers",
  "trash",
] as const;
export const bytesTableNames = ["schemas", "chunks", "statistics", "zones", "batches", "tails"] as const;

export interface CatalogPlace {
  readonly disk: Disk;
  /** Relative to the data directory. */
  readonly directory: string;
  /** What becomes of a directory without a file, or with an empty one. A catalog is made when this is not given. */
  readonly whenMissing?: "make" | "refuse";
  /** Called when a commit failed and nobody knows what is written: nothing may be trusted until a restart. */
  onFailure(error: unknown): void;
}

/**
 * Opens the catalog for reading alone: nothing is created, and `transaction` must not be called.
 * @throws Fault corrupt when its file is damaged or a table is missing, unavailable
 */
export async function openCatalogToRead(disk: Disk, directory: string): Promise<Catalog> {
  await checkIsThere(disk, directory);
  await checkLmdbFile(disk, directory, catalogPagesCheckedMax);
  return openLmdb({ disk, directory, onFailure: () => undefined }, "read");
}

async function checkIsThere(disk: Disk, directory: string): Promise<void> {
  const path = `${directory}/${lmdbFile}`;
  if ((await disk.stateOf(path)) === undefined)
    throw new Fault("corrupt", `The catalog is missing: there is no ${path}. mosaico-edge rebuild makes another one.`);
}

/**
 * Opens the catalog, creating it when it is not there and may be made.
 * @throws Fault corrupt when its file is damaged, or missing and needed; unavailable
 */
export async function openCatalog({ disk, directory, whenMissing, onFailure }: CatalogPlace): Promise<Catalog> {
  if (whenMissing === "refuse") await checkIsThere(disk, directory);
  for (const parent of await disk.makeDirectory(directory)) await disk.syncDirectory(parent);
  const found = await disk.stateOf(`${directory}/${lmdbFile}`);
  // Whoever was killed while it made the file has left it empty.
  const isMade = whenMissing !== "refuse" && (found === undefined || found.bytes === 0);
  if (!isMade) await checkLmdbFile(disk, directory, catalogPagesCheckedMax);
  const catalog = openLmdb({ disk, directory, onFailure }, "write");
  // Its files may have just come into being.
  await disk.syncDirectory(directory);
  return catalog;
}

function openLmdb({ disk, directory, onFailure }: CatalogPlace, access: "read" | "write"): Catalog {
  const path = join(disk.root, directory);
  const file = `${directory}/${lmdbFile}`;
  let root: RootDatabase<string, string>;
  try {
    root = open({
      path,
      noSubdir: false,
      maxDbs: textTableNames.length + bytesTableNames.length + 8,
      mapSize: catalogMapBytes,
      // With the default, a failed sync goes unnoticed and pages of the same boot are trusted unflushed.
      overlappingSync: false,
      // SIGBUS on a full disk.
      useWritemap: false,
      cache: false,
      encoding: "string",
      readOnly: access === "read",
      // All writes are made by transactions. With the default, lmdb queues one of its own beside each, and when a commit fails
      // nobody hears the rejection of that one.
      eventTurnBatching: false,
    });
  } catch (error) {
    throw new Fault(
      "unavailable",
      `Cannot open the catalog ${path}: ${error instanceof Error ? error.message : error}`,
      error,
    );
  }
  const text = (name: string): TextTable =>
    table(name, root.openDB<string, string>({ name, encoding: "string", cache: false }), textSeal);
  const bytes = (name: string): BytesTable =>
    table(name, root.openDB<Uint8Array, string>({ name, encoding: "binary", cache: false }), bytesSeal);
  const roomBytes = (): number => {
    const { lastPageNumber, pageSize } = root.getStats() as { lastPageNumber: number; pageSize: number };
    return disk.sizeNow(file) - (lastPageNumber + 1) * pageSize;
  };
  const tables = Object.fromEntries([
    ...textTableNames.map((name) => [name, text(name)] as const),
    ...bytesTableNames.map((name) => [name, bytes(name)] as const),
  ]) as unknown as Pick<Catalog, (typeof textTableNames)[number] | (typeof bytesTableNames)[number]>;

  return {
    ...tables,
    async transaction(act) {
      let thrown: { error: unknown } | undefined;
      let result: unknown;
      try {
        await root.transaction(() => {
          try {
            result = act();
          } catch (error) {
            thrown = { error };
          }
        });
      } catch (error) {
        const reason = await reasonOf(error);
        onFailure(reason);
        throw new Fault(
          "unavailable",
          "The catalog could not be written; nothing more is accepted until a restart",
          reason,
        );
      }
      if (thrown !== undefined) throw thrown.error;
      return result as ReturnType<typeof act>;
    },
    refresh: () => root.resetReadTxn(),
    roomBytes,
    async keepRoom(bytes) {
      if (roomBytes() >= bytes / 2) return;
      let thrown: { error: unknown } | undefined;
      // Inside of a transaction nobody else adds pages, and its own come when it commits.
      await root.transaction(() => {
        try {
          const room = roomBytes();
          disk.appendNow(file, newNoise(Math.max(0, Math.min(bytes - room, roomStepBytes - Math.min(0, room)))));
        } catch (error) {
          thrown = { error };
        }
      });
      if (thrown !== undefined) throw thrown.error;
    },
    async [Symbol.asyncDispose]() {
      await root.close();
    },
  };
}

/** lmdb rejects a commit without saying why, and rejects a promise on that error with the reason. */
async function reasonOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error)) return error;
  return await Promise.resolve(error.commitError).then(
    () => error,
    (reason: unknown) => reason,
  );
}

/** Tables that came later: a catalog that nobody has written to since has none of them. */
const laterTables: ReadonlySet<string> = new Set([
  "statistics",
  "zones",
  "searchKeys",
  "targets",
  "transfers",
  "claims",
  "leftovers",
]);

function table<Value>(name: string, database: Database<Value, string> | undefined, seal: RowSeal<Value>): Table<Value> {
  // Only what is opened for reading may lack one.
  if (database === undefined && laterTables.has(name)) return emptyTable();
  if (database === undefined)
    throw new Fault("corrupt", `The catalog is damaged: it has no table "${name}". ${catalogRemedy}`);
  // lmdb types its keys as mutable arrays; they are never changed.
  const given = (key: Key): string => key as string;
  const opened = (key: Key, stored: Value): Value => {
    const value = seal.open(name, key, stored);
    if (value !== undefined) return value;
    throw new Fault(
      "corrupt",
      `The catalog is damaged: the row ${JSON.stringify(key)} of "${name}" does not fit its checksum. ${catalogRemedy}`,
    );
  };
  return {
    get(key) {
      const stored = database.get(given(key));
      return stored === undefined ? undefined : opened(key, stored);
    },
    has: (key) => database.doesExist(given(key)),
    put: (key, value) => void database.put(given(key), seal.close(name, key, value)),
    remove: (key) => void database.remove(given(key)),
    *range(start, end) {
      const entries = database.getRange({ start: given(start), end: given(end) }) as Iterable<{
        key: Key;
        value: Value;
      }>;
      for (const { key, value } of entries) yield { key, value: opened(key, value) };
    },
    keys: (start, end, limit = Number.POSITIVE_INFINITY) => [
      ...database.getKeys({ start: given(start), end: given(end), limit }),
    ],
    count: () => database.getCount(),
    *rows() {
      for (const { key, value: stored } of database.getRange({}) as Iterable<{ key: Key; value: Value }>) {
        const value = seal.open(name, key, stored);
        if (value === undefined) yield { key, value, problem: "does not fit its checksum" };
        else if (database.get(given(key)) === undefined)
          yield { key, value: undefined, problem: "is not found by its key" };
        else yield { key, value };
      }
    },
  };
}

/** One that is only read. */
function emptyTable<Value>(): Table<Value> {
  const nothing: never[] = [];
  const readOnly = (): never => {
    throw new Fault("internal", "A catalog that was opened for reading is not written to.");
  };
  return {
    get: () => undefined,
    has: () => false,
    put: readOnly,
    remove: readOnly,
    range: () => nothing,
    keys: () => nothing,
    count: () => 0,
    rows: () => nothing,
  };
}
