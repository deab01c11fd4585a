// Sync over a link on which everything goes wrong, while both servers are killed now and then: in the end each session is on the
// other server exactly once, equal row by row; also where the other one looks like the central daemon of 0.4. MOSAICO_SYNC_RUNS says
// how many sessions, MOSAICO_TEST_SEED which.

import { setTimeout as sleep } from "node:timers/promises";
import { Float64, Int64, makeData, makeVector } from "apache-arrow";
import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { type Columns, toMessages } from "../load/messages.ts";
import { blobs, type TopicLoad } from "../load/robot.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { type RunningServer, startServer } from "../server.ts";
import { openBadLink } from "./bad-link.ts";
import { command, contents, logged, record, targetOf } from "./edges.ts";
import { folders } from "./folders.ts";
import { openOldFront } from "./old-front.ts";

const runs = Number(process.env["MOSAICO_SYNC_RUNS"] ?? 20);
const isLong = runs >= 200;
/** What is asked of each kind of remote, and so may be broken off. */
const always = [
  "connect",
  "create_sequence",
  "create_session",
  "create_topic",
  "put",
  "end_put",
  "finalize",
  "show_topic",
];
const remotes: Readonly<Record<string, { readonly isOld: boolean; readonly commands: readonly string[] }>> = {
  "an edge": { isOld: false, commands: [...always, "topic_status"] },
  "what looks like the old daemon": { isOld: true, commands: always },
};

const fastFaults = ["reset", "reply lost", "trickle"] as const;

const directory = folders("bad-link");

/** Numbers in small batches, and blobs in large ones, some of them below and some above what is gathered. */
function randomTopics(random: Random): TopicLoad[] {
  let row = 0;
  const times = (count: number): Columns => {
    const values = BigInt64Array.from({ length: count }, () => {
      row += 1;
      return 1_700_000_000_000_000_000n + BigInt(row) * 1_000_000n;
    });
    return { timestamp_ns: makeVector(makeData({ type: new Int64(), data: values })) };
  };
  const numbers = Array.from({ length: 1 + random.below(6) }, () => {
    const count = 1 + random.below(50);
    const values = Float64Array.from({ length: count }, () => random.next());
    return { ...times(count), value: makeVector(makeData({ type: new Float64(), data: values })) };
  });
  const images = Array.from({ length: 1 + random.below(3) }, () => {
    const count = 1 + random.below(4);
    return {
      ...times(count),
      data: blobs(Array.from({ length: count }, () => random.bytes(random.pick([10, 20_000, 120_000])))),
    };
  });
  const topic = (below: string, ontologyTag: string, batches: readonly Columns[]): TopicLoad => ({
    path: below,
    ontologyTag,
    userMetadata: {},
    messages: toMessages(batches),
    rows: 0,
  });
  const large = Array.from({ length: 5 }, () => ({
    ...times(4),
    data: blobs(Array.from({ length: 4 }, () => random.bytes(250_000))),
  }));
  const isLarge = random.chance(0.15);
  return [topic("numbers", "numbers", numbers), topic("camera/front", "blob", isLarge ? large : images)].slice(
    0,
    isLarge ? 2 : 1 + random.below(2),
  );
}

test.each(Object.entries(remotes))(
  `${runs} sessions or more over a bad link to %s, between servers that are killed, are there once and equal`,
  {
    // Who stands before a half-open link notices after half a minute.
    timeout: 300_000 + runs * (isLong ? 15_000 : 4_000),
  },
  async (kind, { isOld, commands }) => {
    const random = new Random(`bad link to ${kind}`);
    const [nearDir, farDir] = [directory(), directory()];
    let near: RunningServer = await startServer({ dataDir: nearDir });
    let far: RunningServer = await startServer({ dataDir: farDir });
    await using front = isOld ? await openOldFront(() => far.port) : undefined;
    await using link = await openBadLink({
      target: () => front?.port ?? far.port,
      random,
      faults: [...fastFaults, ...(isLong ? (["half-open"] as const) : [])],
      probability: 0.7,
      bytesMax: 400_000,
    });
    let logBefore = "";
    const deaths = new Map<string, number>();
    const topicsOf = new Map<string, readonly TopicLoad[]>();
    await command(nearDir, "add", "far", `grpc://127.0.0.1:${link.port}`);

    /** Which of the commands were broken off, as the log tells. */
    const brokenOff = (): string[] => logged(logBefore + near.stderr(), "sync_broken_off").map(({ during }) => during);
    const recordOne = async (): Promise<void> => {
      const sequence = `run-${topicsOf.size}`;
      const topics = randomTopics(random);
      await record(near.port, sequence, topics);
      topicsOf.set(sequence, topics);
      const dies = random.pick(["near", "far", "", "", "", "", "", ""]);
      if (dies === "") return;
      deaths.set(dies, (deaths.get(dies) ?? 0) + 1);
      await sleep(random.below(200));
      if (dies === "near") {
        logBefore += `${near.stderr()}\n`;
        await near.kill();
        near = await startServer({ dataDir: nearDir });
      } else {
        const { port } = far;
        await far.kill();
        far = await startServer({ dataDir: farDir, port });
      }
    };
    const untilAllAreThere = async (): Promise<void> => {
      for (let tries = 0; ; tries += 1) {
        const view = await targetOf(nearDir);
        expect(view.parked, "nothing is ever parked").toEqual([]);
        if (view.syncedSessions === topicsOf.size) return;
        if (tries > (isLong ? 2_000 : 200))
          throw new Error(`stuck: ${JSON.stringify(view)}\n${near.stderr().slice(-4_000)}`);
        await sleep(200);
      }
    };
    // What is broken off is up to the scheduler too: so many more, if need be.
    const isCovered = (): boolean =>
      commands.every((one) => brokenOff().includes(one)) &&
      deaths.size === 2 &&
      fastFaults.every((one) => link.played.has(one));
    do {
      for (let one = 0; one < 10; one += 1) await recordOne();
      await untilAllAreThere();
    } while (topicsOf.size < runs || (!isCovered() && topicsOf.size < 10 * runs));
    link.mend();

    using client = new FlightClient(far.port);
    for (const [sequence, topics] of topicsOf) {
      const info = await client.info({ resource_locator: sequence });
      const { sessions } = JSON.parse(Buffer.from(info.appMetadata).toString()) as {
        sessions: { locked: boolean; topics: string[] }[];
      };
      const locators = topics.map((topic) => `${sequence}/${topic.path}`);
      // Of a lost answer with the UUID of a session there remains one without anything at a daemon that chooses UUIDs.
      const withTopics = sessions.filter((session) => !isOld || session.topics.length > 0);
      expect(withTopics, sequence).toMatchObject([{ locked: true, topics: locators.toSorted() }]);
      for (const locator of locators)
        expect(await contents(far.port, locator), locator).toEqual(await contents(near.port, locator));
    }
    const coverage = new Coverage(`bad link to ${kind}, ${topicsOf.size} sessions`, [
      ...commands.map((one) => `broken off at ${one}`),
      ...fastFaults,
      ...(isLong ? ["half-open"] : []),
      ...(isOld ? ["no such action", "INTERNAL", "messages counted", "sessions by uuid"] : []),
      "near killed",
      "far killed",
    ]);
    for (const [fault, times] of link.played) for (let time = 0; time < times; time += 1) coverage.hit(fault);
    for (const [who, times] of deaths) for (let time = 0; time < times; time += 1) coverage.hit(`${who} killed`);
    for (const during of brokenOff()) if (commands.includes(during)) coverage.hit(`broken off at ${during}`);
    for (const [what, times] of front?.hits ?? []) for (let time = 0; time < times; time += 1) coverage.hit(what);
    coverage.check();
    await near[Symbol.asyncDispose]();
    await far[Symbol.asyncDispose]();
  },
);
