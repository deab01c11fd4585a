// A small file system in memory, for tests of what happens when it is full. Needs the right to mount.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export interface SmallDisk extends Disposable {
  readonly root: string;
}

/** Or why there is none. */
export function mountSmallDisk(bytes: number): SmallDisk | string {
  const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-small-"));
  const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", root], {
    encoding: "utf8",
  });
  if (status === 0) {
    return {
      root,
      [Symbol.dispose]() {
        spawnSync("umount", [root]);
        rmSync(root, { recursive: true, force: true });
      },
    };
  }
  rmSync(root, { recursive: true, force: true });
  return `a small file system cannot be mounted here: ${stderr ?? "no mount"}`;
}
