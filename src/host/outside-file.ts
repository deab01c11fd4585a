/** Files outside the data directory that are large or may be there already: bundles on a disk that people carry, and their keys. */

import { hash } from "node:crypto";
import fs from "node:fs";
import fsp from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { Fault } from "../model/fault.ts";
import {
  openReadable,
  openWritable,
  type PathState,
  type ReadableFile,
  syncPath,
  type WritableFile,
  wrap,
} from "./disk.ts";
import { errnoOf, toFault } from "./errno.ts";

/** What a name leads to, links followed; undefined when nothing is there. */
export async function outsideState(file: string): Promise<PathState | undefined> {
  try {
    const stats = await fsp.stat(file);
    return { kind: stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other", bytes: stats.size };
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw toFault(error, `look at ${file}`);
  }
}

/** @throws Fault absent, invalid (no file: it is not opened, for a pipe would wait), unavailable */
export async function openOutside(file: string): Promise<ReadableFile> {
  await checkFile(file);
  return await wrap(`open ${file}`, () => openReadable(file, file));
}

/** Creates it when it is not there. @throws Fault invalid (no file), absent (its directory), unavailable, overloaded */
export async function openOutsideToWrite(file: string): Promise<WritableFile> {
  if ((await outsideState(file)) !== undefined) await checkFile(file);
  return await wrap(`open ${file} for writing`, () => openWritable(file, file));
}

async function checkFile(file: string): Promise<void> {
  const kind = (await outsideState(file))?.kind;
  if (kind === undefined) throw new Fault("absent", `There is no ${file}`);
  if (kind !== "file") throw new Fault("invalid", `Cannot use ${file}: expected a file, found a ${kind}`);
}

/** Bytes that are free for a file, when it lies on the same file system as a directory; undefined when it does not. */
export async function freeBytesBeside(file: string, directory: string): Promise<number | undefined> {
  const own = path.dirname(path.resolve(file));
  return await wrap(`write ${file}`, async () => {
    const [there, here] = [await fsp.stat(own), await fsp.stat(directory)];
    if (there.dev !== here.dev) return undefined;
    const { bavail, bsize } = await fsp.statfs(own);
    return bavail * bsize;
  });
}

/** Durable when it ends. Nothing may be at the target: whoever calls has looked. */
export async function renameOutside(source: string, target: string): Promise<void> {
  await wrap(`rename ${source} to ${target}`, () => fsp.rename(source, target));
  await syncOutsideDirectory(target);
}

/** Makes the name of a file survive a power cut; where the file system cannot, it does not. */
export async function syncOutsideDirectory(file: string): Promise<void> {
  await syncPath(path.dirname(path.resolve(file))).catch((error: unknown) => {
    if (!["EINVAL", "ENOTSUP"].includes(errnoOf(error) ?? "")) throw toFault(error, `sync the directory of ${file}`);
  });
}

/**
 * Keeps others who ask for it from writing a file, as long as this process lives. By a socket without a place on the disk, which Linux
 * takes away with its process: a file that says so would outlive a kill. Where there are none of these everybody gets it.
 * @throws Fault wrong_state when another process has it
 */
export async function claimOutside(file: string): Promise<AsyncDisposable> {
  const place = path.join(
    await wrap(`write ${file}`, () => fsp.realpath(path.dirname(path.resolve(file)))),
    path.basename(file),
  );
  const server = net.createServer((socket) => socket.destroy());
  server.unref();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(`\0mosaico-edge-${hash("sha256", place)}`, resolve);
    });
  } catch (error) {
    if (errnoOf(error) !== "EADDRINUSE") return { [Symbol.asyncDispose]: async () => undefined };
    throw new Fault("wrong_state", `${file} is being written by another command.`, error);
  }
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** Not being there is success. */
export async function removeOutside(file: string): Promise<void> {
  await wrap(`remove ${file}`, () => fsp.rm(file, { force: true }));
}

/** A file that only its owner may read, and that was not there. @throws Fault exists, absent (its directory), unavailable */
export function writeNewSecret(file: string, text: string): void {
  try {
    const descriptor = fs.openSync(file, "wx", 0o600);
    try {
      fs.writeSync(descriptor, text);
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  } catch (error) {
    throw toFault(error, `create ${file}`);
  }
}
