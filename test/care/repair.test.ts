// repair keeps every batch that is undamaged, says what is lost, and deletes nothing; broken off anywhere it is done by the next one.

import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repair } from "../../src/care/repair.ts";
import { openCatalogToRead } from "../../src/catalog/catalog.ts";
import { readChunk } from "../../src/catalog/chunk-rows.ts";
import { listAllTopics } from "../../src/catalog/resources.ts";
import { listTailRuns } from "../../src/catalog/tail-rows.ts";
import { machineClock } from "../../src/host/clock.ts";
import { type Disk, findDisk, type WritableFile } from "../../src/host/disk.ts";
import { Fault } from "../../src/model/fault.ts";
import { chunkFile, tailFile } from "../../src/store/layout.ts";
import { FlightClient } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomFrom } from "../load/random.ts";
import { createTopic, openSession } from "../round-trip.ts";
import { seed } from "../seed.ts";
import { runToEnd, startServer } from "../server.ts";
import { catalogRows } from "./catalog-rows.ts";
import { type Corpus, makeCorpus, readAll, serverArgs } from "./corpus.ts";
import { damageFile, damageKinds, fileKinds, targetsIn } from "./corruption.ts";

const minutes = 60_000;
let corpus: Corpus;
let places: ReadonlyMap<string, readonly Place[]>;
beforeAll(async () => {
  corpus = await makeCorpus();
  places = await placesOf(corpus.killed);
});
afterAll(() => corpus[Symbol.dispose]());

const run = (command: string, dataDir: string) => runToEnd([command, "--data-dir", dataDir]);

/** Where a message of a topic lies. */
interface Place {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
  readonly kind: "batch" | "dictionary";
}

/** By locator, in the order of the topic. */
async function placesOf(dataDir: string): Promise<Map<string, Place[]>> {
  await using catalog = await openCatalogToRead(await findDisk(dataDir), "catalog");
  const found = new Map<string, Place[]>();
  for (const topic of listAllTopics(catalog)) {
    const own: Place[] = [];
    for (let number = 0; ; number += 1) {
      const chunk = readChunk(catalog, topic.uuid, number);
      if (chunk === undefined) break;
      for (const { offset, metadataBytes, bodyBytes, kind } of chunk.batches)
        own.push({
          path: chunkFile(topic.session, topic.number, number),
          offset,
          bytes: metadataBytes + bodyBytes,
          kind,
        });
    }
    for (const { log, batches } of listTailRuns(catalog, topic.uuid))
      for (const { offset, metadataBytes, bodyBytes, kind } of batches)
        own.push({ path: tailFile(log), offset, bytes: metadataBytes + bodyBytes, kind });
    found.set(topic.locator, own);
  }
  return found;
}

/** For each message of a topic whether its bytes are as they were; those of a tail log with their frame. */
function undamaged(dataDir: string, own: readonly Place[]): boolean[] {
  return own.map(({ path: file, offset, bytes }) => {
    const from = file.startsWith("tail/") ? offset - 80 : offset;
    const part = (directory: string): Buffer | undefined => {
      try {
        return readFileSync(path.join(directory, file)).subarray(from, offset + bytes);
      } catch {
        return undefined;
      }
    };
    const now = part(dataDir);
    const before = part(corpus.killed);
    return now !== undefined && before !== undefined && Buffer.compare(now, before) === 0;
  });
}

/** What a client has to read of each topic after the repair of what is damaged now; of topics with dictionaries when it is known. */
function expectedOf(dataDir: string): Map<string, readonly string[] | undefined> {
  const expected = new Map<string, readonly string[] | undefined>();
  for (const [locator, stored] of corpus.stored) {
    const own = places.get(locator) ?? [];
    const whole = undamaged(dataDir, own);
    if (whole.every((one) => one)) expected.set(locator, stored);
    else if (own.some(({ kind }) => kind === "dictionary")) expected.set(locator, undefined);
    else
      expected.set(
        locator,
        stored.filter((_message, index) => whole[index]),
      );
  }
  return expected;
}

async function expectRead(dataDir: string, expected: ReturnType<typeof expectedOf>, what: string): Promise<void> {
  await using server = await startServer({ dataDir, args: serverArgs });
  const read = await readAll(server.port, expected.keys());
  for (const [locator, messages] of expected) {
    const stored = new Set(corpus.stored.get(locator));
    // Times may be equal, so that their order is that of the file.
    if (messages !== undefined) expect(read.get(locator), `${locator} after ${what}`).toEqual(messages);
    else
      for (const message of read.get(locator) ?? []) expect(stored.has(message), `${locator} after ${what}`).toBe(true);
  }
  await server.stop();
}

test("every kind of damage beside the catalog is repaired, and what was undamaged is kept", {
  timeout: 10 * minutes,
}, async () => {
  const random = randomFrom(seed + 1);
  const targets = targetsIn(corpus.killed);
  let lostTopics = 0;
  let repaired = 0;
  for (const file of fileKinds.filter((kind) => !kind.startsWith("data.mdb")))
    for (const kind of damageKinds) {
      // Servers are slow to start: some of the cells, others with another seed.
      if (random() > 0.45) continue;
      const dataDir = corpus.copy("killed");
      const damage = damageFile(dataDir, { file, kind, targets: targets[file], random });
      if (damage === undefined) continue;
      const expected = expectedOf(dataDir);
      const before = await catalogRows(dataDir, "all");
      const { code, stdout, stderr } = await run("repair", dataDir);
      expect(code, `repair of ${damage.what}: ${stdout}${stderr}`).toBe(0);
      expect(await run("verify", dataDir), damage.what).toMatchObject({ code: 0 });
      const lost = [...expected].filter(([locator, messages]) => messages !== corpus.stored.get(locator));
      const notes = (await catalogRows(dataDir, "all"))["notifications"]?.length ?? 0;
      expect(notes - (before["notifications"]?.length ?? 0), damage.what).toBe(lost.length);
      lostTopics += lost.length;
      await expectRead(dataDir, expected, damage.what);
      expect(await run("verify", dataDir), `${damage.what}, after a server`).toMatchObject({ code: 0 });
      repaired += 1;
      rmSync(dataDir, { recursive: true });
    }
  console.log(`repair, seed ${seed + 1}: ${repaired} damages repaired, batches lost in ${lostTopics} topics`);
  expect(repaired).toBeGreaterThan(20);
  expect(lostTopics).toBeGreaterThan(5);
});

describe("repair", () => {
  test("changes nothing where nothing is damaged", async () => {
    const dataDir = corpus.copy("closed");
    const before = await catalogRows(dataDir, "all");
    expect(await run("repair", dataDir)).toMatchObject({ code: 0, stdout: "sound\n" });
    expect(await catalogRows(dataDir, "all")).toEqual(before);
    expect(existsSync(path.join(dataDir, "quarantine"))).toBe(false);
  });

  test("refuses beside a server, and with a damaged catalog names what makes another one", async () => {
    const dataDir = corpus.copy("closed");
    {
      await using _server = await startServer({ dataDir });
      expect(await run("repair", dataDir)).toMatchObject({ code: 75, stderr: expect.stringContaining("stop it") });
    }
    writeFileSync(path.join(dataDir, "catalog/data.mdb"), Buffer.alloc(65_536, 7));
    expect(await run("repair", dataDir)).toMatchObject({
      code: 65,
      stderr: expect.stringContaining("mosaico-edge rebuild. "),
    });
  });

  test("notes what it puts aside, where it lay and why", async () => {
    const dataDir = corpus.copy("killed");
    writeFileSync(path.join(dataDir, "sessions/stranger"), "who is this?");
    expect(await run("repair", dataDir)).toMatchObject({ code: 0 });
    const [time = ""] = readdirSync(path.join(dataDir, "quarantine"));
    const note = JSON.parse(readFileSync(path.join(dataDir, "quarantine", time, "note-00001.json"), "utf8"));
    expect(note).toEqual({
      path: "sessions/stranger",
      quarantined: `quarantine/${time}/sessions/stranger`,
      reasons: ["damage extra sessions/stranger: expected nothing, found stranger"],
    });
    expect(readFileSync(path.join(dataDir, note.quarantined), "utf8")).toBe("who is this?");
  });
});

/** A disk that goes away at its `nth` change, as a power cut does. */
function mortalDisk(disk: Disk, nth: number): { disk: Disk; changes(): number } {
  let changes = 0;
  const change = <T>(act: () => Promise<T>): Promise<T> => {
    changes += 1;
    return changes >= nth ? Promise.reject(new Fault("internal", "the power is gone")) : act();
  };
  const mortal: Disk = {
    ...disk,
    async openWritable(name) {
      const file: WritableFile = await change(() => disk.openWritable(name));
      return {
        ...file,
        write: (pieces, position) => change(() => file.write(pieces, position)),
        truncate: (bytes) => change(() => file.truncate(bytes)),
      };
    },
    writeText: (name, text) => change(() => disk.writeText(name, text)),
    async replaceText(name, text) {
      await mortal.writeText(`${name}.new`, text);
      await mortal.rename(`${name}.new`, name);
    },
    makeDirectory: (name) => change(() => disk.makeDirectory(name)),
    rename: (source, target) => change(() => disk.rename(source, target)),
    remove: (name) => change(() => disk.remove(name)),
  };
  return { disk: mortal, changes: () => changes };
}

test("who goes on with an upload of which rows were lost is told, for their number says nothing any more", async () => {
  await using first = await startServer();
  const { dataDir } = first;
  const [schema, ...batches] = toMessages(
    Array.from({ length: 5 }, (_none, batch) => {
      const times = BigInt64Array.from({ length: 10 }, (_row, row) => BigInt(10 * batch + row));
      return { timestamp_ns: makeVector(makeData({ type: new Int64(), data: times })) };
    }),
  );
  if (schema === undefined) throw new RangeError("a stream begins with its schema");
  const topic = await (async () => {
    using client = new FlightClient(first.port);
    const created = await createTopic(client, await openSession(client, "drive"), "drive/imu", "imu");
    const put = client.openPut(created);
    for (const message of [schema, ...batches]) await put.sendData(message);
    while ((await rowsOf(client, "drive/imu")) < 50) await sleep(20);
    return created;
  })();
  await first.kill();
  const [, second] = (await placesOf(dataDir)).get("drive/imu") ?? [];
  if (second === undefined) throw new RangeError("the second batch lies somewhere");
  const file = path.join(dataDir, second.path);
  const bytes = readFileSync(file);
  bytes[second.offset + second.bytes - 1] = 0x5a;
  writeFileSync(file, bytes);
  expect(await run("repair", dataDir)).toMatchObject({ code: 0 });

  await using again = await startServer({ dataDir });
  using client = new FlightClient(again.port);
  expect(await statusOf(client, topic.uuid)).toMatchObject({ rows: 40, lost_rows: 10, state: "open" });
  using resuming = new FlightClient(again.port, undefined, { headers: { "x-mosaico-edge-resume-rows": "40" } });
  await expect(resuming.put(topic, [schema])).rejects.toMatchObject({
    code: 9,
    message: expect.stringContaining("has lost 10 rows by damage"),
  });
  await client.put(topic, [schema]);
  expect(await statusOf(client, topic.uuid)).toMatchObject({ rows: 40, state: "completed" });
});

async function rowsOf(client: FlightClient, locator: string): Promise<number> {
  const [endpoint] = (await client.info({ resource_locator: locator })).endpoint;
  const { data_info } = JSON.parse(Buffer.from(endpoint?.appMetadata ?? "").toString()) as {
    data_info: { total_row_count: number } | null;
  };
  return data_info?.total_row_count ?? 0;
}

function statusOf(client: FlightClient, uuid: string): Promise<unknown> {
  return client.action("edge_topic_status", { topic_uuid: uuid });
}

test("broken off anywhere, the next repair or the next start does the rest", { timeout: 10 * minutes }, async () => {
  const random = randomFrom(seed + 2);
  const damaged = corpus.copy("killed");
  const targets = targetsIn(corpus.killed);
  for (const file of ["sealed chunk body", "open chunk", "tail frame body", "manifest", "topic.json"] as const)
    damageFile(damaged, { file, kind: "zeroed range", targets: targets[file], random });
  writeFileSync(path.join(damaged, "sessions/stranger"), "");
  const expected = expectedOf(damaged);
  const options = { clock: machineClock(), onProgress: () => undefined, onDone: () => undefined };
  let points = 0;
  let servers = 0;
  for (let nth = 1; ; nth += 1 + (nth % 2)) {
    const dataDir = corpus.copy("killed");
    rmSync(dataDir, { recursive: true });
    cpSync(damaged, dataDir, { recursive: true });
    const { disk } = mortalDisk(await findDisk(dataDir), nth);
    const ended = await repair(disk, options).then(
      () => "done",
      (error: unknown) =>
        String(error).includes("SuppressedError") || String(error).includes("power") ? "cut" : String(error),
    );
    expect(["done", "cut"]).toContain(ended);
    if (ended === "done") break;
    points += 1;
    // A start in between finishes what rows say, and sweeps what none does.
    if (nth % 5 === 0) {
      await using server = await startServer({ dataDir, args: serverArgs }).catch(() => undefined);
      if (server !== undefined) servers += 1;
      await server?.stop();
    }
    expect(await repair(await findDisk(dataDir), options), `cut at change ${nth}`).toEqual([]);
    if (nth % 4 === 0) await expectRead(dataDir, expected, `a cut at change ${nth}`);
    rmSync(dataDir, { recursive: true });
  }
  console.log(`repair, seed ${seed + 2}: cut at ${points} changes, ${servers} times a server started in between`);
  expect(points).toBeGreaterThan(15);
});
