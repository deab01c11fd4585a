// The unmodified SDK releases against the built server: 0.4.3, 0.6.3 and 0.7.0 at once on one port of a server with default
// settings; 0.5.0, which cannot be told from 0.4 by what it sends, against one that was told. Then each reads the others' data.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createKey, type RunningServer, startServer } from "../server.ts";
import { expectAllOk, python, runDriver, seed, skipsPython, startDriver } from "./driver.ts";

const sideBySide = ["0.4.3", "0.6.3", "0.7.0"] as const;
const all = ["0.4.3", "0.5.0", "0.6.3", "0.7.0"] as const;
const groups = ["models", "windows", "metadata", "sessions", "catalog", "parallel", "compression", "bag", "recording"];
const groupEnds = groups.map((group) => `${group}: group ran to its end`);
const slowMs = 180_000;

type Version = (typeof all)[number];

/** Runs `work` for all versions at once; the first failure is reported when all have ended. */
async function atOnce(versions: readonly Version[], work: (version: Version) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(versions.map(work));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

describe.skipIf(skipsPython)("SDK releases", () => {
  let folder: string;
  let recording: string;
  let server: RunningServer;
  let serverFor05: RunningServer;
  const portFor = (writer: Version) => String(writer === "0.5.0" ? serverFor05.port : server.port);
  const dumpOf = (version: Version) => path.join(folder, `models-${version}`);
  const modelsOf = (version: Version) => `sdk${version.replaceAll(".", "")}-models-${seed}`;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-clients-"));
    recording = path.join(await python.ensureRecordings(), "test_files/around-visnjan-with-car.gpx");
    server = await startServer();
    serverFor05 = await startServer({ args: ["--legacy-sdk", "0.5"] });
  }, slowMs);

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await serverFor05?.[Symbol.asyncDispose]();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  const passesAll = async (version: Version) => {
    const options = ["--dump", dumpOf(version), "--file", recording];
    const result = await runDriver(`sdk-${version}`, "sdk.py", ["all", "127.0.0.1", portFor(version), ...options]);
    console.log(`${version} models: ${JSON.stringify(result.checks[0]?.detail)}`);
    expectAllOk(version, result, groupEnds);
  };

  it("0.4.3, 0.6.3 and 0.7.0 pass every check at once on one port", () => atOnce(sideBySide, passesAll), slowMs);

  it("0.5.0 passes every check on a server that was told", () => passesAll("0.5.0"), slowMs);

  const readsOthers = async (reader: Version) => {
    const others = all.filter((writer) => writer !== reader);
    const foreign = others.flatMap((writer) => ["--foreign", portFor(writer), modelsOf(writer), dumpOf(writer)]);
    const result = await runDriver(`sdk-${reader}`, "sdk.py", ["read-foreign", "127.0.0.1", "0", ...foreign]);
    for (const check of result.checks) console.log(`${check.check}: ${JSON.stringify(check.detail)}`);
    const wanted = others.map((writer) => `foreign: ${modelsOf(writer)} read by ${reader}`);
    expectAllOk(`${reader} reading the others`, result, wanted);
  };

  it("each reads what the others wrote, as far as its models allow", () => atOnce(all, readsOthers), slowMs);

  it(
    "0.5.0 on a server that was not told fails cleanly, is known from then on, and its name can be used again",
    async () => {
      await using untold = await startServer();
      const one = (sequence: string) => ["one", "127.0.0.1", String(untold.port), "--sequence", `${sequence}-${seed}`];
      const first = await runDriver("sdk-0.5.0", "sdk.py", [...one("unhinted"), "--fails"]);
      expectAllOk("0.5.0 unhinted", first, ["one: fails"]);
      const second = await runDriver("sdk-0.5.0", "sdk.py", one("second-try"));
      expectAllOk("0.5.0, second try", second, ["one: written and read"]);
      await sleep(2_500); // the client might only have lost its connection: the name is given back after 2 s
      const third = await runDriver("sdk-0.7.0", "sdk.py", one("unhinted"));
      expectAllOk("0.7.0 with the name that 0.5.0 left", third, ["one: written and read"]);
      await untold.stop();
    },
    slowMs,
  );

  it("the servers end well after all that", async () => {
    await Promise.all([server.stop(), serverFor05.stop()]);
    for (const log of [server.stderr(), serverFor05.stderr()])
      expect(log).not.toMatch(/"internal"|unhandled|uncaught/i);
  });
});

describe.skipIf(skipsPython)("SDK releases with API keys", () => {
  const settings = [
    { name: "0.4.3, 0.6.3, 0.7.0", versions: sideBySide, args: ["--api-key"] },
    { name: "0.5.0", versions: ["0.5.0"], args: ["--api-key", "--legacy-sdk", "0.5"] },
  ] as const;

  beforeAll(() => python.ensureEnvironments(), slowMs);

  it.each(settings)(
    "$name: rights are kept",
    async ({ versions, args }) => {
      await using server = await startServer({ args });
      const manage = await createKey(server.dataDir, "manage");
      const read = await createKey(server.dataDir, "read");
      const write = await createKey(server.dataDir, "write");
      const keys = ["--api-key", manage, "--read-key", read, "--write-key", write];
      await atOnce(versions, async (version) => {
        const result = await runDriver(`sdk-${version}`, "sdk.py", ["keys", "127.0.0.1", String(server.port), ...keys]);
        const wanted = ["keys: rejected", "keys: rights"];
        if (version < "0.6") wanted.push("keys: made and revoked through the SDK");
        expectAllOk(`${version} keys`, result, wanted);
      });
      for (const token of [manage, read, write])
        expect(server.stderr(), "secrets in the log").not.toContain(token.split("_")[1]);
      await server.stop();
    },
    slowMs,
  );

  const ways = settings.flatMap((setting) => (["stop", "kill"] as const).map((way) => ({ ...setting, way })));
  it.each(ways)(
    "$name: clients go on after the server was restarted under them ($way)",
    async ({ versions, args, way }) => {
      await using first = await startServer({ args });
      const { dataDir, port } = first;
      const held = await Promise.all(
        versions.map(async (version) => {
          const key = await createKey(dataDir, "manage"); // a key of its own: by it the server knows the client again
          const options = ["hold", "127.0.0.1", String(port), "--api-key", key];
          return { version, driver: startDriver(`sdk-${version}`, "sdk.py", options) };
        }),
      );
      await Promise.all(held.map(({ driver }) => driver.event("ready")));
      await first[way]();
      await using second = await startServer({ dataDir, port, args });
      for (const { driver } of held) driver.send("go on");
      const wanted = ["hold: written after the restart", "hold: read after the restart"];
      for (const { version, driver } of held)
        expectAllOk(`${version} over a restart (${way})`, await driver.result, wanted);
      await second.stop();
    },
    slowMs,
  );
});
