// The unit file as systemd reads it. Skipped where systemd's tools are not installed.

import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

test.runIf(hasSystemd)("systemd finds nothing wrong with the unit", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-unit-"));
  try {
    const text = await readFile(path.join(root, "systemd/mosaico-edge.service"), "utf8");
    const installed = "/usr/local/bin/mosaico-edge";
    expect(text).toContain(`ExecStart=${installed} run`);
    // Verifying looks for the program, which this machine need not have installed.
    const unit = path.join(folder, "mosaico-edge.service");
    await writeFile(unit, text.replace(`ExecStart=${installed}`, `ExecStart=${path.join(root, "dist/mosaico-edge")}`));
    const { stdout, stderr } = await promisify(execFile)("systemd-analyze", ["verify", "--man=no", unit]);
    expect(stdout + stderr).toBe("");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
