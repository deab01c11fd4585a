// Packs dist/mosaico-edge.cjs and its add-on with Node itself into one executable: dist/mosaico-edge (linux-x64).
// pkg would download that Node; it is told that it already has, and gets the one in node_modules (same version, no network).
// Skipped when neither bundle, add-on, Node, pkg nor this file changed since the executable was made.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { addonName, root } from "./bundle.mjs";

const target = "linux-x64";

/** Packs `bundle` (its add-on beside it) into the executable `output`, working in the folder `work`. Answers whether it had to. */
export function pack({ bundle, output, work }) {
  const addon = path.join(path.dirname(bundle), addonName);
  const node = path.join(root, `node_modules/node-${target}/bin/node`);
  const nodeVersion = versionOf(`node-${target}`);
  const stampFile = path.join(work, "stamp.json");
  const recipe = {
    bundle: hashOf(bundle),
    addon: hashOf(addon),
    recipe: hashOf(fileURLToPath(import.meta.url)),
    node: nodeVersion,
    pkg: versionOf("@yao-pkg/pkg"),
  };
  if (isCurrent({ stampFile, recipe, output })) return false;

  const home = path.join(work, "home");
  seedPkgCache({ home, node, nodeVersion });
  const input = path.join(work, "input");
  const temporary = path.join(work, "tmp");
  for (const folder of [input, temporary]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
  }
  copyFileSync(bundle, path.join(input, "mosaico-edge.cjs"));
  copyFileSync(addon, path.join(input, addonName));
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const manifest = { name: "mosaico-edge", version, bin: "mosaico-edge.cjs", pkg: { assets: [addonName] } };
  writeFileSync(path.join(input, "package.json"), JSON.stringify(manifest));

  const fresh = path.join(work, "mosaico-edge");
  // All three numbers of the version, or pkg asks the network for an index of releases.
  const args = [
    path.join(root, "node_modules/@yao-pkg/pkg/lib-es5/bin.js"),
    ".",
    "--sea",
    "-t",
    `node${nodeVersion}-${target}`,
    "-o",
    fresh,
  ];
  // Run by the very Node that goes in: the format of the blob differs even between patch releases.
  const run = spawnSync(node, args, {
    cwd: input,
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: temporary },
    encoding: "utf8",
  });
  if (run.error !== undefined) throw run.error;
  if (run.status !== 0)
    throw new Error(`pkg ended with ${run.signal ?? `code ${run.status}`}:\n${run.stdout}${run.stderr}`);
  chmodSync(fresh, 0o755);
  tryOut(fresh, version);

  mkdirSync(path.dirname(output), { recursive: true });
  // By rename: a server that runs from the old file keeps it.
  renameSync(fresh, output);
  const { size, mtimeMs } = statSync(output);
  writeFileSync(stampFile, JSON.stringify({ recipe, size, mtimeMs }));
  rmSync(temporary, { recursive: true, force: true });
  return true;
}

function isCurrent({ stampFile, recipe, output }) {
  if (!existsSync(stampFile) || !existsSync(output)) return false;
  const { size, mtimeMs } = statSync(output);
  return readFileSync(stampFile, "utf8") === JSON.stringify({ recipe, size, mtimeMs });
}

/** pkg looks for `$HOME/.pkg-cache/sea/`: the empty files say that archive and binary were downloaded and verified. */
function seedPkgCache({ home, node, nodeVersion }) {
  const cache = path.join(home, ".pkg-cache/sea");
  const name = `node-v${nodeVersion}-${target}`;
  const bin = path.join(cache, name, "bin");
  mkdirSync(bin, { recursive: true });
  rmSync(path.join(bin, "node"), { force: true });
  try {
    linkSync(node, path.join(bin, "node"));
  } catch {
    // Another file system: 126 MB are copied.
    copyFileSync(node, path.join(bin, "node"));
  }
  for (const marker of [`${name}.tar.gz`, `${name}.tar.gz.ok`, `${name}/bin/node.ok`])
    writeFileSync(path.join(cache, marker), "");
}

/** What a user does first: the file alone in an empty folder, no environment. A broken executable never reaches dist. */
function tryOut(executable, version) {
  const empty = mkdtempSync(path.join(path.dirname(executable), "empty-"));
  try {
    const printed = execFileSync(executable, ["--version"], { cwd: empty, env: {}, encoding: "utf8", timeout: 30_000 });
    if (!printed.includes(version))
      throw new Error(`the new executable answers --version with ${JSON.stringify(printed)}, not ${version}`);
  } finally {
    rmSync(empty, { recursive: true, force: true });
  }
}

function hashOf(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function versionOf(name) {
  return JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")).version;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const output = path.join(root, "dist/mosaico-edge");
    const startedMs = performance.now();
    const packed = pack({ bundle: path.join(root, "dist/mosaico-edge.cjs"), output, work: path.join(root, ".pack") });
    const megabytes = (statSync(output).size / 1e6).toFixed(1);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`pack: dist/mosaico-edge, ${megabytes} MB, ${packed ? `in ${seconds} s` : "up to date"}`);
  } catch (error) {
    console.error(`pack: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
