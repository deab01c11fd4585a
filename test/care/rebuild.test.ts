// A catalog that is lost comes back from the directories: row for row, but for what only it knew.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
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

const rebuild = (dataDir: string, ...args: string[]) => runToEnd(["rebuild", "--data-dir", dataDir, ...args]);
const verify = (dataDir: string) => runToEnd(["verify", "--data-dir", dataDir]);

describe("a rebuilt catalog", () => {
  test.each(["killed", "closed"] as const)(
    "of a store that was %s is equal to the lost one, and serves the same",
    async (of) => {
      const dataDir = corpus.copy(of);
      const before = await catalogRows(dataDir, "data");
      expect(Object.entries(before).flatMap(([name, rows]) => (rows.length > 0 ? [] : [name]))).toEqual(
        of === "killed" ? [] : ["tails"],
      );
      rmSync(path.join(dataDir, "catalog"), { recursive: true });
      const { code, stdout } = await rebuild(dataDir);
      expect(stdout).toContain("a catalog of 2 sequences, 3 sessions, 13 topics; 0 problems");
      expect(code).toBe(0);
      expect(await catalogRows(dataDir, "data")).toEqual(before);
      expect(await verify(dataDir)).toMatchObject({ code: 0, stdout: expect.stringContaining("sound") });
      await using server = await startServer({ dataDir, args: serverArgs });
      expect(await readAll(server.port, corpus.topics.keys())).toEqual(corpus.stored);
    },
  );

  test("takes the place of a sound one only when it is told to, and puts that aside", async () => {
    const dataDir = corpus.copy("closed");
    const refused = await rebuild(dataDir);
    expect(refused).toMatchObject({ code: 75, stderr: expect.stringContaining("sound catalog") });
    const before = await catalogRows(dataDir, "data");
    expect(await rebuild(dataDir, "--replace")).toMatchObject({ code: 0 });
    expect(await catalogRows(dataDir, "data")).toEqual(before);
    const [time = ""] = readdirSync(path.join(dataDir, "quarantine"));
    expect(readdirSync(path.join(dataDir, "quarantine", time))).toContain("catalog");
    expect((await catalogRows(path.join(dataDir, "quarantine", time), "all"))["keys"]).toHaveLength(2);
  });

  test("takes the place of a damaged one at once", async () => {
    const dataDir = corpus.copy("closed");
    const before = await catalogRows(dataDir, "data");
    writeFileSync(path.join(dataDir, "catalog/data.mdb"), Buffer.alloc(65_536, 7));
    expect(await rebuild(dataDir)).toMatchObject({ code: 0 });
    expect(await catalogRows(dataDir, "data")).toEqual(before);
  });

  test("is not made beside a server, nor of a directory that is no store", async () => {
    const dataDir = corpus.copy("closed");
    await using _server = await startServer({ dataDir });
    expect(await rebuild(dataDir, "--replace")).toMatchObject({ code: 75, stderr: expect.stringContaining("stop it") });
    const other = path.join(dataDir, "other");
    mkdirSync(other);
    expect(await rebuild(other)).toMatchObject({ code: 66 });
  });
});
