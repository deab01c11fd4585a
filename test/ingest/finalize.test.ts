// A session is finalized only when its files are as they were committed.

import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, openSession, readTopic } from "../round-trip.ts";
import { startServer } from "../server.ts";

test("a chunk file that is missing is broken data, told without a path outside the data directory", async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  const session = await openSession(client, "lost");
  const [topic] = baseTopics({ startNs: 1n, seconds: 3, seed: 1 });
  if (topic === undefined) throw new Error("the robot has a topic");
  await client.put(await createTopic(client, session, "lost/gps"), topic.messages);
  const sessions = path.join(server.dataDir, "sessions");
  for (const name of await readdir(sessions, { recursive: true }))
    if (name.endsWith(".arrow")) await rm(path.join(sessions, name));
  const finalized = client.action("session_finalize", { session_uuid: session });
  await expect(finalized).rejects.toThrow(/status 15: Topic `lost\/gps`: sessions\/\w+\/0\/00000\.arrow is missing/);
  await expect(finalized).rejects.not.toThrow(server.dataDir);
});

test("a session with topics that are open says of each what it needs, and how it is ended", async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  const session = await openSession(client, "fin");
  const [load] = baseTopics({ startNs: 1n, seconds: 3, seed: 1 });
  if (load === undefined) throw new Error("the robot has a topic");
  await createTopic(client, session, "fin/never");
  const broken = await createTopic(client, session, "fin/broken");
  const running = await createTopic(client, session, "fin/running");
  {
    using gone = new FlightClient(server.port);
    const put = gone.openPut(broken);
    for (const message of load.messages.slice(0, 3)) await put.sendData(message);
    await sleep(500);
  }
  const other = client.openPut(running);
  await other.sendData(load.messages[0] ?? { header: new Uint8Array(), body: new Uint8Array() });
  await sleep(500);
  const finalize = () => client.action("session_finalize", { session_uuid: session });
  await expect(finalize()).rejects.toMatchObject({ code: 9 });
  await expect(finalize()).rejects.toThrow(/Topic `fin\/broken` is unlocked: .*broke off after \d+ rows.*continue it/);
  await expect(finalize()).rejects.toThrow(/edge_topic_status/);
  await expect(finalize()).rejects.toThrow(/Topic `fin\/never` is unlocked: nothing was ever uploaded to it/);
  await expect(finalize()).rejects.toThrow(/Topic `fin\/running` is unlocked: it is being uploaded/);
  // An upload of the schema alone ends what broke off as it is.
  await other.finish();
  await client.put(broken, load.messages.slice(0, 1));
  await client.action("topic_delete", { locator: "fin/never" });
  await finalize();
  expect((await readTopic(client, "fin/broken")).length).toBe(2);
});
