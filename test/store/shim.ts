// Compiles a shim of test/shim and says how a server is started inside of it. Without a C compiler its tests are skipped, with
// a line that says so: a machine that only runs the product has none.

import { execFileSync, spawnSync } from "node:child_process";
import path from "node:path";

const compiler = ["cc", "gcc", "clang"].find((name) => spawnSync(name, ["--version"]).status === 0);

/** Why the tests that need a shim cannot run here; undefined when they can. */
export const noShims =
  process.platform !== "linux"
    ? "LD_PRELOAD is of Linux"
    : compiler === undefined
      ? "there is no C compiler (cc, gcc or clang)"
      : undefined;

/** The variables for a process that runs inside the shim `test/shim/<name>.c`, which is compiled into `folder`. */
export function buildShim(name: string, folder: string): Record<string, string> {
  if (compiler === undefined) throw new Error(noShims);
  const library = path.join(folder, `${name}.so`);
  const source = path.resolve(import.meta.dirname, "../shim", `${name}.c`);
  const flags = ["-O2", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"];
  execFileSync(compiler, [...flags, "-o", library, source, "-ldl", "-pthread"]);
  return { LD_PRELOAD: library };
}
