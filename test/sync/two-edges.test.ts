// Sync of one server with another, both as they run on machines, over real sockets: what was recorded on one is read on the other.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { tableFromIPC } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frameHeader } from "../../src/arrow/frame.ts";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, labelTopics, type TopicLoad } from "../load/robot.ts";
import { type RunningServer, runToEnd, startServer } from "../server.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;

interface TargetView {
  readonly target: string;
  readonly state: string;
  readonly pendingSessions: number;
  readonly syncedSessions: number;
  readonly parkedSessions: number;
  readonly parked: readonly { readonly session: string; readonly cause: string; readonly reason: string }[];
  readonly lastError?: string;
}

async function command(dataDir: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(["sync", ...words, "--data-dir", dataDir]);
  if (code !== 0) throw new Error(`sync ${words.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

async function targetOf(dataDir: string): Promise<TargetView> {
  const [view] = JSON.parse(await command(dataDir, "status", "--json")) as TargetView[];
  if (view === undefined) throw new RangeError("there is a target");
  return view;
}

async function until(dataDir: string, what: string, holds: (view: TargetView) => boolean): Promise<TargetView> {
  for (let tries = 0; tries < 300; tries += 1) {
    const view = await targetOf(dataDir);
    if (holds(view)) return view;
    await sleep(100);
  }
  throw new Error(`not in time: ${what}; ${JSON.stringify(await targetOf(dataDir))}`);
}

async function record(port: number, sequence: string, topics: readonly TopicLoad[], isNew = true): Promise<void> {
  using client = new FlightClient(port);
  if (isNew) await client.action("sequence_create", { locator: sequence, user_metadata: { robot: "milo", km: 12.5 } });
  const { uuid: session } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  for (const { path: below, ontologyTag, userMetadata, messages } of topics) {
    const locator = `${sequence}/${below}`;
    const { uuid } = (await client.action("topic_create", {
      session_uuid: session,
      locator,
      serialization_format: "default",
      ontology_tag: ontologyTag,
      user_metadata: userMetadata,
    })) as { uuid: string };
    await client.put({ locator, uuid }, messages);
  }
  await client.action("session_finalize", { session_uuid: session });
}

/** Schema and rows as do_get gives them, in the order of time, wherever its batches begin. */
async function contents(port: number, locator: string): Promise<{ schema: string; rows: string[] }> {
  using client = new FlightClient(port);
  const info = await client.info({ resource_locator: locator });
  const stream: Uint8Array[] = [];
  for await (const { header, body } of client.get(info.endpoint[0]?.ticket?.ticket ?? new Uint8Array(0)))
    stream.push(frameHeader(header), body);
  const table = tableFromIPC(Buffer.concat(stream));
  const plain = (_key: string, value: unknown): unknown =>
    typeof value === "bigint"
      ? `${value}n`
      : value instanceof Uint8Array
        ? Buffer.from(value).toString("base64")
        : value;
  return {
    schema: table.schema.fields.map(String).join(", "),
    rows: table.toArray().map((row) => JSON.stringify(row, plain)),
  };
}

interface TopicMetadata {
  readonly ontology_tag: string;
  readonly user_metadata: unknown;
  readonly locked: boolean;
  readonly data_info: { readonly total_row_count: number; readonly interval: unknown };
}

async function metadataOf(port: number, locator: string): Promise<TopicMetadata> {
  using client = new FlightClient(port);
  const info = await client.info({ resource_locator: locator });
  return JSON.parse(Buffer.from(info.endpoint[0]?.appMetadata ?? []).toString()) as TopicMetadata;
}

describe("two edges", () => {
  const dirs: string[] = [];
  let near: RunningServer;
  let far: RunningServer;

  function directory(): string {
    dirs.push(mkdtempSync(path.join(tmpdir(), "mosaico-edge-sync-")));
    return dirs.at(-1) ?? "";
  }

  beforeAll(async () => {
    near = await startServer({ dataDir: directory() });
    far = await startServer({ dataDir: directory() });
  });

  afterAll(async () => {
    await near?.[Symbol.asyncDispose]();
    await far?.[Symbol.asyncDispose]();
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
  });

  test("what is finalized on one is on the other, equal, whenever it was finalized", { timeout: 60_000 }, async () => {
    await record(near.port, "drive-1", baseTopics(drive));
    await command(near.dataDir, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    await until(near.dataDir, "the first session is there", ({ syncedSessions }) => syncedSessions === 1);
    await record(near.port, "drive-1", labelTopics(drive), false);
    const view = await until(near.dataDir, "the second one too", ({ syncedSessions }) => syncedSessions === 2);
    expect(view).toMatchObject({ target: "centre", pendingSessions: 0, parkedSessions: 0 });
    for (const { path: below } of [...baseTopics(drive), ...labelTopics(drive)]) {
      const locator = `drive-1/${below}`;
      expect(await contents(far.port, locator), locator).toEqual(await contents(near.port, locator));
      const [here, there] = [await metadataOf(near.port, locator), await metadataOf(far.port, locator)];
      expect(there, locator).toMatchObject({
        ontology_tag: here.ontology_tag,
        user_metadata: here.user_metadata,
        locked: true,
      });
      expect(there.data_info.total_row_count, locator).toBe(here.data_info.total_row_count);
      expect(there.data_info.interval, locator).toEqual(here.data_info.interval);
    }
  });
});
