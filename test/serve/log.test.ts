// What an operator reads: one line of JSON per outcome on stderr, no secret in any of them.

import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic, openSession, readTopic, record } from "../round-trip.ts";
import { createKey, type RunningServer, startServer } from "../server.ts";
import { tokenOf } from "./tokens.ts";

type Line = Readonly<Record<string, unknown>> & { readonly event: string; readonly level: string };

function linesOf(server: RunningServer): Line[] {
  return parseLines(server.stderr());
}

/** Fails unless all of them are JSON. */
function parseLines(text: string): Line[] {
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}

const uuid = /[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}/i;
const drive = { startNs: 1n, seconds: 3, seed: 1 };

test("the life of a recording", async () => {
  await using server = await startServer({ args: ["--api-key", "--log-level", "debug"] });
  using client = new FlightClient(server.port, await createKey(server.dataDir, "manage"));
  const session = await openSession(client, "drive");
  const sizes = { rows: 0, bytes: 0, batches: 0 };
  for (const { path: name, messages } of baseTopics(drive)) {
    await client.put(await createTopic(client, session, `drive/${name}`), messages);
    sizes.bytes += messages.slice(1).reduce((sum, { body }) => sum + body.byteLength, 0);
    sizes.batches += messages.length - 1;
  }
  await client.action("session_finalize", { session_uuid: session });
  await client.action("session_finalize", { session_uuid: session });
  const { api_key_token } = (await client.action("api_key_create", {
    permissions: "read",
    description: "d",
  })) as { api_key_token: string };
  const fingerprint = api_key_token.slice(-8);
  await client.action("api_key_revoke", { api_key_fingerprint: fingerprint });
  const own = { locator: "drive", uuid: randomUUID() };
  const open = (await client.action("session_create", own)) as { uuid: string };
  // Who was not sure of the answer asks again: nothing has happened.
  await client.action("session_create", own);
  await createTopic(client, open.uuid, "drive/late");
  await client.action("topic_delete", { locator: "drive/late" });
  await client.action("session_delete", { session_uuid: open.uuid });
  await client.action("sequence_delete", { locator: "drive" });
  await server.stop();

  const lines = linesOf(server);
  const outcomes = lines.filter(({ event }) => event !== "stopping").map(({ level, event }) => `${level} ${event}`);
  expect(outcomes).toEqual([
    "info sequence_created",
    "info session_created",
    ...baseTopics(drive).flatMap(() => ["info topic_created", "info upload_ended"]),
    "info session_finalized",
    "info api_key_created",
    "info api_key_revoked",
    "info session_created",
    "info topic_created",
    "info topic_deleted",
    "info session_deleted",
    "info sequence_deleted",
  ]);
  const of = (wanted: string) => lines.filter(({ event }) => event === wanted);
  const uploads = of("upload_ended");
  expect(uploads.map(({ topic }) => topic)).toEqual(baseTopics(drive).map(({ path: name }) => `drive/${name}`));
  for (const key of ["bytes", "batches"] as const)
    expect(uploads.reduce((sum, line) => sum + Number(line[key]), 0)).toBe(sizes[key]);
  for (const { rows, durationMs } of uploads) {
    expect(rows).toBeGreaterThan(0);
    expect(durationMs).toBeGreaterThanOrEqual(0);
  }
  const rows = uploads.reduce((sum, line) => sum + Number(line["rows"]), 0);
  expect(of("session_finalized")).toMatchObject([
    { session: expect.stringMatching(/^drive:/), topics: baseTopics(drive).length, rows },
  ]);
  expect(of("session_finalized")[0]?.["bytes"]).toBeGreaterThan(sizes.bytes);
  expect(of("session_deleted")).toMatchObject([{ session: expect.stringMatching(/^drive:/) }]);
  expect(of("topic_deleted")).toMatchObject([{ topic: "drive/late" }]);
  for (const event of ["sequence_created", "sequence_deleted"])
    expect(of(event)).toMatchObject([{ sequence: "drive" }]);
  for (const event of ["api_key_created", "api_key_revoked"]) expect(of(event)).toMatchObject([{ fingerprint }]);
  expect(server.stderr()).not.toMatch(uuid);
  expect(server.stderr()).not.toContain(api_key_token.slice(5, 37));
});

describe("an upload that breaks off is a warning, with what was kept", () => {
  test.each<[string, (client: FlightClient, server: RunningServer) => void, RegExp]>([
    ["its client vanishes", (client) => client[Symbol.dispose](), /connection broke/],
    ["the server stops", (_client, server) => void process.kill(server.pid, "SIGTERM"), /server is stopping/],
  ])("when %s", async (_how, breakOff, reason) => {
    await using server = await startServer();
    using client = new FlightClient(server.port);
    using reader = new FlightClient(server.port);
    const topic = await createTopic(client, await openSession(client, "broken"), "broken/gps");
    const [schema, batch] = baseTopics(drive)[0]?.messages ?? [];
    if (schema === undefined || batch === undefined) throw new Error("the robot has a topic");
    const put = client.openPut(topic);
    for (const message of [schema, batch]) await put.sendData(message);
    await expect.poll(() => readTopic(reader, topic.locator).then((got) => got.length)).toBe(1);
    breakOff(client, server);
    const found = () => linesOf(server).filter(({ event }) => event === "upload_broken_off");
    await expect.poll(found).toHaveLength(1);
    expect(found()).toMatchObject([
      { level: "warning", topic: "broken/gps", reason: expect.stringMatching(reason), rows: expect.any(Number) },
    ]);
    expect(found()[0]?.["rows"]).toBeGreaterThan(0);
    await server.stop();
  });
});

test("a wrong key that is polled is a line and a number", async () => {
  await using server = await startServer({ args: ["--api-key"] });
  const polls = 60;
  for (let poll = 0; poll < polls; poll += 1) {
    using client = new FlightClient(server.port, tokenOf("b".repeat(32)));
    await expect(client.action("version", {})).rejects.toMatchObject({ code: 16 });
  }
  await server.stop();
  const refused = linesOf(server).filter(({ event }) => event === "call_refused");
  // The last one comes when the server stops.
  expect(refused.length).toBeLessThanOrEqual(3);
  expect(refused.reduce((sum, { repeated }) => sum + 1 + Number(repeated ?? 0), 0)).toBe(polls);
});

test("a token in the place of something else does not get into the log", async () => {
  await using server = await startServer();
  using client = new FlightClient(server.port);
  const token = tokenOf("c".repeat(32));
  await expect(client.action("api_key_revoke", { api_key_fingerprint: token })).rejects.toThrow();
  await server.stop();
  expect(server.stderr()).toContain("call_refused");
  expect(server.stderr()).not.toContain("c".repeat(32));
});

test("data that are gone from the disk are an error, and told without a path", async () => {
  await using server = await startServer();
  const [topic] = await record(server.port, "gone");
  const sessions = path.join(server.dataDir, "sessions");
  for (const name of await readdir(sessions, { recursive: true }))
    if (name.endsWith(".arrow")) await rm(path.join(sessions, name));
  using client = new FlightClient(server.port);
  await client.action("info", {});
  const details = `Cannot read chunk 0 of \`gone/${topic?.path}\`: its file is missing`;
  await expect(readTopic(client, `gone/${topic?.path}`)).rejects.toThrow(`status 15: ${details}`);
  await server.stop();
  expect(linesOf(server)).toContainEqual(expect.objectContaining({ level: "error", event: "call_failed", details }));
});

test("what grpc-js has to say is JSON too", async () => {
  const env = { GRPC_VERBOSITY: "DEBUG", GRPC_TRACE: "server" };
  await using server = await startServer({ env, args: ["--log-level", "debug"] });
  await record(server.port, "traced");
  await server.stop();
  expect(linesOf(server)).toContainEqual(expect.objectContaining({ level: "debug", event: "grpc_message" }));
});
