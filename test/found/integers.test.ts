// FOUND in src/model/json.ts (integerOf) by way of src/wire/query.ts (parseScalar): an integer of any length becomes a bigint, which
// costs more than its length: 4 MB of digits in a query keep the thread busy for a second. No dialect has more than 64 bits.

import { expect, test } from "vitest";
import { actionBytesMax } from "../../src/model/limits.ts";
import { parseAction } from "../../src/wire/action.ts";

test("an integer of 4 MB in a query is refused, or read quickly", () => {
  const digits = "9".repeat(actionBytesMax - 200);
  const body = new TextEncoder().encode(`{"topic":{"user_metadata":{"a":{"$between":[0,${digits}]}}}}`);
  const startedMs = performance.now();
  try {
    parseAction("query", body);
  } catch (error) {
    expect(error).toMatchObject({ code: "invalid" });
  }
  expect(performance.now() - startedMs).toBeLessThan(250);
});
