// What an SDK records on one server and reads on the one that it was synced to: all models, typed, row by row.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectAllOk, python, recordModels, runDriver, skipsPython } from "../clients/driver.ts";
import { type RunningServer, startServer } from "../server.ts";
import { command, until } from "./edges.ts";

const slowMs = 180_000;

describe.skipIf(skipsPython)("SDKs at both ends of a sync", () => {
  let folder: string;
  let near: RunningServer;
  let far: RunningServer;

  beforeAll(async () => {
    await python.ensureEnvironments();
    folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-sync-sdk-"));
    near = await startServer({ dataDir: path.join(folder, "near") });
    far = await startServer({ dataDir: path.join(folder, "far") });
    await command(near.dataDir, "add", "far", `grpc://127.0.0.1:${far.port}`);
  }, slowMs);

  afterAll(async () => {
    await near?.[Symbol.asyncDispose]();
    await far?.[Symbol.asyncDispose]();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  it.each(["0.4.3", "0.7.0"])("%s reads there what it wrote here", { timeout: slowMs }, async (version) => {
    const dump = path.join(folder, `models-${version}`);
    const sequence = await recordModels(version, near.port, dump);
    await until(
      near.dataDir,
      "all is there",
      ({ pendingSessions, syncedSessions }) => pendingSessions === 0 && syncedSessions > 0,
    );
    const args = ["read-foreign", "127.0.0.1", "0", "--foreign", String(far.port), sequence, dump];
    const read = await runDriver(`sdk-${version}`, "sdk.py", args);
    expectAllOk(`${version} there`, read, [`foreign: ${sequence} read by ${version}`]);
    expect(read.checks.find(({ check }) => check.startsWith("foreign"))?.detail, "all of it typed").not.toHaveProperty(
      "untyped",
    );
  });
});
