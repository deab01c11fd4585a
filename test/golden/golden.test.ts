// Data directories that earlier versions have left, by a kill and by a stop: this version verifies them, serves what they hold,
// goes on with their open sessions, and rebuilds their catalogs.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { storeFormatVersion } from "../../src/store/documents.ts";
import { wholeFact } from "../../src/catalog/search-keys.ts";
import { catalogRows, type Rows } from "../care/catalog-rows.ts";
import { numbers, readAll, serverArgs } from "../care/corpus.ts";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { runToEnd, startServer } from "../server.ts";
import { mountSmallDisk, type SmallDisk } from "../small-disk.ts";
import { archiveOf, digestsOf, type GoldenState, goldenStates, writtenFile } from "./golden.ts";

const MiB = 2 ** 20;
const formats = Array.from({ length: storeFormatVersion }, (_none, index) => index + 1);
const all = formats.flatMap((format) => goldenStates.map((state) => ({ format, state })));

/** A copy of the data directory, for as long as it is looked at. */
function unpack(format: number, state: GoldenState): Disposable & { readonly dataDir: string } {
  const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-golden-"));
  const dataDir = path.join(root, "data");
  mkdirSync(dataDir, { mode: 0o700 });
  execFileSync("tar", ["--extract", "--no-same-owner", "--file", archiveOf(format, state), "--directory", dataDir]);
  return { dataDir, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

describe.each(all)("a store of format $format that was $state", ({ format, state }) => {
  const written = JSON.parse(readFileSync(writtenFile(format), "utf8")) as Record<string, string>;

  test("is sound, serves what it holds, and takes more", async () => {
    using golden = unpack(format, state);
    const { dataDir } = golden;
    expect(await runToEnd(["verify", "--data-dir", dataDir])).toMatchObject({ code: 0 });
    expect(Object.keys(written).length).toBeGreaterThan(10);
    {
      await using server = await startServer({ dataDir, args: serverArgs });
      expect(digestsOf(await readAll(server.port, Object.keys(written)))).toEqual(written);
      await finishOpenTopic(dataDir, server.port);
      await server.stop();
      expect(formatOf(dataDir)).toBe(storeFormatVersion);
      expect(server.stderr().includes(`"store_upgraded","format":${format},"to":${storeFormatVersion}`)).toBe(
        format < storeFormatVersion,
      );
    }
    await using server = await startServer({ dataDir, args: serverArgs });
    const again = digestsOf(await readAll(server.port, Object.keys(written)));
    expect(Object.keys(again).filter((locator) => again[locator] !== written[locator])).toEqual(["drive-b/small"]);
    await server.stop();
    expect(await runToEnd(["verify", "--data-dir", dataDir])).toMatchObject({ code: 0 });
  });

  test("has a catalog that can be rebuilt", async () => {
    using golden = unpack(format, state);
    const before = await catalogRows(golden.dataDir, "data");
    rmSync(path.join(golden.dataDir, "catalog"), { recursive: true });
    expect(await runToEnd(["rebuild", "--data-dir", golden.dataDir])).toMatchObject({ code: 0 });
    const after = await catalogRows(golden.dataDir, "data");
    if (format === storeFormatVersion) expect(after).toEqual(before);
    else expect(withoutIndex(after)).toEqual(withoutIndex(before));
  });
});

test("there are golden directories of this format", () => {
  for (const state of goldenStates) expect(existsSync(archiveOf(storeFormatVersion, state))).toBe(true);
});

const small = mountSmallDisk(12 * MiB);
if (typeof small === "string") console.warn(`golden.test.ts: one test is skipped: ${small}`);
afterAll(() => {
  if (typeof small !== "string") small[Symbol.dispose]();
});

test.skipIf(typeof small === "string")(
  "without room for what an upgrade adds a store is served as it is, and upgraded when there is some",
  async () => {
    const { root } = small as SmallDisk;
    using golden = unpack(1, "closed");
    const dataDir = path.join(root, "data");
    cpSync(golden.dataDir, dataDir, { recursive: true });
    const written = JSON.parse(readFileSync(writtenFile(1), "utf8")) as Record<string, string>;
    {
      await using server = await startServer({ dataDir, args: serverArgs });
      expect(digestsOf(await readAll(server.port, Object.keys(written)))).toEqual(written);
      await server.stop();
      expect(server.stderr()).toMatch(/"upgrade_postponed","format":1,"to":2,"freeBytes":\d+,"wantedBytes":\d+/);
    }
    expect(formatOf(dataDir)).toBe(1);
    execFileSync("mount", ["-o", `remount,size=${64 * MiB}`, root]);
    await using server = await startServer({ dataDir, args: serverArgs });
    await server.stop();
    expect(server.stderr()).toContain('"store_upgraded"');
    expect(formatOf(dataDir)).toBe(storeFormatVersion);
  },
);

function formatOf(dataDir: string): number {
  return (JSON.parse(readFileSync(path.join(dataDir, "store.json"), "utf8")) as { format: number }).format;
}

/** Format 1 has no index over sequences and topics; a rebuilt catalog is of this format. */
function withoutIndex({ searchKeys: _, facts = [], ...rows }: Rows): Rows {
  return { ...rows, facts: facts.filter(([key]) => key !== wholeFact && key !== "store") };
}

/** Whoever has the UUID goes on with a topic that was cut. */
async function finishOpenTopic(dataDir: string, port: number): Promise<void> {
  const { topics = [] } = await catalogRows(dataDir, "data");
  const [, row] = topics.find(([locator]) => locator === "drive-b/small") ?? [];
  const { uuid } = row as { uuid: string };
  using client = new FlightClient(port);
  await client.action("info", {});
  await client.put({ locator: "drive-b/small", uuid }, toMessages([numbers(2, 1_000, 40)]));
}
