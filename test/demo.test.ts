// The demo checks itself what it shows: here it only has to end well.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

test("the demo records, finds an event, and brings it to a second and a third machine", {
  timeout: 120_000,
}, async () => {
  const place = mkdtempSync(path.join(tmpdir(), "mosaico-edge-demo-"));
  try {
    const demo = path.resolve(import.meta.dirname, "../scripts/demo.ts");
    const child = spawn(process.execPath, [demo, place], { stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/synced both sessions to a second appliance/);
    expect(stdout).toMatch(/imported it on a third machine/);
    expect(stdout).toMatch(/with one bit changed it is refused/);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
