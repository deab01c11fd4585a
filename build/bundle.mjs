// Bundles the program: dist/mosaico-edge.cjs and, beside it, the one native add-on that it needs.
// CommonJS because the main of a Node 24 single executable must be; the extension makes Node, Deno and this package's
// "type": "module" agree on that.

import { copyFileSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
export const addonName = "lmdb-linux-x64.node";

const nodeMajorLeast = 24;

// Before anything else: an older Node parses the bundle, and would die of the first global that it does not have. Deno says
// which Node it stands for as it likes.
const versionCheck = `if (process.versions.deno === undefined && Number.parseInt(process.versions.node, 10) < ${nodeMajorLeast}) {
  require("node:fs").writeSync(2, "mosaico-edge: this is Node " + process.versions.node + ", version ${nodeMajorLeast} or newer is needed\\n");
  process.exit(69);
}`;

/** Builds `entry` into `outfile`, and puts the add-on beside it. Answers the bundle's size in bytes. */
export async function bundle({ entry, outfile }) {
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const result = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
    // `using` is lowered for this target, so Node 20 gets as far as the check of its version in the banner.
    target: "node24",
    metafile: true,
    logLevel: "warning",
    define: {
      // lmdb reads import.meta.url, which esbuild leaves empty in CommonJS output.
      "import.meta.url": "bundleUrl",
      MOSAICO_EDGE_VERSION: JSON.stringify(version),
    },
    banner: { js: `${versionCheck}\nconst bundleUrl = require("node:url").pathToFileURL(__filename).href;` },
    alias: {
      // Our own loader; the original searches node_modules folders at run time.
      "node-gyp-build-optional-packages": "./src/addon.ts",
      // The entry without msgpackr-extract, an add-on that would be searched for at run time as well.
      msgpackr: "./node_modules/msgpackr/index.js",
      // It makes a function by direct eval, which finds the variables of its own file only where the file keeps a scope of its
      // own: bundled as a module, its `position` became another package's and keys came back as garbage.
      "ordered-binary": "./node_modules/ordered-binary/dist/index.cjs",
    },
  });
  const stray = Object.keys(result.metafile.inputs).find((input) => /node-gyp-build|msgpackr-extract/.test(input));
  if (stray !== undefined) throw new Error(`the bundle must not search for add-ons at run time, but it holds ${stray}`);
  const evaluating = Object.entries(result.metafile.inputs).find(
    ([input, { format }]) =>
      format === "esm" && /(?<![.\w])eval\(/.test(readFileSync(path.resolve(root, input), "utf8")),
  );
  if (evaluating !== undefined)
    throw new Error(`${evaluating[0]} uses direct eval, which bundled modules break: bundle its CommonJS form`);
  putAddon(path.join(path.dirname(path.resolve(root, outfile)), addonName));
  return Object.values(result.metafile.outputs).reduce((bytes, output) => bytes + output.bytes, 0);
}

/** By rename: overwriting the file in place would break a running server that has it mapped. */
function putAddon(target) {
  const fresh = `${target}.${process.pid}`;
  mkdirSync(path.dirname(target), { recursive: true });
  copyFileSync(path.join(root, "node_modules/@lmdb/lmdb-linux-x64/node.napi.glibc.node"), fresh);
  renameSync(fresh, target);
}

async function main() {
  const outfile = "dist/mosaico-edge.cjs";
  const startedMs = performance.now();
  const bytes = await bundle({ entry: "src/main.ts", outfile });
  console.log(
    `bundle: ${outfile}, ${(bytes / 1e6).toFixed(1)} MB, in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error(`bundle: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
