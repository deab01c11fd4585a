// What the benchmark is asked for must exist. Its figures are read by people.

import { execFile } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";

test("a load that there is none of is refused, naming those that there are", async () => {
  const ended = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [path.join(import.meta.dirname, "bench.ts"), "nosuchload"], (error, _out, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
  expect(ended).toEqual({
    code: 64,
    stderr: expect.stringMatching(
      /^bench: unknown load nosuchload, expected the start of .*single 4 MiB.*, tiny, can, .*idle, start, catalog, drive, sync\n$/,
    ),
  });
});
