// Random queries on contents against an oracle written in Python, which reads everything back and compares value by value; each is
// asked with the skip index and without. See drivers/oracle*.py. MOSAICO_ORACLE_QUERIES=20000 for the long run.

import { describe, it } from "vitest";
import { startServer } from "../server.ts";
import { expectAllOk, python, skipsPython, startDriver } from "./driver.ts";

const queries = Number(process.env["MOSAICO_ORACLE_QUERIES"] ?? 2_000);
/** A query takes 30 ms on two cores; other tests run beside it. */
const waitMs = 60_000 + 300 * queries;

describe.skipIf(skipsPython)("queries on contents", () => {
  it(
    "find what an oracle finds, whatever is skipped",
    async () => {
      await python.ensureEnvironments();
      // Some chunks per topic, some parts per chunk.
      await using server = await startServer({ args: ["--max-chunk-size-in-bytes", "700000"] });
      const args = ["127.0.0.1", String(server.port), String(queries)];
      const result = await startDriver("pyarrow", "oracle.py", args, waitMs).result;
      for (const { check, detail } of result.checks) console.log(`${check}: ${JSON.stringify(detail)}`);
      expectAllOk("the oracle", result, ["oracle: no difference", "oracle: coverage"]);
    },
    waitMs + 60_000,
  );
});
