// A session is finalized only when its files are as they were committed.

import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, openSession } from "../round-trip.ts";
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
