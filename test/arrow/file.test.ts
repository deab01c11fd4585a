// Chunk files and merged schema metadata as pyarrow reads them, and as we read them back.

import * as arrow from "apache-arrow";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Block, encodeFooter, fileMagic, readFooter, readFooterLength, tailBytes } from "../../src/arrow/file.ts";
import { frameHeader, paddedBytes } from "../../src/arrow/frame.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { emptySchema, withMetadata } from "../../src/arrow/metadata.ts";
import { readSchema } from "../../src/arrow/schema.ts";
import { Fault } from "../../src/model/fault.ts";
import { skipsPython } from "../clients/driver.ts";
import { splitStream } from "../load/messages.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { Golden } from "./python.ts";
import type { StreamMessage } from "./stream.ts";

const hex = (text: string): string => Buffer.from(text).toString("hex");

/** A stream of two batches with a dictionary; made by a third library. */
function clientStream(): StreamMessage[] {
  const field = new arrow.Field("value", new arrow.Float32(), true, new Map([["unit", "mm"]]));
  const color = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8());
  const schema = new arrow.Schema(
    [new arrow.Field("timestamp_ns", new arrow.Int64(), false), field, new arrow.Field("color", color, true)],
    new Map([
      ["author", "Ä"],
      ["mosaico:context", "mine"],
      ["empty", ""],
    ]),
  );
  const colors = arrow.vectorFromArray(["red", "green", "red", null, "green"], color);
  const batches = [
    [0, 3],
    [3, 5],
  ].map(([start, end]) => {
    const columns = [
      arrow.vectorFromArray([1n, 2n, 3n, 4n, 5n].slice(start, end), new arrow.Int64()),
      arrow.vectorFromArray([0.5, null, 2, -1, 3].slice(start, end), new arrow.Float32()),
      colors.slice(start, end),
    ];
    const children = columns.map(({ data }) => data[0] as arrow.Data);
    const length = (end ?? 0) - (start ?? 0);
    return new arrow.RecordBatch(schema, arrow.makeData({ type: new arrow.Struct(schema.fields), length, children }));
  });
  return splitStream(arrow.RecordBatchStreamWriter.writeAll(batches).toUint8Array(true));
}

/** A chunk file as src/store writes it. */
function chunkFile(
  schemaHeader: Uint8Array,
  messages: readonly StreamMessage[],
  metadata: Map<string, string>,
): Uint8Array {
  const pieces: Uint8Array[] = [fileMagic, frameHeader(schemaHeader)];
  let at = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const dictionaries: Block[] = [];
  const batches: Block[] = [];
  for (const { header, body } of messages) {
    const frame = frameHeader(header);
    const bodyBytes = paddedBytes(body.byteLength);
    const list = readMessage(header).kind === "dictionary" ? dictionaries : batches;
    list.push({ offset: at, metadataBytes: frame.byteLength, bodyBytes });
    pieces.push(frame, body, new Uint8Array(bodyBytes - body.byteLength));
    at += frame.byteLength + bodyBytes;
  }
  return Buffer.concat([...pieces, encodeFooter({ schemaHeader, dictionaries, batches, metadata })]);
}

interface ReadSchema {
  readonly fields: readonly (readonly [string, string, boolean, readonly [string, string][]])[];
  readonly metadata: readonly (readonly [string, string])[];
}
interface ReadFiles {
  readonly chunks: Readonly<
    Record<string, { schema: ReadSchema; footer: [string, string][]; rows: readonly (readonly object[])[] }>
  >;
  readonly schemas: Readonly<Record<string, ReadSchema>>;
}

const [schemaMessage, ...messages] = clientStream();
const schemaHeader = schemaMessage?.header ?? new Uint8Array(0);
const footerMetadata = new Map([
  ["mosaico-edge:batches", "AAAA"],
  ["Ä", "東京"],
]);
const file = chunkFile(schemaHeader, messages, footerMetadata);
const added = new Map([
  ["mosaico:context", "topic"],
  ["mosaico:user_metadata", '{"ä":1.0}'],
]);

function footerOf(bytes: Uint8Array): Uint8Array {
  const length = readFooterLength(bytes.subarray(-tailBytes), bytes.byteLength);
  return bytes.subarray(bytes.byteLength - tailBytes - length, bytes.byteLength - tailBytes);
}

test("a footer lists what was written and comes back", () => {
  const footer = readFooter(footerOf(file));
  expect(footer.fields.map(({ name }) => name)).toEqual(["timestamp_ns", "value", "color"]);
  expect(footer.metadata).toEqual(footerMetadata);
  expect(footer.dictionaries).toHaveLength(1);
  expect(footer.batches).toHaveLength(2);
  for (const { offset, metadataBytes, bodyBytes } of [...footer.dictionaries, ...footer.batches]) {
    const view = new DataView(file.buffer, file.byteOffset + offset, 8);
    expect([view.getUint32(0, true), view.getInt32(4, true)]).toEqual([0xffffffff, metadataBytes - 8]);
    const header = file.subarray(offset + 8, offset + metadataBytes);
    expect(readMessage(header).bodyBytes).toBe(bodyBytes);
  }
});

test("the client's schema message is copied whole into the footer", () => {
  expect(Buffer.from(footerOf(file)).includes(Buffer.from(schemaHeader))).toBe(true);
});

test.each([
  ["another magic", () => file.subarray(0, -1)],
  ["no footer", () => Buffer.concat([fileMagic, Uint8Array.of(0, 0, 0, 0), fileMagic.subarray(0, 6)])],
  ["a negative length", () => Buffer.concat([fileMagic, Uint8Array.of(255, 255, 255, 255), fileMagic.subarray(0, 6)])],
  [
    "a footer longer than the file",
    () => Buffer.concat([fileMagic, Uint8Array.of(1, 0, 0, 0), fileMagic.subarray(0, 6)]),
  ],
])("a file with %s is corrupt", (_title, make) => {
  const bytes = make();
  expect(() => readFooterLength(bytes.subarray(-tailBytes), bytes.byteLength)).toThrow(
    expect.objectContaining({
      code: "corrupt",
      message: expect.stringMatching(/^The file ends with .* and a footer of/),
    }),
  );
});

test("a footer with random changes is read or refused", () => {
  const random = new Random("file: changed footers");
  const coverage = new Coverage("file: changed footers", ["read", "refused"]);
  const original = footerOf(file);
  for (let round = 0; round < 10_000; round += 1) {
    const footer = Uint8Array.from(original);
    for (let change = random.below(3); change >= 0; change -= 1)
      footer[random.below(footer.byteLength)] = random.below(256);
    try {
      readFooter(footer);
      coverage.hit("read");
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      coverage.hit("refused");
    }
  }
  coverage.check();
});

test("metadata is merged without touching the fields", () => {
  const merged = readSchema(withMetadata(schemaHeader, added, "all"));
  expect(merged.fields).toEqual(readSchema(schemaHeader).fields);
});

test("what is not UTF-8 is left out for clients that cannot read it, and only for them", () => {
  const marked = withMetadata(schemaHeader, new Map([["raw", "zz"]]), "all");
  const raw = Uint8Array.from(marked);
  raw.set([0xff, 0xfe], Buffer.from(raw).indexOf("zz"));
  const bytes = Buffer.from([0xff, 0xfe]);
  expect(Buffer.from(withMetadata(raw, added, "all")).includes(bytes)).toBe(true);
  const left = readFooter(footerOf(chunkFile(withMetadata(raw, added, "utf8"), [], new Map([["own", "1"]]))));
  expect(left.fields).toEqual(readSchema(schemaHeader).fields);
  expect(entriesOf(withMetadata(raw, added, "utf8")).map(([key]) => key)).toEqual(["author", "empty", ...added.keys()]);
  expect(entriesOf(withMetadata(raw, added, "all")).map(([key]) => key)).toEqual([
    "author",
    "empty",
    "raw",
    ...added.keys(),
  ]);
});

/** Custom metadata of a schema message, by the library's own reader. */
function entriesOf(header: Uint8Array): [string, string][] {
  const reader = arrow.RecordBatchReader.from(
    Buffer.concat([frameHeader(header), Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0)]),
  );
  reader.open();
  return [...reader.schema.metadata];
}

describe.skipIf(skipsPython)("pyarrow reads", () => {
  const golden = new Golden();
  let found: ReadFiles;

  beforeAll(async () => {
    golden.write("whole.arrow", file);
    golden.write("empty.arrow", chunkFile(schemaHeader, [], new Map()));
    golden.write("merged.schema", frameHeader(withMetadata(schemaHeader, added, "all")));
    golden.write("twice.schema", frameHeader(withMetadata(withMetadata(schemaHeader, added, "utf8"), added, "utf8")));
    golden.write("bare.schema", frameHeader(emptySchema(added)));
    golden.write("unchanged.schema", frameHeader(withMetadata(schemaHeader, new Map(), "all")));
    found = JSON.parse(await golden.run("files.py")) as ReadFiles;
  }, 60_000);

  afterAll(() => golden[Symbol.dispose]());

  const fields = [
    ["timestamp_ns", "int64", false, []],
    ["value", "float", true, [[hex("unit"), hex("mm")]]],
    ["color", "dictionary<values=string, indices=int8, ordered=0>", true, []],
  ];
  const own = [
    [hex("author"), hex("Ä")],
    [hex("empty"), ""],
  ];

  test("a chunk file: batches, schema, its own keys and ours", () => {
    const { schema, footer, rows } = found.chunks["whole"] ?? {};
    expect(schema).toEqual({ fields, metadata: [own[0], [hex("mosaico:context"), hex("mine")], own[1]] });
    expect(footer).toEqual([...footerMetadata].map(([key, value]) => [hex(key), hex(value)]));
    expect(rows).toEqual([
      [
        { timestamp_ns: 1, value: 0.5, color: "red" },
        { timestamp_ns: 2, value: null, color: "green" },
        { timestamp_ns: 3, value: 2, color: "red" },
      ],
      [
        { timestamp_ns: 4, value: -1, color: null },
        { timestamp_ns: 5, value: 3, color: "green" },
      ],
    ]);
  });

  test("a chunk file without batches", () => {
    expect(found.chunks["empty"]).toMatchObject({ schema: { fields }, footer: [], rows: [] });
  });

  test("merged metadata: a key of the client's stays unless it is ours", () => {
    const ours = [...added].map(([key, value]) => [hex(key), hex(value)]);
    for (const name of ["merged", "twice"])
      expect(found.schemas[name]).toEqual({ fields, metadata: [...own, ...ours] });
    expect(found.schemas["bare"]).toEqual({ fields: [], metadata: ours });
    expect(found.schemas["unchanged"]?.metadata).toEqual([own[0], [hex("mosaico:context"), hex("mine")], own[1]]);
  });
});
