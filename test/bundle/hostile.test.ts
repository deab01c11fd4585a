// Bundles that a trusted key has signed and that lie: what is not what it says is refused before anything of its session goes anywhere,
// what is names its member, and no bytes end the program. MOSAICO_HOSTILE_BUNDLES says how many random ones.

import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleDisk } from "../../src/bundle/bundle-disk.ts";
import { checkMembers, openBundle } from "../../src/bundle/bundle-file.ts";
import { readSessionContent } from "../../src/bundle/session-content.ts";
import { writeSignature } from "../../src/bundle/signature.ts";
import { readSigningKey, type SigningKey } from "../../src/host/signing-key.ts";
import type { BundleManifest } from "../../src/model/bundle.ts";
import { Fault } from "../../src/model/fault.ts";
import { FlightClient } from "../load/flight-client.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { runToEnd, startServer } from "../server.ts";
import { type Member, putTogether, readArchive, withManifest } from "./archive.ts";
import { Liar, lies, resealed, summed } from "./lies.ts";
import { bundle, done, Place, type Recorded, recordIn, sessionsOf } from "./stores.ts";

const hostiles = Number(process.env["MOSAICO_HOSTILE_BUNDLES"] ?? 400);

const place = new Place("hostile");
let store: Recorded;
let key: SigningKey;
let members: readonly Member[];
let liar: Liar;

beforeAll(async () => {
  store = await recordIn(place);
  key = readSigningKey(readFileSync(store.keyFile, "utf8"), store.keyFile);
  await done("export", place.path("b.tar"), "--data-dir", store.dataDir, "--key", store.keyFile);
  members = readArchive(place.path("b.tar"));
  liar = new Liar(members);
});
afterAll(() => place[Symbol.dispose]());

function write(name: string, changed: readonly Member[], lie?: (manifest: BundleManifest) => BundleManifest): string {
  const file = place.path(name);
  writeFileSync(file, putTogether(withManifest(changed, key, lie)));
  return file;
}

/** What is refused of a bundle, as `take` of an importer sees it; undefined when nothing is. */
async function refusalOf(file: string): Promise<unknown> {
  try {
    await using opened = await openBundle([file]);
    await checkMembers(opened, () => undefined);
    for (const session of opened.manifest.sessions)
      await readSessionContent(bundleDisk(opened), session, () => undefined);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("of a session", () => {
  test.each(Object.keys(lies))("%s", async (title) => {
    const [make, says] = lies[title] ?? [() => [], /nothing/];
    const file = write("lie.tar", await make(liar));
    const error = await refusalOf(file);
    expect(error, title).toBeInstanceOf(Fault);
    const { code, message } = error as Fault;
    expect([code, message]).toEqual(["corrupt", expect.stringMatching(says) as string]);
    expect(message, "whose it is").toContain("walk-1:");
    expect(message).not.toMatch(/\p{Cc}/u);
  });
});

describe("of the bundle", () => {
  const wrong = (change: (manifest: BundleManifest) => BundleManifest): string =>
    write("manifest.tar", members, change);
  const first = ({ members: [one] }: BundleManifest): BundleManifest["members"][number] => {
    if (one === undefined) throw new RangeError("there is a member");
    return one;
  };

  test.each<[string, (manifest: BundleManifest) => BundleManifest, RegExp]>([
    [
      "a path that leads out",
      (m) => ({ ...m, members: [{ ...first(m), name: "../../x" }, ...m.members.slice(1)] }),
      /bundle\.json: expected sequences/,
    ],
    [
      "an absolute path",
      (m) => ({ ...m, members: [...m.members, { ...first(m), name: "/etc/passwd" }] }),
      /bundle\.json: expected the next session .*passwd/,
    ],
    ["a member twice", (m) => ({ ...m, members: [first(m), ...m.members] }), /bundle\.json: expected sessions/],
    ["no members", (m) => ({ ...m, members: [] }), /bundle\.json: expected 1 to/],
    ["no sessions", (m) => ({ ...m, sessions: [] }), /bundle\.json: expected 1 to/],
    ["a session twice", (m) => ({ ...m, sessions: [...m.sessions, ...m.sessions] }), /bundle\.json: .*twice/],
    ["a session less", (m) => ({ ...m, sessions: m.sessions.slice(1) }), /bundle\.json: expected/],
    [
      "a huge document",
      (m) => ({ ...m, members: [{ ...first(m), bytes: 2 ** 40 }, ...m.members.slice(1)] }),
      /at most/,
    ],
    [
      "bytes beyond all disks",
      (m) => ({
        ...m,
        members: m.members.map((one) =>
          one.name.endsWith(".arrow") ? { ...one, bytes: Number.MAX_SAFE_INTEGER } : one,
        ),
      }),
      /bytes of a disk|its header/,
    ],
    [
      "a hash that is none",
      (m) => ({ ...m, members: [{ ...first(m), sha256: "x" }, ...m.members.slice(1)] }),
      /bundle\.json: .*SHA-256/,
    ],
    [
      "another hash",
      (m) => ({ ...m, members: [{ ...first(m), sha256: "0".repeat(64) }, ...m.members.slice(1)] }),
      /sequences\/.*SHA-256/,
    ],
    [
      "a locator that is none",
      (m) => ({ ...m, sessions: m.sessions.map((one) => ({ ...one, locator: "../x" as never })) }),
      /bundle\.json: .*locator/,
    ],
    ["an id that is none", (m) => ({ ...m, id: "../x" as never }), /bundle\.json: .*ULID/],
    ["parts of nothing", (m) => ({ ...m, partBytes: 0 }), /bundle\.json: .*parts/],
    [
      "rows of its own",
      (m) => ({ ...m, sessions: m.sessions.map((one) => ({ ...one, rows: one.rows + 1 })) }),
      /session\.json.*bundle\.json says/,
    ],
  ])("%s", async (_title, change, says) => {
    const error = await refusalOf(wrong(change));
    expect(error).toBeInstanceOf(Fault);
    expect([(error as Fault).code, (error as Fault).message]).toEqual([
      "corrupt",
      expect.stringMatching(says) as string,
    ]);
  });

  test.each([
    ["with more in it", '"format":1', '"format":1,"more":2'],
    ["with space in it", '{"format"', '{ "format"'],
    ["with a number written otherwise", /"topics":([0-9])/, '"topics":$1.0'],
    ["with a name twice", '"format":1', '"format":1,"format":1'],
  ])("a manifest %s is none", async (_title, from, to) => {
    const [manifest, signature, ...rest] = members;
    const text = manifest?.content.toString() ?? "";
    const content = resealed(text.replace(from, to));
    expect(content.toString()).not.toBe(text);
    const signed = { name: signature?.name ?? "", content: writeSignature(content, key) };
    writeFileSync(place.path("odd.tar"), putTogether([{ name: "bundle.json", content }, signed, ...rest]));
    const error = await refusalOf(place.path("odd.tar"));
    expect(error).toMatchObject({ code: "corrupt", message: expect.stringContaining("bundle.json: ") });
  });

  test("a signature in another form is none", async () => {
    const changed = members.map((member) => {
      if (member.name !== "bundle.sig") return member;
      // The last character has bits that no byte has.
      const text = member.content.toString();
      const last = text.at(-2) ?? "";
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
      return { ...member, content: Buffer.from(`${text.slice(0, -2)}${alphabet[alphabet.indexOf(last) + 1]}\n`) };
    });
    writeFileSync(place.path("odd.tar"), putTogether(changed));
    expect(await refusalOf(place.path("odd.tar"))).toMatchObject({
      code: "corrupt",
      message: expect.stringContaining("bundle.sig: "),
    });
  });

  test("a newer format is told from damage", async () => {
    const [manifest, signature, ...rest] = members;
    const content = resealed(manifest?.content.toString().replace('"format":1', '"format":2') ?? "");
    const signed = { name: signature?.name ?? "", content: writeSignature(content, key) };
    writeFileSync(place.path("newer.tar"), putTogether([{ name: "bundle.json", content }, signed, ...rest]));
    expect(await bundle("verify", place.path("newer.tar"))).toMatchObject({
      code: 69,
      stderr: expect.stringContaining("format 2"),
    });
  });
});

test("what is once in a store is once in a bundle: of two sessions with one topic the first comes", {
  timeout: 60_000,
}, async () => {
  const [, second] = members.filter(({ name }) => name.endsWith("/session.json"));
  const folder = second?.name.replace("session.json", "") ?? "";
  const changed = liar.all(
    [`${folder}session.json`, "drive-1/labels/scene", "drive-1/status/mode"],
    [`${folder}0/topic.json`, "drive-1/labels/scene", "drive-1/status/mode"],
  );
  const file = write("twice.tar", changed);
  const words = [file, "--trust", store.publicKey];
  const ended = await bundle("import", "--create", ...words, "--data-dir", place.path("twice"));
  expect(ended).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/refused: .*topic `drive-1\/status\/mode` once.*\n.*\n2 brought/),
  });
  expect(await bundle("verify", ...words)).toMatchObject({
    code: 65,
    stderr: expect.stringMatching(/status\/mode` once/),
  });
});

test("of a session that lies nothing comes, the others come", { timeout: 60_000 }, async () => {
  const dataDir = place.path("importer");
  await using server = await startServer({ dataDir });
  using client = new FlightClient(server.port);
  for (const title of [
    "rows moved from one message to the next",
    "a topic named as a path, said everywhere",
    "an empty chunk",
  ]) {
    const file = write("import.tar", (await lies[title]?.[0](liar)) ?? []);
    const words = [file, "--trust", store.publicKey];
    expect(await bundle("verify", ...words), title).toMatchObject({ code: 65 });
    const ended = await bundle("import", "--create", ...words, "--data-dir", dataDir);
    expect(ended, title).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/walk-1:\S+: refused: Session .*1 are not there; into \S+\n$/s),
    });
    expect(await sessionsOf(server.port, "drive-1"), title).toBe(2);
    await expect(client.info({ resource_locator: "walk-1" }), title).rejects.toThrow(/Not found/);
  }
  expect((await runToEnd(["verify", "--data-dir", dataDir])).code).toBe(0);
});

test(`${hostiles} random lies in documents and messages, sealed and signed: never anything but a refusal`, {
  timeout: 60_000 + 200 * hostiles,
}, async () => {
  const random = new Random("hostile bundles");
  const kinds = [
    "text of a document",
    "bytes of a document",
    "header of a message",
    "body of a message",
    "footer",
  ] as const;
  const coverage = new Coverage("hostile bundles", [...kinds, "refused", "taken", "imported"]);
  const dataDir = place.path("odd");
  await using server = await startServer({ dataDir });
  const importedMax = 8;
  let imported = 0;
  const documents = members.filter(({ name }) => name.startsWith(liar.lying) && name.endsWith(".json"));
  for (let index = 0; index < hostiles; index += 1) {
    const kind = kinds[index % kinds.length] ?? "footer";
    const file = write("random.tar", await randomLie(kind));
    const error = await refusalOf(file);
    const where = `hostile bundle ${index}: ${kind}`;
    if (error !== undefined) {
      expect(error, where).toBeInstanceOf(Fault);
      expect((error as Fault).code, where).toBe("corrupt");
    }
    // What passes for a session may be odd; the store that takes it, or does not, stays sound.
    if (error === undefined && kind.endsWith("message") && imported < importedMax) {
      imported += 1;
      const ended = await bundle("import", file, "--create", "--data-dir", dataDir, "--any-key");
      expect([0, 1], `${where}: ${ended.stderr}`).toContain(ended.code);
      const deleted = new FlightClient(server.port);
      await deleted.action("sequence_delete", { locator: "walk-1" }).catch(() => undefined);
      deleted[Symbol.dispose]();
      coverage.hit("imported");
    }
    coverage.hit(kind);
    coverage.hit(error === undefined ? "taken" : "refused");
  }
  coverage.check();
  await server.stop();
  expect((await runToEnd(["verify", "--data-dir", dataDir])).code).toBe(0);

  async function randomLie(kind: (typeof kinds)[number]): Promise<Member[]> {
    switch (kind) {
      case "text of a document": {
        const { name, content } = random.pick(documents);
        const text = content.toString();
        const at = random.below(text.length);
        const piece = random.pick(["", "0", "-1", "null", '"', "{", "]", "\\u0000", "1e999", "é", ",", "9".repeat(30)]);
        return liar.replaced(name, resealed(text.slice(0, at) + piece + text.slice(at + random.below(8))));
      }
      case "bytes of a document": {
        const { name, content } = random.pick(documents);
        const changed = Buffer.from(content);
        changed[random.below(changed.byteLength)] = random.below(256);
        return liar.replaced(name, changed);
      }
      case "header of a message":
      case "body of a message": {
        const content = await liar.rewritten((entries, bytes) => {
          const { offset, metadataBytes, bodyBytes } = random.pick(entries);
          const inHeader = kind === "header of a message";
          const from = inHeader ? offset : offset + metadataBytes;
          for (let times = 1 + random.below(3); times > 0; times -= 1)
            bytes[from + random.below(inHeader ? metadataBytes : bodyBytes)] = random.pick([
              0,
              1,
              0x7f,
              0x80,
              0xff,
              random.below(256),
            ]);
          return summed(entries, bytes);
        });
        return liar.replaced(liar.chunkName, content);
      }
      case "footer": {
        const changed = Buffer.from(liar.contentOf(liar.chunkName));
        const from = changed.byteLength - 1_500;
        for (let times = 1 + random.below(3); times > 0; times -= 1)
          changed[from + random.below(1_500)] = random.below(256);
        return liar.replaced(liar.chunkName, changed);
      }
    }
  }
});
