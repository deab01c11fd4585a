// A machine whose clock is wrong: the server starts, records, and takes no key that has expired, whatever time it is said to be.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { expectRecorded, record } from "../round-trip.ts";
import { createKey, serverCommand, startServer } from "../server.ts";
import { buildShim, noShims } from "../store/shim.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "mosaico-edge-clock-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

if (noShims !== undefined) console.log(`clock: skipped, ${noShims}`);

describe.skipIf(noShims !== undefined)("a wrong clock", () => {
  const inside = (offsetS: number) => ({ ...buildShim("clock", folder), CLOCK_OFFSET_S: String(offsetS) });

  test("an expired key stays expired when the server starts again in the past", async () => {
    const dataDir = path.join(folder, "expired");
    const query = { sequence: { name: { $eq: "x" } } };
    let expired: string;
    let valid: string;
    {
      await using server = await startServer({ dataDir, args: ["--api-key"] });
      valid = await createKey(dataDir, "read");
      const { file, args } = serverCommand();
      const expiresMs = Date.now() + 1_000;
      const create = ["key", "create", "--data-dir", dataDir, "-p", "read", "--expires-at"];
      expired = (
        await promisify(execFile)(file, [...args, ...create, new Date(expiresMs).toISOString()])
      ).stdout.trim();
      await new Promise((resolve) => setTimeout(resolve, expiresMs - Date.now()));
      using client = new FlightClient(server.port, expired);
      await expect(client.action("query", query)).rejects.toMatchObject({ code: 16 });
      await server.stop();
    }
    await using server = await startServer({ dataDir, args: ["--api-key"], env: inside(-86_400) });
    using client = new FlightClient(server.port, expired);
    await expect(client.action("query", query)).rejects.toMatchObject({ code: 16 });
    using other = new FlightClient(server.port, valid);
    expect(await other.action("query", query)).toEqual({ items: [] });
    await server.stop();
  });

  test("a clock before 1970 is no reason not to record", async () => {
    const offsetS = -Math.floor(Date.now() / 1000) - 86_400;
    await using server = await startServer({ dataDir: path.join(folder, "early"), env: inside(offsetS) });
    await expectRecorded(server.port, "early", await record(server.port, "early"));
    await server.stop();
  });
});
