// What a bundle leaves in `bundles/` of the data directory that does not come to its end: nothing, but for a push that has begun.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newSigningKeyPem, readSigningKey, type SigningKey } from "../../src/host/signing-key.ts";
import { serverCommand, startServer } from "../server.ts";
import { putTogether, readArchive, withManifest } from "./archive.ts";
import { Liar, lies } from "./lies.ts";
import { bundle, done, everythingOf, Place, type Recorded, recordIn } from "./stores.ts";

const place = new Place("left-behind");
let store: Recorded;
let key: SigningKey;
let file: string;
let trust: readonly string[];

beforeAll(async () => {
  store = await recordIn(place);
  key = readSigningKey(readFileSync(store.keyFile, "utf8"), store.keyFile);
  file = place.path("whole.tar");
  await done("export", file, "--data-dir", store.dataDir, "--key", store.keyFile);
  trust = ["--trust", store.publicKey];
});
afterAll(() => place[Symbol.dispose]());

function written(name: string, content: Uint8Array | string): string {
  writeFileSync(place.path(name), content);
  return place.path(name);
}

/** With one bit that is another, in the last member. */
function tampered(): string {
  const content = Buffer.from(readFileSync(file));
  const at = content.byteLength - 5_000;
  content[at] = (content[at] ?? 0) ^ 1;
  return written("tampered.tar", content);
}

function leftIn(dataDir: string): string[] {
  const directory = path.join(dataDir, "bundles");
  return existsSync(directory) ? readdirSync(directory) : [];
}

test("a bundle that is refused leaves nothing, wherever it was to go", { timeout: 60_000 }, async () => {
  await using far = await startServer();
  const stranger = readSigningKey(newSigningKeyPem(), "a key").publicKey;
  const refused: readonly (readonly [what: string, words: readonly string[], code: number])[] = [
    ["tampered", [tampered(), ...trust], 65],
    ["not trusted", [file, "--trust", stranger], 77],
    ["no bundle", [written("none.tar", "none at all".repeat(1_000)), ...trust], 65],
  ];
  for (const [what, words, code] of refused) {
    const dataDir = place.path(`refusing ${what}`);
    const into = ["--data-dir", dataDir];
    expect(await bundle("import", ...words, ...into, "--create"), what).toMatchObject({ code, stdout: "" });
    expect(leftIn(dataDir), `${what}, import`).toEqual([]);
    const push = ["push", ...words, ...into, "--to", `grpc://127.0.0.1:${far.port}`];
    expect(await bundle(...push), what).toMatchObject({ code, stdout: "" });
    expect(leftIn(dataDir), `${what}, push`).toEqual([]);
  }
});

test("one of which a session is refused for good leaves nothing, when the others are there", {
  timeout: 60_000,
}, async () => {
  await using far = await startServer();
  const lie = await lies["an empty chunk"]?.[0](new Liar(readArchive(file)));
  const lying = written("lying.tar", putTogether(withManifest(lie ?? [], key)));
  const dataDir = place.path("lied to");
  const words = ["push", lying, ...trust, "--data-dir", dataDir, "--to", `grpc://127.0.0.1:${far.port}`];
  for (const line of [
    /2 brought, 0 were there already, 1 are not there\n$/,
    /0 brought, 2 were there already, 1 are/,
  ]) {
    expect(await bundle(...words)).toMatchObject({ code: 1, stdout: expect.stringMatching(line) });
    expect(leftIn(dataDir)).toEqual([]);
  }
});

test("what a push has begun with stays, though the same bundle is refused meanwhile", { timeout: 60_000 }, async () => {
  await using far = await startServer();
  const dataDir = place.path("begun");
  const wordsTo = (port: number, of: string): string[] => [
    ...["push", of, ...trust, "--data-dir", dataDir],
    ...["--to", `grpc://127.0.0.1:${port}`, "--wait", "1"],
  ];
  const { port } = far;
  await far.kill();
  expect(await bundle(...wordsTo(port, file))).toMatchObject({ code: 69 });
  expect(leftIn(dataDir)).toHaveLength(1);
  expect(await bundle(...wordsTo(port, tampered()))).toMatchObject({ code: 65 });
  expect(leftIn(dataDir)).toHaveLength(1);
  await using again = await startServer({ port });
  expect(await done(...wordsTo(again.port, file))).toMatch(/3 brought/);
  expect(leftIn(dataDir)).toEqual([]);
});

test("an import that a signal ends leaves nothing, and goes on with what is in the store", {
  timeout: 60_000,
}, async () => {
  const dataDir = place.path("signalled");
  await using server = await startServer({ dataDir });
  const { file: program, args } = serverCommand();
  const words = ["import", file, "--data-dir", dataDir, ...trust];
  const importing = spawn(program, [...args, "bundle", ...words], { stdio: "ignore" });
  const ended = once(importing, "exit");
  while (leftIn(dataDir).length === 0 && importing.exitCode === null) await sleep(1);
  // It does not come to its end.
  process.kill(server.pid, "SIGSTOP");
  await sleep(500);
  expect(leftIn(dataDir)).toHaveLength(1);
  importing.kill("SIGTERM");
  expect(await ended).toEqual([130, null]);
  expect(leftIn(dataDir)).toEqual([]);
  process.kill(server.pid, "SIGCONT");
  await done(...words);
  expect(await everythingOf(server.port, store.locators)).toEqual(store.everything);
  expect(leftIn(dataDir)).toEqual([]);
});
