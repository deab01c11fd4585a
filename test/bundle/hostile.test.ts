// Bundles that a trusted key has signed and that lie: what is not what it says is refused before anything of its session goes anywhere,
// what is names its member, and no bytes end the program. MOSAICO_HOSTILE_BUNDLES says how many random ones.

import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleDisk } from "../../src/bundle/bundle-disk.ts";
import { checkMembers, openBundle } from "../../src/bundle/bundle-file.ts";
import { readSessionContent } from "../../src/bundle/session-content.ts";
import { writeSignature } from "../../src/bundle/signature.ts";
import { readChunkRecord } from "../../src/care/chunk-record.ts";
import { crc32 } from "../../src/host/checksum.ts";
import { readSigningKey, type SigningKey } from "../../src/host/signing-key.ts";
import type { BundleManifest } from "../../src/model/bundle.ts";
import { type BatchEntry, endOfEntry, messageBytesOf } from "../../src/model/chunk.ts";
import { Fault } from "../../src/model/fault.ts";
import { chunkFooter } from "../../src/store/chunk-footer.ts";
import { readTopicDocument } from "../../src/store/documents.ts";
import { FlightClient } from "../load/flight-client.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { runToEnd, startServer } from "../server.ts";
import { type Member, putTogether, readArchive, withManifest } from "./archive.ts";
import { bundle, done, Place, type Recorded, recordIn, sessionsOf } from "./stores.ts";

const hostiles = Number(process.env["MOSAICO_HOSTILE_BUNDLES"] ?? 400);

const place = new Place("hostile");
let store: Recorded;
let key: SigningKey;
let members: readonly Member[];
/** The session that lies: that of walk-1, by the beginning of its members' names. */
let lying: string;
/** Its chunk of rows at a rate, and the document of that topic. */
let chunkName: string;
let topicName: string;
let sequenceName: string;

beforeAll(async () => {
  store = await recordIn(place);
  key = readSigningKey(readFileSync(store.keyFile, "utf8"), store.keyFile);
  await done("export", place.path("b.tar"), "--data-dir", store.dataDir, "--key", store.keyFile);
  members = readArchive(place.path("b.tar"));
  const document = members.findLast(({ name }) => name.endsWith("/session.json"));
  lying = document?.name.replace("session.json", "") ?? "";
  sequenceName = members.findLast(({ name }) => name.startsWith("sequences/"))?.name ?? "";
  topicName = `${lying}1/topic.json`;
  chunkName = `${lying}1/00000.arrow`;
  expect(members.some(({ name }) => name === chunkName)).toBe(true);
});
afterAll(() => place[Symbol.dispose]());

const sealPattern = /,"crc32":[0-9]+\}\n$/;

/** A document with another text, and a seal that fits. */
function resealed(text: string): Buffer {
  const body = text.replace(sealPattern, "");
  return Buffer.from(`${body},"crc32":${crc32([Buffer.from(body)])}}\n`);
}

function contentOf(name: string): Buffer {
  const member = members.find((one) => one.name === name);
  if (member === undefined) throw new RangeError(`there is ${name}`);
  return member.content;
}

function replaced(name: string, content: Buffer): Member[] {
  contentOf(name);
  return members.map((member) => (member.name === name ? { ...member, content } : member));
}

function retold(
  name: string,
  from: string | RegExp,
  to: string | ((match: string, first: string) => string),
): Member[] {
  const text = contentOf(name).toString();
  const changed = text.replace(from, to as string);
  if (changed === text) throw new RangeError(`${name} has ${from}`);
  return replaced(name, resealed(changed));
}

/** Several members retold. */
function all(...changes: readonly (readonly [name: string, from: string | RegExp, to: string])[]): Member[] {
  const contents = new Map<string, string>();
  for (const [name, from, to] of changes) {
    const text = contents.get(name) ?? contentOf(name).toString();
    contents.set(name, text.replace(from, to));
  }
  return members.map((member) => {
    const text = contents.get(member.name);
    return text === undefined ? member : { ...member, content: resealed(text) };
  });
}

/** A chunk whose messages and entries are others, with a footer that fits. */
async function rewritten(
  change: (entries: readonly BatchEntry[], messages: Buffer) => readonly BatchEntry[],
  name = chunkName,
): Promise<Buffer> {
  const content = Buffer.from(contentOf(name));
  const topic = name.replace(/[^/]*$/, "topic.json");
  const { schemaHeader } = readTopicDocument(contentOf(topic).toString(), topic, "" as never);
  const disk = {
    openReadable: async (path: string) => ({
      path,
      read: async (target: Uint8Array, at: number) => void content.copy(target, 0, at, at + target.byteLength),
      size: async () => content.byteLength,
      close: async () => undefined,
    }),
  };
  const { chunk, completedAtNs } = await readChunkRecord(disk, { path: name, number: 0, schemaHeader });
  const entries = change(chunk.batches, content);
  const end = Math.max(...chunk.batches.map(endOfEntry));
  const { skips } = chunk;
  return Buffer.concat([content.subarray(0, end), chunkFooter({ schemaHeader, entries, skips, completedAtNs })]);
}

/** With checksums that fit the bytes. */
function summed(entries: readonly BatchEntry[], content: Buffer): BatchEntry[] {
  return entries.map((entry) => {
    const bytes = content.subarray(entry.offset, entry.offset + messageBytesOf(entry));
    return { ...entry, crc32: crc32([bytes]) };
  });
}

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

const bigint = /[0-9]{19}/;

/** What lies, and what the refusal says. */
const lies: Readonly<Record<string, readonly [make: () => Member[] | Promise<Member[]>, says: RegExp]>> = {
  "a sequence of another name": [
    () => retold(sequenceName, '"walk-1"', '"walk-2"'),
    /sequences\/.*expected the sequence of walk-1/,
  ],
  "a sequence named as a path": [() => retold(sequenceName, '"walk-1"', '"../../x"'), /sequences\//],
  "a sequence with no UUID": [() => retold(sequenceName, /"uuid":"[^"]*"/, '"uuid":"1"'), /sequences\/.*UUID/],
  "a sequence of another ULID": [() => retold(sequenceName, /"ulid":"0/, '"ulid":"1'), /sequences\//],
  "a sequence with more in it": [() => retold(sequenceName, '"format":1', '"format":1,"more":2'), /sequences\/.*form/],
  "user metadata that are no JSON": [
    () => retold(sequenceName, /"user_metadata":\{/, '"user_metadata":{,'),
    /sequences\/.*JSON/,
  ],
  "user metadata nested deep": [
    () => retold(sequenceName, /"user_metadata":\{/, `"user_metadata":{"x":${"[".repeat(5_000)}${"]".repeat(5_000)},`),
    /sequences\//,
  ],
  "an open session": [() => retold(`${lying}session.json`, /,"topic_number_next".*/, "}\n"), /session\.json/],
  "a session of another sequence": [
    () => retold(`${lying}session.json`, '"sequence":"walk-1"', '"sequence":"drive-1"'),
    /session\.json.*sequence walk-1/,
  ],
  "a session with another locator": [
    () => retold(`${lying}session.json`, '"walk-1:', '"drive-1:'),
    /session\.json.*expected session walk-1/,
  ],
  "a session of another ULID": [() => retold(`${lying}session.json`, /"ulid":"0/, '"ulid":"1'), /document of 1/],
  "a session with a creator": [
    () => retold(`${lying}session.json`, '"creator":null', '"creator":"abcdefgh"'),
    /session\.json.*no creator/,
  ],
  "a session with a UUID of our choice": [
    () => retold(`${lying}session.json`, /"uuid":"[^"]*"/, '"uuid":"00000000-0000-0000-0000-000000000000"'),
    /session\.json.*UUID/,
  ],
  "rows that are not there": [
    () => retold(`${lying}session.json`, '"rows":', '"rows":9'),
    /session\.json|00000\.arrow/,
  ],
  "a chunk that is not there": [
    () =>
      retold(
        `${lying}session.json`,
        '"chunks":[',
        '"chunks":[{"number":9,"bytes":1,"rows":1,"entries":1,"range":null},',
      ),
    /arrow|session\.json/,
  ],
  "a topic that is not there": [
    () =>
      retold(
        `${lying}session.json`,
        /"topics":\[(\{.*?\}\]\}),/,
        (_match, first) => `"topics":[${first.replace('"number":0', '"number":7')},${first},`,
      ),
    /7\/topic\.json|session\.json/,
  ],
  "a topic more than the session knows": [
    () => [
      ...members,
      { name: `${lying}9/topic.json`, content: contentOf(topicName) },
      { name: `${lying}9/00000.arrow`, content: contentOf(chunkName) },
    ],
    /9: expected a member that the session knows/,
  ],
  "a chunk more than the topic knows": [
    () => {
      const last = members.at(-1)?.name ?? "";
      const next = last.replace(
        /([0-9]{5})\.arrow$/,
        (_name, number) => `${String(Number(number) + 1).padStart(5, "0")}.arrow`,
      );
      return [...members, { name: next, content: contentOf(chunkName) }];
    },
    /arrow: expected a member that the session knows/,
  ],
  "one topic twice": [
    () =>
      retold(`${lying}session.json`, /"topics":\[(\{.*?\}\]\}),/, (_match, first) => `"topics":[${first},${first},`),
    /one number twice/,
  ],
  "times beyond time": [() => retold(`${lying}session.json`, bigint, "99999999999999999999"), /session\.json/],
  "a topic in another sequence": [() => retold(topicName, '"walk-1/', '"drive-1/'), /1\/topic\.json|session\.json/],
  "a topic in another sequence, said everywhere": [
    () =>
      all(
        [topicName, '"walk-1/', '"drive-1/'],
        [`${lying}session.json`, /"walk-1\/sensors\/imu"/g, '"drive-1/sensors/imu"'],
      ),
    /1\/topic\.json.*below walk-1/,
  ],
  "a topic named as a path, said everywhere": [
    () =>
      all(
        [topicName, "walk-1/sensors/imu", "walk-1/../../x"],
        [`${lying}session.json`, "walk-1/sensors/imu", "walk-1/../../x"],
      ),
    /1\/topic\.json/,
  ],
  "a topic of another format": [
    () => all([topicName, '"default"', '"odd"'], [`${lying}session.json`, /("number":1,.*?)"default"/, '$1"odd"']),
    /(1\/topic|session)\.json/,
  ],
  "a topic of another number": [() => retold(topicName, '"number":1', '"number":2'), /1\/topic\.json/],
  "a schema of another topic": [
    () =>
      retold(
        topicName,
        /"schema":"[^"]*"/,
        /"schema":"[^"]*"/.exec(contentOf(`${lying}0/topic.json`).toString())?.[0] ?? "",
      ),
    /00000\.arrow/,
  ],
  "a schema that is none": [
    () => retold(topicName, /"schema":"[^"]{20}/, '"schema":"AAAAAAAAAAAAAAAAAAAA'),
    /00000\.arrow|topic\.json/,
  ],
  "notes of a topic that is not there": [
    () =>
      replaced(
        `${lying}notes.json`,
        resealed('{"format":1,"sequence":[],"topics":[{"number":99,"notes":[]}]}\n'.replace(/\}\n$/, ',"crc32":1}\n')),
      ),
    /notes\.json.*topic 99/,
  ],
  "more notes than there can be": [
    () => {
      const note = '{"message":"x","created_at_ns":1}';
      const text = `{"format":1,"sequence":[${Array.from({ length: 1_001 }, () => note).join(",")}],"topics":[],"crc32":1}\n`;
      return replaced(`${lying}notes.json`, resealed(text));
    },
    /notes\.json.*at most 1000/,
  ],
  "notes that are no JSON": [() => replaced(`${lying}notes.json`, Buffer.from("notes")), /notes\.json/],
  "a document without a seal": [() => replaced(topicName, Buffer.from("{}")), /1\/topic\.json/],
  "an empty document": [() => replaced(`${lying}session.json`, Buffer.alloc(0)), /session\.json/],
  "a chunk that is no Arrow file": [
    () => replaced(chunkName, Buffer.alloc(contentOf(chunkName).byteLength, 0x41)),
    /1\/00000\.arrow/,
  ],
  "an empty chunk": [() => replaced(chunkName, Buffer.alloc(0)), /1\/00000\.arrow/],
  "a chunk cut off": [() => replaced(chunkName, contentOf(chunkName).subarray(0, -20)), /1\/00000\.arrow/],
  "a chunk with more behind it": [
    () => replaced(chunkName, Buffer.concat([contentOf(chunkName), Buffer.alloc(8)])),
    /1\/00000\.arrow/,
  ],
  "a chunk of another topic": [() => replaced(chunkName, contentOf(`${lying}0/00000.arrow`)), /1\/00000\.arrow/],
  "a chunk without a footer": [
    async () => {
      let end = 0;
      await rewritten((entries) => {
        end = Math.max(...entries.map(endOfEntry));
        return entries;
      });
      return replaced(chunkName, contentOf(chunkName).subarray(0, end));
    },
    /1\/00000\.arrow/,
  ],
  "messages where there are none": [
    async () =>
      replaced(
        chunkName,
        await rewritten((entries) => entries.map((entry) => ({ ...entry, offset: entry.offset + 8 }))),
      ),
    /1\/00000\.arrow/,
  ],
  "messages beyond all bounds": [
    async () =>
      replaced(
        chunkName,
        await rewritten((entries) =>
          entries.map((entry, index) => (index === 0 ? { ...entry, bodyBytes: 2 ** 31 - 8 } : entry)),
        ),
      ),
    /1\/00000\.arrow/,
  ],
  "messages with other bytes": [
    async () =>
      replaced(
        chunkName,
        await rewritten((entries, content) => {
          content[(entries[0]?.offset ?? 0) + 400] = 0xee;
          return entries;
        }),
      ),
    /1\/00000\.arrow@.*CRC-32/,
  ],
  "messages in disorder that say they are sorted": [
    async () =>
      replaced(chunkName, await rewritten((entries) => entries.map((entry) => ({ ...entry, sorted: !entry.sorted })))),
    /1\/00000\.arrow@.*unsorted/,
  ],
  "rows moved from one message to the next": [
    async () =>
      replaced(
        chunkName,
        await rewritten((entries) =>
          entries.map((entry, index) => ({ ...entry, rows: entry.rows + (index === 0 ? 1 : index === 1 ? -1 : 0) })),
        ),
      ),
    /1\/00000\.arrow@.*201 rows/,
  ],
};

describe("of a session", () => {
  test.each(Object.keys(lies))("%s", async (title) => {
    const [make, says] = lies[title] ?? [() => [], /nothing/];
    const file = write("lie.tar", await make());
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
  const changed = all(
    [`${folder}session.json`, "drive-1/labels/scene", "drive-1/status/mode"],
    [`${folder}0/topic.json`, "drive-1/labels/scene", "drive-1/status/mode"],
  );
  const file = write("twice.tar", changed);
  const words = [file, "--trust", store.publicKey];
  const ended = await bundle("import", ...words, "--data-dir", place.path("twice"));
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
    const file = write("import.tar", (await lies[title]?.[0]()) ?? []);
    const words = [file, "--trust", store.publicKey];
    expect(await bundle("verify", ...words), title).toMatchObject({ code: 65 });
    const ended = await bundle("import", ...words, "--data-dir", dataDir);
    expect(ended, title).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/walk-1:\S+: refused: Session .*1 are not there\n$/s),
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
  const documents = members.filter(({ name }) => name.startsWith(lying) && name.endsWith(".json"));
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
      const ended = await bundle("import", file, "--data-dir", dataDir, "--any-key");
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
        return replaced(name, resealed(text.slice(0, at) + piece + text.slice(at + random.below(8))));
      }
      case "bytes of a document": {
        const { name, content } = random.pick(documents);
        const changed = Buffer.from(content);
        changed[random.below(changed.byteLength)] = random.below(256);
        return replaced(name, changed);
      }
      case "header of a message":
      case "body of a message": {
        const content = await rewritten((entries, bytes) => {
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
        return replaced(chunkName, content);
      }
      case "footer": {
        const changed = Buffer.from(contentOf(chunkName));
        const from = changed.byteLength - 1_500;
        for (let times = 1 + random.below(3); times > 0; times -= 1)
          changed[from + random.below(1_500)] = random.below(256);
        return replaced(chunkName, changed);
      }
    }
  }
});
