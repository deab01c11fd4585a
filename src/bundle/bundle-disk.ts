/** A bundle as a data directory that cannot be written: its members are the files, and nothing else is there. */

import type { PathState, ReadableFile, ReadDisk } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import type { Bundle, PlacedMember } from "./bundle-file.ts";
import { tarBlockBytes } from "./tar-header.ts";

/** Lives as long as the bundle is open. */
export function bundleDisk({ parts, members }: Pick<Bundle, "parts" | "members">): ReadDisk {
  const names = namesIn(members.keys());
  const find = (path: string): PlacedMember => {
    const member = members.get(path);
    if (member === undefined) throw new Fault("absent", `The bundle has no ${path}`);
    return member;
  };
  const read = async (path: string, target: Uint8Array, position: number): Promise<void> => {
    const { bytes, headerAt } = find(path);
    const end = position + target.byteLength;
    if (position < 0 || end > bytes)
      throw new Fault("corrupt", `Cannot read ${path}: it ends at ${bytes}, expected bytes up to ${end}`);
    await parts.read(target, headerAt + tarBlockBytes + position);
  };
  return {
    openReadable(path): Promise<ReadableFile> {
      const { bytes } = find(path);
      return Promise.resolve({
        path,
        read: (target, position) => read(path, target, position),
        size: () => Promise.resolve(bytes),
        close: () => Promise.resolve(),
      });
    },
    async readText(path) {
      const text = Buffer.alloc(find(path).bytes);
      await read(path, text, 0);
      return text.toString("utf8");
    },
    stateOf(path): Promise<PathState | undefined> {
      const member = members.get(path);
      if (member !== undefined) return Promise.resolve({ kind: "file", bytes: member.bytes });
      return Promise.resolve(names.has(path) ? { kind: "directory", bytes: 0 } : undefined);
    },
    list: (path) => Promise.resolve([...(names.get(path) ?? [])]),
  };
}

/** What each directory has in it. */
function namesIn(paths: Iterable<string>): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>();
  for (const path of paths) {
    const steps = path.split("/");
    for (let depth = 1; depth < steps.length; depth += 1) {
      const directory = steps.slice(0, depth).join("/");
      const known = names.get(directory) ?? new Set();
      names.set(directory, known.add(steps[depth] ?? ""));
    }
  }
  return names;
}
