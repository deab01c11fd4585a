// What one store exports another one takes: over a server that runs, without one, and by a push; once, however often and by whatever way.

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FlightClient } from "../load/flight-client.ts";
import { baseTopics, labelTopics } from "../load/robot.ts";
import { createKey, runToEnd, startServer } from "../server.ts";
import { command, record, until } from "../sync/edges.ts";
import {
  bundle,
  done,
  drive,
  everythingOf,
  Place,
  type Recorded,
  recordIn,
  sessionsOf,
  smallChunks,
} from "./stores.ts";

const place = new Place("transfer");
let store: Recorded;
let file: string;
/** How whoever takes it trusts it. */
let trust: readonly string[];

beforeAll(async () => {
  store = await recordIn(place);
  file = place.path("b.tar");
  await done("export", file, "--data-dir", store.dataDir, "--key", store.keyFile);
  trust = ["--trust", store.publicKey];
});
afterAll(() => place[Symbol.dispose]());

interface View {
  readonly sessions: readonly { readonly session: string; readonly state: string; readonly reason: string | null }[];
}

async function states(...words: string[]): Promise<readonly string[]> {
  const { stdout } = await bundle(...words, "--json");
  return (JSON.parse(stdout) as View).sessions.map(({ state }) => state);
}

/** Everything is there, once, and the directory is sound. */
async function expectThere(dataDir: string, args: readonly string[] = []): Promise<void> {
  await using server = await startServer({ dataDir, args });
  expect(await everythingOf(server.port, store.locators)).toEqual(store.everything);
  expect(await sessionsOf(server.port, "drive-1")).toBe(2);
  expect(await sessionsOf(server.port, "walk-1")).toBe(1);
  await server.stop();
  const { code, stdout } = await runToEnd(["verify", "--data-dir", dataDir]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^sound: 3 sessions/)]);
  expect(readdirSync(dataDir).filter((name) => /^(bundles|flight|control)/.test(name))).toEqual([]);
}

const threeTimes = (state: string): string[] => [state, state, state];

describe("import", () => {
  test("without a server, into a directory that was not there, and again", { timeout: 60_000 }, async () => {
    const dataDir = place.path("fresh");
    const words = ["import", file, "--create", "--data-dir", dataDir, ...trust];
    expect(await states(...words)).toEqual(threeTimes("brought"));
    await expectThere(dataDir);
    expect(await states(...words)).toEqual(threeTimes("there"));
    expect(await bundle(...words)).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/0 brought, 3 were there already; into \S+\n$/),
    });
    await expectThere(dataDir);
  });

  test("while a server runs, with keys and TLS, of which the command needs none", { timeout: 60_000 }, async () => {
    const dataDir = place.path("served");
    const tls = (name: string): string => path.resolve(import.meta.dirname, "../serve/tls", name);
    const args = ["--api-key", "--tls-cert", tls("certificate.pem"), "--tls-key", tls("key.pem")];
    {
      await using server = await startServer({ dataDir, args });
      const sockets = readdirSync(dataDir).filter((name) => name.startsWith("flight-"));
      expect(sockets).toHaveLength(1);
      expect(statSync(path.join(dataDir, sockets[0] ?? "")).mode & 0o777).toBe(0o600);
      const words = ["import", file, "--data-dir", dataDir, ...trust];
      expect(await states(...words)).toEqual(threeTimes("brought"));
      expect(await states(...words)).toEqual(threeTimes("there"));
      expect((await runToEnd(["verify", "--data-dir", dataDir])).code).toBe(0);
      await server.stop();
    }
    await expectThere(dataDir);
  });

  test("into a directory with a path that no socket takes", { timeout: 60_000 }, async () => {
    const dataDir = path.join(place.root, "x".repeat(90), "y".repeat(60));
    mkdirSync(path.dirname(dataDir));
    await using server = await startServer({ dataDir });
    expect(await states("import", file, "--data-dir", dataDir, ...trust)).toEqual(threeTimes("brought"));
    expect(await everythingOf(server.port, store.locators)).toEqual(store.everything);
  });

  test("of parts, on a disk that they fit on", { timeout: 60_000 }, async () => {
    const split = place.path("split.tar");
    await done("export", split, "--data-dir", store.dataDir, "--key", store.keyFile, "--split", "300kB");
    const dataDir = place.path("of-parts");
    expect(await states("import", `${split}.001`, "--create", "--data-dir", dataDir, ...trust)).toEqual(
      threeTimes("brought"),
    );
    await expectThere(dataDir);
  });

  test("what is there from somebody else is left alone, and the rest comes", { timeout: 60_000 }, async () => {
    const dataDir = place.path("conflict");
    await using server = await startServer({ dataDir });
    await record(server.port, "walk-1", labelTopics(drive));
    const words = ["import", file, "--data-dir", dataDir, ...trust];
    const ended = await bundle(...words);
    expect(ended).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(
        /walk-1:\S+: not taken: conflict: .*\n2 brought, 0 were there already, 1 are not there; into \S+\n$/,
      ),
    });
    expect(await sessionsOf(server.port, "walk-1")).toBe(1);
    expect(await states(...words, "--on-conflict", "extend")).toEqual(["there", "there", "brought"]);
    expect(await sessionsOf(server.port, "walk-1")).toBe(2);
  });

  test("a session of which a topic is there from somebody else leaves nothing half", { timeout: 60_000 }, async () => {
    const dataDir = place.path("topic-conflict");
    await using server = await startServer({ dataDir });
    await record(server.port, "walk-1", baseTopics(drive).slice(1, 2));
    const words = ["import", file, "--data-dir", dataDir, "--on-conflict", "extend", ...trust];
    expect(await bundle(...words)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/walk-1:\S+: not taken: conflict: .*sensors\/imu/),
    });
    using client = new FlightClient(server.port);
    const info = await client.info({ resource_locator: "walk-1" });
    const { sessions } = JSON.parse(Buffer.from(info.appMetadata).toString()) as { sessions: unknown[] };
    expect(sessions, "not even an open one").toHaveLength(1);
    expect(readdirSync(dataDir).filter((name) => name === "bundles")).toEqual([]);
    await client.action("topic_delete", { locator: "walk-1/sensors/imu" }).catch(() => undefined);
    await client.action("sequence_delete", { locator: "walk-1" });
    expect(await states(...words)).toEqual(["there", "there", "brought"]);
  });

  test("into the store that it came from: all is there", { timeout: 60_000 }, async () => {
    const words = ["import", file, "--data-dir", store.dataDir, ...trust];
    expect(await states(...words)).toEqual(threeTimes("there"));
    await using server = await startServer({ dataDir: store.dataDir, args: smallChunks });
    expect(await states(...words)).toEqual(threeTimes("there"));
    expect(await everythingOf(server.port, store.locators)).toEqual(store.everything);
    await server.stop();
  });

  test("nothing without trust, and nothing of a bundle that was changed", { timeout: 60_000 }, async () => {
    const dataDir = place.path("untrusting");
    await using server = await startServer({ dataDir });
    const words = ["import", file, "--data-dir", dataDir];
    expect(await bundle(...words)).toMatchObject({
      code: 77,
      stdout: "",
      stderr: expect.stringContaining(store.publicKey),
    });
    const changed = place.path("changed.tar");
    const content = Buffer.from(readFileSync(file));
    content[content.byteLength - 5_000] = (content[content.byteLength - 5_000] ?? 0) ^ 1;
    writeFileSync(changed, content);
    expect(await bundle("import", changed, "--data-dir", dataDir, ...trust)).toMatchObject({ code: 65, stdout: "" });
    using client = new FlightClient(server.port);
    await expect(client.info({ resource_locator: "drive-1" })).rejects.toThrow(/Not found/);
    writeFileSync(place.path("edge.toml"), `bundle_trust = ["${store.publicKey}"]\n`);
    expect(await states(...words, "--config", place.path("edge.toml"))).toEqual(threeTimes("brought"));
    expect(await states(...words, "--any-key")).toEqual(threeTimes("there"));
  });
});

describe("push", () => {
  test("to another edge, and again; also after it came over a link", { timeout: 60_000 }, async () => {
    await using far = await startServer();
    const url = `grpc://127.0.0.1:${far.port}`;
    const words = ["push", file, "--to", url, "--data-dir", place.path("pushing"), ...trust];
    expect(await states(...words)).toEqual(threeTimes("brought"));
    expect(await everythingOf(far.port, store.locators)).toEqual(store.everything);
    expect(await states(...words)).toEqual(threeTimes("there"));
    expect(readdirSync(place.path("pushing"))).toEqual([]);
    // The recorder finds a link after all.
    const recorder = await startServer({ dataDir: store.dataDir, args: smallChunks });
    await command(store.dataDir, "add", "centre", url);
    await until(store.dataDir, "all is known to be there", ({ syncedSessions }) => syncedSessions === 3);
    await recorder.stop();
    await command(store.dataDir, "remove", "centre");
    expect(await sessionsOf(far.port, "drive-1")).toBe(2);
    expect(await sessionsOf(far.port, "walk-1")).toBe(1);
  });

  test("what came over a link is there, when a bundle comes", { timeout: 60_000 }, async () => {
    await using far = await startServer();
    const recorder = await startServer({ dataDir: store.dataDir, args: smallChunks });
    await command(store.dataDir, "add", "centre", `grpc://127.0.0.1:${far.port}`);
    await until(store.dataDir, "all is there", ({ syncedSessions }) => syncedSessions === 3);
    await recorder.stop();
    await command(store.dataDir, "remove", "centre");
    expect(await states("import", file, "--data-dir", far.dataDir, ...trust)).toEqual(threeTimes("there"));
  });

  test("over TLS with a key; a key that may not write is told so", { timeout: 60_000 }, async () => {
    const tls = (name: string): string => path.resolve(import.meta.dirname, "../serve/tls", name);
    const args = ["--api-key", "--tls-cert", tls("certificate.pem"), "--tls-key", tls("key.pem")];
    const dataDir = place.path("locked");
    await using far = await startServer({ dataDir, args });
    const keyFile = place.path("api.key");
    const words = ["push", file, "--to", `grpc+tls://localhost:${far.port}`, "--ca", tls("certificate.pem")];
    const rest = ["--api-key-file", keyFile, "--data-dir", place.path("pushing"), ...trust];
    writeFileSync(keyFile, await createKey(dataDir, "read"));
    expect(await bundle(...words, ...rest)).toMatchObject({
      code: 77,
      stdout: "",
      stderr: expect.stringMatching(/needs the permission write/),
    });
    writeFileSync(keyFile, await createKey(dataDir, "write"));
    expect(await states(...words, ...rest)).toEqual(threeTimes("brought"));
  });

  test("what it does not take is tried again by the next push, when it is taken", { timeout: 60_000 }, async () => {
    await using far = await startServer();
    await record(far.port, "walk-1", labelTopics(drive));
    const pushing = place.path("parked");
    const words = ["push", file, "--to", `grpc://127.0.0.1:${far.port}`, "--data-dir", pushing, ...trust];
    const refused = await bundle(...words);
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringMatching(/walk-1:\S+: not taken: conflict: /) });
    expect(readdirSync(path.join(pushing, "bundles"))).toHaveLength(1);
    using client = new FlightClient(far.port);
    await client.action("sequence_delete", { locator: "walk-1" });
    expect(await states(...words)).toEqual(["there", "there", "brought"]);
    expect(readdirSync(pushing)).toEqual([]);
    expect(await everythingOf(far.port, store.locators)).toEqual(store.everything);
  });

  test("where nobody is it gives up, and goes on when somebody is there", { timeout: 60_000 }, async () => {
    const pushing = place.path("waiting");
    const far = await startServer();
    const { port, dataDir } = far;
    const words = ["push", file, "--to", `grpc://127.0.0.1:${port}`, "--data-dir", pushing, ...trust];
    await far.kill();
    expect(await bundle(...words, "--wait", "2")).toMatchObject({
      code: 69,
      stderr: expect.stringMatching(/ECONNREFUSED/),
    });
    expect(readdirSync(path.join(pushing, "bundles"))).toHaveLength(1);
    // A store may be made where bundles were before.
    await using here = await startServer({ dataDir: pushing });
    await using there = await startServer({ dataDir, port });
    expect(await states(...words)).toEqual(threeTimes("brought"));
    expect(await everythingOf(there.port, store.locators)).toEqual(store.everything);
    await here.stop();
    expect((await runToEnd(["verify", "--data-dir", pushing])).code).toBe(0);
  });
});
