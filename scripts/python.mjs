// Python environments for the tests against real clients, under .venv/ (git-ignored). Needs Node 20 and Python, no packages.
// `shared` holds what all SDK releases bring along, once; each other environment adds a path to it and, for `sdk-X`, the
// wheel of mosaicolabs X from the package index, checked by its hash. A stamp file names the inputs an environment was made
// from, so a second run only reads stamps. Nothing here runs at install time: only the client tests ask for it.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const home = join(root, ".venv");
const inputs = join(root, "test", "clients");
const skipHint = "or set MOSAICO_SKIP_PYTHON=1 to skip the tests with Python clients.";
/** How long another process may hold the lock: a cold download of all wheels on a slow line. */
const lockWaitMs = 15 * 60_000;

export const sdkVersions = ["0.4.3", "0.5.0", "0.6.3", "0.7.0"];
export const environmentNames = ["pyarrow", ...sdkVersions.map((version) => `sdk-${version}`)];

/** The interpreter of environment `name`; valid once `ensureEnvironments` has returned. */
export function pythonOf(name) {
  if (!environmentNames.includes(name) && name !== "shared") throw new Error(`No Python environment is called ${name}`);
  return join(home, name, "bin", "python");
}

/** Unpacks the source distribution of gpxpy, which holds real recordings; it is not installed. Returns its folder. */
export async function ensureRecordings() {
  await ensureEnvironments();
  const recordings = join(home, "recordings");
  const version = readFileSync(join(inputs, "recordings.txt"), "utf8").match(/^gpxpy==(\S+)/m)?.[1];
  const folder = join(recordings, `gpxpy-${version}`);
  if (existsSync(folder)) return folder;
  await locked(async () => {
    if (existsSync(folder)) return;
    const options = ["-q", "--no-binary", "gpxpy", "--no-deps", "--require-hashes", "-d", recordings];
    await python("shared", ["-m", "pip", "download", ...options, ...only("-r", "recordings.txt")]);
    await python("shared", ["-m", "tarfile", "-e", `${folder}.tar.gz`, join(recordings, "unpacked")]);
    renameSync(join(recordings, "unpacked", `gpxpy-${version}`), folder); // whole or not there
    rmSync(join(recordings, "unpacked"), { recursive: true });
  });
  return folder;
}

/** Makes what is missing or out of date. Throws an Error of one sentence when the machine's Python cannot do it. */
export async function ensureEnvironments() {
  if (environmentNames.every((name) => isFresh(name)) && isFresh("shared")) return;
  await findPython();
  mkdirSync(home, { recursive: true });
  await locked(async () => {
    if (!isFresh("shared")) {
      await makeVenv("shared", { pip: true });
      await python("shared", [
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        ...only("-r", "packages.txt"),
        ...only("-c", "constraints.txt"),
      ]);
      stamp("shared");
    }
    for (const name of environmentNames) {
      if (isFresh(name)) continue;
      if (name === "pyarrow" && (await isUsablePyarrow())) {
        stamp(name);
        continue;
      }
      await makeVenv(name, { pip: false });
      writeFileSync(join(packagesOf(name), "shared.pth"), `${packagesOf("shared")}\n`);
      if (name.startsWith("sdk-")) {
        const target = ["--target", packagesOf(name), "--no-deps", "--no-compile", "--require-hashes"];
        await python("shared", ["-m", "pip", "install", "-q", ...target, ...only("-r", `${name}.txt`)]);
      }
      stamp(name);
    }
  });
}

async function findPython() {
  const probe = "import ensurepip, venv, sys; print('%d.%d' % sys.version_info[:2])";
  let version;
  try {
    version = (await run(interpreter(), ["-c", probe])).stdout.trim();
  } catch (error) {
    const missing =
      error.code === "ENOENT" ? `${interpreter()} 3.10 or newer` : "the Python module venv (Debian: python3-venv)";
    throw new Error(`The tests with Python clients need ${missing}, which is missing here: install it, ${skipHint}`);
  }
  const [major, minor] = version.split(".").map(Number);
  if (major !== 3 || minor < 10) {
    throw new Error(
      `The tests with Python clients need Python 3.10 or newer, here it is ${version}: install it, ${skipHint}`,
    );
  }
}

function interpreter() {
  return process.env.MOSAICO_PYTHON ?? "python3";
}

async function makeVenv(name, { pip }) {
  rmSync(join(home, name), { recursive: true, force: true });
  await run(interpreter(), ["-m", "venv", ...(pip ? [] : ["--without-pip"]), join(home, name)]);
}

/** Somebody else's .venv/pyarrow serves as well, if it is whole. */
async function isUsablePyarrow() {
  try {
    const wanted = readFileSync(join(inputs, "constraints.txt"), "utf8").match(
      /^pyarrow==(\S+) ; python_version >=/m,
    )?.[1];
    const { stdout } = await run(pythonOf("pyarrow"), ["-c", "import pyarrow.flight; print(pyarrow.__version__)"]);
    return stdout.trim() === wanted;
  } catch {
    return false;
  }
}

function packagesOf(name) {
  const lib = join(home, name, "lib");
  const folder = readdirSync(lib).find((entry) => entry.startsWith("python3"));
  if (folder === undefined) throw new Error(`${lib} holds no Python`);
  return join(lib, folder, "site-packages");
}

async function python(name, args) {
  try {
    await run(pythonOf(name), args, {
      maxBuffer: 64 * 2 ** 20,
      env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    });
  } catch (error) {
    const tail = String(error.stderr ?? error)
      .trim()
      .split("\n")
      .slice(-8)
      .join("\n");
    throw new Error(
      `Cannot set up the Python environment ${name}: make the package index reachable, ${skipHint}\n${tail}`,
    );
  }
}

function only(option, file) {
  return [option, join(inputs, file)];
}

function stampOf(name) {
  const hash = createHash("sha256");
  hash.update(readFileSync(fileURLToPath(import.meta.url)));
  for (const file of ["constraints.txt", "packages.txt", ...(name.startsWith("sdk-") ? [`${name}.txt`] : [])]) {
    hash.update(readFileSync(join(inputs, file)));
  }
  return `${interpreter()} ${hash.digest("hex")}\n`;
}

function isFresh(name) {
  const file = join(home, name, ".stamp");
  return existsSync(file) && readFileSync(file, "utf8") === stampOf(name);
}

function stamp(name) {
  writeFileSync(join(home, name, ".stamp"), stampOf(name));
}

/** Test files run in parallel processes: one makes the environments, the others wait. A lock of a dead process is taken over. */
async function locked(work) {
  const lock = join(home, ".lock");
  const deadlineMs = Date.now() + lockWaitMs;
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      if (Date.now() > deadlineMs) throw new Error(`${lock} was held for ${lockWaitMs} ms: remove it`);
      if (!isAlive(lock)) rmSync(lock, { force: true });
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isAlive(lock) {
  try {
    const pid = Number(readFileSync(lock, "utf8"));
    if (pid === 0) return true; // being written right now
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const startMs = Date.now();
  try {
    await ensureEnvironments();
    console.log(`Python environments in ${home}: ${environmentNames.join(", ")} (${Date.now() - startMs} ms)`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
