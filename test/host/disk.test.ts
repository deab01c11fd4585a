// Documents that are replaced by several at once.

import { mkdtempSync, rmSync } from "node:fs";
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
