// A topic of which a part is damaged: what is whole before that comes to the client, then the status says where the damage is.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Int64, makeData, makeVector } from "apache-arrow";
import { expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { startServer } from "../server.ts";

test("batches before a damaged one are read", async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  const session = await openSession(client, "drive");
  const topic = await createTopic(client, session, "drive/imu", "imu");
  const rows = 100;
  const batches = Array.from({ length: 4 }, (_none, batch) => {
    const times = BigInt64Array.from({ length: rows }, (_row, row) => BigInt(rows * batch + row));
    return { timestamp_ns: makeVector(makeData({ type: new Int64(), data: times })) };
  });
  await client.put(topic, toMessages(batches));
  await client.action("session_finalize", { session_uuid: session });
  const [directory = ""] = readdirSync(path.join(server.dataDir, "sessions"));
  const file = path.join(server.dataDir, "sessions", directory, "0/00000.arrow");
  const bytes = readFileSync(file);
  // A time of the third batch.
  const time = Buffer.alloc(8);
  time.writeBigInt64LE(250n);
  const at = bytes.indexOf(time);
  expect(at).toBeGreaterThan(0);
  bytes[at] = 0xff;
  writeFileSync(file, bytes);

  const [endpoint] = (await client.info({ resource_locator: "drive/imu" })).endpoint;
  let messages = 0;
  const read = async (): Promise<void> => {
    for await (const _message of client.get(endpoint?.ticket?.ticket ?? new Uint8Array())) messages += 1;
  };
  await expect(read()).rejects.toMatchObject({ code: 15, message: expect.stringContaining("00000.arrow") });
  // The schema and two batches.
  expect(messages).toBe(3);
});
