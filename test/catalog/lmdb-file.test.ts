// Damaged catalog files are refused by a sentence. Whatever is not refused is opened and read by a process of its own: it must
// not end by a signal, which is what LMDB does where it follows a damaged page.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { checkLmdbFile } from "../../src/catalog/lmdb-file.ts";
import { LmdbPage, readMeta } from "../../src/catalog/lmdb-page.ts";
import { putSequence } from "../../src/catalog/resources.ts";
import { openDisk } from "../../src/host/disk.ts";
import type { SequenceName } from "../../src/model/locator.ts";
import type { JsonText, Ulid, Uuid } from "../../src/model/resource.ts";
import { Random } from "../model/random.ts";
import { openScratch } from "./scratch.ts";

const everyPage = 1_000_000;

async function filled() {
  const scratch = await openScratch();
  const { catalog } = scratch;
  await catalog.transaction(() => {
    for (let index = 0; index < 2_000; index += 1) {
      const name = `sequence-${index}` as SequenceName;
      const userMetadata = JSON.stringify({ text: "x".repeat(index % 97 === 0 ? 20_000 : 100) }) as JsonText;
      putSequence(catalog, {
        ulid: `U${index}` as Ulid,
        uuid: `u${index}` as Uuid,
        name,
        userMetadata,
        createdAtNs: 1n,
      });
    }
  });
  await catalog.transaction(() => catalog.facts.put("a", "1"));
  const file = path.join(scratch.directory, "catalog", "data.mdb");
  const whole = path.join(scratch.directory, "whole.mdb");
  copyFileSync(file, whole);
  const disk = await openDisk(scratch.directory);
  const check = (pagesMax = everyPage): Promise<void> => checkLmdbFile(disk, "catalog", pagesMax);
  return { scratch, file, whole, check };
}

function lastLeafOf(file: string, table: string): bigint {
  const bytes = readFileSync(file);
  const page = (number: bigint, tree: string): LmdbPage =>
    new LmdbPage(bytes.subarray(Number(number) * 4096, (Number(number) + 1) * 4096), number, tree);
  const metas = [0, 4096].flatMap((at) => readMeta(bytes.subarray(at)) ?? []);
  const { main } = metas.reduce((a, b) => (a.transaction > b.transaction ? a : b));
  const tables = [...page(main.root, main.name).nodes(main.depth)];
  const tree = tables.flatMap((node) => (node.kind === "tree" && node.tree.name === table ? node.tree : []))[0];
  if (tree === undefined) throw new RangeError(`the catalog has a table ${table}`);
  let number = tree.root;
  for (let { depth } = tree; depth > 1; depth -= 1) {
    const last = [...page(number, table).nodes(depth)].at(-1);
    if (last?.kind !== "page") throw new RangeError("a branch has pages");
    ({ number } = last);
  }
  return number;
}

function writeBytes(file: string, at: number, bytes: Uint8Array): void {
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, bytes, 0, bytes.byteLength, at);
  closeSync(descriptor);
}

describe("a catalog file", () => {
  test("that is whole passes, with trees of several levels and runs of overflow pages; a missing one too", async () => {
    const { scratch, file, check } = await filled();
    await using _scratch = scratch;
    expect(statSync(file).size).toBeGreaterThan(100 * 4096);
    await check();
    await checkLmdbFile(await openDisk(scratch.directory), "nowhere", everyPage);
  });

  const cases: [string, (file: string) => void, string][] = [
    ["cut to nothing", (file) => truncateSync(file, 0), "has 0 bytes, expected at least 8192"],
    ["cut to its first page", (file) => truncateSync(file, 4096), "has 4096 bytes, expected at least 8192"],
    ["cut in the middle", (file) => truncateSync(file, 40 * 4096), "refers to page"],
    ["full of zeros", (file) => writeFileSync(file, Buffer.alloc(statSync(file).size)), "page 0 does not begin"],
    ["a text", (file) => writeFileSync(file, "text ".repeat(10_000)), "page 0 does not begin"],
    [
      "without its second meta page",
      (file) => {
        const bytes = readFileSync(file);
        bytes.fill(0xff, 4096, 8192);
        writeFileSync(file, bytes);
      },
      "page 1 does not begin",
    ],
  ];
  test.each(cases)("%s is refused", async (_name, damage, expected) => {
    const { scratch, file, check } = await filled();
    await using _scratch = scratch;
    damage(file);
    await expect(check()).rejects.toMatchObject({ code: "corrupt", message: expect.stringContaining(expected) });
  });

  test("that another process writes all the time is not taken for damaged; one with a damaged page is", {
    timeout: 120_000,
  }, async () => {
    const { scratch, file, check } = await filled();
    await using _scratch = scratch;
    const number = lastLeafOf(file, "sequences");
    const child = spawn(process.execPath, [path.join(import.meta.dirname, "busy.ts"), scratch.directory]);
    const ended = once(child, "exit");
    try {
      await once(child.stdout, "data");
      for (let round = 0; round < 100; round += 1) await check(256);
      // A leaf of a tree that the other one never looks at: it is found after so many pages that there was a commit meanwhile.
      writeBytes(file, Number(number) * 4096 + 18, Buffer.from([0xff, 0xff]));
      await expect(check()).rejects.toMatchObject({
        code: "corrupt",
        message: expect.stringContaining(`page ${number} of "sequences" has flags 65535`) as string,
      });
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
  });

  test("with a page of garbage is refused, or readable without a crash", { timeout: 60_000 }, async () => {
    const { scratch, file, whole, check } = await filled();
    await using _scratch = scratch;
    const random = new Random("pages of garbage");
    const pages = statSync(whole).size / 4096;
    const outcomes = { refused: 0, readable: 0 };
    for (let round = 0; round < 40; round += 1) {
      const bytes = readFileSync(whole);
      const page = 2 + random.below(pages - 2);
      // Random bytes, zeros, or a page that lies elsewhere.
      if (round % 3 === 0) bytes.fill(0, page * 4096, (page + 1) * 4096);
      else if (round % 3 === 1) for (let at = 0; at < 4096; at += 1) bytes[page * 4096 + at] = random.below(256);
      else {
        const other = 2 + random.below(pages - 2);
        bytes.copyWithin(page * 4096, other * 4096, (other + 1) * 4096);
      }
      writeFileSync(file, bytes);
      const refusal = await check().then(
        () => undefined,
        (error: { code?: string }) => error,
      );
      if (refusal !== undefined) {
        expect(refusal.code).toBe("corrupt");
        outcomes.refused += 1;
        continue;
      }
      const script = path.join(import.meta.dirname, "read-all.ts");
      const child = spawnSync(process.execPath, [script, scratch.directory], { encoding: "utf8" });
      expect(child.signal, `round ${round}, page ${page}: ${child.stderr}`).toBeNull();
      outcomes.readable += 1;
    }
    console.log(`pages of garbage: ${JSON.stringify(outcomes)}`);
    expect(Math.min(outcomes.refused, outcomes.readable)).toBeGreaterThan(0);
  });
});
