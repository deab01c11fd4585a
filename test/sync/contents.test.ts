// Contents compared after a sync, between real servers: what is equal counts as synced, of every type and encoding; what is not is
// found though rows and times agree, sent anew where it may be deleted, and parked where it may not.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { derivedUuid } from "../../src/host/entropy.ts";
import type { Uuid } from "../../src/model/resource.ts";
import { Golden, type Source } from "../arrow/python.ts";
import { skipsPython } from "../clients/driver.ts";
import { FlightClient } from "../load/flight-client.ts";
import { splitStream } from "../load/messages.ts";
import { baseTopics, labelTopics, type TopicLoad } from "../load/robot.ts";
import { Random } from "../model/random.ts";
import { seed } from "../seed.ts";
import { createKey, type RunningServer, startServer } from "../server.ts";
import { command, contents, logged, metadataOf, record, targetOf, until } from "./edges.ts";
import { folders } from "./folders.ts";

const drive = { startNs: 1_700_000_000_000_000_000n, seconds: 20, seed: 7 } as const;

interface Uuids {
  readonly sequence: Uuid;
  readonly session: Uuid;
  readonly topics: readonly Uuid[];
}

const newUuid = (): Uuid => crypto.randomUUID() as Uuid;

/** A session whose UUIDs are chosen. */
async function recordAs(
  { port, token }: { port: number; token?: string },
  sequence: string,
  topics: readonly TopicLoad[],
  uuids: Uuids,
): Promise<void> {
  using client = new FlightClient(port, token);
  await client.action("sequence_create", { locator: sequence, user_metadata: { robot: "milo" }, uuid: uuids.sequence });
  await client.action("session_create", { locator: sequence, uuid: uuids.session });
  for (const [index, { path: below, ontologyTag, userMetadata, messages }] of topics.entries()) {
    const locator = `${sequence}/${below}`;
    const uuid = uuids.topics[index] ?? "";
    await client.action("topic_create", {
      session_uuid: uuids.session,
      locator,
      serialization_format: "default",
      ontology_tag: ontologyTag,
      user_metadata: userMetadata,
      uuid,
    });
    await client.put({ locator, uuid }, messages);
  }
  await client.action("session_finalize", { session_uuid: uuids.session });
}

/** What the same session is at a remote. */
function derived({ sequence, session, topics }: Uuids): Uuids {
  return {
    sequence: derivedUuid(sequence, "sequence"),
    session: derivedUuid(session, "session"),
    topics: topics.map((topic) => derivedUuid(topic, "topic")),
  };
}

describe("two edges that compare contents", () => {
  const directory = folders("contents");
  let near: RunningServer;
  let far: RunningServer;

  beforeAll(async () => {
    near = await startServer({ dataDir: directory() });
    far = await startServer({ dataDir: directory() });
  });

  afterAll(async () => {
    await near?.[Symbol.asyncDispose]();
    await far?.[Symbol.asyncDispose]();
  });

  test("what a robot records is synced when it was read back", { timeout: 60_000 }, async () => {
    await command(near.dataDir, "add", "centre", `grpc://127.0.0.1:${far.port}`, "--verify", "contents");
    await record(near.port, "drive-1", baseTopics(drive));
    await record(near.port, "drive-1", labelTopics(drive), false);
    const view = await until(near.dataDir, "both are there", ({ syncedSessions }) => syncedSessions === 2);
    expect(view).toMatchObject({ pendingSessions: 0, parkedSessions: 0 });
    for (const { path: below } of [...baseTopics(drive), ...labelTopics(drive)])
      expect(await contents(far.port, `drive-1/${below}`), below).toEqual(
        await contents(near.port, `drive-1/${below}`),
      );
    expect(logged(near.stderr(), "sync_broken_off")).toEqual([]);
    await command(near.dataDir, "remove", "centre");
  });

  test.skipIf(skipsPython)(
    "columns of every type that pyarrow writes are equal there",
    { timeout: 240_000 },
    async () => {
      using golden = new Golden();
      await golden.run("golden.py", "make", String(seed));
      const { sources } = golden.readJson<{ sources: Source[] }>("sources.json");
      const bytes = golden.read("sources.bin");
      const random = new Random("contents: types");
      // Of what is nested some: the digest is shown all of it by itself.
      const wanted = sources.filter(({ name, compression }) =>
        name.includes("<") ? random.chance(0.1) : compression === "none" || random.chance(0.3),
      );
      const topics = wanted.map(
        ({ start, bytes: length, compression }, index): TopicLoad => ({
          path: `types/${index}/${compression}`,
          ontologyTag: "any",
          userMetadata: {},
          messages: splitStream(bytes.subarray(start, start + length)),
          rows: 0,
        }),
      );
      await record(near.port, "types", topics);
      await command(
        near.dataDir,
        "add",
        "types",
        `grpc://127.0.0.1:${far.port}`,
        "--verify",
        "contents",
        "--include",
        "types",
      );
      const view = await until(
        near.dataDir,
        "all are there",
        (one) => one.syncedSessions + one.parkedSessions === 1,
        1_800,
      );
      expect(view.parked).toEqual([]);
      let rows = 0;
      for (const { path: below } of topics)
        rows += (await metadataOf(far.port, `types/${below}`)).data_info.total_row_count;
      expect(rows).toBeGreaterThan(20 * topics.length);
      console.log(`contents: ${topics.length} topics compared, ${rows} rows`);
      await command(near.dataDir, "remove", "types");
    },
  );

  test("other contents with the same rows and times pass as rows, and are found as contents", {
    timeout: 60_000,
  }, async () => {
    const topics = baseTopics(drive).slice(0, 2);
    const uuids: Uuids = { sequence: newUuid(), session: newUuid(), topics: topics.map(newUuid) };
    await recordAs(near, "other", topics, uuids);
    // The same times, another noise.
    await recordAs(far, "other", baseTopics({ ...drive, seed: 8 }).slice(0, 2), derived(uuids));
    const url = `grpc://127.0.0.1:${far.port}`;
    await command(near.dataDir, "add", "rows", url, "--include", "other");
    await until(near.dataDir, "it passes", ({ syncedSessions }) => syncedSessions === 1);
    await command(near.dataDir, "remove", "rows");
    const here = await contents(near.port, "other/sensors/imu");
    expect(await contents(far.port, "other/sensors/imu")).not.toEqual(here);

    await command(near.dataDir, "add", "contents", url, "--include", "other", "--verify", "contents");
    const { parked } = await until(near.dataDir, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
    const reason = expect.stringMatching(
      /`other\/sensors\/imu` has other contents .*; it was complete there before, and stays/,
    );
    expect(parked).toEqual([expect.objectContaining({ cause: "different", reason })]);
    expect(await contents(far.port, "other/sensors/imu")).not.toEqual(here);
    // Whoever wants what is here deletes what is there.
    using operator = new FlightClient(far.port);
    await operator.action("sequence_delete", { locator: "other" });
    await command(near.dataDir, "retry", "contents");
    await until(near.dataDir, "it is synced", ({ syncedSessions }) => syncedSessions === 1);
    expect(await contents(far.port, "other/sensors/imu")).toEqual(here);
    await command(near.dataDir, "remove", "contents");
  });

  test("what was sent and is something else there is parked where it may not be deleted, naming topic and column", {
    timeout: 60_000,
  }, async () => {
    const farDir = directory();
    await using locked = await startServer({ dataDir: farDir, args: ["--api-key"] });
    const token = await createKey(farDir, "write");
    const operatorToken = await createKey(farDir, "delete");
    const keyFile = path.join(directory(), "key");
    writeFileSync(keyFile, `${token}\n`);
    const own = directory();
    const topics = baseTopics(drive).slice(0, 2);
    const uuids: Uuids = { sequence: newUuid(), session: newUuid(), topics: topics.map(newUuid) };
    {
      await using recorder = await startServer({ dataDir: own });
      await recordAs(recorder, "kept", topics, uuids);
      const words = ["--api-key-file", keyFile, "--verify", "contents", "--rate", "100kB"];
      await command(own, "add", "locked", `grpc://127.0.0.1:${locked.port}`, ...words);
      // It is being read back then.
      await expect.poll(() => locked.stderr(), { timeout: 20_000, interval: 10 }).toContain("session_finalized");
      await recorder.stop();
    }
    using operator = new FlightClient(locked.port, operatorToken);
    await operator.action("sequence_delete", { locator: "kept" });
    const other = baseTopics({ ...drive, seed: 8 }).slice(0, 2);
    await recordAs({ port: locked.port, token }, "kept", other, derived(uuids));
    await using _recorder = await startServer({ dataDir: own });
    await command(own, "set", "locked", "--no-rate");
    await until(own, "it is parked", ({ parkedSessions }) => parkedSessions === 1);
    const { parked } = await targetOf(own);
    expect(parked).toMatchObject([{ cause: "different" }]);
    expect(parked[0]?.reason).toMatch(
      /^`kept\/sensors\/imu` has other contents there in columns "acceleration", "angular_velocity", and it may not be deleted there$/,
    );
    // Somebody with the permission lets it go on.
    await operator.action("sequence_delete", { locator: "kept" });
    await command(own, "retry", "locked");
    await until(own, "it is synced", ({ syncedSessions }) => syncedSessions === 1);
  });
});
