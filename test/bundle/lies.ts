// What somebody with a trusted key may say of a session, and what whoever reads it has to say of that.

import { readChunkRecord } from "../../src/care/chunk-record.ts";
import { crc32 } from "../../src/host/checksum.ts";
import { type BatchEntry, endOfEntry, messageBytesOf } from "../../src/model/chunk.ts";
import { chunkFooter } from "../../src/store/chunk-footer.ts";
import { readTopicDocument } from "../../src/store/documents.ts";
import type { Member } from "./archive.ts";

const sealPattern = /,"crc32":[0-9]+\}\n$/;

/** A document with another text, and a seal that fits. */
export function resealed(text: string): Buffer {
  const body = text.replace(sealPattern, "");
  return Buffer.from(`${body},"crc32":${crc32([Buffer.from(body)])}}\n`);
}

/** Members of a bundle, told otherwise. */
export class Liar {
  readonly members: readonly Member[];
  /** The session that lies, the last one, by the beginning of its members' names. */
  readonly lying: string;
  readonly sequenceName: string;
  /** Of its topic 1. */
  readonly topicName: string;
  readonly chunkName: string;

  constructor(members: readonly Member[]) {
    this.members = members;
    const nameOf = (fits: (name: string) => boolean): string => members.findLast(({ name }) => fits(name))?.name ?? "";
    this.lying = nameOf((name) => name.endsWith("/session.json")).replace("session.json", "");
    this.sequenceName = nameOf((name) => name.startsWith("sequences/"));
    this.topicName = `${this.lying}1/topic.json`;
    this.chunkName = `${this.lying}1/00000.arrow`;
    this.contentOf(this.chunkName);
  }

  contentOf(name: string): Buffer {
    const member = this.members.find((one) => one.name === name);
    if (member === undefined) throw new RangeError(`there is ${name}`);
    return member.content;
  }

  replaced(name: string, content: Buffer): Member[] {
    this.contentOf(name);
    return this.members.map((member) => (member.name === name ? { ...member, content } : member));
  }

  retold(name: string, from: string | RegExp, to: string | ((match: string, first: string) => string)): Member[] {
    const text = this.contentOf(name).toString();
    const changed = text.replace(from, to as string);
    if (changed === text) throw new RangeError(`${name} has ${from}`);
    return this.replaced(name, resealed(changed));
  }

  /** Several members retold. */
  all(...changes: readonly (readonly [name: string, from: string | RegExp, to: string])[]): Member[] {
    const contents = new Map<string, string>();
    for (const [name, from, to] of changes) {
      const text = contents.get(name) ?? this.contentOf(name).toString();
      contents.set(name, text.replace(from, to));
    }
    return this.members.map((member) => {
      const text = contents.get(member.name);
      return text === undefined ? member : { ...member, content: resealed(text) };
    });
  }

  /** A chunk whose messages and entries are others, with a footer that fits. */
  async rewritten(
    change: (entries: readonly BatchEntry[], messages: Buffer) => readonly BatchEntry[],
    name = this.chunkName,
  ): Promise<Buffer> {
    const content = Buffer.from(this.contentOf(name));
    const topic = name.replace(/[^/]*$/, "topic.json");
    const { schemaHeader } = readTopicDocument(this.contentOf(topic).toString(), topic, "" as never);
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
}

/** With checksums that fit the bytes. */
export function summed(entries: readonly BatchEntry[], content: Buffer): BatchEntry[] {
  return entries.map((entry) => {
    const bytes = content.subarray(entry.offset, entry.offset + messageBytesOf(entry));
    return { ...entry, crc32: crc32([bytes]) };
  });
}

const bigint = /[0-9]{19}/;

/** What lies, and what the refusal says. */
export const lies: Readonly<
  Record<string, readonly [make: (liar: Liar) => Member[] | Promise<Member[]>, says: RegExp]>
> = {
  "a sequence of another name": [
    (liar) => liar.retold(liar.sequenceName, '"walk-1"', '"walk-2"'),
    /sequences\/.*expected the sequence of walk-1/,
  ],
  "a sequence named as a path": [(liar) => liar.retold(liar.sequenceName, '"walk-1"', '"../../x"'), /sequences\//],
  "a sequence with no UUID": [
    (liar) => liar.retold(liar.sequenceName, /"uuid":"[^"]*"/, '"uuid":"1"'),
    /sequences\/.*UUID/,
  ],
  "a sequence of another ULID": [(liar) => liar.retold(liar.sequenceName, /"ulid":"0/, '"ulid":"1'), /sequences\//],
  "a sequence with more in it": [
    (liar) => liar.retold(liar.sequenceName, '"format":1', '"format":1,"more":2'),
    /sequences\/.*form/,
  ],
  "user metadata that are no JSON": [
    (liar) => liar.retold(liar.sequenceName, /"user_metadata":\{/, '"user_metadata":{,'),
    /sequences\/.*JSON/,
  ],
  "user metadata nested deep": [
    (liar) =>
      liar.retold(
        liar.sequenceName,
        /"user_metadata":\{/,
        `"user_metadata":{"x":${"[".repeat(5_000)}${"]".repeat(5_000)},`,
      ),
    /sequences\//,
  ],
  "an open session": [
    (liar) => liar.retold(`${liar.lying}session.json`, /,"topic_number_next".*/, "}\n"),
    /session\.json/,
  ],
  "a session of another sequence": [
    (liar) => liar.retold(`${liar.lying}session.json`, '"sequence":"walk-1"', '"sequence":"drive-1"'),
    /session\.json.*sequence walk-1/,
  ],
  "a session with another locator": [
    (liar) => liar.retold(`${liar.lying}session.json`, '"walk-1:', '"drive-1:'),
    /session\.json.*expected session walk-1/,
  ],
  "a session of another ULID": [
    (liar) => liar.retold(`${liar.lying}session.json`, /"ulid":"0/, '"ulid":"1'),
    /document of 1/,
  ],
  "a session with a creator": [
    (liar) => liar.retold(`${liar.lying}session.json`, '"creator":null', '"creator":"abcdefgh"'),
    /session\.json.*no creator/,
  ],
  "a session with a UUID of our choice": [
    (liar) =>
      liar.retold(`${liar.lying}session.json`, /"uuid":"[^"]*"/, '"uuid":"00000000-0000-0000-0000-000000000000"'),
    /session\.json.*UUID/,
  ],
  "rows that are not there": [
    (liar) => liar.retold(`${liar.lying}session.json`, '"rows":', '"rows":9'),
    /session\.json|00000\.arrow/,
  ],
  "a chunk that is not there": [
    (liar) =>
      liar.retold(
        `${liar.lying}session.json`,
        '"chunks":[',
        '"chunks":[{"number":9,"bytes":1,"rows":1,"entries":1,"range":null},',
      ),
    /arrow|session\.json/,
  ],
  "a topic that is not there": [
    (liar) =>
      liar.retold(
        `${liar.lying}session.json`,
        /"topics":\[(\{.*?\}\]\}),/,
        (_match, first) => `"topics":[${first.replace('"number":0', '"number":7')},${first},`,
      ),
    /7\/topic\.json|session\.json/,
  ],
  "a topic more than the session knows": [
    (liar) => [
      ...liar.members,
      { name: `${liar.lying}9/topic.json`, content: liar.contentOf(liar.topicName) },
      { name: `${liar.lying}9/00000.arrow`, content: liar.contentOf(liar.chunkName) },
    ],
    /9: expected a member that the session knows/,
  ],
  "a chunk more than the topic knows": [
    (liar) => {
      const last = liar.members.at(-1)?.name ?? "";
      const next = last.replace(
        /([0-9]{5})\.arrow$/,
        (_name, number) => `${String(Number(number) + 1).padStart(5, "0")}.arrow`,
      );
      return [...liar.members, { name: next, content: liar.contentOf(liar.chunkName) }];
    },
    /arrow: expected a member that the session knows/,
  ],
  "one topic twice": [
    (liar) =>
      liar.retold(
        `${liar.lying}session.json`,
        /"topics":\[(\{.*?\}\]\}),/,
        (_match, first) => `"topics":[${first},${first},`,
      ),
    /one number twice/,
  ],
  "times beyond time": [
    (liar) => liar.retold(`${liar.lying}session.json`, bigint, "99999999999999999999"),
    /session\.json/,
  ],
  "a topic in another sequence": [
    (liar) => liar.retold(liar.topicName, '"walk-1/', '"drive-1/'),
    /1\/topic\.json|session\.json/,
  ],
  "a topic in another sequence, said everywhere": [
    (liar) =>
      liar.all(
        [liar.topicName, '"walk-1/', '"drive-1/'],
        [`${liar.lying}session.json`, /"walk-1\/sensors\/imu"/g, '"drive-1/sensors/imu"'],
      ),
    /1\/topic\.json.*below walk-1/,
  ],
  "a topic named as a path, said everywhere": [
    (liar) =>
      liar.all(
        [liar.topicName, "walk-1/sensors/imu", "walk-1/../../x"],
        [`${liar.lying}session.json`, "walk-1/sensors/imu", "walk-1/../../x"],
      ),
    /1\/topic\.json/,
  ],
  "a topic of another format": [
    (liar) =>
      liar.all(
        [liar.topicName, '"default"', '"odd"'],
        [`${liar.lying}session.json`, /("number":1,.*?)"default"/, '$1"odd"'],
      ),
    /(1\/topic|session)\.json/,
  ],
  "a topic of another number": [(liar) => liar.retold(liar.topicName, '"number":1', '"number":2'), /1\/topic\.json/],
  "a schema of another topic": [
    (liar) =>
      liar.retold(
        liar.topicName,
        /"schema":"[^"]*"/,
        /"schema":"[^"]*"/.exec(liar.contentOf(`${liar.lying}0/topic.json`).toString())?.[0] ?? "",
      ),
    /00000\.arrow/,
  ],
  "a schema that is none": [
    (liar) => liar.retold(liar.topicName, /"schema":"[^"]{20}/, '"schema":"AAAAAAAAAAAAAAAAAAAA'),
    /00000\.arrow|topic\.json/,
  ],
  "notes of a topic that is not there": [
    (liar) =>
      liar.replaced(
        `${liar.lying}notes.json`,
        resealed('{"format":1,"sequence":[],"topics":[{"number":99,"notes":[]}]}\n'.replace(/\}\n$/, ',"crc32":1}\n')),
      ),
    /notes\.json.*topic 99/,
  ],
  "more notes than there can be": [
    (liar) => {
      const note = '{"message":"x","created_at_ns":1}';
      const text = `{"format":1,"sequence":[${Array.from({ length: 1_001 }, () => note).join(",")}],"topics":[],"crc32":1}\n`;
      return liar.replaced(`${liar.lying}notes.json`, resealed(text));
    },
    /notes\.json.*at most 1000/,
  ],
  "notes that are no JSON": [(liar) => liar.replaced(`${liar.lying}notes.json`, Buffer.from("notes")), /notes\.json/],
  "a document without a seal": [(liar) => liar.replaced(liar.topicName, Buffer.from("{}")), /1\/topic\.json/],
  "an empty document": [(liar) => liar.replaced(`${liar.lying}session.json`, Buffer.alloc(0)), /session\.json/],
  "a chunk that is no Arrow file": [
    (liar) => liar.replaced(liar.chunkName, Buffer.alloc(liar.contentOf(liar.chunkName).byteLength, 0x41)),
    /1\/00000\.arrow/,
  ],
  "an empty chunk": [(liar) => liar.replaced(liar.chunkName, Buffer.alloc(0)), /1\/00000\.arrow/],
  "a chunk cut off": [
    (liar) => liar.replaced(liar.chunkName, liar.contentOf(liar.chunkName).subarray(0, -20)),
    /1\/00000\.arrow/,
  ],
  "a chunk with more behind it": [
    (liar) => liar.replaced(liar.chunkName, Buffer.concat([liar.contentOf(liar.chunkName), Buffer.alloc(8)])),
    /1\/00000\.arrow/,
  ],
  "a chunk of another topic": [
    (liar) => liar.replaced(liar.chunkName, liar.contentOf(`${liar.lying}0/00000.arrow`)),
    /1\/00000\.arrow/,
  ],
  "a chunk without a footer": [
    async (liar) => {
      let end = 0;
      await liar.rewritten((entries) => {
        end = Math.max(...entries.map(endOfEntry));
        return entries;
      });
      return liar.replaced(liar.chunkName, liar.contentOf(liar.chunkName).subarray(0, end));
    },
    /1\/00000\.arrow/,
  ],
  "messages where there are none": [
    async (liar) =>
      liar.replaced(
        liar.chunkName,
        await liar.rewritten((entries) => entries.map((entry) => ({ ...entry, offset: entry.offset + 8 }))),
      ),
    /1\/00000\.arrow/,
  ],
  "messages beyond all bounds": [
    async (liar) =>
      liar.replaced(
        liar.chunkName,
        await liar.rewritten((entries) =>
          entries.map((entry, index) => (index === 0 ? { ...entry, bodyBytes: 2 ** 31 - 8 } : entry)),
        ),
      ),
    /1\/00000\.arrow/,
  ],
  "messages with other bytes": [
    async (liar) =>
      liar.replaced(
        liar.chunkName,
        await liar.rewritten((entries, content) => {
          content[(entries[0]?.offset ?? 0) + 400] = 0xee;
          return entries;
        }),
      ),
    /1\/00000\.arrow@.*CRC-32/,
  ],
  "messages in disorder that say they are sorted": [
    async (liar) =>
      liar.replaced(
        liar.chunkName,
        await liar.rewritten((entries) => entries.map((entry) => ({ ...entry, sorted: !entry.sorted }))),
      ),
    /1\/00000\.arrow@.*unsorted/,
  ],
  "rows moved from one message to the next": [
    async (liar) =>
      liar.replaced(
        liar.chunkName,
        await liar.rewritten((entries) =>
          entries.map((entry, index) => ({ ...entry, rows: entry.rows + (index === 0 ? 1 : index === 1 ? -1 : 0) })),
        ),
      ),
    /1\/00000\.arrow@.*201 rows/,
  ],
};
