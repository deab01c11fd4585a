// Memory does not follow the load of calls that carry no data: bodies that are sent by half, answers that nobody reads, listings
// that stand, connections without end. The memory is read from outside of the server.

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ActionSchema } from "../../src/wire/flight_pb.js";
import { type Call, FlightClient } from "../load/flight-client.ts";
import { startServer } from "../server.ts";
import { inMiB, Memory, MiB } from "./memory.ts";

/** What a server may have more when everything that is bounded is full. */
const moreBytesMax = 150 * MiB;

/** Begins an action with a body of so many bytes, of which all but the last 100 kB are sent. */
function halfAction(client: FlightClient, bytes: number): Call {
  const call = client.call("DoAction");
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(bytes, 1);
  void call.write([prefix, Buffer.alloc(bytes - 100_000, "x")]);
  return call;
}

describe("bodies of actions that are sent by half", () => {
  test.each([
    { who: "anybody", args: [], halves: 150 },
    { who: "strangers", args: ["--api-key"], halves: 150 },
  ])("from $who hold what is bounded, and nobody up", { timeout: 40_000 }, async ({ who, args, halves }) => {
    await using server = await startServer({ args });
    using memory = new Memory(server.pid);
    using client = new FlightClient(server.port);
    using other = new FlightClient(server.port);
    await sleep(300);
    const before = memory.most().bytes;
    const calls = Array.from({ length: halves }, () => halfAction(client, 4 * MiB));
    const answered = new Promise((resolve) => calls[0]?.stream.once("response", resolve));
    await sleep(2_000);
    const startedMs = performance.now();
    const version = await other.all("DoAction", ActionSchema, { type: "version" }).catch((error: unknown) => error);
    const tookMs = performance.now() - startedMs;
    const { bytes } = memory.most();
    console.log(`bounded: ${halves} half actions from ${who}: ${inMiB(bytes - before)} more`);
    expect(bytes - before).toBeLessThan(moreBytesMax);
    expect(tookMs).toBeLessThan(1_000);
    if (who === "strangers") {
      expect(version).toMatchObject({ code: 7 });
      expect(await answered).toMatchObject({ "grpc-status": "16" });
    } else expect(version).toHaveLength(1);
  });

  test("are given up when a large one waits", { timeout: 40_000 }, async () => {
    await using server = await startServer();
    using client = new FlightClient(server.port);
    using other = new FlightClient(server.port);
    const calls = Array.from({ length: 4 }, () => halfAction(client, 4 * MiB));
    await sleep(300);
    const startedMs = performance.now();
    await other.action("sequence_create", { locator: "large", user_metadata: { text: "x".repeat(3 * MiB) } });
    console.log(
      `bounded: a large action behind ${calls.length} halves took ${Math.round(performance.now() - startedMs)} ms`,
    );
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  });
});
