// Documents that are replaced by several at once.

import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { openDisk } from "../../src/host/disk.ts";

test("a file that several replace at once is always one of theirs, and nothing is left beside it", async () => {
  const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-disk-"));
  try {
    const disk = await openDisk(root);
    const texts = Array.from({ length: 20 }, (_none, index) => `${index}`.repeat(10_000));
    await Promise.all(texts.map((text) => disk.replaceText("session.json", text)));
    expect(await disk.readText("session.json")).toBe(texts.at(-1));
    expect(await disk.list(".")).toEqual(["session.json"]);
    // One that fails is nothing to the next one.
    const outcomes = await Promise.allSettled([
      disk.replaceText("no/such.json", "a"),
      disk.replaceText("no/such.json", "b"),
      disk.replaceText("session.json", "c"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("what is removed goes with all below it, and nothing that it only points to", async () => {
  const root = mkdtempSync(path.join(tmpdir(), "mosaico-edge-disk-"));
  try {
    const disk = await openDisk(root);
    for (const directory of ["gone/a/b", "gone/empty", "kept"]) await disk.makeDirectory(directory);
    for (const file of ["gone/1", "gone/a/2", "gone/a/b/3", "kept/4", "single"]) await disk.writeText(file, "x");
    symlinkSync("../kept", path.join(root, "gone/link"));
    symlinkSync("nowhere", path.join(root, "gone/broken"));
    for (const name of ["gone", "single", "never/there"]) await disk.remove(name);
    expect(await disk.list(".")).toEqual(["kept"]);
    expect(await disk.list("kept")).toEqual(["4"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
