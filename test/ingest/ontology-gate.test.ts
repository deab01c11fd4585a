// Finalize and the ontology: what fits passes, what does not is told once or refused, and nothing is lost by that.

import { rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Field,
  Float32,
  Float64,
  Int64,
  makeData,
  makeVector,
  Struct,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listNotifications } from "../../src/catalog/notifications.ts";
import { putSequence } from "../../src/catalog/resources.ts";
import { OntologyGate } from "../../src/ingest/ontology-gate.ts";
import { ontologyNotesMax } from "../../src/model/limits.ts";
import type { SequenceName, SessionLocator, TopicLocator } from "../../src/model/locator.ts";
import {
  emptyExtent,
  type JsonText,
  type Session,
  type Topic,
  type Ulid,
  type Uuid,
} from "../../src/model/resource.ts";
import { openScratch } from "../catalog/scratch.ts";
import { FlightClient, type Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { baseTopics } from "../load/robot.ts";
import { expectSame, openSession, readTopic } from "../round-trip.ts";
import { type RunningServer, runToEnd, startServer } from "../server.ts";
import { failPointProgram } from "../torture/campaign.ts";

const rows = 3;

function numbers(type: Float32 | Float64): Vector {
  const data = type instanceof Float32 ? new Float32Array(rows) : new Float64Array(rows);
  return makeVector(makeData({ type, data } as never));
}

/** A struct of which each field is double or float. */
function struct(fields: Readonly<Record<string, Float32 | Float64>>): Vector {
  const columns = Object.entries(fields).map(([name, type]) => [name, numbers(type)] as const);
  const type = new Struct(columns.map(([name, { type: inner }]) => new Field(name, inner, true)));
  const children = columns.flatMap(([, { data }]) => data);
  return makeVector(makeData({ type, length: rows, nullCount: 0, children }));
}

const point = { x: new Float64(), y: new Float64(), z: new Float64() };
const column = {
  point: struct(point),
  float: struct({ ...point, x: new Float32() }),
  flat: struct({ x: point.x, y: point.y }),
  double: numbers(new Float64()),
  text: vectorFromArray(["a", "b", "c"], new Utf8()),
};

function messages(columns: Readonly<Record<string, Vector>>): Outgoing[] {
  const timestamp_ns = makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(1n, 2n, 3n) }));
  return toMessages([{ timestamp_ns, ...columns }]);
}

const fits = messages({ acceleration: column.point, angular_velocity: column.point, frame_id: column.text });
const misses = messages({ acceleration: column.float });
/** What is said of `misses` as an IMU. */
const said =
  "field acceleration.x: expected double, found float; field angular_velocity: expected struct, found nothing";

async function upload(
  client: FlightClient,
  { session, locator, tag, data }: { session: string; locator: string; tag: string; data: readonly Outgoing[] },
): Promise<void> {
  const body = {
    session_uuid: session,
    locator,
    ontology_tag: tag,
    serialization_format: "default",
    user_metadata: {},
  };
  const { uuid } = (await client.action("topic_create", body)) as { uuid: string };
  await client.put({ locator, uuid }, data);
}

interface Notes {
  readonly notifications: readonly { readonly notification_type: string; readonly msg: string }[];
}

async function notes(client: FlightClient, of: "topic" | "sequence", locator: string): Promise<string[]> {
  const { notifications } = (await client.action(`${of}_notification_list`, { locator })) as Notes;
  for (const { notification_type } of notifications) expect(notification_type).toBe("error");
  return notifications.map(({ msg }) => msg);
}

const finalize = (client: FlightClient, session: string): Promise<unknown> =>
  client.action("session_finalize", { session_uuid: session });

describe("warn, the default", () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("a topic that does not fit gets one notification, however often its session is finalized", async () => {
    using client = new FlightClient(server.port);
    const session = await openSession(client, "warned");
    await upload(client, { session, locator: "warned/imu", tag: "imu", data: misses });
    await upload(client, { session, locator: "warned/good", tag: "IMU", data: fits });
    expect(await notes(client, "topic", "warned/imu")).toEqual([]);
    for (let time = 0; time < 3; time += 1) await finalize(client, session);
    expect(await notes(client, "topic", "warned/imu")).toEqual([
      `Ontology: topic \`warned/imu\` does not fit the model imu: ${said}.`,
    ]);
    expect(await notes(client, "topic", "warned/good")).toEqual([]);
    expectSame(await readTopic(client, "warned/imu"), misses, "warned/imu");
    expect(server.stderr()).toMatch(/"level":"warning","event":"ontology_differs","topic":"warned\/imu"/);
  });

  test.each<[string, Readonly<Record<string, Vector>>, readonly string[]]>([
    ["GPS", { position: column.point }, []],
    ["gps", { position: column.point, anything: column.text }, []],
    ["GPS", { position: column.flat }, ["field position.z: expected double, found nothing"]],
    ["GPS", { position: column.point, status: column.point }, ["status.status: expected int8, found nothing"]],
    [
      "Vector3d",
      { x: column.double, y: numbers(new Float64()), z: column.text },
      ["field z: expected double, found string"],
    ],
    ["String", { data: column.text }, []],
    ["large_string", { data: column.text }, []],
    ["nobody_knows", { whatever: column.point }, []],
    ["__proto__", { whatever: column.point }, []],
    ["Unmodeled", {}, []],
  ])("%s %#", async (tag, columns, found) => {
    using client = new FlightClient(server.port);
    const sequence = `each-${Math.round(performance.now() * 1_000)}`;
    const session = await openSession(client, sequence);
    await upload(client, { session, locator: `${sequence}/t`, tag, data: messages(columns) });
    await finalize(client, session);
    const told = await notes(client, "topic", `${sequence}/t`);
    expect(told.length).toBe(found.length);
    for (const part of found) expect(told[0]).toContain(part);
  });
});

describe("strict", () => {
  test("refuses with topic, field, expected and found, and loses nothing", async () => {
    let dataDir: string;
    await using server = await startServer({ args: ["--ontology-policy", "strict"] });
    {
      using client = new FlightClient(server.port);
      const session = await openSession(client, "refused");
      await upload(client, { session, locator: "refused/imu", tag: "imu", data: misses });
      await upload(client, { session, locator: "refused/good", tag: "imu", data: fits });
      const refusal =
        /^DoAction ended with status 9: Session `refused:\w+` is not finalized and stays open, the ontology policy is strict\./;
      for (let time = 0; time < 2; time += 1) {
        const refused = finalize(client, session);
        await expect(refused).rejects.toThrow(refusal);
        await expect(refused).rejects.toMatchObject({ code: 9 });
        await expect(refused).rejects.toThrow(`topic \`refused/imu\` does not fit the model imu: ${said}.`);
        await expect(refused).rejects.not.toThrow("refused/good");
      }
      expect(await notes(client, "topic", "refused/imu")).toEqual([]);
      expectSame(await readTopic(client, "refused/imu"), misses, "refused/imu");
      dataDir = server.dataDir;
      await server.kill();
      await using lenient = await startServer({ dataDir, port: server.port });
      using again = new FlightClient(lenient.port);
      expectSame(await readTopic(again, "refused/good"), fits, "refused/good");
      await finalize(again, session);
      expect((await notes(again, "topic", "refused/imu")).length).toBe(1);
      expect((await runToEnd(["verify", "--data-dir", dataDir])).stdout).toContain("sound");
      await lenient.stop();
    }
  });

  test("a topic that is deleted and uploaded as it should be lets the session pass", async () => {
    await using server = await startServer({ env: { MOSAICO_EDGE_ONTOLOGY_POLICY: "strict" } });
    using client = new FlightClient(server.port);
    const session = await openSession(client, "mended");
    await upload(client, { session, locator: "mended/imu", tag: "imu", data: misses });
    await expect(finalize(client, session)).rejects.toThrow("mended/imu");
    await client.action("topic_delete", { locator: "mended/imu" });
    await upload(client, { session, locator: "mended/imu", tag: "imu", data: fits });
    await finalize(client, session);
  });

  test("what a robot of ours records passes", async () => {
    await using server = await startServer({ args: ["--ontology-policy", "strict"] });
    using client = new FlightClient(server.port);
    const session = await openSession(client, "drive");
    for (const { path: name, ontologyTag, messages: data } of baseTopics({ startNs: 1n, seconds: 2, seed: 1 }))
      await upload(client, { session, locator: `drive/${name}`, tag: ontologyTag, data });
    await finalize(client, session);
  });

  test("a session that nobody returns to stays open, is told of once, and holds up no other", async () => {
    const args = ["--ontology-policy", "strict", "--open-sessions", "finalize", "--open-session-grace", "1s"];
    await using server = await startServer({ args });
    using client = new FlightClient(server.port);
    await upload(client, { session: await openSession(client, "a"), locator: "a/imu", tag: "imu", data: misses });
    await upload(client, { session: await openSession(client, "b"), locator: "b/imu", tag: "imu", data: fits });
    const startedMs = performance.now();
    while ((await notes(client, "sequence", "b")).length === 0) {
      expect(performance.now() - startedMs).toBeLessThan(15_000);
      await sleep(50);
    }
    expect((await notes(client, "sequence", "b"))[0]).toContain("It was finalized with what had arrived");
    await sleep(1_500);
    const told = await notes(client, "sequence", "a");
    expect(told).toEqual([expect.stringContaining("It stays open, for it could not be finalized: Session `a:")]);
    expect(told[0]).toContain(said);
    expectSame(await readTopic(client, "a/imu"), misses, "a/imu");
  });
});

test("off looks at nothing", async () => {
  await using server = await startServer({ args: ["--ontology-policy", "off"] });
  using client = new FlightClient(server.port);
  const session = await openSession(client, "off");
  await upload(client, { session, locator: "off/imu", tag: "imu", data: misses });
  await finalize(client, session);
  expect(await notes(client, "topic", "off/imu")).toEqual([]);
});

describe("a death while a session is finalized", () => {
  test.each(["replace: renamed:1", "finalize: row:1"])("at %s: told once, when it is finalized", async (point) => {
    const alone = { file: process.execPath, args: [failPointProgram] };
    await using scratch = await openScratch();
    const dataDir = path.join(scratch.directory, "data");
    let session: string;
    {
      await using server = await startServer({ dataDir });
      using client = new FlightClient(server.port);
      session = await openSession(client, "dead");
      await upload(client, { session, locator: "dead/imu", tag: "imu", data: misses });
      await server.stop();
    }
    {
      await using dying = await startServer({ dataDir, alone, env: { MOSAICO_FAIL_POINT: point } });
      using client = new FlightClient(dying.port);
      await expect(finalize(client, session)).rejects.toThrow();
      await dying.exited;
      expect(dying.diedByItself()).toBe(true);
    }
    await using server = await startServer({ dataDir });
    using client = new FlightClient(server.port);
    expect(await notes(client, "topic", "dead/imu")).toEqual([]);
    await finalize(client, session);
    expect((await notes(client, "topic", "dead/imu")).length).toBe(1);
    await server.stop();
    await rm(dataDir, { recursive: true });
  });
});

test("of very many topics the first are told of, and one notification counts the others", async () => {
  await using scratch = await openScratch();
  const { catalog } = scratch;
  const name = "s" as SequenceName;
  const sequence = { ulid: "q" as Ulid, uuid: "q" as Uuid, name, userMetadata: "{}" as JsonText, createdAtNs: 1n };
  const session = { locator: "s:1" as SessionLocator, sequence: name } as Session;
  const topics = Array.from(
    { length: ontologyNotesMax + 3 },
    (_none, number): Topic => ({
      uuid: `t${number}` as Uuid,
      locator: `s/t${number}` as TopicLocator,
      session: "1" as Ulid,
      number,
      ontologyTag: "imu",
      serializationFormat: "default",
      userMetadata: "{}" as JsonText,
      createdAtNs: 1n,
      extent: emptyExtent,
    }),
  );
  const [schema] = misses;
  if (schema === undefined) throw new Error("a table has a schema");
  await catalog.transaction(() => {
    putSequence(catalog, sequence);
    for (const { uuid } of topics) catalog.schemas.put(uuid, schema.header);
  });
  const gate = new OntologyGate(catalog, { policy: "warn", given: new Map() });
  for (const topic of topics) gate.look(topic);
  await catalog.transaction(() => gate.put(session, 2n));
  expect(topics.map(({ uuid }) => listNotifications(catalog, uuid).length)).toEqual(
    topics.map((_topic, index) => (index < ontologyNotesMax ? 1 : 0)),
  );
  expect(listNotifications(catalog, sequence.uuid).map(({ message }) => message)).toEqual([
    "Ontology: 3 more topics of session `s:1` do not fit the models of their tags.",
  ]);
  const strict = new OntologyGate(catalog, { policy: "strict", given: new Map() });
  for (const topic of topics) strict.look(topic);
  expect(() => strict.check(session)).toThrow(/topic `s\/t0` .*topic `s\/t2` .* And 1000 more topics\.$/);
});
