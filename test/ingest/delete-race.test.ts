// Deletes that meet an upload at any moment of it: one of them wins, what was deleted leaves nothing behind, and nothing else suffers.

import { readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import { expect, test } from "vitest";
import { CallError, FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomFrom, randomInteger } from "../load/random.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { seed } from "../seed.ts";
import { startServer } from "../server.ts";

const rounds = 40;
const stamps = makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(1n, 2n) }));
const messages = toMessages([{ timestamp_ns: stamps }, { timestamp_ns: stamps }]);

test.each(["topic_delete", "session_delete", "sequence_delete"] as const)("%s", { timeout: 60_000 }, async (kind) => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  using other = new FlightClient(server.port);
  const random = randomFrom(seed);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const sequence = `race-${round}`;
    const session = await openSession(client, sequence);
    const topic = await createTopic(client, session, `${sequence}/a`);
    // Every other upload has only a schema.
    const upload = client.put(topic, round % 2 === 0 ? messages : messages.slice(0, 1)).then(
      () => "OK",
      (error: unknown) => {
        if (error instanceof CallError) return `status ${error.code}`;
        throw error;
      },
    );
    await sleep(randomInteger(random, 8));
    const body = {
      topic_delete: { locator: topic.locator },
      session_delete: { session_uuid: session },
      sequence_delete: { locator: sequence },
    }[kind];
    await other.action(kind, body);
    const outcome = await upload;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (kind !== "sequence_delete") await other.action("sequence_delete", { locator: sequence });
  }
  console.log(`delete race: ${kind}, seed ${seed}: uploads ended with ${JSON.stringify(Object.fromEntries(outcomes))}`);
  expect(server.stderr()).not.toContain("store_poisoned");
  // Deleted before it began, while it went on, or after.
  for (const outcome of outcomes.keys()) expect(["OK", "status 5", "status 9"]).toContain(outcome);
  expect(outcomes.get("OK") ?? 0).toBeGreaterThan(0);
  expect([...outcomes].some(([outcome]) => outcome !== "OK")).toBe(true);
  await server.stop();
  for (const folder of ["sessions", "sequences", "trash"])
    expect(readdirSync(path.join(server.dataDir, folder)), folder).toEqual([]);
});

test("a server that is stopped right behind a delete gives its space back first", { timeout: 60_000 }, async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  const session = await openSession(client, "large");
  for (let number = 0; number < 200; number += 1)
    await client.put(await createTopic(client, session, `large/${number}`), messages);
  await client.action("session_delete", { session_uuid: session });
  await server.stop();
  expect(readdirSync(path.join(server.dataDir, "trash"))).toEqual([]);
});
