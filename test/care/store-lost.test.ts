// What commands say and do where the catalog, the store's document or both are lost, empty or of a newer version: nothing is made.

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crc32 } from "../../src/host/checksum.ts";
import { storeFormatVersion } from "../../src/store/documents.ts";
import { runToEnd, startServer } from "../server.ts";
import { type Corpus, makeCorpus, readAll, serverArgs } from "./corpus.ts";
import { targetsIn } from "./corruption.ts";

const newer = storeFormatVersion + 1;
const folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-lost-"));
const definition = path.join(folder, "wheel.json");
writeFileSync(definition, JSON.stringify({ tag: "wheel", fields: { speed: "double" } }));

let corpus: Corpus;
beforeAll(async () => {
  corpus = await makeCorpus();
});
afterAll(() => {
  corpus[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const run = (words: readonly string[], dataDir: string) => runToEnd([...words, "--data-dir", dataDir]);

const commands: Readonly<Record<string, readonly string[]>> = {
  verify: ["verify"],
  status: ["status"],
  "key list": ["key", "list"],
  "key revoke": ["key", "revoke", "0f3a91c2"],
  "key create": ["key", "create", "-p", "read"],
  query: ["query", "--sequence", "*"],
  "ontology list": ["ontology", "list"],
  "ontology remove": ["ontology", "remove", "gps"],
  "ontology register": ["ontology", "register", definition],
  run: ["run", "--port", "0"],
  repair: ["repair"],
};
/** Exit codes where the catalog is lost: 1 of what looks for damage, of all others 65. */
const endOf = (command: string): number => (command === "verify" ? 1 : 65);

describe.each(Object.keys(commands))("%s", (command) => {
  const words = commands[command] ?? [];

  test.each(["empty", "missing"] as const)("with a catalog that is %s says so, and makes none", async (what) => {
    const dataDir = corpus.copy("closed");
    const file = path.join(dataDir, "catalog/data.mdb");
    if (what === "empty") truncateSync(file, 0);
    else rmSync(path.join(dataDir, "catalog"), { recursive: true });
    const { code, stdout, stderr } = await run(words, dataDir);
    expect(`${stdout}${stderr}`).toContain("rebuild");
    expect({ command, code }).toEqual({ command, code: endOf(command) });
    if (what === "empty") expect(statSync(file).size).toBe(0);
    else expect(existsSync(path.dirname(file))).toBe(false);
  });

  test("refuses a store of a newer format, and names both", async () => {
    const dataDir = corpus.copy("closed");
    const document = newerDocument(dataDir);
    const { code, stderr } = await run(words, dataDir);
    expect(stderr).toContain(`has format ${newer}`);
    expect(stderr).toContain(`up to ${storeFormatVersion}`);
    expect(code).toBe(75);
    expect(readFileSync(path.join(dataDir, "store.json"), "utf8")).toBe(document);
  });
});

/** As the next version would write it. */
function newerDocument(dataDir: string): string {
  return changedDocument(dataDir, (text) => text.replace(`"format":${storeFormatVersion}`, `"format":${newer}`));
}

/** Another store.json with a checksum that fits. */
function changedDocument(dataDir: string, change: (text: string) => string): string {
  const file = path.join(dataDir, "store.json");
  const text = change(readFileSync(file, "utf8")).replace(/,"crc32":\d+\}\n$/, "");
  const document = `${text},"crc32":${crc32([Buffer.from(text)])}}\n`;
  writeFileSync(file, document);
  return document;
}

test("rebuild refuses a newer format too, with and without a catalog", async () => {
  const dataDir = corpus.copy("closed");
  const document = newerDocument(dataDir);
  const refused = { code: 75, stderr: expect.stringContaining(`has format ${newer}`) };
  expect(await run(["rebuild", "--replace"], dataDir)).toMatchObject(refused);
  rmSync(path.join(dataDir, "catalog"), { recursive: true });
  expect(await run(["rebuild"], dataDir)).toMatchObject(refused);
  expect(readFileSync(path.join(dataDir, "store.json"), "utf8")).toBe(document);
  expect(existsSync(path.join(dataDir, "catalog.new"))).toBe(false);
});

test("without catalog and store.json the sessions are still a store: rebuild gives it another identity", async () => {
  const dataDir = corpus.copy("killed");
  rmSync(path.join(dataDir, "catalog"), { recursive: true });
  rmSync(path.join(dataDir, "store.json"));
  const named = { verify: 1, repair: 65, run: 65 } as const;
  for (const [command, code] of Object.entries(named)) {
    const ended = await run(commands[command] ?? [], dataDir);
    expect(`${ended.stdout}${ended.stderr}`).toContain("mosaico-edge rebuild");
    expect({ command, code: ended.code }).toEqual({ command, code });
  }
  expect(await run(["rebuild"], dataDir)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("The store gets another identity"),
  });
  expect(await run(["verify"], dataDir)).toMatchObject({ code: 0 });
  await using server = await startServer({ dataDir, args: serverArgs });
  expect(await readAll(server.port, corpus.topics.keys())).toEqual(corpus.stored);
});

test.each(["status", "verify", "repair", "rebuild"])(
  "%s ends with 66 in a directory that is no store",
  async (command) => {
    const dataDir = path.join(corpus.copy("closed"), "sequences");
    const { code, stderr } = await run([command], dataDir);
    expect(stderr).toContain("no data directory");
    expect(code).toBe(66);
  },
);

describe("bytes behind what is committed of an open chunk", () => {
  const appended = (dataDir: string): void => {
    const [target] = targetsIn(dataDir)["open chunk"];
    if (target === undefined) throw new Error("the corpus has an open chunk");
    writeFileSync(path.join(dataDir, target.path), Buffer.alloc(1000, 1), { flag: "a" });
  };

  test("a start that fails leaves a killed store killed, and repair ends", async () => {
    const dataDir = corpus.copy("killed");
    appended(dataDir);
    const log = path.join(dataDir, "tail/00000001.log");
    truncateSync(log, Math.floor(statSync(log).size / 2));
    const file = path.join(dataDir, "store.json");
    const own = readFileSync(file, "utf8");
    changedDocument(dataDir, (text) => text.replace(/"id":"[^"]*"/, '"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"'));
    expect((await run(commands["run"] ?? [], dataDir)).stderr).toContain("01ARZ3NDEKTSV4RRFFQ69G5FAV");
    writeFileSync(file, own);
    expect((await run(["verify"], dataDir)).stdout).toContain("leftover too_long sessions/");
    expect(await run(["repair"], dataDir)).toMatchObject({ code: 0 });
    expect(await run(["repair"], dataDir)).toMatchObject({ code: 0, stdout: "sound\n" });
    await using server = await startServer({ dataDir, args: serverArgs });
    await server.stop();
  });

  test("are damage in a store that was closed, and repair takes them away", async () => {
    const dataDir = corpus.copy("closed");
    appended(dataDir);
    expect((await run(["verify"], dataDir)).stdout).toContain("damage too_long sessions/");
    expect(await run(["repair"], dataDir)).toMatchObject({ code: 0 });
    expect(await run(["repair"], dataDir)).toMatchObject({ code: 0, stdout: "sound\n" });
  });
});

test("what verify finds is told in whole sentences", async () => {
  const dataDir = corpus.copy("killed");
  const log = path.join(dataDir, "tail/00000001.log");
  truncateSync(log, statSync(log).size - 8);
  const [chunk] = targetsIn(dataDir)["open chunk"];
  writeFileSync(path.join(dataDir, chunk?.path ?? ""), "123", { flag: "a" });
  const { stdout } = await run(["verify"], dataDir);
  expect(stdout).toContain("found the end of the log");
  expect(stdout).not.toContain("undefined");
  expect(stdout).toMatch(/too_short tail\/00000001\.log: expected [0-9]+ bytes, found [0-9]+ bytes/);
  expect(stdout).toMatch(/too_long sessions\/.*: expected [0-9]+ bytes, found [0-9]+ bytes/);
  writeFileSync(path.join(dataDir, "catalog/data.mdb"), Buffer.alloc(65_536, 7));
  const damaged = await run(["verify"], dataDir);
  expect(damaged.stdout).toMatch(
    /^damage catalog_file catalog\/data\.mdb: expected a sound LMDB file, found catalog\/data\.mdb: page 0 [^.]*\n/,
  );
  expect(damaged.stdout).not.toContain("Nothing was touched");
  expect(await run(["verify", "--session", ""], dataDir)).toMatchObject({ code: 64 });
});
