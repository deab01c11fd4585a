/**
 * Loads LMDB's native add-on. In the bundle this file stands in for `node-gyp-build-optional-packages`, which would search a
 * `node_modules` folder that an executable does not have. Beside the bundle lies `lmdb-<platform>-<arch>.node`; in an
 * executable the same bytes are inside, and the dynamic loader is given them through a file without a name, so that nothing
 * stays on disk and nobody can swap it. Runs while `lmdb` is being imported: before arguments and configuration are read.
 */

import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Name of the add-on among the assets of a plain Node single executable. */
const seaAsset = "lmdb.node";

/** O_TMPFILE of Linux without its O_DIRECTORY bit, which differs by architecture. Node has no name for it. */
const tmpfileBit = 0o20000000;

/** How kernels and file systems without nameless files say so. */
const namelessUnsupported: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "EISDIR", "EINVAL"]);

// biome-ignore lint/style/noDefaultExport: lmdb imports the default export of the module that this file replaces.
export default function loadAddon(): unknown {
  const beside = join(dirname(fileURLToPath(import.meta.url)), `lmdb-${process.platform}-${process.arch}.node`);
  const bytes = embeddedAddon(beside);
  if (bytes !== undefined) return loadBytes(bytes, addonDirectories(process.env));
  try {
    return loadFile(beside);
  } catch (error) {
    throw new Error(`Cannot load the LMDB add-on, which must lie beside the bundle: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The add-on's bytes when this program is one executable (packed by pkg, or by Node alone); `undefined` for a plain bundle. */
function embeddedAddon(beside: string): Uint8Array | undefined {
  // `beside` is then a path in pkg's read-only snapshot, which `fs` can read and the dynamic loader cannot.
  if ("pkg" in process) return readFileSync(beside);
  if (process.versions["deno"] !== undefined) return undefined;
  const sea = process.getBuiltinModule("node:sea");
  if (!sea.isSea() || !sea.getAssetKeys().includes(seaAsset)) return undefined;
  return new Uint8Array(sea.getRawAsset(seaAsset));
}

/** Where the add-on may be written for the moment of loading, best first. A service has its own folders and often no HOME. */
function addonDirectories(env: NodeJS.ProcessEnv): readonly string[] {
  const chosen = env["MOSAICO_EDGE_ADDON_DIR"];
  if (chosen !== undefined && chosen !== "") return [chosen];
  // systemd joins several folders by colons.
  const ofService = ["CACHE_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"].flatMap((name) =>
    (env[name] ?? "").split(":"),
  );
  const all = [...ofService, env["TMPDIR"] ?? "", "/tmp", "/var/tmp", "/dev/shm"];
  return [...new Set(all.filter((directory) => directory !== ""))];
}

function loadBytes(bytes: Uint8Array, directories: readonly string[]): unknown {
  const refusals: string[] = [];
  for (const directory of directories) {
    try {
      return loadNameless(bytes, directory);
    } catch (error) {
      refusals.push(`  ${directory}: ${messageOf(error)}`);
    }
  }
  const refusal = new Error(
    "Cannot load the LMDB add-on: it must be mapped from a writable folder that allows execution (not mounted noexec), " +
      `and each of these refused:\n${refusals.join("\n")}\n` +
      "Name a folder that does in the environment variable MOSAICO_EDGE_ADDON_DIR.",
  );
  // Nothing can catch this: it ends the program while it is still being loaded. The operator needs the list, not our stack.
  refusal.stack = `${refusal.name}: ${refusal.message}`;
  throw refusal;
}

function loadNameless(bytes: Uint8Array, directory: string): unknown {
  let descriptor: number;
  try {
    descriptor = openSync(directory, tmpfileBit | constants.O_DIRECTORY | constants.O_RDWR, 0o500);
  } catch (error) {
    if (namelessUnsupported.has(codeOf(error))) return loadNamed(bytes, directory);
    throw error;
  }
  try {
    const file = `/proc/self/fd/${descriptor}`;
    // Without a mounted /proc the nameless file cannot be reached by the dynamic loader.
    if (!existsSync(file)) return loadNamed(bytes, directory);
    writeFileSync(descriptor, bytes);
    return loadFile(file);
  } finally {
    closeSync(descriptor);
  }
}

/** For file systems without nameless files: a private folder, gone again once the loader has mapped the file. */
function loadNamed(bytes: Uint8Array, directory: string): unknown {
  const folder = mkdtempSync(join(directory, "mosaico-edge-"));
  try {
    const file = join(folder, seaAsset);
    writeFileSync(file, bytes, { flag: "wx", mode: 0o600 });
    chmodSync(file, 0o500);
    return loadFile(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function loadFile(file: string): unknown {
  const holder: { exports: unknown } = { exports: {} };
  process.dlopen(holder, file);
  return holder.exports;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
