// Plain pyarrow.flight against the built server: every Arrow type, unsorted uploads, windows, refusals, and more streams than the
// memory budget holds messages. See drivers/flight*.py.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServer, startServer } from "../server.ts";
import { type DriverResult, expectAllOk, python, runDriver, skipsPython } from "./driver.ts";

const slowMs = 180_000;

function run(server: RunningServer, group: string): Promise<DriverResult> {
  return runDriver("pyarrow", "flight.py", ["127.0.0.1", String(server.port), "--only", group]);
}

describe.skipIf(skipsPython)("pyarrow.flight", () => {
  let server: RunningServer;

  beforeAll(async () => {
    await python.ensureEnvironments();
    server = await startServer();
  }, slowMs);

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  it(
    "every Arrow type comes back to the bit, whatever the order and the compression of its upload",
    async () => {
      const result = await run(server, "types");
      expectAllOk("Arrow types", result, [
        "arrow: int64",
        "arrow: all types in one topic",
        "types: group ran to its end",
      ]);
      expect(result.checks.length).toBeGreaterThan(75);
    },
    slowMs,
  );

  it(
    "rows, windows and answers",
    async () => {
      expectAllOk("rows", await run(server, "rows"), [
        "rows: unsorted uploads",
        "rows: many",
        "rows: group ran to its end",
      ]);
    },
    slowMs,
  );

  it(
    "what must be refused is refused, without harm",
    async () => {
      const result = await run(server, "refusals");
      console.log(JSON.stringify(result.checks[0]?.detail, undefined, 2));
      expectAllOk("refusals", result, ["refusals", "refusals: group ran to its end"]);
    },
    slowMs,
  );

  it("the server ends well after all that", async () => {
    await server.stop();
  });

  it(
    "more streams than the memory holds messages all come through",
    async () => {
      await using small = await startServer({ args: ["--memory-budget", "34MiB", "--max-message-bytes", "17MiB"] });
      expectAllOk("starved", await run(small, "starved"), [
        "starved: in turns, merged",
        "starved: group ran to its end",
      ]);
      await small.stop();
    },
    slowMs,
  );
});
