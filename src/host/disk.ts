/**
 * The data directory: the only door to the file system. Paths are relative to the directory and made of ULIDs, numbers and
 * fixed names, never of client text. Nothing here is durable until it is synced; whoever writes says when.
 */

import fs from "node:fs";
import fsp from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../model/fault.ts";
import { openRetry, removalPause } from "../model/limits.ts";
import { errnoOf, isOutOfFiles, toFault } from "./errno.ts";
import { failPoint } from "./fail-point.ts";

/** A file that grows. Writes go to given positions, so that several may be under way at once. */
export interface WritableFile {
  readonly path: string;
  /** Writes all pieces one behind the other from `position` on. @throws Fault overloaded when the disk is full */
  write(pieces: readonly Uint8Array[], position: number): Promise<void>;
  /** Makes everything written so far survive a power cut. */
  sync(): Promise<void>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface ReadableFile {
  readonly path: string;
  /** Fills `target` from `position` on. @throws Fault corrupt when the file ends before */
  read(target: Uint8Array, position: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** What lies under a name; links are not followed. */
export interface PathState {
  readonly kind: "file" | "directory" | "socket" | "other";
  readonly bytes: number;
}

export interface Disk {
  readonly root: string;
  /** Opens for writing, creating the file when it is not there. */
  openWritable(file: string): Promise<WritableFile>;
  openReadable(file: string): Promise<ReadableFile>;
  /** @throws Fault absent */
  readText(file: string): Promise<string>;
  /** Writes a whole file that was not there, or replaces its content; not atomic, not synced. */
  writeText(file: string, text: string): Promise<void>;
  /** Replaces a file so that old or new is seen whole after any crash; durable when it returns. */
  replaceText(file: string, text: string): Promise<void>;
  /** Creates a directory and those above it. Returns the directories that gained a name, to be synced. */
  makeDirectory(directory: string): Promise<string[]>;
  syncFile(file: string): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
  rename(source: string, target: string): Promise<void>;
  /** Names in a directory; none when it is not there. */
  list(directory: string): Promise<string[]>;
  exists(file: string): Promise<boolean>;
  /** Undefined when nothing is there. */
  stateOf(file: string): Promise<PathState | undefined>;
  /** Removes a file or a whole directory, one file at a time; not being there is success. */
  remove(file: string): Promise<void>;
  /** Removes a directory unless something is in it; not being there is success. */
  removeEmpty(directory: string): Promise<void>;
  /** Bytes of a file, at once. @throws Fault absent */
  sizeNow(file: string): number;
  /** Appends bytes to a file that is there, at once; not synced. @throws Fault overloaded when the disk is too full */
  appendNow(file: string, bytes: Uint8Array): void;
  /** Bytes that are free for us. Does not wait for the disk. */
  freeBytesNow(): number;
}

/** What only reads what is there. */
export type ReadDisk = Pick<Disk, "openReadable" | "readText" | "stateOf" | "list">;

const openFlags = fs.constants.O_RDWR | fs.constants.O_CREAT;

/**
 * Opens the data directory, creating it (mode 0700) when it is not there.
 * @throws Fault unavailable, exists (something else is there), denied (another user's), invalid (no path)
 */
export async function openDisk(root: string): Promise<Disk> {
  const absolute = path.resolve(root);
  const what = `create the data directory ${absolute}`;
  await wrap(what, async () => {
    const first = await makeDirectories(absolute, { what, show: (at) => at });
    if (first !== undefined) await syncUpwards(path.dirname(absolute), path.dirname(first));
  });
  return await diskAt(absolute);
}

/** Opens a data directory that has to be there. @throws Fault absent, or as `openDisk` */
export async function findDisk(root: string): Promise<Disk> {
  const absolute = path.resolve(root);
  const what = `look for the data directory ${absolute}`;
  if (!(await wrap(what, () => isDirectory(absolute, { what, show: (at) => at }))))
    throw new Fault("absent", `There is no data directory ${absolute}`);
  return await diskAt(absolute);
}

async function diskAt(absolute: string): Promise<Disk> {
  await wrap(`use the data directory ${absolute}`, async () => {
    checkOwner(absolute, await fsp.stat(absolute));
    await fsp.access(absolute, fs.constants.W_OK | fs.constants.X_OK);
  });
  const at = (name: string): string => path.join(absolute, name);
  /** By file, the last of those that replace it: all of them write under one other name first. */
  const replacing = new Map<string, Promise<void>>();

  const disk: Disk = {
    root: absolute,
    openWritable: (file) => wrap(`open ${file} for writing`, () => openWritable(at(file), file)),
    openReadable: (file) => wrap(`open ${file}`, () => openReadable(at(file), file)),
    readText: (file) => wrap(`read ${file}`, () => fsp.readFile(at(file), "utf8")),
    writeText: (file, text) =>
      wrap(`write ${file}`, () => patiently(() => fsp.writeFile(at(file), text, { mode: 0o600 }))),
    replaceText(file, text) {
      const turn = (replacing.get(file) ?? Promise.resolve())
        .catch(() => undefined)
        .then(() => replaceText(disk, file, text));
      replacing.set(file, turn);
      const end = (): void => {
        if (replacing.get(file) === turn) replacing.delete(file);
      };
      turn.then(end, end);
      return turn;
    },
    makeDirectory(directory) {
      const what = `create the directory ${directory}`;
      return wrap(what, async () => {
        const first = await makeDirectories(at(directory), { what, show: (full) => path.relative(absolute, full) });
        return first === undefined ? [] : parentsOf(directory, path.relative(absolute, first));
      });
    },
    syncFile: (file) => wrap(`sync ${file}`, () => syncPath(at(file))),
    syncDirectory: (directory) => wrap(`sync the directory ${directory}`, () => syncPath(at(directory))),
    rename: (source, target) => wrap(`rename ${source} to ${target}`, () => fsp.rename(at(source), at(target))),
    list: (directory) =>
      wrap(`list ${directory}`, () => fsp.readdir(at(directory))).catch((fault: unknown) => {
        if (fault instanceof Fault && fault.code === "absent") return [];
        throw fault;
      }),
    exists: (file) =>
      wrap(`look for ${file}`, () => fsp.access(at(file))).then(
        () => true,
        (fault: unknown) => {
          if (fault instanceof Fault && fault.code === "absent") return false;
          throw fault;
        },
      ),
    stateOf: (file) => stateOf(at(file), file),
    remove: (file) => wrap(`remove ${file}`, () => removeTree(at(file))),
    removeEmpty: (directory) =>
      wrap(`remove the directory ${directory}`, () =>
        fsp.rmdir(at(directory)).catch((error: unknown) => {
          if (!["ENOENT", "ENOTEMPTY", "EEXIST"].includes(errnoOf(error) ?? "")) throw error;
        }),
      ),
    sizeNow(file) {
      try {
        return fs.statSync(at(file)).size;
      } catch (error) {
        throw toFault(error, `ask for the size of ${file}`);
      }
    },
    appendNow(file, bytes) {
      try {
        fs.appendFileSync(at(file), bytes);
      } catch (error) {
        throw toFault(error, `append to ${file}`);
      }
    },
    freeBytesNow() {
      try {
        const { bavail, bsize } = fs.statfsSync(absolute);
        return bavail * bsize;
      } catch (error) {
        throw toFault(error, "ask for free space");
      }
    },
  };
  return disk;
}

async function replaceText(disk: Disk, file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  try {
    await disk.writeText(temporary, text);
  } catch (error) {
    // A full disk needs the room of the half that was written.
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
  failPoint("replace: written");
  await disk.syncFile(temporary);
  failPoint("replace: synced");
  await disk.rename(temporary, file);
  failPoint("replace: renamed");
  await disk.syncDirectory(path.dirname(file));
  failPoint("replace: done");
}

/** What one user makes another one may not write: a key made by root would lock the service out of its own catalog. */
function checkOwner(absolute: string, { uid }: fs.Stats): void {
  const own = process.getuid?.();
  if (own === undefined || own === uid) return;
  throw new Fault(
    "denied",
    `${absolute} belongs to user ${uid}, this process runs as user ${own}: run it as the owner of the data directory`,
  );
}

/** What is done, and how errors name the paths that it meets: clients read those of the inside, without what is above. */
interface Doing {
  readonly what: string;
  show(absolute: string): string;
}

/**
 * Makes a directory and those above it that are missing; returns the topmost one that was. Not by Node's own recursion: it tries
 * for ever where the kernel says ENOENT though the parent is there, as it does in /proc.
 */
async function makeDirectories(absolute: string, doing: Doing): Promise<string | undefined> {
  const missing: string[] = [];
  for (let at = absolute; !(await isDirectory(at, doing)); at = path.dirname(at)) missing.push(at);
  for (const directory of missing.toReversed()) await makeDirectory(directory, doing);
  return missing.at(-1);
}

async function makeDirectory(absolute: string, doing: Doing): Promise<void> {
  try {
    await fsp.mkdir(absolute, { mode: 0o700 });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT") {
      const parent = doing.show(path.dirname(absolute));
      throw new Fault("unavailable", `Cannot ${doing.what}: ${parent} takes no new directories (ENOENT)`, error);
    }
    // Somebody else may have been faster.
    if (errno !== "EEXIST" || !(await isDirectory(absolute, doing))) throw error;
  }
}

/** @throws Fault exists when something else is there */
async function isDirectory(absolute: string, doing: Doing): Promise<boolean> {
  try {
    if ((await fsp.stat(absolute)).isDirectory()) return true;
  } catch (error) {
    // ENOTDIR: something above is no directory, which shows on the way up.
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return false;
    throw error;
  }
  throw new Fault("exists", `Cannot ${doing.what}: ${doing.show(absolute)} is there and is no directory`);
}

export async function stateOf(absolute: string, name: string): Promise<PathState | undefined> {
  try {
    const stats = await fsp.lstat(absolute);
    const kind = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : stats.isSocket() ? "socket" : "other";
    return { kind, bytes: stats.size };
  } catch (error) {
    // ENOTDIR: something above is no directory.
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw toFault(error, `look at ${name}`);
  }
}

export async function wrap<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw toFault(error, what);
  }
}

/** The parents of each directory from `directory` up to `first`, the topmost one that was created. */
function parentsOf(directory: string, first: string): string[] {
  const parents = [path.dirname(directory)];
  for (let at = directory; at !== first && at !== "."; at = path.dirname(at))
    parents.push(path.dirname(path.dirname(at)));
  return [...new Set(parents)];
}

async function syncUpwards(from: string, to: string): Promise<void> {
  for (let at = from; ; at = path.dirname(at)) {
    await syncPath(at);
    if (at === to || at === path.dirname(at)) return;
  }
}

/** Descriptors come free when calls end: an open that finds none is tried again for a while. Nothing else is. */
async function patiently<T>(open: () => Promise<T>): Promise<T> {
  const { firstMs, mostMs, totalMs } = openRetry;
  let leftMs: number = totalMs;
  for (let waitMs: number = firstMs; ; waitMs = Math.min(2 * waitMs, mostMs)) {
    try {
      return await open();
    } catch (error) {
      if (!isOutOfFiles(error) || leftMs <= 0) throw error;
    }
    await sleep(waitMs);
    leftMs -= waitMs;
  }
}

/** An open that fails is no failed sync: `isOutOfFiles` tells it. */
export async function syncPath(absolute: string): Promise<void> {
  const handle = await patiently(() => fsp.open(absolute, "r"));
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

// The callback functions cost about half of what FileHandle does per call, and batches come thousands a second.
function call<T>(start: (done: (error: NodeJS.ErrnoException | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null || error === undefined ? resolve(value as T) : reject(error)));
  });
}

/**
 * fs.rm removes many files at once: they take all threads of the pool, and a file in the page cache takes a processor for 14 ms per
 * 64 MiB, so that uploads stand until a session has gone. Here files go one by one, and most of the time is for others.
 */
async function removeTree(absolute: string, pace: RemovalPace = { workedMs: 0 }): Promise<void> {
  const state = await unlessAbsent(fsp.lstat(absolute));
  if (state === undefined) return;
  if (state.isDirectory()) {
    for (const name of (await unlessAbsent(fsp.readdir(absolute))) ?? [])
      await removeTree(path.join(absolute, name), pace);
    await unlessAbsent(fsp.rmdir(absolute));
    return;
  }
  const begunMs = performance.now();
  await unlessAbsent(fsp.unlink(absolute));
  pace.workedMs += performance.now() - begunMs;
  if (pace.workedMs < removalPause.workedMs) return;
  await sleep(Math.min(removalPause.timesWorked * pace.workedMs, removalPause.mostMs));
  pace.workedMs = 0;
}

interface RemovalPace {
  /** Since the last pause. */
  workedMs: number;
}

async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  return await work.catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  });
}

export async function openWritable(absolute: string, name: string): Promise<WritableFile> {
  const descriptor = await patiently(() => call<number>((done) => fs.open(absolute, openFlags, 0o600, done)));
  let open = true;
  return {
    path: name,
    async write(pieces, position) {
      try {
        await writeAll(descriptor, pieces, position);
      } catch (error) {
        throw toFault(error, `write to ${name} at ${position}`);
      }
    },
    sync: () => wrap(`sync ${name}`, () => call<void>((done) => fs.fdatasync(descriptor, done))),
    truncate: (bytes) =>
      wrap(`cut ${name} to ${bytes}`, () => call<void>((done) => fs.ftruncate(descriptor, bytes, done))),
    async close() {
      if (!open) return;
      open = false;
      await wrap(`close ${name}`, () => call<void>((done) => fs.close(descriptor, done)));
    },
  };
}

async function writeAll(descriptor: number, pieces: readonly Uint8Array[], position: number): Promise<void> {
  let rest = pieces.filter((piece) => piece.byteLength > 0);
  let at = position;
  while (rest.length > 0) {
    const chunk = rest;
    const written = await call<number>((done) =>
      chunk.length === 1 && chunk[0] !== undefined
        ? fs.write(descriptor, chunk[0], 0, chunk[0].byteLength, at, done)
        : fs.writev(descriptor, chunk as NodeJS.ArrayBufferView[], at, done),
    );
    at += written;
    rest = behind(chunk, written);
  }
}

/** What is left of `pieces` when their first `bytes` are done. */
function behind(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = bytes;
  for (const piece of pieces) {
    if (skip >= piece.byteLength) skip -= piece.byteLength;
    else {
      rest.push(skip === 0 ? piece : piece.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}

export async function openReadable(absolute: string, name: string): Promise<ReadableFile> {
  const descriptor = await patiently(() => call<number>((done) => fs.open(absolute, fs.constants.O_RDONLY, done)));
  let open = true;
  return {
    path: name,
    async read(target, position) {
      let filled = 0;
      while (filled < target.byteLength) {
        const bytes = await wrap(`read ${name} at ${position + filled}`, () =>
          call<number>((done) =>
            fs.read(descriptor, target, filled, target.byteLength - filled, position + filled, done),
          ),
        );
        if (bytes === 0) {
          throw new Fault(
            "corrupt",
            `Cannot read ${name}: it ends at ${position + filled}, expected bytes up to ${position + target.byteLength}`,
          );
        }
        filled += bytes;
      }
    },
    size: () =>
      wrap(
        `ask for the size of ${name}`,
        async () => (await call<fs.Stats>((done) => fs.fstat(descriptor, done))).size,
      ),
    async close() {
      if (!open) return;
      open = false;
      await wrap(`close ${name}`, () => call<void>((done) => fs.close(descriptor, done)));
    },
  };
}

/** What a directory outside the data directory may hold of the files that are wanted. */
export interface OutsideLimits {
  readonly files: number;
  readonly fileBytes: number;
  readonly bytes: number;
}

/**
 * Reads the text files of a directory outside the data directory whose names end like that, in the order of their names; no deeper.
 * @throws Fault absent, unavailable, invalid (no directory, too much in it)
 */
export function readOutsideDirectory(
  directory: string,
  { ending, limits }: { ending: string; limits: OutsideLimits },
): { readonly file: string; readonly text: string }[] {
  const tooMuch = (what: string, most: number, found: number): Fault =>
    new Fault("invalid", `${directory}: expected at most ${most} ${what}, found ${found}`);
  try {
    const names = fs.readdirSync(directory).filter((name) => name.endsWith(ending) && !name.startsWith("."));
    if (names.length > limits.files) throw tooMuch(`files *${ending}`, limits.files, names.length);
    let bytes = 0;
    return names.toSorted().map((name) => {
      const file = path.join(directory, name);
      const { size } = fs.statSync(file);
      if (size > limits.fileBytes)
        throw new Fault("invalid", `${file}: expected at most ${limits.fileBytes} bytes, found ${size}`);
      bytes += size;
      if (bytes > limits.bytes) throw tooMuch(`bytes in files *${ending}`, limits.bytes, bytes);
      return { file, text: readOutsideText(file) };
    });
  } catch (error) {
    if (errnoOf(error) === "ENOTDIR")
      throw new Fault("invalid", `Cannot read ${directory}: it is a file, expected a directory`, error);
    throw toFault(error, `read ${directory}`);
  }
}

/** Reads a text file outside the data directory: configuration, certificates. @throws Fault absent, unavailable, invalid */
export function readOutsideText(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    if (errnoOf(error) === "EISDIR")
      throw new Fault("invalid", `Cannot read ${file}: it is a directory, expected a file`);
    throw toFault(error, `read ${file}`);
  }
}
