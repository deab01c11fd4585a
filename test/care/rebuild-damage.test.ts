// Catalog lost and something damaged besides: what is sound is kept, what is lost is told, and nothing is deleted.

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** The locators of topics by their place, and places by locator. */
function topicAt(dataDir: string, place: string): string {
  return JSON.parse(readFileSync(path.join(dataDir, "sessions", place, "topic.json"), "utf8")).locator;
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

describe("a damaged frame in a tail log", () => {
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
    const index = which === "first" ? 0 : Math.floor(frames.length / 2);
    const frame = frames[index];
    if (frame === undefined) throw new Error("the corpus has frames");
    const at = damages[what].place(frame);
    bytes[at] = (bytes[at] ?? 0) ^ damages[what].xor;
    writeFileSync(path.join(dataDir, log), bytes);
    const place = frame.topic;
    const locator = topicAt(dataDir, place);
    const before = frames.slice(0, index).filter(({ topic }) => topic === place).length;
    const inChunks = (corpus.stored.get(locator)?.length ?? 0) - frames.filter(({ topic }) => topic === place).length;

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
    if (last === undefined) throw new Error("the corpus has frames");
    bytes[last.from + 90] = (bytes[last.from + 90] ?? 0) ^ 1;
    writeFileSync(path.join(dataDir, log), bytes);
    const locator = topicAt(dataDir, last.topic);
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
  const topic = readdirSync(path.join(dataDir, "sessions"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("topic.json"))
    .map((name) => path.dirname(path.join("sessions", name)))
    .find((directory) => topicAt(dataDir, directory.slice("sessions/".length)) === "drive-b/large");
  const chunks = readdirSync(path.join(dataDir, topic ?? "")).filter((name) => name.endsWith(".arrow"));
  const file = path.join(dataDir, topic ?? "", chunks.sort().at(-1) ?? "");
  const bytes = readFileSync(file);
  // The prefix of the second message: behind magic, schema and the first one.
  const firstAt = 16 + bytes.readInt32LE(12);
  expect(bytes.toString("latin1", bytes.byteLength - 6)).not.toBe("ARROW1");
  const secondAt = bytes.indexOf(Buffer.from([255, 255, 255, 255]), firstAt + 8);
  const damaged = secondAt < 0 ? firstAt : secondAt;
  bytes.writeUInt8(0, damaged);
  writeFileSync(file, bytes);
  const { code, stdout } = await run("rebuild", dataDir);
  expect(stdout).toContain("drive-b/large");
  expect(code).toBe(1);
  expect(await notificationsOf(dataDir)).toEqual([expect.stringContaining("drive-b/large")]);
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
