// kill -9 of either end at random moments of a sync: the session is there once, equal row by row. MOSAICO_SYNC_DEATHS says how often
// each of the two dies.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, labelTopics, type TopicLoad } from "../load/robot.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { type RunningServer, startServer } from "../server.ts";
import { command, contents, logged, record, until } from "./edges.ts";

const deaths = Number(process.env["MOSAICO_SYNC_DEATHS"] ?? 5);
/** Where a transfer was when its server died: those that take long enough to be met by a few deaths, and all by many. */
const places = deaths >= 100 ? ["sequence", "session", "topic", "finalize", "check"] : ["topic"];

const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-deaths-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test(`${deaths} deaths of each end in the middle of a sync`, { timeout: 60_000 + deaths * 10_000 }, async () => {
  const random = new Random("deaths");
  const coverage = new Coverage("deaths", [
    ...places.map((place) => `here at ${place}`),
    "there in between",
    "here",
    "there",
  ]);
  const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 10, seed: 7 };
  const topics: readonly TopicLoad[] = [...baseTopics(drive), ...labelTopics(drive)];
  const [nearDir, farDir] = [path.join(root, "near"), path.join(root, "far")];
  let near: RunningServer = await startServer({ dataDir: nearDir });
  let far: RunningServer = await startServer({ dataDir: farDir });
  const { port } = far;
  await command(nearDir, "add", "far", `grpc://127.0.0.1:${port}`);
  for (let death = 0; death < 2 * deaths; death += 1) {
    const sequence = `death-${death}`;
    await record(near.port, sequence, topics);
    await sleep(random.below(250));
    if (death % 2 === 0) {
      await near.kill();
      near = await startServer({ dataDir: nearDir });
      coverage.hit("here");
    } else {
      await far.kill();
      far = await startServer({ dataDir: farDir, port });
      coverage.hit("there");
    }
    const view = await until(nearDir, "all is there", ({ pendingSessions }) => pendingSessions === 0);
    expect(view).toMatchObject({ syncedSessions: 1, parkedSessions: 0 });
    for (const { at, session } of logged(near.stderr(), "session_goes_on")) {
      if (!session.startsWith(`${sequence}:`)) continue;
      if (death % 2 === 1) coverage.hit("there in between");
      else if (places.some((place) => place === at)) coverage.hit(`here at ${at}`);
      break;
    }
    using client = new FlightClient(far.port);
    const { sessions } = JSON.parse(
      Buffer.from((await client.info({ resource_locator: sequence })).appMetadata).toString(),
    ) as { sessions: { locked: boolean }[] };
    expect(sessions, sequence).toMatchObject([{ locked: true }]);
    for (const { path: below } of topics) {
      const locator = `${sequence}/${below}`;
      expect(await contents(far.port, locator), locator).toEqual(await contents(near.port, locator));
    }
    for (const server of [near, far]) {
      using operator = new FlightClient(server.port);
      await operator.action("sequence_delete", { locator: sequence });
    }
  }
  coverage.check();
  await near[Symbol.asyncDispose]();
  await far[Symbol.asyncDispose]();
});
