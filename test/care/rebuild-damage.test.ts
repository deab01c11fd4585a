// Catalog lost and something damaged besides: what is sound is kept, what is lost is told, and nothing is deleted.

import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runToEnd, startServer } from "../server.ts";
import { catalogRows } from "./catalog-rows.ts";
import { type Corpus, makeCorpus, readAll, serverArgs } from "./corpus.ts";

let corpus: Corpus;
beforeAll(async () => {
  corpus = await makeCorpus();
});
afterAll(() => corpus[Symbol.dispose]());

const run = (command: string, dataDir: string, ...args: string[]) =>
  runToEnd([command, "--data-dir", dataDir, ...args]);

function copyWithoutCatalog(of: "killed" | "closed" = "killed"): string {
  const dataDir = corpus.copy(of);
  rmSync(path.join(dataDir, "catalog"), { recursive: true });
  return dataDir;
}

interface Frame {
  readonly from: number;
  readonly to: number;
  /** `<session ULID>/<topic number>`. */
  readonly topic: string;
}

const log = "tail/00000001.log";

function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const to = at + 80 + bytes.readUInt32LE(at + 8) + bytes.readUInt32LE(at + 12);
    frames.push({
      from: at,
      to,
      topic: `${bytes.toString("latin1", at + 48, at + 74)}/${bytes.readUInt32LE(at + 16)}`,
    });
    at = to;
  }
  return frames;
}

/** The locator of the topic at `<session ULID>/<topic number>`. */
function topicAt(dataDir: string, place: string): string | undefined {
  try {
    return JSON.parse(readFileSync(path.join(dataDir, "sessions", place, "topic.json"), "utf8")).locator;
  } catch {
    return undefined;
  }
}

/** What every client reads, without the messages of a topic that are named. */
function storedWithout(locator: string, lost: readonly number[]): Map<string, readonly string[]> {
  const expected = new Map(corpus.stored);
  expected.set(
    locator,
    (corpus.stored.get(locator) ?? []).filter((_message, index) => !lost.includes(index)),
  );
  return expected;
}

function quarantined(dataDir: string): string[] {
  return readdirSync(path.join(dataDir, "quarantine"), { recursive: true, encoding: "utf8" }).sort();
}

async function notificationsOf(dataDir: string): Promise<string[]> {
  const { notifications = [] } = await catalogRows(dataDir, "all");
  return notifications.flatMap(([, value]) => (value as { message?: string }).message ?? []);
}

describe("a damaged frame in a tail log", { timeout: 120_000 }, () => {
  const damages = {
    "a byte of its message": { place: (frame: Frame) => frame.from + 90, xor: 0x10 },
    "its magic": { place: (frame: Frame) => frame.from, xor: 0x10 },
    "its length, which leads beyond the end": { place: (frame: Frame) => frame.from + 15, xor: 0x40 },
    "its length, which leads into the next one": { place: (frame: Frame) => frame.from + 12, xor: 0x20 },
  } as const;
  test.each(
    (Object.keys(damages) as (keyof typeof damages)[]).flatMap((what) => [
      { what, which: "first" as const },
      { what, which: "middle" as const },
    ]),
  )("costs its batch and no other: $what, of the $which", async ({ what, which }) => {
    const dataDir = copyWithoutCatalog();
    const bytes = readFileSync(path.join(dataDir, log));
    const frames = framesOf(bytes);
    // Frames of others may have moved to chunk files already.
    const own = frames.filter(({ topic }) => topicAt(dataDir, topic) === "drive-b/tiny");
    const frame = own[which === "first" ? 0 : Math.floor(own.length / 2)];
    if (frame === undefined) throw new Error("the corpus has frames");
    const at = damages[what].place(frame);
    bytes[at] = (bytes[at] ?? 0) ^ damages[what].xor;
    writeFileSync(path.join(dataDir, log), bytes);
    const locator = "drive-b/tiny";
    const before = own.indexOf(frame);
    const inChunks = (corpus.stored.get(locator)?.length ?? 0) - own.length;

    const { code, stdout } = await run("rebuild", dataDir);
    expect(stdout).toContain(`${log} is damaged`);
    expect(stdout).toContain(`topic \`${locator}\` has lost 1 batch`);
    expect(code).toBe(1);
    expect(await notificationsOf(dataDir)).toEqual([expect.stringContaining(`topic \`${locator}\` has lost 1 batch`)]);
    expect(quarantined(dataDir).some((name) => name.endsWith(log))).toBe(true);
    expect(await run("verify", dataDir)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sound/) });
    expect(await run("repair", dataDir)).toMatchObject({ code: 0, stdout: "sound\n" });
    const expected = storedWithout(locator, [inChunks + before]);
    await using server = await startServer({ dataDir, args: serverArgs });
    expect(await readAll(server.port, corpus.topics.keys())).toEqual(expected);
    await server.stop();
    // Once more: what was moved is not taken twice.
    rmSync(path.join(dataDir, "catalog"), { recursive: true });
    expect(await run("rebuild", dataDir)).toMatchObject({ code: 0 });
    await using again = await startServer({ dataDir, args: serverArgs });
    expect(await readAll(again.port, corpus.topics.keys())).toEqual(expected);
  });

  test("at the end is told, and a copy of it is kept when the next start cuts it off", async () => {
    const dataDir = copyWithoutCatalog();
    const bytes = readFileSync(path.join(dataDir, log));
    const last = framesOf(bytes).at(-1);
    const locator = topicAt(dataDir, last?.topic ?? "");
    if (last === undefined || locator === undefined) throw new Error("the corpus has frames");
    bytes[last.from + 90] = (bytes[last.from + 90] ?? 0) ^ 1;
    writeFileSync(path.join(dataDir, log), bytes);
    const { code, stdout } = await run("rebuild", dataDir);
    expect(stdout).toContain(`the end of ${log}`);
    expect(stdout).toContain("goes to quarantine");
    expect(code).toBe(1);
    expect(await notificationsOf(dataDir)).toEqual([expect.stringContaining(locator)]);
    {
      await using server = await startServer({ dataDir, args: serverArgs });
      expect(await readAll(server.port, [locator])).toEqual(
        new Map([[locator, (corpus.stored.get(locator) ?? []).slice(0, -1)]]),
      );
    }
    const copy = quarantined(dataDir).find((name) => name.endsWith(log));
    expect(readFileSync(path.join(dataDir, "quarantine", copy ?? ""))).toEqual(bytes.subarray(last.from));
  });
});

test("a damaged message in an open chunk: what is behind it is kept in quarantine, and told", async () => {
  const dataDir = copyWithoutCatalog();
  // Dictionaries never go to tail logs.
  const topic = readdirSync(path.join(dataDir, "sessions"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("topic.json"))
    .map((name) => path.dirname(name))
    .find((place) => topicAt(dataDir, place) === "drive-b/words");
  const file = path.join(dataDir, "sessions", topic ?? "", "00000.arrow");
  const bytes = readFileSync(file);
  // The prefix of the second message: behind magic, schema and the first one.
  const firstAt = 16 + bytes.readInt32LE(12);
  const damaged = bytes.indexOf(Buffer.from([255, 255, 255, 255]), firstAt + 8);
  expect(damaged).toBeGreaterThan(firstAt);
  bytes.writeUInt8(0, damaged);
  writeFileSync(file, bytes);
  const { code, stdout } = await run("rebuild", dataDir);
  expect(stdout).toContain("drive-b/words");
  expect(code).toBe(1);
  expect(await notificationsOf(dataDir)).toEqual([expect.stringContaining("drive-b/words")]);
  const relative = path.relative(dataDir, file);
  const copy = quarantined(dataDir).find((name) => name.endsWith(relative));
  const kept = readFileSync(path.join(dataDir, "quarantine", copy ?? ""));
  expect(bytes.subarray(bytes.byteLength - kept.byteLength)).toEqual(kept);
  expect(kept.byteLength).toBe(bytes.byteLength - damaged);
});

test("a chunk file that is missing and stands in a manifest: its rows are told as lost, by rebuild and by repair", async () => {
  const dataDir = copyWithoutCatalog("closed");
  const manifest = readdirSync(path.join(dataDir, "sessions"))
    .map((ulid) => JSON.parse(readFileSync(path.join(dataDir, "sessions", ulid, "session.json"), "utf8")))
    .find(({ topics }) => topics?.some(({ locator }: { locator: string }) => locator === "drive-a/words"));
  const topic = manifest.topics.find(({ chunks }: { chunks: { rows: number }[] }) => chunks.length > 1);
  const rows = topic.chunks[0].rows;
  const directory = path.join(dataDir, "sessions", manifest.ulid);
  rmSync(path.join(directory, String(topic.number), "00000.arrow"));
  const text = readFileSync(path.join(directory, "session.json"), "utf8");

  const { code, stdout } = await run("rebuild", dataDir);
  expect(code).toBe(1);
  expect(stdout).toContain(`topic \`${topic.locator}\` has lost ${rows} rows`);
  expect(await notificationsOf(dataDir)).toEqual([
    expect.stringContaining(`topic \`${topic.locator}\` has lost ${rows} rows`),
  ]);
  const repaired = await run("repair", dataDir);
  expect(repaired).toMatchObject({ code: 0, stdout: expect.stringContaining(`${rows} rows`) });
  expect(repaired.stdout).not.toContain("with all its batches");
  expect(repaired.stdout).not.toContain("What is left");
  expect(await run("verify", dataDir)).toMatchObject({ code: 0 });
  const kept = quarantined(dataDir).find((name) => name.endsWith(`${manifest.ulid}/session.json`));
  expect(readFileSync(path.join(dataDir, "quarantine", kept ?? ""), "utf8")).toBe(text);
  for (const note of quarantined(dataDir).filter((name) => /note-[0-9]+\.json$/.test(name))) {
    const { quarantined: place } = JSON.parse(readFileSync(path.join(dataDir, "quarantine", note), "utf8"));
    if (place !== undefined) expect(existsSync(path.join(dataDir, place)), note).toBe(true);
  }
});

describe("a damaged session.json", () => {
  const flip = (file: string): void => {
    const bytes = readFileSync(file);
    const at = Math.floor(bytes.byteLength / 2);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    writeFileSync(file, bytes);
  };
  const sessionOf = (dataDir: string, locator: string): string =>
    readdirSync(path.join(dataDir, "sessions")).find((ulid) =>
      readdirSync(path.join(dataDir, "sessions", ulid)).some(
        (number) => /^[0-9]+$/.test(number) && topicAt(dataDir, `${ulid}/${number}`) === locator,
      ),
    ) ?? "";

  test.each([
    ["of a finalized session", "drive-a/words", true],
    ["of an open session", "drive-b/small", false],
  ] as const)("%s costs what only it knew, and no data", async (_what, locator, finalized) => {
    const dataDir = copyWithoutCatalog();
    const ulid = sessionOf(dataDir, locator);
    const file = path.join(dataDir, "sessions", ulid, "session.json");
    flip(file);
    const damaged = readFileSync(file);
    const { code, stdout } = await run("rebuild", dataDir);
    expect(stdout).toContain("a catalog of 2 sequences, 3 sessions, 13 topics");
    expect(stdout).toContain("has lost its document");
    expect(code).toBe(1);
    const { sessions = [] } = await catalogRows(dataDir, "data");
    const row = sessions
      .map(([, value]) => value as { ulid: string; completedAtNs?: bigint })
      .find((one) => one.ulid === ulid);
    expect(row?.completedAtNs !== undefined).toBe(finalized);
    expect(await notificationsOf(dataDir)).toEqual([expect.stringContaining("has lost its document")]);
    expect(await run("repair", dataDir)).toMatchObject({ code: 0 });
    const kept = quarantined(dataDir).find((name) => name.endsWith(`${ulid}/session.json`));
    expect(readFileSync(path.join(dataDir, "quarantine", kept ?? ""))).toEqual(damaged);
    await using server = await startServer({ dataDir, args: serverArgs });
    expect(await readAll(server.port, corpus.topics.keys())).toEqual(corpus.stored);
  });

  test("that is another session's is no session: a copy of a directory goes to quarantine", async () => {
    const dataDir = copyWithoutCatalog();
    const ulid = sessionOf(dataDir, "drive-a/words");
    const copy = "01M89G4SDFK43D13RJTZ9K57BA";
    cpSync(path.join(dataDir, "sessions", ulid), path.join(dataDir, "sessions", copy), { recursive: true });
    const { stdout } = await run("rebuild", dataDir);
    expect(stdout).toContain(`sessions/${copy} goes to quarantine`);
    flip(
      path.join(
        dataDir,
        "quarantine",
        quarantined(dataDir).find((name) => name.endsWith(`${copy}/session.json`)) ?? "",
      ),
    );
    expect(await run("verify", dataDir)).toMatchObject({ code: 0 });
  });

  test("of a topic without a manifest: the topic goes to quarantine, with the logs that have batches of it", async () => {
    const dataDir = copyWithoutCatalog();
    const ulid = sessionOf(dataDir, "drive-b/small");
    const number = readdirSync(path.join(dataDir, "sessions", ulid)).find(
      (name) => /^[0-9]+$/.test(name) && topicAt(dataDir, `${ulid}/${name}`) === "drive-b/small",
    );
    flip(path.join(dataDir, "sessions", ulid, number ?? "", "topic.json"));
    const bytes = readFileSync(path.join(dataDir, log));
    const { code, stdout } = await run("rebuild", dataDir);
    expect(code).toBe(1);
    expect(stdout).toContain(`sessions/${ulid}/${number} goes to quarantine`);
    expect(stdout).toContain("Arrow");
    const kept = quarantined(dataDir).find((name) => name.endsWith(log));
    expect(readFileSync(path.join(dataDir, "quarantine", kept ?? ""))).toEqual(bytes);
    expect(await notificationsOf(dataDir)).toHaveLength(1);
    const others = new Map([...corpus.stored].filter(([locator]) => locator !== "drive-b/small"));
    await using server = await startServer({ dataDir, args: serverArgs });
    expect(await readAll(server.port, others.keys())).toEqual(others);
  });
});
