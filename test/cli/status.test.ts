// The command `status`: what a running server says of itself, while an upload is under way and when it stands.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { readStatus, runToEnd, startServer } from "../server.ts";

test("a running server tells of its memory, its commits, its disk and each upload", async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  const { dataDir } = server;
  const idle = await readStatus(dataDir);
  expect(idle).toMatchObject({
    pid: server.pid,
    port: server.port,
    poisoned: false,
    uploads: { open: 0, streams: [] },
  });
  expect(idle.memory.upload).toMatchObject({ heldBytes: 0, waiting: 0 });
  expect(idle.space.freeBytes).toBeGreaterThan(0);

  const session = await openSession(client, "drive");
  const [load] = baseTopics({ startNs: 1n, seconds: 2, seed: 1 });
  if (load === undefined) throw new Error("a robot has topics");
  const put = client.openPut(await createTopic(client, session, "drive/imu"));
  for (const message of load.messages) await put.sendData(message);
  let during = await readStatus(dataDir);
  while ((during.uploads.streams[0]?.rows ?? 0) < load.rows || during.commit.commits === idle.commit.commits) {
    await sleep(20);
    during = await readStatus(dataDir);
  }
  expect(during.uploads).toMatchObject({ open: 1, streams: [{ topic: "drive/imu", rows: load.rows }] });
  expect(during.commit.longestLagMs).toBeGreaterThan(0);

  const text = await runToEnd(["status", "--data-dir", dataDir]);
  expect(text).toMatchObject({ code: 0, stderr: "" });
  expect(text.stdout).toMatch(/^uploads\.streams\.0\.topic: drive\/imu$/m);
  expect(text.stdout).toMatch(/^memory\.upload\.limitBytes: \d+$/m);
  await put.finish();
});

test("where no server runs, or no store is, it says so", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-status-"));
  try {
    const dataDir = path.join(folder, "data");
    const missing = await runToEnd(["status", "--data-dir", dataDir]);
    expect(missing.code).toBe(66);
    expect(missing.stderr).toContain(dataDir);
    {
      await using server = await startServer({ dataDir });
      await server.stop();
    }
    const stopped = await runToEnd(["status", "--data-dir", dataDir, "--json"]);
    expect(stopped).toMatchObject({ code: 69, stdout: "" });
    expect(stopped.stderr).toContain(`No server runs on ${dataDir}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
