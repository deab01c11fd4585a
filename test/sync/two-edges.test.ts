// Sync of one server with another, both as they run on machines, over real sockets: what was recorded on one is read on the other.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { type RunningServer, startServer } from "../server.ts";
import { command, contents, metadataOf, record, until } from "./edges.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;

describe("two edges", () => {
  const dirs: string[] = [];
  let near: RunningServer;
  let far: RunningServer;

  function directory(): string {
    dirs.push(mkdtempSync(path.join(tmpdir(), "mosaico-edge-sync-")));
    return dirs.at(-1) ?? "";
  }

  beforeAll(async () => {
    near = await startServer({ dataDir: directory() });
    far = await startServer({ dataDir: directory() });
  });

  afterAll(async () => {
    await near?.[Symbol.asyncDispose]();
    await far?.[Symbol.asyncDispose]();
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
  });

  test("what is finalized on one is on the other, equal, whenever it was finalized", { timeout: 60_000 }, async () => {
    await record(near.port, "drive-1", baseTopics(drive));
    await command(near.dataDir, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    await until(near.dataDir, "the first session is there", ({ syncedSessions }) => syncedSessions === 1);
    await record(near.port, "drive-1", labelTopics(drive), false);
    const view = await until(near.dataDir, "the second one too", ({ syncedSessions }) => syncedSessions === 2);
    expect(view).toMatchObject({ target: "centre", pendingSessions: 0, parkedSessions: 0 });
    for (const { path: below } of [...baseTopics(drive), ...labelTopics(drive)]) {
      const locator = `drive-1/${below}`;
      expect(await contents(far.port, locator), locator).toEqual(await contents(near.port, locator));
      const [here, there] = [await metadataOf(near.port, locator), await metadataOf(far.port, locator)];
      expect(there, locator).toMatchObject({
        ontology_tag: here.ontology_tag,
        user_metadata: here.user_metadata,
        locked: true,
      });
      expect(there.data_info.total_row_count, locator).toBe(here.data_info.total_row_count);
      expect(there.data_info.interval, locator).toEqual(here.data_info.interval);
    }
  });
});
