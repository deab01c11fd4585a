// What tests of bundles share: a store with sessions of all kinds, commands, and what clients read.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, type Drive, labelTopics, type TopicLoad } from "../load/robot.ts";
import { type RunningServer, runToEnd, startServer } from "../server.ts";
import { contents, metadataOf, record } from "../sync/edges.ts";

export const drive: Drive = { startNs: 1_700_000_000_000_000_000n, seconds: 10, seed: 11 };

/** A folder for everything of one test file. */
export class Place implements Disposable {
  readonly root: string;

  constructor(name: string) {
    this.root = mkdtempSync(path.join(tmpdir(), `mosaico-edge-${name}-`));
  }

  path(name: string): string {
    return path.join(this.root, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Small chunk files, so that topics have several. */
export const smallChunks = ["--max-chunk-size-in-bytes", "500kB"];

export interface RecordedTopic {
  readonly sequence: string;
  readonly load: TopicLoad;
}

/** Two sequences: one with two sessions and notifications, one that is short. One more session stays open. */
export async function recordStore(port: number): Promise<readonly string[]> {
  const sessions: [string, readonly TopicLoad[], boolean][] = [
    ["drive-1", baseTopics(drive), true],
    ["drive-1", labelTopics(drive), false],
    ["walk-1", baseTopics({ ...drive, seconds: 3, seed: 5 }).slice(0, 3), true],
  ];
  for (const [sequence, topics, isNew] of sessions) await record(port, sequence, topics, isNew);
  using client = new FlightClient(port);
  await client.action("sequence_notification_create", {
    locator: "drive-1",
    notification_type: "error",
    msg: "a bump é",
  });
  await client.action("topic_notification_create", {
    locator: "drive-1/sensors/imu",
    notification_type: "error",
    msg: "a jump\nin the clock",
  });
  await client.action("session_create", { locator: "walk-1" });
  return sessions.flatMap(([sequence, topics]) => topics.map(({ path: below }) => `${sequence}/${below}`));
}

/** Everything that clients read of topics. */
export async function everythingOf(port: number, locators: readonly string[]): Promise<unknown> {
  using client = new FlightClient(port);
  const read: unknown[] = [];
  for (const locator of locators) {
    const { ontology_tag, user_metadata, locked, data_info } = await metadataOf(port, locator);
    const { total_row_count, interval } = data_info as { total_row_count: number; interval: unknown };
    const notes = await notesOf(client, "topic", locator);
    read.push({
      locator,
      ontology_tag,
      user_metadata,
      locked,
      total_row_count,
      interval,
      notes,
      ...(await contents(port, locator)),
    });
  }
  for (const sequence of new Set(locators.map((locator) => locator.split("/", 1)[0] ?? "")))
    read.push({
      sequence,
      notes: await notesOf(client, "sequence", sequence),
      metadata: await sequenceMetadata(client, sequence),
    });
  return read;
}

async function notesOf(client: FlightClient, of: string, locator: string): Promise<string[]> {
  const { notifications } = (await client.action(`${of}_notification_list`, { locator })) as {
    notifications: { msg: string }[];
  };
  return notifications.map(({ msg }) => msg);
}

async function sequenceMetadata(client: FlightClient, sequence: string): Promise<unknown> {
  const info = await client.info({ resource_locator: sequence });
  return (JSON.parse(Buffer.from(info.appMetadata).toString()) as { user_metadata: unknown }).user_metadata;
}

/** Sessions of a sequence that are finalized. */
export async function sessionsOf(port: number, sequence: string): Promise<number> {
  using client = new FlightClient(port);
  const info = await client.info({ resource_locator: sequence });
  const { sessions } = JSON.parse(Buffer.from(info.appMetadata).toString()) as { sessions: { locked: boolean }[] };
  return sessions.filter(({ locked }) => locked).length;
}

export interface Ended {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

export async function bundle(...words: string[]): Promise<Ended> {
  return await runToEnd(["bundle", ...words], {}, 120_000);
}

/** What a command prints that has to end well. */
export async function done(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await bundle(...words);
  expect([code, stderr], `bundle ${words.join(" ")}`).toEqual([0, ""]);
  return stdout;
}

/** A store as a server left it, with what clients read of it. */
export interface Recorded {
  readonly dataDir: string;
  readonly locators: readonly string[];
  readonly everything: unknown;
  /** Makes a key; its file and its public half. */
  readonly keyFile: string;
  readonly publicKey: string;
}

export async function recordIn(place: Place): Promise<Recorded> {
  const dataDir = place.path("recorder");
  const keyFile = place.path("robot.key");
  let recorder: RunningServer | undefined;
  try {
    recorder = await startServer({ dataDir, args: smallChunks });
    const locators = await recordStore(recorder.port);
    const everything = await everythingOf(recorder.port, locators);
    await recorder.stop();
    const publicKey = (await done("keygen", keyFile)).trim();
    return { dataDir, locators, everything, keyFile, publicKey };
  } finally {
    await recorder?.[Symbol.asyncDispose]();
  }
}
