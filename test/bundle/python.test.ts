// What Python clients see of bundles: chunk files that pyarrow opens as they are, and recordings of SDKs that other SDKs' servers import.

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectAllOk, python, recordModels, runDriver, skipsPython } from "../clients/driver.ts";
import { startServer } from "../server.ts";
import { done, Place, recordIn } from "./stores.ts";

const slowMs = 180_000;

describe.skipIf(skipsPython)("Python", () => {
  const place = new Place("bundle-python");
  beforeAll(() => python.ensureEnvironments(), slowMs);
  afterAll(() => place[Symbol.dispose]());

  test("pyarrow opens the chunk files that tar unpacks: all rows are there", { timeout: slowMs }, async () => {
    const store = await recordIn(place);
    const folder = place.path("unpacked");
    mkdirSync(folder);
    await done("export", place.path("b.tar"), "--data-dir", store.dataDir, "--key", store.keyFile);
    execFileSync("tar", ["-xf", place.path("b.tar"), "-C", folder]);
    const { stdout } = await promisify(execFile)(
      python.pythonOf("pyarrow"),
      [path.join(import.meta.dirname, "chunks.py"), folder],
      { env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" } },
    );
    const rows = Object.entries(JSON.parse(stdout) as Record<string, number>);
    const { sessions } = JSON.parse(readFileSync(path.join(folder, "bundle.json"), "utf8")) as {
      sessions: { ulid: string; rows: number }[];
    };
    expect(sessions).toHaveLength(3);
    for (const { ulid, rows: expected } of sessions) {
      const own = rows.filter(([name]) => name.startsWith(`sessions/${ulid}/`));
      expect(
        own.reduce((sum, [, count]) => sum + count, 0),
        ulid,
      ).toBe(expected);
    }
  });

  test.each(["0.4.3", "0.7.0"])("%s reads there what it wrote here", { timeout: slowMs }, async (version) => {
    const near = place.path(`near-${version}`);
    const dump = place.path(`models-${version}`);
    let sequence: string;
    {
      await using recorder = await startServer({ dataDir: near });
      sequence = await recordModels(version, recorder.port, dump);
      await recorder.stop();
    }
    const [keyFile, file] = [place.path(`${version}.key`), place.path(`${version}.tar`)];
    const key = (await done("keygen", keyFile)).trim();
    await done("export", file, "--data-dir", near, "--key", keyFile, "--split", "1MB");
    await using far = await startServer({ dataDir: place.path(`far-${version}`) });
    await done("import", file, "--data-dir", far.dataDir, "--trust", key);
    const args = ["read-foreign", "127.0.0.1", "0", "--foreign", String(far.port), sequence, dump];
    const read = await runDriver(`sdk-${version}`, "sdk.py", args);
    expectAllOk(`${version} there`, read, [`foreign: ${sequence} read by ${version}`]);
    expect(read.checks.find(({ check }) => check.startsWith("foreign"))?.detail, "all of it typed").not.toHaveProperty(
      "untyped",
    );
  });
});
