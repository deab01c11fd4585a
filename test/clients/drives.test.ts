// The GPS track of a real car and a simulated drive of ten minutes: `$within`, `$between` and `$norm` find exactly the time ranges
// that one finds who reads everything. See drivers/drives.py.

import path from "node:path";
import { describe, it } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { seed } from "../seed.ts";
import { startServer } from "../server.ts";
import { expectAllOk, python, skipsPython, startDriver } from "./driver.ts";

const drive = { startNs: 1_767_225_600_000_000_000n, seconds: 600, seed };
const slowMs = 120_000;

describe.skipIf(skipsPython)("drives", () => {
  it(
    "are found by where they went and how hard they braked",
    async () => {
      const recording = path.join(await python.ensureRecordings(), "test_files/around-visnjan-with-car.gpx");
      // Some chunks per topic.
      await using server = await startServer({ args: ["--max-chunk-size-in-bytes", "4096"] });
      using client = new FlightClient(server.port);
      const session = await openSession(client, "simulated");
      // Images have neither a place nor a length.
      for (const topic of baseTopics(drive).filter(({ ontologyTag }) => ontologyTag !== "compressed_image"))
        await client.put(
          await createTopic(client, session, `simulated/${topic.path}`, topic.ontologyTag),
          topic.messages,
        );
      await client.action("session_finalize", { session_uuid: session });
      const result = await startDriver("pyarrow", "drives.py", ["127.0.0.1", String(server.port), recording], slowMs)
        .result;
      for (const { check, detail } of result.checks) console.log(`${check}: ${JSON.stringify(detail)}`);
      expectAllOk("drives", result, ["drives: exactly the right time ranges", "drives: coverage"]);
    },
    slowMs,
  );
});
