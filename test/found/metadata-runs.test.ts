// FOUND in src/query/match.ts:117 (stepInto, `**`): each value of a step walks all that is below it again, and arrays are copied on
// each level, so that a path with several `**` costs depth^2 x size: 240 kB of metadata keep the thread busy for 25 s with two, for
// a minute with four, 4 MB for many minutes. Walking once, with a set of what has been seen, costs the size.

import { expect, test } from "vitest";
import { parseJson } from "../../src/model/json.ts";
import { matchesMetadata } from "../../src/query/match.ts";

test.each([2, 4])("a path with %i ** is quick on 24 kB of metadata", (runs) => {
  const depth = 120;
  const chain = `${"[".repeat(depth)}1${"]".repeat(depth)}`;
  const metadata = parseJson(`[${Array.from({ length: 100 }, () => chain).join(",")}]`, "user metadata");
  const startedMs = performance.now();
  const path = [...Array.from({ length: runs }, () => "**"), "x"];
  expect(matchesMetadata({ path, condition: { kind: "exists" } }, metadata)).toBe(false);
  expect(performance.now() - startedMs).toBeLessThan(300);
});
