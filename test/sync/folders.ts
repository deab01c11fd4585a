// Folders of the tests of a file, which go when these have ended.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";

/** Each call makes one. To be called before what uses them is set up: hooks behind the tests run in the opposite order. */
export function folders(name: string): () => string {
  const made: string[] = [];
  afterAll(() => {
    for (const one of made) rmSync(one, { recursive: true, force: true });
  });
  return () => {
    const one = mkdtempSync(path.join(tmpdir(), `mosaico-edge-${name}-`));
    made.push(one);
    return one;
  };
}
