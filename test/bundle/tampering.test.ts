// Five hundred bundles that somebody has changed: each is refused, and the refusal names the member or the part. MOSAICO_TAMPERINGS says
// how many.

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundleDisk } from "../../src/bundle/bundle-disk.ts";
import { checkMembers, openBundle } from "../../src/bundle/bundle-file.ts";
import { readSessionContent } from "../../src/bundle/session-content.ts";
import { demandTrust, readTrust } from "../../src/bundle/trust.ts";
import { newSigningKeyPem, readSigningKey, type SigningKey } from "../../src/host/signing-key.ts";
import { Fault } from "../../src/model/fault.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { changedHeader, type Member, putTogether, takeApart, withManifest } from "./archive.ts";
import { bundle, done, Place, recordIn } from "./stores.ts";

const tamperings = Number(process.env["MOSAICO_TAMPERINGS"] ?? 500);
/** Every so many are given to the commands too. */
const commandEvery = 25;
const partBytes = 200_000;

const place = new Place("tampering");
const random = new Random("tamperings");
let whole: Buffer;
let members: ReturnType<typeof takeApart>;
/** Of the same sessions, exported at another time and by the same key. */
let other: readonly Member[];
let key: SigningKey;
let parts: readonly Buffer[];
let otherParts: readonly Buffer[];

beforeAll(async () => {
  const { dataDir, keyFile } = await recordIn(place);
  key = readSigningKey(readFileSync(keyFile, "utf8"), keyFile);
  const made = async (name: string, ...words: string[]): Promise<Buffer> => {
    await done("export", place.path(name), "--data-dir", dataDir, "--key", keyFile, ...words);
    return words.length === 0 || !words.includes("--split") ? readFileSync(place.path(name)) : Buffer.alloc(0);
  };
  const readParts = (name: string): Buffer[] =>
    readdirSync(place.root)
      .filter((file) => file.startsWith(`${name}.`))
      .sort()
      .map((file) => readFileSync(place.path(file)));
  whole = await made("whole.tar", "--sequence", "walk-1");
  members = takeApart(whole);
  await made("split.tar", "--sequence", "walk-1", "--split", String(partBytes));
  parts = readParts("split.tar");
  await made("other-split.tar", "--sequence", "drive-1", "--split", String(partBytes));
  otherParts = readParts("other-split.tar");
  other = takeApart(await made("other.tar", "--sequence", "drive-1"));
  expect(parts.length).toBeGreaterThan(3);
});
afterAll(() => place[Symbol.dispose]());

interface Tampered {
  /** One file, or parts by their names. */
  readonly files: readonly (readonly [name: string, content: Buffer])[];
  /** What the refusal has to name, one of them. */
  readonly names: readonly string[];
  readonly code?: "corrupt" | "denied";
}

const endName = "the end of the archive";

function flipped(content: Buffer, from: number, to: number): Buffer {
  const changed = Buffer.from(content);
  const at = from + random.below(to - from);
  changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
  return changed;
}

function one(content: Buffer, ...names: string[]): Tampered {
  return { files: [["b.tar", content]], names };
}

const kindsOfMember = {
  "the manifest": (name: string) => name === "bundle.json",
  "the signature": (name: string) => name === "bundle.sig",
  "a sequence": (name: string) => name.startsWith("sequences/"),
  "a session": (name: string) => name.endsWith("/session.json"),
  notes: (name: string) => name.endsWith("/notes.json"),
  "a topic": (name: string) => name.endsWith("/topic.json"),
  "a chunk": (name: string) => name.endsWith(".arrow"),
} as const;

type Placed = (typeof members)[number];

function anyMember(fits: (name: string) => boolean = (name) => !name.startsWith("bundle.")): Placed {
  return random.pick(members.filter(({ name }) => fits(name)));
}

/** Without the two first ones, which are no members in the manifest's eyes. */
function rest(): Placed[] {
  return members.slice(2);
}

function withRest(changed: readonly Member[]): Buffer {
  return putTogether([...members.slice(0, 2), ...changed]);
}

/** A member of the other bundle of the same kind, and other bytes. */
function foreignFor({ name, content }: Member): Buffer {
  const kind = Object.values(kindsOfMember).find((fits) => fits(name));
  const fits = other.filter((one) => kind?.(one.name) && !one.content.equals(content));
  return random.pick(fits).content;
}

function changedContent({ content }: Member): Buffer {
  return flipped(content, 0, content.byteLength);
}

/** What lies at a byte of an archive. */
function memberAt(archive: Buffer, at: number): string {
  if (at >= archive.byteLength - 1024) return endName;
  return takeApart(archive).findLast(({ headerAt }) => headerAt <= at)?.name ?? "";
}

function partsOf(contents: readonly Buffer[]): [string, Buffer][] {
  return contents.map((content, index) => [`b.tar.${String(index + 1).padStart(3, "0")}`, content]);
}

function partName(index: number): string {
  return `b.tar.${String(index + 1).padStart(3, "0")}`;
}

const tamper: Readonly<Record<string, () => Tampered>> = {
  ...Object.fromEntries(
    Object.entries(kindsOfMember).flatMap(([what, fits]) => [
      [
        `flip in ${what}`,
        () => {
          const { name, content, headerAt } = anyMember(fits);
          return one(flipped(whole, headerAt + 512, headerAt + 512 + content.byteLength), name);
        },
      ],
      [
        `flip in the header of ${what}`,
        () => {
          const { name, headerAt } = anyMember(fits);
          return one(flipped(whole, headerAt, headerAt + 512), name);
        },
      ],
    ]),
  ),
  "flip in padding": () => {
    const { name, content, headerAt } = random.pick(members.filter((member) => member.content.byteLength % 512 !== 0));
    const end = headerAt + 512 + content.byteLength;
    return one(flipped(whole, end, Math.ceil(end / 512) * 512), name);
  },
  "flip behind the last member": () => one(flipped(whole, whole.byteLength - 1024, whole.byteLength), endName),
  "cut off anywhere": () => {
    const at = random.below(whole.byteLength - 1024);
    const cut = members.findLast(({ headerAt }) => headerAt <= at);
    return one(whole.subarray(0, at), cut?.name ?? "");
  },
  "cut off before a member": () => {
    const { name, headerAt } = random.pick(members);
    return one(whole.subarray(0, headerAt), name);
  },
  "cut off in its end": () => one(whole.subarray(0, whole.byteLength - 1 - random.below(1024)), endName),
  "bytes behind its end": () => {
    const more = Buffer.from(random.bytes(1 + random.below(2_000)));
    return one(Buffer.concat([whole, random.chance(0.5) ? more : Buffer.alloc(512)]), endName);
  },
  "an archive behind its end": () => one(Buffer.concat([whole, putTogether([...other])]), endName),
  "members swapped": () => {
    const changed = rest();
    const first = random.below(changed.length - 1);
    const second = first + 1 + random.below(changed.length - first - 1);
    const [a, b] = [changed[first], changed[second]];
    if (a === undefined || b === undefined) throw new RangeError("there are two");
    changed[first] = b;
    changed[second] = a;
    return one(withRest(changed), a.name);
  },
  "contents swapped": () => {
    const fits = (name: string): boolean => name.endsWith(".arrow");
    const [a, b] = [anyMember(fits), anyMember(fits)];
    if (a.name === b.name) return tampered("contents swapped");
    const contents = new Map([
      [a.name, b.content],
      [b.name, a.content],
    ]);
    return one(
      withRest(rest().map(({ name, content }) => ({ name, content: contents.get(name) ?? content }))),
      a.name,
      b.name,
    );
  },
  "a member removed": () => {
    const { name } = anyMember();
    return one(withRest(rest().filter((member) => member.name !== name)), name);
  },
  "a member repeated": () => {
    const { name } = anyMember();
    const last = rest().at(-1)?.name === name;
    return one(
      withRest(rest().flatMap((member) => (member.name === name ? [member, member] : [member]))),
      last ? endName : name,
    );
  },
  "a member added": () => {
    const name = random.pick(["../../x", "/etc/passwd", "sessions/x", "a\u0007b"]);
    const at = random.below(rest().length);
    const changed = rest().toSpliced(at, 0, { name, content: Buffer.from("x"), headerAt: 0 });
    return one(withRest(changed), rest()[at]?.name ?? "");
  },
  "a member renamed": () => {
    const { name } = anyMember();
    const names = ["../../x", "/etc/passwd", `${name}x`, name.toUpperCase(), name.replace(/[0-9]/, "9"), `./${name}`];
    const renamed = random.pick(names.filter((one) => one !== name));
    return one(withRest(rest().map((member) => (member.name === name ? { ...member, name: renamed } : member))), name);
  },
  "a member of another bundle": () => {
    const given = anyMember();
    const content = foreignFor(given);
    return one(
      withRest(rest().map((member) => (member.name === given.name ? { ...member, content } : member))),
      given.name,
    );
  },
  "another size in a header": () => {
    const { name, content, headerAt } = anyMember();
    const size = random.pick([0, content.byteLength + 1, content.byteLength - 1, 2 ** 40, 8 ** 11 - 1]);
    const header = changedHeader(whole.subarray(headerAt, headerAt + 512), (bytes) => {
      if (size < 8 ** 11) bytes.write(size.toString(8).padStart(11, "0"), 124, "latin1");
      else {
        bytes.fill(0, 124, 136);
        bytes[124] = 0x80;
        bytes.writeBigUInt64BE(BigInt(size), 128);
      }
    });
    return one(Buffer.concat([whole.subarray(0, headerAt), header, whole.subarray(headerAt + 512)]), name);
  },
  "another kind of file": () => {
    const { name, headerAt } = random.pick(members);
    const header = changedHeader(whole.subarray(headerAt, headerAt + 512), (bytes) => {
      bytes.write(random.pick(["1", "2", "5", "x", "L"]), 156, "latin1");
      bytes.write("/etc/passwd", 157, "latin1");
    });
    return one(Buffer.concat([whole.subarray(0, headerAt), header, whole.subarray(headerAt + 512)]), name);
  },
  "a size of the manifest beyond all bounds": () => {
    const header = changedHeader(whole.subarray(0, 512), (bytes) => {
      bytes.write(random.pick(["77777777777", "00500000000", "00000000000"]), 124, "latin1");
    });
    return one(Buffer.concat([header, whole.subarray(512)]), "bundle.json");
  },
  "a manifest that fits, not signed again": () => {
    const given = anyMember();
    const content = changedContent(given);
    const changed = members.map((member) => (member.name === given.name ? { ...member, content } : member));
    return one(putTogether(withManifest(changed, undefined)), "bundle.sig");
  },
  "a manifest that fits, signed by a stranger": () => {
    const given = anyMember();
    const content = changedContent(given);
    const changed = members.map((member) => (member.name === given.name ? { ...member, content } : member));
    const stranger = readSigningKey(newSigningKeyPem(), "stranger");
    return { ...one(putTogether(withManifest(changed, stranger)), stranger.publicKey), code: "denied" };
  },
  "signed by a stranger": () => {
    const stranger = readSigningKey(newSigningKeyPem(), "stranger");
    return { ...one(putTogether(withManifest(members, stranger)), stranger.publicKey), code: "denied" };
  },
  "the signature of another bundle": () => {
    const [, signature] = other;
    const changed = members.map((member) => (member.name === "bundle.sig" ? { ...member, ...signature } : member));
    return one(putTogether(changed), "bundle.sig");
  },
  "the head of another bundle": () => {
    const changed = [...other.slice(0, 2), ...rest()];
    return one(putTogether(changed), other[2]?.name ?? "");
  },
  "a stranger's key before the signature of ours": () => {
    const stranger = readSigningKey(newSigningKeyPem(), "stranger");
    const changed = members.map((member) => {
      if (member.name !== "bundle.sig") return member;
      const content = Buffer.from(member.content.toString().replace(key.publicKey, stranger.publicKey));
      return { ...member, content };
    });
    return one(putTogether(changed), "bundle.sig");
  },
  "parts swapped": () => {
    const changed = [...parts];
    const first = random.below(parts.length - 2);
    const second = first + 1 + random.below(parts.length - 2 - first);
    const [a, b] = [parts[first], parts[second]];
    if (a === undefined || b === undefined) throw new RangeError("there are two");
    changed[first] = b;
    changed[second] = a;
    return { files: partsOf(changed), names: [partName(first), partName(second)] };
  },
  "a part missing": () => {
    const index = 1 + random.below(parts.length - 1);
    return {
      files: partsOf(parts).filter((_part, at) => at !== index),
      names: [`${partName(index)}: expected ${parts.length} parts, found ${index}: this one is missing`],
    };
  },
  "a part shortened": () => {
    const index = random.below(parts.length);
    const changed = parts.map((part, at) => (at === index ? part.subarray(0, random.below(part.byteLength)) : part));
    return { files: partsOf(changed), names: [partName(index)] };
  },
  "a part lengthened": () => {
    const index = random.below(parts.length);
    const changed = parts.map((part, at) => (at === index ? Buffer.concat([part, Buffer.alloc(7)]) : part));
    return { files: partsOf(changed), names: [partName(index)] };
  },
  "a part of another bundle": () => {
    const index = random.below(parts.length - 1);
    const changed = parts.with(index, otherParts[index] ?? Buffer.alloc(0));
    // With the first one comes another manifest, by which the last one is too short.
    const first = [partName(parts.length - 1), memberAt(Buffer.concat(otherParts), partBytes)];
    const from = memberAt(Buffer.concat(parts), index * partBytes);
    return { files: partsOf(changed), names: index === 0 ? first : [partName(index), from] };
  },
  "a part too many": () => ({
    files: partsOf([...parts, otherParts[0] ?? Buffer.alloc(0)]),
    names: [`${partName(parts.length)}: expected ${parts.length} parts, this is one more`],
  }),
  "a flip in a part": () => {
    const index = random.below(parts.length);
    const part = parts[index] ?? Buffer.alloc(0);
    const at = random.below(part.byteLength);
    const changed = parts.with(index, flipped(part, at, at + 1));
    // A member may lie in more than two parts: then it is said which one it is, and from which part to which.
    return { files: partsOf(changed), names: [memberAt(Buffer.concat(parts), index * partBytes + at)] };
  },
};

function tampered(kind: string): Tampered {
  const make = tamper[kind];
  if (make === undefined) throw new RangeError(`there is no ${kind}`);
  return make();
}

/** What whoever takes a bundle does before anything of it goes anywhere. */
async function take(files: readonly string[]): Promise<void> {
  await using opened = await openBundle(files);
  demandTrust(readTrust([key.publicKey], false), opened.signer);
  await checkMembers(opened, () => undefined);
  for (const session of opened.manifest.sessions)
    await readSessionContent(bundleDisk(opened), session, () => undefined);
}

test("those that nobody has changed are taken", async () => {
  await take([place.path("whole.tar")]);
  await take([place.path("split.tar")]);
  await take([place.path("split.tar.001")]);
});

test(`${tamperings} tamperings`, { timeout: 60_000 + tamperings * 1_000 }, async () => {
  const kinds = Object.keys(tamper);
  const coverage = new Coverage("tamperings", kinds);
  for (let index = 0; index < tamperings; index += 1) {
    const kind = kinds[index % kinds.length] ?? "";
    const { files, names, code = "corrupt" } = tampered(kind);
    const paths = files.map(([name]) => place.path(name));
    for (const [name, content] of files) writeFileSync(place.path(name), content);
    const first = paths.slice(0, 1);
    const error = await take(first).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    const where = `tampering ${index}: ${kind}`;
    expect(error, where).toBeInstanceOf(Fault);
    const { message, code: found } = error as Fault;
    expect(found, `${where}: ${message}`).toBe(code);
    expect(
      names.some((name) => message.includes(name)),
      `${where}: named is none of ${names.join(", ")} in: ${message}`,
    ).toBe(true);
    // What is printed has no control characters of a stranger.
    expect(message, where).not.toMatch(/\p{Cc}/u);
    if (index % commandEvery === 0) {
      const ended = await bundle("verify", ...first, "--trust", key.publicKey);
      expect(ended, where).toEqual({
        code: code === "denied" ? 77 : 65,
        stdout: "",
        stderr: `mosaico-edge: ${message}\n`,
      });
    }
    for (const file of paths) rmSync(file);
    coverage.hit(kind);
  }
  expect(readdirSync(place.root).filter((name) => name.startsWith(path.basename("b.tar")))).toEqual([]);
  coverage.check();
});
