/** A UNIX socket in the data directory that answers as long as its process lives: what a lock file cannot say after a crash. */

import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { toFault } from "./errno.ts";

// sun_path holds 108 bytes with its end; a longer path is reached through an open directory.
const socketPathBytesMax = 107;

/** Listens on `name` in `root`; `answer` is sent to whoever connects. */
export async function openControlSocket(
  root: string,
  name: string,
  answer: () => Promise<string>,
): Promise<AsyncDisposable> {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    void answer().then(
      (text) => socket.end(`${text}\n`),
      // Whoever asks learns that somebody lives.
      () => socket.end("\n"),
    );
  });
  server.unref();
  const place = socketPlace(root, name);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(place.path, () => resolve());
    });
  } catch (error) {
    throw toFault(error, `listen on the control socket ${name}`);
  } finally {
    place.release();
  }
  return {
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(() => resolve()));
      fs.rmSync(path.join(root, name), { force: true });
    },
  };
}

/**
 * What the process behind a socket answers; undefined when there is none, nothing when it takes longer.
 * @param waitMs enough to see that somebody lives, if nothing else is said
 */
export async function askControlSocket(root: string, name: string, waitMs = 1_000): Promise<string | undefined> {
  const place = socketPlace(root, name);
  try {
    return await new Promise<string | undefined>((resolve) => {
      let text = "";
      const socket = net.connect(place.path);
      socket.setTimeout(waitMs, () => {
        socket.destroy();
        // Somebody listens, though too busy to answer.
        resolve(text);
      });
      socket.on("error", () => resolve(undefined));
      socket.on("data", (bytes) => {
        text += bytes.toString();
      });
      socket.on("end", () => resolve(text.trim()));
    });
  } finally {
    place.release();
  }
}

/** Where another socket of the data directory is. */
export interface SocketPlace {
  /** As the kernel takes it. */
  readonly path: string;
  /** Lets only its owner use it, once it is there. */
  protect(): void;
  /** Removes it; not being there is success. */
  remove(): void;
  /** Ends its use. */
  release(): void;
}

/** A place for a socket to listen on, or to connect to, until it is released. */
export function socketPlaceIn(root: string, name: string): SocketPlace {
  const place = socketPlace(root, name);
  return {
    path: place.path,
    protect: () => fs.chmodSync(path.join(root, name), 0o600),
    remove() {
      fs.rmSync(path.join(root, name), { force: true });
      place.release();
    },
    release: place.release,
  };
}

function socketPlace(root: string, name: string): { path: string; release(): void } {
  const full = path.join(root, name);
  if (Buffer.byteLength(full) <= socketPathBytesMax) return { path: full, release: () => undefined };
  const directory = fs.openSync(root, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${directory}/${name}`, release: () => fs.closeSync(directory) };
}
