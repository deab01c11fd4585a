// Uploads over the wire: how they are refused.

import { afterAll, beforeAll, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { type RunningServer, startServer } from "../server.ts";

let server: RunningServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server[Symbol.asyncDispose]());

test("a broken header is refused with its batch and topic", async () => {
  using client = new FlightClient(server.port);
  const session = await openSession(client, "broken");
  const topic = await createTopic(client, session, "broken/gps");
  const [schema, batch] = baseTopics({ startNs: 1n, seconds: 3, seed: 1 })[0]?.messages ?? [];
  if (schema === undefined || batch === undefined) throw new Error("the robot has a topic");
  const garbage = { header: new Uint8Array(64).fill(255), body: batch.body };
  await expect(client.put(topic, [schema, batch, garbage])).rejects.toThrow(
    /status 3: Batch 1 of `broken\/gps`: The IPC message header is broken/,
  );
});
