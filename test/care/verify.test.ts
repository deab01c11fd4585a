// verify finds every corruption, of every kind, of every kind of file; what it does not find means nothing, which is shown by
// reading everything back. It finds nothing in a store that is whole, also beside a server under load.

import { cpSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Finding } from "../../src/care/finding.ts";
import { openCatalog } from "../../src/catalog/catalog.ts";
import { listAllSessions } from "../../src/catalog/resources.ts";
import { listTargets } from "../../src/catalog/target-rows.ts";
import { putClaim, putTransfer } from "../../src/catalog/transfer-rows.ts";
import { findDisk } from "../../src/host/disk.ts";
import { newUlid } from "../../src/host/entropy.ts";
import type { TimeNs } from "../../src/model/time.ts";
import { firstCursor } from "../../src/model/transfer.ts";
import { catalogDirectory, tailFile } from "../../src/store/layout.ts";
import { tailHeaderBytes } from "../../src/store/tail-frame.ts";
import { FlightClient } from "../load/flight-client.ts";
import { randomFrom } from "../load/random.ts";
import { baseTopics } from "../load/robot.ts";
import { createTopic } from "../round-trip.ts";
import { seed } from "../seed.ts";
import { runToEnd, startServer } from "../server.ts";
import { catalogRows, type Rows } from "./catalog-rows.ts";
import { type Corpus, makeCorpus, readAll, serverArgs } from "./corpus.ts";
import { type Damage, damageFile, damageKinds, fileKinds, targetsIn } from "./corruption.ts";

/** Corruptions of each kind of each kind of file; MOSAICO_CORRUPTIONS says how many there are to be in all. */
const cells = damageKinds.length * fileKinds.length;
const perCell = Math.max(3, Math.ceil(Number(process.env["MOSAICO_CORRUPTIONS"] ?? 0) / cells));
const minutes = 60_000;

let corpus: Corpus;
beforeAll(async () => {
  corpus = await makeCorpus();
});
afterAll(() => corpus[Symbol.dispose]());

interface Verified {
  readonly code: unknown;
  readonly findings: readonly Finding[];
  readonly sound: boolean;
}

async function verify(dataDir: string, ...args: string[]): Promise<Verified> {
  const { code, stdout, stderr } = await runToEnd(["verify", "--data-dir", dataDir, "--json", ...args]);
  if (stdout === "") throw new Error(`verify ended with ${code}: ${stderr}`);
  return { code, ...(JSON.parse(stdout) as Omit<Verified, "code">) };
}

describe("a store that is whole", () => {
  test.each(["killed", "closed"] as const)("and was %s has no finding", async (of) => {
    expect(await verify(of === "killed" ? corpus.killed : corpus.closed)).toMatchObject({
      code: 0,
      findings: [],
      sound: true,
    });
  });

  test("has none for one session, by ULID or locator; another is absent", async () => {
    const { sessions } = await catalogRows(corpus.closed, "data");
    const [[, row]] = sessions as [[unknown, { ulid: string; locator: string }]];
    for (const id of [row.ulid, row.locator])
      expect(await verify(corpus.closed, "--session", id)).toMatchObject({ code: 0, findings: [], sessions: 1 });
    expect(await runToEnd(["verify", "--data-dir", corpus.closed, "--session", "nobody"])).toMatchObject({ code: 66 });
  });

  test("is told from a directory that is none", async () => {
    const other = path.join(corpus.copy("closed"), "nothing");
    mkdirSync(other);
    expect(await runToEnd(["verify", "--data-dir", other])).toMatchObject({
      code: 66,
      stderr: expect.stringContaining("no data directory"),
    });
  });

  test("has none beside a server under upload", { timeout: 2 * minutes }, async () => {
    const dataDir = corpus.copy("killed");
    await using server = await startServer({ dataDir, args: serverArgs });
    const stop = new AbortController();
    const load = uploadUntil(server.port, stop.signal);
    let runs = 0;
    for (; runs < 6; runs += 1) {
      const { code, findings } = await verify(dataDir);
      expect(findings, `run ${runs}`).toEqual([]);
      expect(code).toBe(0);
    }
    stop.abort();
    const uploads = await load;
    console.log(`verify beside a server: ${runs} runs while ${uploads} topics were uploaded`);
    expect(uploads).toBeGreaterThan(5);
    await server.stop();
    expect(await verify(dataDir)).toMatchObject({ code: 0, findings: [] });
  });

  test("damage is found beside a server too", { timeout: minutes }, async () => {
    const dataDir = corpus.copy("closed");
    await using _server = await startServer({ dataDir, args: serverArgs });
    const random = randomFrom(seed);
    for (const file of ["sealed chunk body", "manifest", "topic.json", "sequence document"] as const) {
      const damage = damageFile(dataDir, { file, kind: "bit flip", targets: targetsIn(dataDir)[file], random });
      expect((await verify(dataDir)).code, damage?.what).toBe(1);
      damage?.undo();
    }
  });
});

test("what is known of targets has to fit to sessions, sequences and targets that there are", async () => {
  const dataDir = corpus.copy("closed");
  const [nobody, nowhere] = [newUlid(1), newUlid(2)];
  expect(await runToEnd(["sync", "add", "centre", "grpc://127.0.0.1:1", "--data-dir", dataDir])).toMatchObject({
    code: 0,
  });
  expect(await verify(dataDir)).toMatchObject({ code: 0, findings: [] });
  {
    const disk = await findDisk(dataDir);
    const options = { directory: catalogDirectory, whenMissing: "refuse", onFailure: () => undefined } as const;
    await using catalog = await openCatalog({ disk, ...options });
    const [target] = listTargets(catalog);
    const [session] = listAllSessions(catalog);
    if (target === undefined || session === undefined) throw new RangeError("there is a target, and a session");
    const row = { cursor: firstCursor, changedAtNs: 1n as TimeNs };
    await catalog.transaction(() => {
      putTransfer(catalog, session.ulid, target.id, row);
      putTransfer(catalog, nobody, target.id, row);
      putTransfer(catalog, session.ulid, nowhere, row);
      putClaim(catalog, session.sequenceUlid, target.id, "ours");
      putClaim(catalog, nobody, target.id, "ours");
      putClaim(catalog, session.sequenceUlid, nowhere, "ours");
      catalog.claims.put(["/gone", target.id], "ours");
      catalog.targets.put("other", catalog.targets.get("centre") ?? "");
    });
  }
  const { code, findings } = await verify(dataDir);
  expect(code).toBe(1);
  expect(findings.every(({ what }) => what === "reference")).toBe(true);
  expect(findings.map(({ where, expected, found }) => `${where}: ${expected}, ${found}`)).toEqual([
    'catalog: targets "other": "centre", "other"',
    expect.stringMatching(`^catalog: transfers \\["${nobody}",".*"\\]: a session, none$`),
    expect.stringMatching(`^catalog: transfers \\[".*","${nowhere}"\\]: a target, none$`),
    expect.stringMatching(`^catalog: claims \\["${nobody}",".*"\\]: a sequence, none$`),
    expect.stringMatching(`^catalog: claims \\[".*","${nowhere}"\\]: a target, none$`),
  ]);
});

/** How many topics; sessions are finalized and deleted in between. */
async function uploadUntil(port: number, signal: AbortSignal): Promise<number> {
  using client = new FlightClient(port);
  const loads = baseTopics({ startNs: 1n, seconds: 1, seed: 3 });
  let topics = 0;
  for (let round = 0; !signal.aborted; round += 1) {
    const name = `load-${round}`;
    await client.action("sequence_create", { locator: name, user_metadata: {} });
    const { uuid } = (await client.action("session_create", { locator: name })) as { uuid: string };
    await Promise.all(
      loads.map(async ({ path: below, messages }) => {
        const put = client.openPut(await createTopic(client, uuid, `${name}/${below}`));
        for (const message of messages) {
          await put.sendData(message);
          await sleep(40);
        }
        await put.finish();
        topics += 1;
      }),
    );
    if (round % 3 !== 0) await client.action("session_finalize", { session_uuid: uuid });
    if (round % 2 === 0) await client.action("sequence_delete", { locator: name });
  }
  return topics;
}

/**
 * Frames that rows name: on a busy machine a commit comes between the batches of a short upload, which lie in the log then though they
 * have moved to a chunk, and mean nothing there.
 */
function onlyLive(targets: Targets, { tails = [] }: Rows): Targets {
  const live = new Set(
    tails.map(([, value]) => {
      const { log, entry } = value as { log: number; entry: { offset: number } };
      return `${tailFile(log)} ${entry.offset}`;
    }),
  );
  const [headers, bodies] = [targets["tail frame header"], targets["tail frame body"]];
  return {
    ...targets,
    "tail frame header": headers.filter(({ path: file, from }) => live.has(`${file} ${from + tailHeaderBytes}`)),
    "tail frame body": bodies.filter(({ path: file, from }) => live.has(`${file} ${from}`)),
  };
}

type Targets = ReturnType<typeof targetsIn>;

interface Outcome {
  found: number;
  harmless: number;
}

test(`every one of ${perCell * cells} corruptions is found, or means nothing`, { timeout: 60 * minutes }, async () => {
  const random = randomFrom(seed);
  const everything = await catalogRows(corpus.killed, "all");
  const targets = onlyLive(targetsIn(corpus.killed), everything);
  const table = new Map<string, Outcome>();
  const missed: string[] = [];
  const work: { file: (typeof fileKinds)[number]; kind: (typeof damageKinds)[number] }[] = [];
  for (const file of fileKinds)
    for (const kind of damageKinds) for (let n = 0; n < perCell; n += 1) work.push({ file, kind });

  const lane = async (): Promise<void> => {
    const dataDir = corpus.copy("killed");
    for (let cell = work.pop(); cell !== undefined; cell = work.pop()) {
      let damage: Damage | undefined;
      while (damage === undefined) damage = damageFile(dataDir, { ...cell, targets: targets[cell.file], random });
      const outcome = table.get(`${cell.file} ${cell.kind}`) ?? { found: 0, harmless: 0 };
      table.set(`${cell.file} ${cell.kind}`, outcome);
      const { findings } = await verify(dataDir);
      if (findings.length > 0) outcome.found += 1;
      else if (cell.file.startsWith("data.mdb") && (await isHarmless(dataDir, everything))) outcome.harmless += 1;
      else missed.push(damage.what);
      damage.undo();
    }
    expect(await verify(dataDir), "all damage was undone").toMatchObject({ code: 0, findings: [] });
  };
  await Promise.all([lane(), lane()]);

  printTable(table);
  expect(missed).toEqual([]);
  for (const file of fileKinds)
    for (const kind of damageKinds) {
      const outcome = table.get(`${file} ${kind}`) ?? { found: 0, harmless: 0 };
      expect(outcome.found + outcome.harmless, `${kind} of ${file}`).toBe(perCell);
      // Whether a byte of a catalog means something is a matter of chance, where it does is the next row.
      if (!file.startsWith("data.mdb")) expect(outcome.found, `${kind} of ${file}`).toBe(perCell);
      // Behind the last page in use lies room: what comes behind that is room, too.
      else if (file !== "data.mdb" && kind !== "extension")
        expect(outcome.found, `${kind} of ${file}`).toBeGreaterThan(0);
    }
});

/** Whether the catalog says what it said, and a server on it serves, writes and leaves what it should. */
async function isHarmless(dataDir: string, everything: Awaited<ReturnType<typeof catalogRows>>): Promise<boolean> {
  expect(await catalogRows(dataDir, "all")).toEqual(everything);
  const copy = path.join(path.dirname(dataDir), `${path.basename(dataDir)}-harmless`);
  rmSync(copy, { recursive: true, force: true });
  cpSync(dataDir, copy, { recursive: true });
  await using server = await startServer({ dataDir: copy, args: serverArgs });
  expect(await readAll(server.port, corpus.topics.keys())).toEqual(corpus.stored);
  await server.stop();
  return (await verify(copy)).findings.length === 0;
}

function printTable(table: ReadonlyMap<string, Outcome>): void {
  const width = Math.max(...damageKinds.map(({ length }) => length));
  const lines = [`${"found + harmless".padEnd(20)} ${damageKinds.map((kind) => kind.padStart(width)).join(" ")}`];
  const sum: Outcome = { found: 0, harmless: 0 };
  for (const file of fileKinds) {
    const row = damageKinds.map((kind) => {
      const { found, harmless } = table.get(`${file} ${kind}`) ?? { found: 0, harmless: 0 };
      sum.found += found;
      sum.harmless += harmless;
      return (harmless === 0 ? `${found}` : `${found} + ${harmless}`).padStart(width);
    });
    lines.push(`${file.padEnd(20)} ${row.join(" ")}`);
  }
  console.log(`verify, seed ${seed}: ${sum.found} found, ${sum.harmless} harmless\n${lines.join("\n")}`);
}
