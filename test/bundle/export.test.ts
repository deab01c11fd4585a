// Bundles as files: what keygen, export and verify do and say, what a system's tar makes of them, and how an export goes on.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportBundle } from "../../src/bundle/export.ts";
import { openCatalog } from "../../src/catalog/catalog.ts";
import { listAllSessions } from "../../src/catalog/resources.ts";
import { openDisk } from "../../src/host/disk.ts";
import { readSigningKey } from "../../src/host/signing-key.ts";
import { FlightClient } from "../load/flight-client.ts";
import { Random } from "../model/random.ts";
import { runToEnd, startServer } from "../server.ts";
import { mountSmallDisk } from "../small-disk.ts";
import { bundle, done, Place, type Recorded, recordIn } from "./stores.ts";

const place = new Place("export");
let store: Recorded;
let whole: string;

async function exported(name: string, ...words: string[]): Promise<string> {
  await done("export", place.path(name), "--data-dir", store.dataDir, "--key", store.keyFile, ...words);
  return place.path(name);
}

beforeAll(async () => {
  store = await recordIn(place);
  whole = await exported("whole.tar");
});
afterAll(() => place[Symbol.dispose]());

interface View {
  readonly bundle: string;
  readonly signer: string;
  readonly trusted: boolean;
  readonly sound: boolean;
  readonly bytes: number;
  readonly sessions: readonly { readonly session: string; readonly topics: number; readonly rows: number }[];
}

async function view(file: string, ...words: string[]): Promise<View> {
  return JSON.parse(await done("verify", file, "--json", ...words)) as View;
}

describe("a key", () => {
  test("is a file of its owner and a short text", () => {
    expect(statSync(store.keyFile).mode & 0o777).toBe(0o600);
    expect(store.publicKey).toMatch(/^ed25519:[A-Za-z0-9_-]{43}$/);
    expect(readFileSync(store.keyFile, "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  });

  test("is never written over", async () => {
    const before = readFileSync(store.keyFile);
    expect(await bundle("keygen", store.keyFile)).toMatchObject({ code: 73, stdout: "" });
    expect(readFileSync(store.keyFile)).toEqual(before);
  });

  test("has to be there, and nothing of another file is shown", async () => {
    const file = place.path("refused.tar");
    const words = ["export", file, "--data-dir", store.dataDir];
    expect(await bundle(...words)).toMatchObject({ code: 64, stderr: expect.stringMatching(/--key: .*keygen/) });
    for (const content of ["secret-1234", "", readFileSync(store.keyFile, "utf8").slice(0, 60)]) {
      writeFileSync(place.path("other"), content);
      const { code, stderr } = await bundle(...words, "--key", place.path("other"));
      expect([code, stderr]).toEqual([
        64,
        `mosaico-edge: ${place.path("other")} has no private Ed25519 key (PEM); mosaico-edge bundle keygen makes one.\n`,
      ]);
    }
    expect(existsSync(file)).toBe(false);
  });
});

describe("what is in it", () => {
  test("finalized sessions, by whom they are signed, and whether that is trusted", async () => {
    const found = await view(whole);
    expect(found).toMatchObject({ signer: store.publicKey, trusted: false, sound: true, bytes: statSync(whole).size });
    expect(found.sessions.map(({ session, topics }) => [session.split(":", 1)[0], topics])).toEqual([
      ["drive-1", 4],
      ["drive-1", 1],
      ["walk-1", 3],
    ]);
    expect(await view(whole, "--trust", store.publicKey)).toMatchObject({ trusted: true });
    writeFileSync(place.path("trusted"), `# robots\n${store.publicKey} # milo\n`);
    expect(await view(whole, "--trust", place.path("trusted"))).toMatchObject({ trusted: true });
    writeFileSync(place.path("edge.toml"), `bundle_trust = ["${place.path("trusted")}"]\n`);
    expect(await view(whole, "--config", place.path("edge.toml"))).toMatchObject({ trusted: true });
    const text = await done("verify", whole);
    expect(text).toMatch(/signed by ed25519:.*, of whom nothing is known here: --trust/);
    expect(text).toMatch(/sound: 3 sessions, [0-9]+ bytes\n$/);
  });

  test("the key of somebody else is not trusted", async () => {
    const other = (await done("keygen", place.path("other.key"))).trim();
    const { code, stderr } = await bundle("verify", whole, "--trust", other);
    expect([code, stderr]).toEqual([
      77,
      expect.stringContaining(`signed by ${store.publicKey}, which is none of the 1`),
    ]);
    expect(await bundle("verify", whole, "--trust", "ed25519:short")).toMatchObject({ code: 64 });
    expect(await bundle("verify", whole, "--trust", store.keyFile)).toMatchObject({
      code: 64,
      stderr: expect.not.stringContaining("PRIVATE"),
    });
  });

  test("files as the system's tar knows them: chunk files are those of the store", async () => {
    const folder = place.path("unpacked");
    execFileSync("mkdir", [folder]);
    execFileSync("tar", ["-xf", whole, "-C", folder]);
    const listed = execFileSync("tar", ["-tf", whole], { encoding: "utf8" }).trim().split("\n");
    expect(listed.slice(0, 2)).toEqual(["bundle.json", "bundle.sig"]);
    const chunks = listed.filter((name) => name.endsWith(".arrow"));
    expect(chunks.length).toBeGreaterThan(8);
    for (const name of chunks)
      expect(readFileSync(path.join(folder, name)).equals(readFileSync(path.join(store.dataDir, name))), name).toBe(
        true,
      );
    const manifest = JSON.parse(readFileSync(path.join(folder, "bundle.json"), "utf8")) as {
      members: { name: string; bytes: number; sha256: string }[];
    };
    expect(manifest.members.map(({ name }) => name)).toEqual(listed.slice(2));
    for (const { name, bytes, sha256 } of manifest.members) {
      const content = readFileSync(path.join(folder, name));
      expect([content.byteLength, createHash("sha256").update(content).digest("hex")], name).toEqual([bytes, sha256]);
    }
  });

  test("no UUID of the store leaves it: those let whoever has them write", async () => {
    const text = readFileSync(whole, "latin1");
    const found: string[] = [];
    for (const name of readdirSync(store.dataDir, { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".json")) continue;
      const content = readFileSync(path.join(store.dataDir, name), "utf8");
      for (const [uuid] of content.matchAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g))
        if (name !== "store.json") found.push(uuid);
    }
    expect(found.length).toBeGreaterThan(10);
    expect(found.filter((uuid) => text.includes(uuid))).toEqual([]);
  });
});

describe("what is chosen", () => {
  test.each([
    ["by sequence", ["--sequence", "walk-*"], ["walk-1"]],
    [
      "by query on a tag",
      ["--query", '{"topic":{"ontology_tag":{"$eq":"string"}},"sequence":{"name":{"$match":"drive-*"}}}'],
      ["drive-1", "drive-1"],
    ],
    ["by contents", ["--query", '{"ontology":{"gps.position.x":{"$gt":0}}}', "--sequence", "drive-1"], ["drive-1"]],
  ])("%s", async (what, words, sequences) => {
    const file = await exported(`${what.replaceAll(" ", "-")}.tar`, ...words);
    const found = await view(file);
    expect(found.sessions.map(({ session }) => session.split(":", 1)[0])).toEqual(sequences);
  });

  test("by session", async () => {
    const [, second] = (await view(whole)).sessions;
    const file = await exported("one.tar", "--session", second?.session ?? "");
    expect((await view(file)).sessions.map(({ session }) => session)).toEqual([second?.session]);
  });

  test.each([
    [["--sequence", "nothing-*"], 66, /no sequence with a name like "nothing-\*"/],
    [["--session", "drive-1:01ARZ3NDEKTSV4RRFFQ69G5FAV"], 66, /There is no session/],
    [["--query", '{"nothing":{}}'], 64, /--query: .*nothing/],
    [["--split", "1kB"], 64, /--split: expected at least 65536/],
  ])("%j is refused, and no file is made", async (words, code, stderr) => {
    const file = place.path("nothing.tar");
    const ended = await bundle("export", file, "--data-dir", store.dataDir, "--key", store.keyFile, ...words);
    expect(ended).toEqual({ code, stdout: "", stderr: expect.stringMatching(stderr) as string });
    expect(readdirSync(place.root).filter((name) => name.startsWith("nothing.tar"))).toEqual([]);
  });
});

describe("parts", () => {
  test("put together they are the bundle; the first name is enough, all in their order too", async () => {
    const file = await exported("split.tar", "--split", "700kB");
    expect(existsSync(file)).toBe(false);
    const names = readdirSync(place.root)
      .filter((name) => name.startsWith("split.tar."))
      .sort();
    expect(names[0]).toBe("split.tar.001");
    expect(names.length).toBeGreaterThan(3);
    const parts = names.map(place.path, place);
    for (const part of parts.slice(0, -1)) expect(statSync(part).size).toBe(700_000);
    const joined = place.path("joined.tar");
    writeFileSync(joined, Buffer.concat(parts.map((part) => readFileSync(part))));
    for (const given of [[file], parts.slice(0, 1), parts, [joined]])
      expect(await bundle("verify", ...given), given.join()).toMatchObject({ code: 0 });
    expect(execFileSync("tar", ["-tf", joined], { encoding: "utf8" })).toContain("bundle.sig");
  });
});

describe("an export that broke off", () => {
  test("goes on at the first byte that is not there; done, it is done", { timeout: 60_000 }, async () => {
    const size = statSync(whole).size;
    const random = new Random("export broken off");
    const head = 20_000;
    for (const cut of [0, ...Array.from({ length: 8 }, () => head + random.below(size - head)), size - 1]) {
      const file = place.path(`cut-${cut}.tar`);
      const content = Buffer.from(readFileSync(whole));
      // What a power cut leaves behind what was synced.
      if (cut % 2 === 1) content.fill(0, Math.max(head, cut - 1_000), cut);
      if (cut > 0) writeFileSync(`${file}.partial`, content.subarray(0, cut));
      // A head that was never whole.
      else writeFileSync(`${file}.partial.new`, content.subarray(0, 700));
      await exported(path.basename(file));
      if (cut > 0) expect(readFileSync(file).equals(readFileSync(whole)), `cut at ${cut}`).toBe(true);
      expect(await bundle("verify", file, "--trust", store.publicKey)).toMatchObject({ code: 0 });
      for (const name of [`${file}.partial`, `${file}.partial.new`]) expect(existsSync(name), name).toBe(false);
      const again = JSON.parse(
        await done("export", file, "--data-dir", store.dataDir, "--key", store.keyFile, "--json"),
      ) as { writtenBytes: number };
      expect(again.writtenBytes).toBe(0);
      rmSync(file);
    }
  });

  test("parts too, whichever have their names", async () => {
    const file = await exported("parts.tar", "--split", "700kB");
    const parts = readdirSync(place.root)
      .filter((name) => /^parts\.tar\.[0-9]+$/.test(name))
      .sort();
    const contents = parts.map((name) => readFileSync(place.path(name)));
    for (const [index, name] of parts.entries()) {
      if (index < 2) execFileSync("mv", [place.path(name), place.path(`${name}.partial`)]);
      if (index === 2) {
        execFileSync("mv", [place.path(name), place.path(`${name}.partial`)]);
        truncateSync(place.path(`${name}.partial`), 1_000);
      }
      if (index === 3) rmSync(place.path(name));
    }
    await exported("parts.tar", "--split", "700kB");
    for (const [index, name] of parts.entries())
      expect(readFileSync(place.path(name)).equals(contents[index] ?? Buffer.alloc(0)), name).toBe(true);
    expect(await bundle("verify", file)).toMatchObject({ code: 0 });
  });

  test("nothing of anybody else is written over", async () => {
    const other = place.path("mine.txt");
    for (const name of [other, `${other}.partial`]) {
      writeFileSync(name, "mine");
      const ended = await bundle("export", other, "--data-dir", store.dataDir, "--key", store.keyFile);
      expect(ended).toMatchObject({
        code: 73,
        stderr: expect.stringContaining(`${name} is there and is no export of ours`),
      });
      expect(readFileSync(name, "utf8")).toBe("mine");
      rmSync(name);
    }
    const before = readFileSync(whole);
    for (const words of [
      ["--key", place.path("third.key")],
      ["--key", store.keyFile, "--sequence", "walk-1"],
    ]) {
      if (words[1] === place.path("third.key")) await done("keygen", place.path("third.key"));
      const ended = await bundle("export", whole, "--data-dir", store.dataDir, ...words);
      expect(ended).toMatchObject({ code: 73, stderr: expect.stringMatching(/is there.*Nothing was touched/) });
      expect(readFileSync(whole).equals(before)).toBe(true);
    }
  });

  test("nor what another key has begun", async () => {
    const begun = place.path("begun.tar.partial");
    writeFileSync(begun, readFileSync(whole).subarray(0, 1_000_000));
    await done("keygen", place.path("fourth.key"));
    const words = ["export", place.path("begun.tar"), "--data-dir", store.dataDir, "--key", place.path("fourth.key")];
    expect(await bundle(...words)).toMatchObject({
      code: 73,
      stderr: expect.stringContaining(`${store.publicKey} has signed`),
    });
    expect(readFileSync(begun).equals(readFileSync(whole).subarray(0, 1_000_000))).toBe(true);
  });

  test("a damaged session is not signed", async () => {
    const copy = place.path("damaged");
    execFileSync("cp", ["-r", store.dataDir, copy]);
    const chunk = readdirSync(copy, { recursive: true, encoding: "utf8" }).find((name) => name.endsWith("00001.arrow"));
    const file = path.join(copy, chunk ?? "");
    const content = readFileSync(file);
    content[1_000] = (content[1_000] ?? 0) ^ 1;
    writeFileSync(file, content);
    const words = ["--data-dir", copy, "--key", store.keyFile];
    const ended = await bundle("export", place.path("bad.tar"), ...words);
    expect(ended).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(`: damaged, not in it: .*${chunk ?? "none"}`),
    });
    // The others are.
    const sound = JSON.parse(await done("verify", place.path("bad.tar"), "--json")) as { sessions: unknown[] };
    expect(sound.sessions).toHaveLength(2);
    const [name] = /^[^:]+/.exec(ended.stdout) ?? [];
    const alone = await bundle(
      "export",
      place.path("worse.tar"),
      ...words,
      "--sequence",
      `${name}`,
      "--session",
      /^\S+(?=: damaged)/.exec(ended.stdout)?.[0] ?? "",
    );
    expect(alone).toMatchObject({ code: 65, stderr: expect.stringContaining(chunk ?? "none") });
    expect(readdirSync(place.root).filter((one) => one.startsWith("worse.tar"))).toEqual([]);
  });

  test("what was finalized since it was begun does not keep it from going on, and is not in it", async () => {
    const first = place.path("earlier.tar");
    const words = ["export", first, "--data-dir", store.dataDir, "--key", store.keyFile];
    await done(...words, "--sequence", "drive-1");
    const content = readFileSync(first);
    writeFileSync(`${first}.partial`, content.subarray(0, Math.floor(content.byteLength * 0.6)));
    rmSync(first);
    expect(await done(...words)).toMatch(/^1 more are not in it: it was begun without them\n.*2 sessions/);
    expect(readFileSync(first).equals(content)).toBe(true);
    // What is whole is another bundle than the one that is wanted now.
    expect(await bundle(...words)).toMatchObject({ code: 73 });
  });

  test("a full disk says so; with room the same command goes on", async ({ skip }) => {
    const disk = mountSmallDisk(4_000_000);
    if (typeof disk === "string") return skip(disk);
    using _disk = disk;
    const file = path.join(disk.root, "b.tar");
    const words = ["export", file, "--data-dir", store.dataDir, "--key", store.keyFile];
    const filler = path.join(disk.root, "filler");
    writeFileSync(filler, Buffer.alloc(2_500_000));
    const walk = [...words, "--sequence", "drive-1"];
    expect(await bundle(...walk)).toMatchObject({
      code: 74,
      stderr: expect.stringMatching(/ENOSPC.*same command goes on/),
    });
    expect(await bundle("verify", `${file}.partial`)).toMatchObject({ code: 65 });
    rmSync(filler);
    const json = JSON.parse(await done(...walk, "--json")) as { bytes: number; writtenBytes: number };
    expect(json.writtenBytes).toBeLessThan(json.bytes);
    expect(await bundle("verify", file)).toMatchObject({ code: 0 });
  });
});

test("where the file system takes no larger files it says what does", { timeout: 60_000 }, async () => {
  const file = place.path("large.tar");
  // Packed it would write its add-on first, which is larger than what is allowed here.
  const program = path.resolve(import.meta.dirname, "../../dist/mosaico-edge.cjs");
  const words = [program, "bundle", "export", file, "--data-dir", store.dataDir, "--key", store.keyFile];
  // Blocks of 512 or 1024 bytes.
  const limited = spawnSync("sh", ["-c", 'ulimit -f 2000; exec "$@"', "sh", process.execPath, ...words], {
    encoding: "utf8",
  });
  expect([limited.status, limited.stderr]).toEqual([
    74,
    expect.stringMatching(
      /EFBIG.*no larger files: remove .*large\.tar\.partial and cut the bundle with --split/,
    ) as string,
  ]);
  expect(await exported("large.tar", "--split", "900kB")).toBe(file);
  expect(await bundle("verify", `${file}.001`)).toMatchObject({ code: 0 });
});

test("beside a server that runs, and of what it deletes meanwhile nothing is left half", {
  timeout: 60_000,
}, async () => {
  const copy = place.path("live");
  execFileSync("cp", ["-r", store.dataDir, copy]);
  await using server = await startServer({ dataDir: copy });
  const words = ["export", place.path("live.tar"), "--data-dir", copy, "--key", store.keyFile];
  await done(...words);
  expect(await bundle("verify", place.path("live.tar"))).toMatchObject({ code: 0 });
  using client = new FlightClient(server.port);
  await client.action("sequence_delete", { locator: "walk-1" });
  expect(await bundle(...words)).toMatchObject({ code: 73, stderr: expect.stringContaining("of 3 sessions, not 2") });
  expect((await runToEnd(["verify", "--data-dir", copy])).code).toBe(0);
});

test("what goes while it is written leaves nothing that is signed and not whole", { timeout: 60_000 }, async () => {
  for (const [index, gone] of ["one-file", "parts"].entries()) {
    const copy = place.path(`going-${gone}`);
    execFileSync("cp", ["-r", store.dataDir, copy]);
    const disk = await openDisk(copy);
    await using catalog = await openCatalog({ disk, directory: "catalog", onFailure: () => undefined });
    const [first, second] = [...listAllSessions(catalog)].filter((session) => session.completedAtNs !== undefined);
    if (first === undefined || second === undefined) throw new RangeError("there are two");
    const file = place.path(`going-${gone}.tar`);
    let isGone = false;
    const exporting = exportBundle(
      { disk, catalog },
      {
        file,
        sessions: [first.ulid, second.ulid],
        key: readSigningKey(readFileSync(store.keyFile, "utf8"), store.keyFile),
        id: first.ulid,
        createdAtNs: 1n,
        version: "test",
        store: "test",
        partBytes: index === 0 ? undefined : 1_000_000,
        admit: async () => undefined,
        onBytes(done, total) {
          if (isGone || done < 0.55 * total) return;
          isGone = true;
          expect(readdirSync(place.root).filter((name) => name.startsWith(path.basename(file)))).not.toEqual([]);
          for (const { ulid } of [first, second]) rmSync(path.join(copy, "sessions", ulid), { recursive: true });
        },
      },
    );
    await expect(exporting).rejects.toMatchObject({
      code: "absent",
      message: expect.stringContaining("while it was exported"),
    });
    expect(readdirSync(place.root).filter((name) => name.startsWith(path.basename(file)))).toEqual([]);
  }
});

test("beside the data the free space floor is kept", async ({ skip }) => {
  const disk = mountSmallDisk(60_000_000);
  if (typeof disk === "string") return skip(disk);
  using _disk = disk;
  const copy = path.join(disk.root, "data");
  execFileSync("cp", ["-r", store.dataDir, copy]);
  const words = ["export", path.join(disk.root, "b.tar"), "--data-dir", copy, "--key", store.keyFile];
  expect(await bundle(...words)).toMatchObject({ code: 74, stderr: expect.stringContaining("free_space_floor") });
  expect(readdirSync(disk.root)).toEqual(["data"]);
  const { code } = await runToEnd(["bundle", ...words], { MOSAICO_EDGE_FREE_SPACE_FLOOR: "16MiB" });
  expect(code).toBe(0);
});

test("a directory that cannot be written to", async () => {
  const ended = await bundle("export", place.path("no/where.tar"), "--data-dir", store.dataDir, "--key", store.keyFile);
  expect(ended).toMatchObject({ code: 66, stderr: expect.stringContaining("where.tar") });
  chmodSync(store.keyFile, 0o600);
});
