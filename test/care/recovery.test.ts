// What a start clears away.

import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { record } from "../round-trip.ts";
import { runToEnd, startServer } from "../server.ts";
import { makeCorpus } from "./corpus.ts";

test("a document that a kill left half written goes, also when its sequence was deleted since", async () => {
  using corpus = await makeCorpus(1);
  const dataDir = corpus.copy("closed");
  const left = path.join(dataDir, "sequences/01M893JTH6R0YM2AAZDMSYWCZ8.json.new");
  writeFileSync(left, "{");
  {
    await using server = await startServer({ dataDir });
    expect(server.ready).toMatchObject({ sweptPaths: 1 });
    expect(existsSync(left)).toBe(false);
    await record(server.port, "more");
    await server.stop();
  }
  expect(await runToEnd(["verify", "--data-dir", dataDir])).toMatchObject({ code: 0 });
});
