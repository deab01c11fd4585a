// A long time without a link: many sessions wait. A server that starts with them takes hardly more memory than one that has none to
// send, and when the link comes they go in the order of their priority, each once. MOSAICO_SYNC_PENDING says how many.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { labelTopics } from "../load/robot.ts";
import { Memory, MiB } from "../serve/memory.ts";
import { type RunningServer, startServer } from "../server.ts";
import { command, logged, record, until } from "./edges.ts";

const sessions = Number(process.env["MOSAICO_SYNC_PENDING"] ?? 200);
const atOnce = 8;
const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 9 } as const;
const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-outage-"));

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Every seventh one is an event. */
function nameOf(index: number): string {
  return `${index % 7 === 3 ? "event" : "drive"}-${index}`;
}

async function recordAll(port: number): Promise<void> {
  for (let index = 0; index < sessions; index += atOnce) {
    const names = Array.from({ length: Math.min(atOnce, sessions - index) }, (_none, more) => nameOf(index + more));
    await Promise.all(names.map((name) => record(port, name, labelTopics(drive))));
  }
}

/** The most that a server takes in its first seconds. */
async function memoryOf({ pid }: RunningServer): Promise<number> {
  using memory = new Memory(pid);
  await sleep(3_000);
  return memory.most().bytes;
}

test(`${sessions} sessions wait for a link`, { timeout: 120_000 + sessions * 200 }, async () => {
  const [nearDir, farDir] = [path.join(root, "near"), path.join(root, "far")];
  {
    await using recorder = await startServer({ dataDir: nearDir });
    await recordAll(recorder.port);
    await recorder.stop();
  }
  let without: number;
  {
    await using server = await startServer({ dataDir: nearDir });
    without = await memoryOf(server);
    await server.stop();
  }
  await using far = await startServer({ dataDir: farDir });
  const { port } = far;
  await far.stop();
  const event = JSON.stringify({ sequence: { name: { $match: "event-*" } } });
  await command(nearDir, "add", "far", `grpc://127.0.0.1:${port}`, "--class", `event:5=${event}`);
  await using near = await startServer({ dataDir: nearDir });
  const withThem = await memoryOf(near);
  console.log(
    `outage: ${sessions} sessions, RssAnon ${Math.round(without / MiB)} MiB without a target, ${Math.round(withThem / MiB)} MiB with`,
  );
  // What is looked at again and again is garbage soon: thousands take hardly more than hundreds.
  expect(withThem - without).toBeLessThan(48 * MiB);
  const waiting = await until(nearDir, "it is not reached", ({ lastError }) => lastError !== undefined);
  expect(waiting).toMatchObject({ pendingSessions: sessions, syncedSessions: 0, parkedSessions: 0 });
  await using _far = await startServer({ dataDir: farDir, port });
  await command(nearDir, "now", "far");
  await until(nearDir, "all are there", ({ syncedSessions }) => syncedSessions === sessions, 10 * sessions);
  await expect.poll(() => logged(near.stderr(), "session_synced").length, { timeout: 20_000 }).toBe(sessions);
  const order = logged(near.stderr(), "session_synced").map(({ session }) => session.split(":", 1)[0] ?? "");
  expect(new Set(order).size).toBe(sessions);
  const events = Array.from({ length: sessions }, (_none, index) => nameOf(index)).filter((name) =>
    /^event/.test(name),
  );
  expect(new Set(order.slice(0, events.length))).toEqual(new Set(events));
});
