// What a start clears away, what it puts aside, and what it leaves alone.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { FlightClient, type Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { blobs } from "../load/robot.ts";
import { createTopic, openSession, readTopic, record } from "../round-trip.ts";
import { runToEnd, startServer } from "../server.ts";
import { makeCorpus, numbers } from "./corpus.ts";

test("a document that a kill left half written goes, also when its sequence was deleted since", {
  timeout: 60_000,
}, async () => {
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

/** Everything below a directory, by path. */
function filesBelow(root: string): string[] {
  if (!existsSync(root)) return [];
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

/** Starts and stops a server; what it logged. */
async function startOnce(dataDir: string): Promise<string> {
  await using server = await startServer({ dataDir });
  await server.stop();
  return server.stderr();
}

describe("a catalog that is older than the directory", () => {
  test("costs no data: what it does not know goes to quarantine, once, and is told", { timeout: 60_000 }, async () => {
    const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-older-"));
    try {
      const dataDir = path.join(root, "data");
      const uuids: { session: string; topic: { locator: string; uuid: string } }[] = [];
      {
        await using server = await startServer({ dataDir });
        using client = new FlightClient(server.port);
        const session = await openSession(client, "before");
        const topic = await createTopic(client, session, "before/camera");
        const put = client.openPut(topic);
        for (const message of large(1, 0)) await put.sendData(message);
        await untilRows(client, topic.locator, 1);
        uuids.push({ session, topic });
        await server.stop();
      }
      cpSync(path.join(dataDir, "catalog"), path.join(root, "backup"), { recursive: true });
      {
        await using server = await startServer({ dataDir });
        using client = new FlightClient(server.port);
        await client.action("info", {});
        // Open and known to the backup, where it goes on; finalized since; new and finalized; new and open; only in the tail log.
        const [known] = uuids;
        if (known === undefined) throw new Error("no session");
        await client.put(known.topic, [...large(2, 1)]);
        await client.put(await createTopic(client, known.session, "before/other"), large(1, 50));
        await client.action("session_finalize", { session_uuid: known.session });
        const open = await openSession(client, "open");
        await client.put(await createTopic(client, open, "open/camera"), large(1, 100));
        const tail = await createTopic(client, await openSession(client, "tail"), "tail/small");
        const put = client.openPut(tail);
        for (const message of toMessages([numbers(3, 0, 16)])) await put.sendData(message);
        await untilRows(client, tail.locator, 3);
        await server.kill();
      }
      const marks = [...marksOf(1, 1), ...marksOf(1, 50), ...marksOf(1, 100)];
      const all = (below: string) => filesBelow(below).map((file) => readFileSync(file).toString("latin1"));
      for (const mark of marks)
        expect(all(path.join(dataDir, "sessions")).some((text) => text.includes(mark))).toBe(true);
      const tailBytes = filesBelow(path.join(dataDir, "tail")).map((file) => readFileSync(file));
      expect(tailBytes.length).toBeGreaterThan(0);
      rmSync(path.join(dataDir, "catalog"), { recursive: true });
      cpSync(path.join(root, "backup"), path.join(dataDir, "catalog"), { recursive: true });

      const told = await startOnce(dataDir);
      for (const mark of marks)
        expect(
          all(path.join(dataDir, "quarantine")).some((text) => text.includes(mark)),
          mark,
        ).toBe(true);
      for (const bytes of tailBytes)
        expect(filesBelow(path.join(dataDir, "quarantine")).some((file) => readFileSync(file).equals(bytes))).toBe(
          true,
        );
      expect(told).toMatch(/"event":"path_quarantined","path":"sessions\/[0-9A-Z]{26}","to":"quarantine\/.*"rows":1,/);
      expect(told).toMatch(/"event":"path_quarantined","path":"sequences\/[0-9A-Z]{26}\.json"/);
      expect(told).not.toContain("session_swept");
      const notes = filesBelow(path.join(dataDir, "quarantine"))
        .filter((file) => /note-[0-9]+\.json$/.test(file))
        .map((file) => JSON.parse(readFileSync(file, "utf8")) as { path: string; quarantined?: string });
      for (const { path: lay, quarantined } of notes)
        expect(existsSync(path.join(dataDir, quarantined ?? "nowhere")), `where ${lay} is now`).toBe(true);
      // What is cut off a file lay in that file.
      const ends = notes.filter(({ quarantined = "" }) => quarantined.includes(".from-"));
      expect(ends.length).toBeGreaterThan(0);
      for (const { path: lay, quarantined } of ends)
        expect(quarantined?.endsWith(`/${lay}.from-${quarantined.split(".from-")[1]}`), lay).toBe(true);
      const held = filesBelow(path.join(dataDir, "quarantine")).length;
      // Told again as long as it takes room, and nothing more comes.
      expect(await startOnce(dataDir)).toMatch(/"event":"quarantine_holds","files":\d+,"bytes":\d+/);
      expect(filesBelow(path.join(dataDir, "quarantine")).length).toBe(held);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});

/** Batches of a mark and much else, which go straight to chunk files. */
function large(count: number, first: number): Outgoing[] {
  return toMessages(
    Array.from({ length: count }, (_none, index) => ({
      timestamp_ns: makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(BigInt(first + index)) })),
      data: blobs([Buffer.alloc(600_000, markOf(first + index))]),
    })),
  );
}

const markOf = (number: number): string => `<batch ${number}>`;
const marksOf = (count: number, first: number): string[] =>
  Array.from({ length: count }, (_none, index) => markOf(first + index));

async function untilRows(client: FlightClient, locator: string, rows: number): Promise<void> {
  for (;;) {
    const info = await client.info({ resource_locator: locator });
    const text = Buffer.from(info.endpoint[0]?.appMetadata ?? []).toString();
    if (text.includes(`"total_row_count":${rows}`)) return;
    await sleep(10);
  }
}

test("what is not ours is left alone and told, and never stops a start", { timeout: 30_000 }, async () => {
  const dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-foreign-"));
  try {
    {
      await using server = await startServer({ dataDir });
      using client = new FlightClient(server.port);
      const session = await openSession(client, "drive");
      await client.put(await createTopic(client, session, "drive/camera"), large(1, 0));
      await server.kill();
    }
    const [session = ""] = readdirSync(path.join(dataDir, "sessions"));
    const strangers = [
      "sessions/.DS_Store",
      "sessions/old-copy/0/00000.arrow",
      `sessions/${session}/notes.txt`,
      `sessions/${session}/0/.DS_Store`,
      `sessions/${session}/0/00000.arrow.bak`,
      "tail/zz",
      "tail/.DS_Store",
      "sequences/.DS_Store",
      "sequences/notes.json.new",
      "trash/.DS_Store",
    ];
    for (const stranger of strangers) {
      mkdirSync(path.dirname(path.join(dataDir, stranger)), { recursive: true });
      writeFileSync(path.join(dataDir, stranger), "who is this?");
    }
    const told = await startOnce(dataDir);
    for (const stranger of strangers) expect.soft(existsSync(path.join(dataDir, stranger)), stranger).toBe(true);
    expect(told).toContain('"event":"foreign_paths"');
    expect(told).toContain('"sessions/.DS_Store"');
    expect(existsSync(path.join(dataDir, "quarantine"))).toBe(false);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test("a file where a directory of ours belongs goes out of the way", { timeout: 30_000 }, async () => {
  const dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-way-"));
  try {
    await startOnce(dataDir);
    for (const name of ["tail", "trash", "sequences", "sessions"]) {
      rmSync(path.join(dataDir, name), { recursive: true, force: true });
      writeFileSync(path.join(dataDir, name), name);
    }
    const told = await startOnce(dataDir);
    expect(told.match(/"event":"path_quarantined"/g)).toHaveLength(4);
    const kept = filesBelow(path.join(dataDir, "quarantine")).map((file) => readFileSync(file, "utf8"));
    for (const name of ["tail", "trash", "sequences", "sessions"]) expect(kept).toContain(name);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test("what no row names and holds nothing is swept", { timeout: 30_000 }, async () => {
  const dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-swept-"));
  try {
    await startOnce(dataDir);
    const name = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    mkdirSync(path.join(dataDir, "sessions", name, "0"), { recursive: true });
    writeFileSync(path.join(dataDir, "sessions", name, "session.json"), "{");
    writeFileSync(path.join(dataDir, "sessions", name, "0/topic.json"), "");
    writeFileSync(path.join(dataDir, "sessions", name, "0/00000.arrow"), "ARROW1\0\0");
    expect(await startOnce(dataDir)).toContain(`"event":"path_swept","path":"sessions/${name}"`);
    expect(readdirSync(path.join(dataDir, "sessions"))).toEqual([]);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

describe("an open file that is shorter than what was committed", () => {
  test("costs its topic, not the start: the others go on, and it is told where to look", {
    timeout: 60_000,
  }, async () => {
    const dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-short-"));
    try {
      const topics: Record<string, { locator: string; uuid: string }> = {};
      let session = "";
      {
        await using server = await startServer({ dataDir });
        using client = new FlightClient(server.port);
        session = await openSession(client, "drive");
        for (const name of ["cut", "gone", "sound", "small"]) {
          const topic = await createTopic(client, session, `drive/${name}`);
          topics[name] = topic;
          const put = client.openPut(topic);
          const sent = name === "small" ? toMessages([numbers(3, 0, 16)]) : large(2, 0);
          for (const message of sent) await put.sendData(message);
          await untilRows(client, topic.locator, name === "small" ? 3 : 2);
        }
        await server.kill();
      }
      const [ulid = ""] = readdirSync(path.join(dataDir, "sessions"));
      const chunk = (number: number) => path.join(dataDir, "sessions", ulid, String(number), "00000.arrow");
      truncateSync(chunk(0), 700_000);
      rmSync(chunk(1));
      const [log = ""] = readdirSync(path.join(dataDir, "tail"));
      truncateSync(path.join(dataDir, "tail", log), 40);
      await using server = await startServer({ dataDir });
      using client = new FlightClient(server.port);
      await client.action("info", {});
      const put = (name: string) => client.put(topics[name] ?? { locator: "", uuid: "" }, large(1, 9));
      for (const name of ["cut", "gone", "small"]) {
        await expect(put(name)).rejects.toMatchObject({ code: 15 });
        await expect(put(name)).rejects.toThrow(new RegExp(`drive/${name}.*committed.*mosaico-edge repair`));
      }
      await put("sound");
      expect((await readTopic(client, "drive/sound")).length).toBe(3);
      await expect(readTopic(client, "drive/cut")).rejects.toMatchObject({ code: 15 });
      expect(server.stderr().match(/"event":"topic_damaged"/g)).toHaveLength(3);
      await server.stop();
      expect(existsSync(chunk(1))).toBe(false);
      // What is left is mended by the command that was named.
      expect(await runToEnd(["repair", "--data-dir", dataDir])).toMatchObject({ code: 0 });
      await using again = await startServer({ dataDir });
      using later = new FlightClient(again.port);
      await later.action("info", {});
      await later.put(topics["cut"] ?? { locator: "", uuid: "" }, large(1, 9));
      expect((await readTopic(later, "drive/cut")).length).toBe(2);
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});

describe("a catalog that is of no use", () => {
  const cases = [
    [
      "is damaged",
      65,
      (file: string) => writeFileSync(file, readFileSync(file).fill(0xff, 0, 8_192)),
      "mosaico-edge rebuild",
    ],
    ["is missing", 65, (file: string) => rmSync(path.dirname(file), { recursive: true }), "mosaico-edge rebuild"],
  ] as const;
  test.each(cases)(
    "%s: the start says which command helps",
    { timeout: 30_000 },
    async (_what, code, spoil, command) => {
      const dataDir = mkdtempSync(path.join(tmpdir(), "mosaico-edge-catalog-"));
      try {
        {
          await using server = await startServer({ dataDir });
          await record(server.port, "drive");
          await server.stop();
        }
        spoil(path.join(dataDir, "catalog/data.mdb"));
        const ended = await runToEnd(["run", "--port", "0", "--data-dir", dataDir]);
        expect(ended.stderr).toContain(command);
        expect(ended.code).toBe(code);
        expect(await runToEnd(["rebuild", "--data-dir", dataDir])).toMatchObject({ code: 0 });
        expect(await startOnce(dataDir)).not.toContain("path_quarantined");
      } finally {
        rmSync(dataDir, { recursive: true, force: true });
      }
    },
  );
});
