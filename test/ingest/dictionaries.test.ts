// Dictionaries as pyarrow sends them: the same, growing by deltas, replaced with every batch, mixed in time.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { python, seed, skipsPython } from "../clients/driver.ts";
import { startServer } from "../server.ts";

test.skipIf(skipsPython)(
  "dictionaries come back with their values, and a replacement is no new chunk",
  async () => {
    await python.ensureEnvironments();
    await using server = await startServer();
    const script = path.join(import.meta.dirname, "dictionaries.py");
    const args = [script, String(server.port), server.dataDir, String(seed)];
    const { stdout } = await promisify(execFile)(python.pythonOf("pyarrow"), args);
    const cases = Object.entries(JSON.parse(stdout) as Record<string, [number, number]>);
    const several = cases.filter(([, [chunks]]) => chunks > 1);
    console.log(`dictionaries: ${cases.length} cases, seed ${seed}; in several chunks: ${JSON.stringify(several)}`);
    expect(cases.length).toBeGreaterThan(80);
    // But for dictionaries that say that they are ordered: a union is not.
    expect(several.map(([name]) => name).sort()).toEqual([
      "interleaved/utf8/int32/ordered",
      "replaced/utf8/int32/ordered",
    ]);
    await server.stop();
  },
  60_000,
);
