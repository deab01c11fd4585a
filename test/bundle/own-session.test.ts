// A bundle that comes back to the store that it was exported from, or to one that a backup was made of: a session is there already only
// when all of it is, and what is there less, more or other stays as it is.

import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, type TopicLoad } from "../load/robot.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { runToEnd, startServer } from "../server.ts";
import { metadataOf } from "../sync/edges.ts";
import { bundle, done, drive, everythingOf, Place, sessionsOf } from "./stores.ts";

const [gps, imu] = baseTopics(drive) as [TopicLoad, TopicLoad];
const [shortGps] = baseTopics({ ...drive, seconds: 4 }) as [TopicLoad];
const [laterGps] = baseTopics({ ...drive, startNs: drive.startNs + 60_000_000_000n }) as [TopicLoad];

interface Case {
  /** Topics of the session when the backup was made; it was open then. */
  readonly before?: readonly TopicLoad[];
  /** What came to it afterwards in the store that the bundle is of. */
  readonly exported?: readonly TopicLoad[];
  /** What came to it in the one that was restored; it stays open when nothing is said. */
  readonly here?: readonly TopicLoad[];
  /** What is said of it. */
  readonly said: RegExp;
}

/** By the name of the sequence. */
const cases: Readonly<Record<string, Case>> = {
  whole: { exported: [gps, imu], here: [gps, imu], said: /was there already$/ },
  open: {
    before: [gps],
    exported: [imu],
    said: /not taken: different: it is not finalized here; `open\/sensors\/imu` is not here; what is here stays as it is$/,
  },
  absent: {
    before: [gps],
    exported: [imu],
    here: [],
    said: /not taken: different: `absent\/sensors\/imu` is not here; what/,
  },
  more: {
    before: [gps],
    exported: [],
    here: [imu],
    said: /not taken: different: `more\/sensors\/imu` is here, and not in the bundle; what/,
  },
  fewer: {
    exported: [gps],
    here: [shortGps],
    said: /not taken: different: `fewer\/sensors\/gps` has 40 rows here, in the bundle 100; what/,
  },
  other: {
    exported: [gps],
    here: [laterGps],
    said: /not taken: different: `other\/sensors\/gps` goes from 17000000600\d+ to \d+ here, in the bundle from 17000000000\d+ to \d+; what/,
  },
  lost: {
    exported: [imu],
    here: [imu],
    said: /not taken: different: `lost\/sensors\/imu` has lost \d+ rows here: it has \d+, in the bundle 2000; what/,
  },
};

const place = new Place("own-session");
const origin = place.path("origin");
const restored = place.path("restored");
const keyFile = place.path("robot.key");
const file = place.path("b.tar");
let trust: readonly string[];
const uuids = new Map<string, string>();

async function put(client: FlightClient, sequence: string, topics: readonly TopicLoad[]): Promise<void> {
  const session = uuids.get(sequence) ?? "";
  for (const { path: below, messages } of topics)
    await client.put(await createTopic(client, session, `${sequence}/${below}`), messages);
}

/** What came after the backup, to a store. */
async function goOn(dataDir: string, of: "exported" | "here"): Promise<void> {
  await using server = await startServer({ dataDir });
  using client = new FlightClient(server.port);
  for (const [sequence, { [of]: topics }] of Object.entries(cases)) {
    if (topics === undefined) continue;
    await put(client, sequence, topics);
    await client.action("session_finalize", { session_uuid: uuids.get(sequence) });
  }
  await server.stop();
}

/** Damages the only chunk file of `lost`, and repairs what is left. */
async function loseRows(): Promise<void> {
  const chunks = readdirSync(restored, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".arrow"));
  const damaged = chunks
    .map((name) => ({ name, document: path.join(restored, path.dirname(name), "topic.json") }))
    .find(({ document }) => readFileSync(document, "utf8").includes("lost/sensors/imu"));
  if (damaged === undefined) throw new RangeError("the session has a chunk file");
  const chunk = path.join(restored, damaged.name);
  const bytes = readFileSync(chunk);
  for (let at = 4_096; at < 40_000; at += 1_024) bytes[at] = ~(bytes[at] ?? 0);
  writeFileSync(chunk, bytes);
  await runToEnd(["repair", "--data-dir", restored]);
  // Somebody has looked at what was put aside.
  rmSync(path.join(restored, "quarantine"), { recursive: true });
}

beforeAll(async () => {
  {
    await using server = await startServer({ dataDir: origin });
    using client = new FlightClient(server.port);
    for (const [sequence, { before = [] }] of Object.entries(cases)) {
      uuids.set(sequence, await openSession(client, sequence));
      await put(client, sequence, before);
    }
    await server.stop();
  }
  cpSync(origin, restored, { recursive: true });
  await goOn(origin, "exported");
  await goOn(restored, "here");
  await loseRows();
  trust = ["--trust", (await done("keygen", keyFile)).trim()];
  await done("export", file, "--data-dir", origin, "--key", keyFile);
});
afterAll(() => place[Symbol.dispose]());

const importWords = (dataDir: string): string[] => ["import", file, "--data-dir", dataDir, ...trust];

test("where all of it is, all is there already", { timeout: 60_000 }, async () => {
  expect(await done(...importWords(origin))).toMatch(/0 brought, 7 were there already; into/);
});

test("what is not whole is not taken, by the session and in what it differs, and stays", {
  timeout: 60_000,
}, async () => {
  const here = ["whole/sensors/gps", "whole/sensors/imu", "absent/sensors/gps", "more/sensors/gps", "more/sensors/imu"];
  const locators = [...here, "fewer/sensors/gps", "other/sensors/gps", "lost/sensors/imu"];
  const expectSaid = ({ code, stdout, stderr }: { code: unknown; stdout: string; stderr: string }): void => {
    expect([code, stderr]).toEqual([1, ""]);
    for (const [sequence, { said }] of Object.entries(cases)) {
      const lines = stdout.split("\n").filter((line) => line.startsWith(`${sequence}:`));
      expect(lines).toEqual([expect.stringMatching(said)]);
    }
    expect(stdout).toMatch(/0 brought, 1 were there already, 6 are not there; into \S+\n$/);
  };
  const before = await (async () => {
    await using server = await startServer({ dataDir: restored });
    const everything = await everythingOf(server.port, locators);
    await server.stop();
    return everything;
  })();
  expectSaid(await bundle(...importWords(restored)));
  await using server = await startServer({ dataDir: restored });
  expectSaid(await bundle(...importWords(restored)));
  const { code, stdout } = await bundle(...importWords(restored), "--json");
  const { sessions } = JSON.parse(stdout) as { sessions: { session: string; state: string; reason: string | null }[] };
  expect(code).toBe(1);
  expect(Object.fromEntries(sessions.map(({ session, ...view }) => [session.split(":", 1)[0], view]))).toEqual({
    ...Object.fromEntries(
      Object.keys(cases).map((sequence) => [
        sequence,
        { state: "parked", reason: expect.stringMatching(/^different: .*; what is here stays as it is$/) },
      ]),
    ),
    whole: { state: "there", reason: null },
  });
  expect(await everythingOf(server.port, locators)).toEqual(before);
  expect(readdirSync(restored)).not.toContain("bundles");
  // The open one goes on where it was.
  expect(await sessionsOf(server.port, "open")).toBe(0);
  using client = new FlightClient(server.port);
  await put(client, "open", [imu]);
  await client.action("session_finalize", { session_uuid: uuids.get("open") });
  expect((await bundle(...importWords(restored))).stdout).toMatch(/^open:\S+: was there already$/m);
  // Nor is anything in the way of who wants that of the bundle.
  await client.action("session_delete", { session_uuid: uuids.get("fewer") });
  const { stdout: brought } = await bundle(...importWords(restored), "--on-conflict", "extend");
  expect(brought).toMatch(/^fewer:\S+: brought$/m);
  expect(brought).toMatch(/1 brought, 2 were there already, 4 are not there; into \S+\n$/);
  expect((await metadataOf(server.port, "fewer/sensors/gps")).data_info.total_row_count).toBe(100);
});

test("one that was exported after its rows were lost is there, as it is in the bundle", {
  timeout: 60_000,
}, async () => {
  const repaired = place.path("repaired.tar");
  await done("export", repaired, "--data-dir", restored, "--key", keyFile, "--sequence", "lost");
  expect(await done("import", repaired, "--data-dir", restored, ...trust)).toMatch(/0 brought, 1 were there already;/);
});
