// The bundle that Node runs also runs under Deno, with no more permissions than these.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const deno = path.join(root, "node_modules/@deno/linux-x64-glibc/deno");

test("the bundle serves under Deno and ends with 0 on SIGTERM", async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), "mosaico-edge-deno-"));
  const permissions = [
    `--allow-read=${dataDir}`,
    `--allow-write=${dataDir}`,
    "--allow-env",
    `--allow-ffi=${path.join(root, "dist/lmdb-linux-x64.node")}`,
    // Without a list: the control socket has a random name, and Deno knows no permission for all sockets of a folder.
    "--allow-net",
    // Deno's fs.access compares owners by itself.
    "--allow-sys=uid,gid",
  ];
  const bundle = path.join(root, "dist/mosaico-edge.cjs");
  const args = ["run", "--no-prompt", ...permissions, bundle, "run", "--data-dir", dataDir, "--port", "0"];
  // Deno keeps compiled code: not in the caches of whoever runs the tests.
  const child = spawn(deno, args, {
    env: { DENO_DIR: path.join(dataDir, ".deno") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  try {
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    const exit = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    const line = await Promise.race([
      once(createInterface({ input: child.stdout }), "line").then(([text]) => String(text)),
      exit.then(([code, signal]) => {
        throw new Error(`It ended with ${code ?? signal} before it was ready:\n${log}`);
      }),
    ]);
    expect(JSON.parse(line)).toMatchObject({ event: "ready", port: expect.any(Number) });
    child.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
  } finally {
    child.kill("SIGKILL");
    await rm(dataDir, { recursive: true, force: true });
  }
});
