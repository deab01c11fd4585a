// The bundle under a Node that is too old: one sentence, where it would meet a name that it does not know.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const bundle = path.resolve(import.meta.dirname, "../../dist/mosaico-edge.cjs");

test("says which version it found and which it needs, and ends with 69", async (context) => {
  const { stdout } = await promisify(execFile)("node", ["--version"]).catch(() => ({ stdout: "none" }));
  const version = stdout.trim().replace(/^v/, "");
  context.skip(!(Number.parseInt(version, 10) < 24), `the Node of this machine is ${version}, which is not too old`);
  const ended = await promisify(execFile)("node", [bundle, "--version"]).catch((error: unknown) => error);
  expect(ended).toMatchObject({
    code: 69,
    stdout: "",
    stderr: `mosaico-edge: this is Node ${version}, version 24 or newer is needed\n`,
  });
});
