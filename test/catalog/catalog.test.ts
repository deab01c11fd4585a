// Transactions of the catalog on a real LMDB: whole or not at all, one after the other, also between processes.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { openCatalog } from "../../src/catalog/catalog.ts";
import { openDisk } from "../../src/host/disk.ts";
import { Fault } from "../../src/model/fault.ts";
import { openScratch } from "./scratch.ts";

describe("a transaction", () => {
  test("is seen by others when it has resolved, not before, and by itself at once", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    let own: string | undefined;
    const written = catalog.transaction(() => {
      catalog.facts.put("a", "1");
      own = catalog.facts.get("a");
      return "done";
    });
    expect(catalog.facts.get("a")).toBeUndefined();
    expect(await written).toBe("done");
    expect(own).toBe("1");
    expect(catalog.facts.get("a")).toBe("1");
  });

  test("survives closing and opening", async () => {
    await using scratch = await openScratch();
    await scratch.catalog.transaction(() => {
      scratch.catalog.facts.put("a", "ä 東京 🚗");
      scratch.catalog.schemas.put("b", Uint8Array.of(0, 255, 7));
    });
    const again = await scratch.reopen();
    expect(again.facts.get("a")).toBe("ä 東京 🚗");
    expect([...(again.schemas.get("b") ?? [])]).toEqual([0, 255, 7]);
  });

  test("that decides against it writes nothing, says why, and leaves its neighbours alone", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() => catalog.facts.put("a", "1"));
    const refusal = new Fault("exists", "Already there.");
    const outcomes = await Promise.allSettled([
      catalog.transaction(() => catalog.facts.put("before", "1")),
      catalog.transaction(() => {
        if (catalog.facts.get("a") !== undefined) throw refusal;
        catalog.facts.put("a", "2");
        catalog.facts.put("b", "2");
      }),
      catalog.transaction(() => catalog.facts.put("behind", "1")),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(outcomes[1]).toMatchObject({ reason: refusal });
    expect(["a", "b", "before", "behind"].map((key) => catalog.facts.get(key))).toEqual(["1", undefined, "1", "1"]);
    expect(scratch.failures).toEqual([]);
    expect((await scratch.reopen()).facts.get("b")).toBeUndefined();
  });

  test("may throw anything, not only errors", async () => {
    await using scratch = await openScratch();
    await expect(
      scratch.catalog.transaction(() => {
        throw undefined;
      }),
    ).rejects.toBeUndefined();
  });

  test("reads and writes as one: of many that count up none is lost", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    const results = await Promise.all(
      Array.from({ length: 200 }, () =>
        catalog.transaction(() => {
          const next = Number(catalog.facts.get("count") ?? 0) + 1;
          catalog.facts.put("count", String(next));
          return next;
        }),
      ),
    );
    expect(results).toEqual(Array.from({ length: 200 }, (_none, index) => index + 1));
  });

  test("of a catalog that cannot be written any more is unavailable, and that is reported", async () => {
    const scratch = await openScratch();
    const { catalog } = scratch;
    await scratch[Symbol.asyncDispose]();
    await expect(catalog.transaction(() => catalog.facts.put("a", "1"))).rejects.toMatchObject({
      code: "unavailable",
      message: "The catalog could not be written; nothing more is accepted until a restart",
    });
    expect(scratch.failures).toHaveLength(1);
  });
});

describe("tables", () => {
  test("a range has the start, not the end, in the order of the keys", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() => {
      for (const key of ["b", "a", "c", "aa", "B"]) catalog.facts.put(key, key);
    });
    expect([...catalog.facts.range("a", "c")].map(({ value }) => value)).toEqual(["a", "aa", "b"]);
    expect(catalog.facts.count()).toBe(5);
  });

  test("keys of several parts sort part by part, numbers as numbers", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    const keys = [
      ["a", 10],
      ["a", 9],
      ["b", 0],
      ["a", 0],
      ["ab", 1],
      ["a", 300],
    ] as const;
    await catalog.transaction(() => {
      for (const key of keys) catalog.chunks.put(key, Uint8Array.of(key[1] & 255));
    });
    const found = [...catalog.chunks.range(["a", 0], ["a", Number.MAX_SAFE_INTEGER])].map(({ key }) => key);
    expect(found).toEqual([
      ["a", 0],
      ["a", 9],
      ["a", 10],
      ["a", 300],
    ]);
  });

  test("the longest locator is a key", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    const key = "x".repeat(1024);
    await catalog.transaction(() => catalog.topics.put(key, "1"));
    expect(catalog.topics.get(key)).toBe("1");
  });

  test("tables do not share keys", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() => catalog.facts.put("a", "1"));
    expect(catalog.sequences.get("a")).toBeUndefined();
  });

  test("what was read stays what it was when the row changes", async () => {
    await using scratch = await openScratch();
    const { catalog } = scratch;
    await catalog.transaction(() => catalog.schemas.put("a", Uint8Array.of(1, 2, 3)));
    const before = catalog.schemas.get("a");
    await catalog.transaction(() => catalog.schemas.put("a", Uint8Array.of(9, 9, 9)));
    catalog.schemas.get("a");
    catalog.schemas.get("b");
    expect([...(before ?? [])]).toEqual([1, 2, 3]);
  });
});

test("a folder that cannot be made is named", async () => {
  await using scratch = await openScratch();
  writeFileSync(path.join(scratch.directory, "other"), "a file is where the folder should be");
  const disk = await openDisk(scratch.directory);
  await expect(openCatalog({ disk, directory: "other", onFailure: () => undefined })).rejects.toThrow(
    "Cannot create the directory other: ",
  );
});

test("two processes write one catalog and lose nothing of each other", async () => {
  await using scratch = await openScratch();
  const { catalog, directory } = scratch;
  const times = 150;
  const script = path.join(import.meta.dirname, "neighbour.ts");
  const child = spawn(process.execPath, [script, directory, String(times)], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe("open");
  child.stdin.write("go\n");
  const counted = Array.from({ length: times }, () =>
    catalog.transaction(() => {
      catalog.facts.put("count", String(Number(catalog.facts.get("count") ?? 0) + 1));
      catalog.facts.put("parent", "too");
    }),
  );
  await Promise.all(counted);
  const told = (await lines.next()).value as string;
  const [code] = (await ended) as [number];
  expect(code).toBe(0);
  expect(told).toMatch(/^counted, the parent wrote (too|undefined)$/);
  catalog.refresh();
  expect(catalog.facts.get("count")).toBe(String(2 * times));
});
