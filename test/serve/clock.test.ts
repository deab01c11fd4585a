// A machine whose clock is wrong: the server starts, records, and takes no key that has expired, whatever time it is said to be.

import { execFile } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { createTopic, expectRecorded, expectSame, openSession, readTopic, record } from "../round-trip.ts";
import { createKey, readStatus, serverCommand, startServer } from "../server.ts";
import { buildShim, noShims } from "../store/shim.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-clock-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

if (noShims !== undefined) console.log(`clock: skipped, ${noShims}`);

describe.skipIf(noShims !== undefined)("a wrong clock", () => {
  const inside = (offsetS: number) => ({ ...buildShim("clock", folder), CLOCK_OFFSET_S: String(offsetS) });

  test("an expired key stays expired when the server starts again in the past", async () => {
    const dataDir = path.join(folder, "expired");
    const query = { sequence: { name: { $eq: "x" } } };
    let expired: string;
    let valid: string;
    {
      await using server = await startServer({ dataDir, args: ["--api-key"] });
      valid = await createKey(dataDir, "read");
      const { file, args } = serverCommand();
      const expiresMs = Date.now() + 1_000;
      const create = ["key", "create", "--data-dir", dataDir, "-p", "read", "--expires-at"];
      expired = (
        await promisify(execFile)(file, [...args, ...create, new Date(expiresMs).toISOString()])
      ).stdout.trim();
      await new Promise((resolve) => setTimeout(resolve, expiresMs - Date.now()));
      using client = new FlightClient(server.port, expired);
      await expect(client.action("query", query)).rejects.toMatchObject({ code: 16 });
      await server.stop();
    }
    await using server = await startServer({ dataDir, args: ["--api-key"], env: inside(-86_400) });
    using client = new FlightClient(server.port, expired);
    await expect(client.action("query", query)).rejects.toMatchObject({ code: 16 });
    using other = new FlightClient(server.port, valid);
    expect(await other.action("query", query)).toEqual({ items: [] });
    await server.stop();
  });

  test("jumps while it records disturb nothing, and are told", { timeout: 60_000 }, async () => {
    const offset = path.join(folder, "offset");
    const hourS = 3_600;
    const offsetsS = [2 * hourS, -5 * hourS, -Math.floor(Date.now() / 1_000), 10 * 365 * 24 * hourS, 0];
    writeFileSync(offset, "0");
    const env = { ...buildShim("clock", folder), CLOCK_OFFSET_FILE: offset };
    const intervalMs = 50;
    const args = ["--commit-interval-ms", String(intervalMs)];
    await using server = await startServer({ dataDir: path.join(folder, "jumps"), args, env });
    using client = new FlightClient(server.port);
    const startedMs = performance.now();
    const topic = await createTopic(client, await openSession(client, "jumps"), "jumps/imu");
    const messages = toMessages(Array.from({ length: 500 }, (_none, index) => reading(index)));
    const put = client.openPut(topic);
    let sent = 0;
    const until = async (isSo: () => boolean): Promise<void> => {
      for (; !isSo() || sent === 0; sent += 1) {
        const message = messages[sent];
        if (message === undefined) throw new Error(`the jump is not told: ${server.stderr()}`);
        await put.sendData(message);
        await sleep(20);
      }
    };
    const told = () => server.stderr().match(/"clock_jumped"/g)?.length ?? 0;
    await until(() => sent > 5);
    for (const [index, seconds] of offsetsS.entries()) {
      writeFileSync(offset, String(seconds));
      await until(() => told() > index);
    }
    await put.finish();
    const { commit } = await readStatus(server.dataDir);
    const commitsMost = (performance.now() - startedMs) / intervalMs + 20;
    console.log(`clock: ${told()} jumps told, ${sent} batches, ${commit.commits} commits`);
    expect(told()).toBe(offsetsS.length);
    expect(commit.commits).toBeLessThan(commitsMost);
    expectSame(await readTopic(client, topic.locator), messages.slice(0, sent), topic.locator);
    const { notifications } = (await client.action("sequence_notification_list", { locator: "jumps" })) as {
      notifications: { msg: string }[];
    };
    expect(notifications).toHaveLength(offsetsS.length);
    expect(notifications[0]?.msg).toMatch(/jumped by 7(199|200)(\.[0-9]+)? s while/);
    // One chunk, that no jump has sealed.
    const session = readdirSync(path.join(server.dataDir, "sessions"))[0] ?? "";
    expect(readdirSync(path.join(server.dataDir, "sessions", session, "0")).sort()).toEqual([
      "00000.arrow",
      "topic.json",
    ]);
    await server.stop();
  });

  test("a clock before 1970 is no reason not to record", async () => {
    const offsetS = -Math.floor(Date.now() / 1000) - 86_400;
    await using server = await startServer({ dataDir: path.join(folder, "early"), env: inside(offsetS) });
    await expectRecorded(server.port, "early", await record(server.port, "early"));
    await server.stop();
  });
});

function reading(index: number) {
  return { timestamp_ns: makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(BigInt(index)) })) };
}
