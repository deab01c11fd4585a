// What somebody else has at a remote: it stays as it is, and what has its name here waits for a decision.

import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, type TopicLoad } from "../load/robot.ts";
import { startServer } from "../server.ts";
import { command, contents, isThere, record, until } from "./edges.ts";
import { folders } from "./folders.ts";
import { openOldFront } from "./old-front.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 5, seed: 11 } as const;
const directory = folders("foreign");

function twoTopics(): [TopicLoad, TopicLoad] {
  const [gps, imu] = baseTopics(drive);
  if (gps === undefined || imu === undefined) throw new RangeError("a drive has these topics");
  return [gps, imu];
}

/** A topic that somebody is about to record in a sequence that there is. */
async function beginTopic(client: FlightClient, sequence: string, { path: below, ontologyTag }: TopicLoad) {
  const { uuid: session } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  const topic = { serialization_format: "default", ontology_tag: ontologyTag, user_metadata: {} };
  const locator = `${sequence}/${below}`;
  const { uuid } = (await client.action("topic_create", { session_uuid: session, locator, ...topic })) as {
    uuid: string;
  };
  return { session, locator, uuid };
}

test.each(["uuid", "locator"] as const)(
  "a topic of that name that somebody else records is a conflict at a daemon that tells sessions by %s, and becomes complete",
  {
    timeout: 60_000,
  },
  async (tells) => {
    const own = directory();
    await using near = await startServer({ dataDir: own });
    await using far = await startServer({ dataDir: directory() });
    await using front = await openOldFront(() => far.port, { tells });
    const [gps, imu] = twoTopics();
    await command(own, "add", "centre", `grpc://127.0.0.1:${front.port}`);
    await record(near.port, "drive", [gps]);
    await until(own, "the first is there", ({ syncedSessions }) => syncedSessions === 1);
    using other = new FlightClient(far.port);
    const theirs = await beginTopic(other, "drive", imu);
    await record(near.port, "drive", [imu], false);
    const { parked } = await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
    const reason = expect.stringMatching(/`drive\/sensors\/imu` that is not of this session/) as string;
    expect(parked).toMatchObject([{ cause: "conflict", reason }]);
    await other.put(theirs, imu.messages);
    await other.action("session_finalize", { session_uuid: theirs.session });
    expect(await contents(far.port, theirs.locator)).toEqual(await contents(near.port, theirs.locator));
    // Whoever decides for ours deletes theirs.
    await other.action("session_delete", { session_uuid: theirs.session });
    await command(own, "retry", "centre");
    await until(own, "both are there", ({ syncedSessions }) => syncedSessions === 2);
    expect(await contents(far.port, theirs.locator)).toEqual(await contents(near.port, theirs.locator));
    expect(front.hits.get(`sessions by ${tells}`)).toBeGreaterThan(0);
  },
);

test("a sequence of ours that is somebody else's now gets no more of ours", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  await using far = await startServer({ dataDir: directory() });
  const [gps, imu] = twoTopics();
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`);
  await record(near.port, "drive", [gps]);
  await until(own, "the first is there", ({ syncedSessions }) => syncedSessions === 1);
  using operator = new FlightClient(far.port);
  await operator.action("sequence_delete", { locator: "drive" });
  await operator.action("sequence_create", { locator: "drive", user_metadata: { of: "somebody else" } });
  await record(near.port, "drive", [imu], false);
  const { parked } = await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
  expect(parked).toMatchObject([{ cause: "conflict" }]);
  expect(await isThere(far.port, "drive/sensors/imu")).toBe(false);
});

test("a session that an edge finalized before all of it came is sent anew", { timeout: 60_000 }, async () => {
  const own = directory();
  await using near = await startServer({ dataDir: own });
  const args = ["--open-sessions", "finalize", "--open-session-grace", "2s"];
  await using far = await startServer({ dataDir: directory(), args });
  const [gps, imu] = twoTopics();
  using other = new FlightClient(far.port);
  await other.action("sequence_create", { locator: "drive", user_metadata: {} });
  const theirs = await beginTopic(other, "drive", imu);
  await record(near.port, "drive", [gps, imu]);
  await command(own, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--on-conflict", "extend");
  const { parked } = await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
  expect(parked).toMatchObject([{ cause: "conflict" }]);
  const gpsThere = `drive/${gps.path}`;
  const isFinalized = async (): Promise<boolean> => {
    const info = await other.info({ resource_locator: "drive" });
    const { sessions } = JSON.parse(Buffer.from(info.appMetadata).toString()) as {
      sessions: { locked: boolean; topics: string[] }[];
    };
    return sessions.some(({ locked, topics }) => locked && topics.includes(gpsThere));
  };
  await expect.poll(isFinalized, { timeout: 20_000 }).toBe(true);
  await other.action("topic_delete", { locator: theirs.locator }).catch(() => undefined);
  await command(own, "retry", "centre");
  await until(own, "it is there", ({ syncedSessions }) => syncedSessions === 1);
  for (const { path: below } of [gps, imu])
    expect(await contents(far.port, `drive/${below}`)).toEqual(await contents(near.port, `drive/${below}`));
});
