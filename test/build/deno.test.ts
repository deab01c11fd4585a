// The bundle that Node runs also runs under Deno, with no more permissions than these: put, get, restart, get.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "vitest";
import { expectRecorded, record } from "../round-trip.ts";
import { type RunningServer, startServer } from "../server.ts";

const root = path.resolve(import.meta.dirname, "../..");
const file = path.join(root, "node_modules/@deno/linux-x64-glibc/deno");
const bundle = path.join(root, "dist/mosaico-edge.cjs");

async function startUnderDeno(folder: string): Promise<RunningServer> {
  const dataDir = path.join(folder, "data");
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const permissions = [
    `--allow-read=${dataDir}`,
    `--allow-write=${dataDir}`,
    "--allow-env",
    `--allow-ffi=${path.join(root, "dist/lmdb-linux-x64.node")}`,
    // Without a list: the control socket has a random name, and Deno knows no permission for all sockets of a folder.
    "--allow-net",
    // Deno's fs.access compares owners by itself, as we do; statfs: the space that is left.
    "--allow-sys=uid,gid,statfs",
  ];
  const args = ["run", "--no-prompt", ...permissions, bundle];
  // Deno keeps compiled code: not in the caches of whoever runs the tests.
  return await startServer({ dataDir, alone: { file, args }, env: { DENO_DIR: path.join(folder, "deno") } });
}

test("under Deno a recording is put, read, and read again after a restart; SIGTERM ends it with 0", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-deno-"));
  try {
    await using first = await startUnderDeno(folder);
    const topics = await record(first.port, "deno");
    await expectRecorded(first.port, "deno", topics);
    await first.stop();
    await using second = await startUnderDeno(folder);
    await expectRecorded(second.port, "deno", topics);
    await second.stop();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
