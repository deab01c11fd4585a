// FlightData and its neighbours against bytes that pyarrow wrote (golden/make.py), and against bytes that nobody should write.

import { readFileSync } from "node:fs";
import { toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { splitFrame } from "../../src/arrow/frame.ts";
import { readMessage as readHeader } from "../../src/arrow/message.ts";
import { readSchema } from "../../src/arrow/schema.ts";
import { Fault } from "../../src/model/fault.ts";
import {
  ActionSchema,
  FlightDescriptorSchema,
  FlightInfoSchema,
  ResultSchema,
  TicketSchema,
} from "../../src/wire/flight_pb.js";
import { flightDataHead, readFlightData, readMessage } from "../../src/wire/flight-data.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

interface Golden {
  readonly pyarrow: string;
  readonly messages: Readonly<Record<string, string>>;
  readonly upload: readonly string[];
}
const golden = JSON.parse(readFileSync(new URL("golden/flight.json", import.meta.url), "utf8")) as Golden;
const bytesOf = (hex: string | undefined): Uint8Array => new Uint8Array(Buffer.from(hex ?? "", "hex"));
const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("utf8");
const grpcPrefixBytes = 5;
const upload = golden.upload.map(bytesOf);

describe("messages as pyarrow writes them are read, and written back to the byte", () => {
  const cases = [
    ["descriptor of a command", FlightDescriptorSchema, { type: 2, cmd: Buffer.from("{}"), path: [] }],
    ["descriptor of a path", FlightDescriptorSchema, { type: 1, path: ["a", "b"] }],
    ["ticket", TicketSchema, { ticket: Buffer.from("\x00\xfftopic", "latin1") }],
    ["action", ActionSchema, { type: "sequence_create", body: Buffer.from('{"locator":"s"}') }],
    ["action without body", ActionSchema, { type: "info", body: new Uint8Array(0) }],
    ["result", ResultSchema, { body: Buffer.from('{"action":"empty"}') }],
  ] as const;
  test.each(cases)("%s", (name, schema, fields) => {
    const bytes = bytesOf(golden.messages[name]);
    const message = readMessage(schema, bytes, name);
    for (const [key, value] of Object.entries(fields)) {
      const found = (message as unknown as Record<string, unknown>)[key];
      expect(found instanceof Uint8Array ? Buffer.from(found) : found, key).toEqual(
        value instanceof Uint8Array ? Buffer.from(value) : value,
      );
    }
    // pyarrow always writes the one byte of an empty body or none at all; both read the same.
    expect(Buffer.from(toBinary(schema, message as never)).toString("hex")).toBe(golden.messages[name]);
  });

  test("info", () => {
    const info = readMessage(FlightInfoSchema, bytesOf(golden.messages["info"]), "FlightInfo");
    expect(textOf(info.flightDescriptor?.cmd)).toBe("command");
    expect(info.endpoint.map(({ ticket }) => textOf(ticket?.ticket))).toEqual(["ticket", "second"]);
    expect(info.endpoint.map(({ appMetadata }) => textOf(appMetadata))).toEqual(['{"locked":true}', ""]);
    expect([info.totalRecords, info.totalBytes, info.ordered, textOf(info.appMetadata)]).toEqual([7n, 8n, true, "app"]);
    expect(readSchema(splitFrame(info.schema)).fields.map(({ name }) => name)).toEqual(["a"]);
    expect(Buffer.from(toBinary(FlightInfoSchema, info)).toString("hex")).toBe(golden.messages["info"]);
  });
});

describe(`an upload of pyarrow ${golden.pyarrow}`, () => {
  const read = upload.map((message) => readFlightData(message.subarray(grpcPrefixBytes)));

  test("begins with descriptor and schema, and has no body", () => {
    const [first] = read;
    expect(textOf(first?.descriptor?.cmd)).toBe('{"resource_locator":"s/t","topic_uuid":"u"}');
    expect(
      readSchema(first?.header ?? new Uint8Array(0)).fields.map(({ name, nullable }) => ({ name, nullable })),
    ).toEqual([
      { name: "timestamp_ns", nullable: false },
      { name: "text", nullable: true },
    ]);
    expect(first?.body.byteLength).toBe(0);
  });

  test("goes on with batches whose bodies have the length that their headers say", () => {
    const found = [1, 2, 4].map((index) => {
      const { header, body, descriptor } = read[index] ?? readFlightData(new Uint8Array(0));
      const message = readHeader(header, body.byteLength);
      expect(descriptor).toBeUndefined();
      return {
        kind: message.kind,
        rows: message.kind === "batch" ? message.lists.rows : -1,
        rest: body.byteLength - message.bodyBytes,
      };
    });
    expect(found).toEqual([
      { kind: "batch", rows: 3, rest: 0 },
      { kind: "batch", rows: 1, rest: 0 },
      { kind: "batch", rows: 0, rest: 0 },
    ]);
  });

  test("carries application metadata with a batch and alone", () => {
    expect(read.map(({ appMetadata }) => textOf(appMetadata))).toEqual(["", "", "note", "only metadata", ""]);
    expect(read[3]?.header.byteLength).toBe(0);
    expect(read[3]?.body.byteLength).toBe(0);
  });

  test("is not copied", () => {
    upload.forEach((message, index) => {
      const { header, body } = read[index] ?? {};
      for (const part of [header, body]) if (part?.byteLength) expect(part.buffer).toBe(message.buffer);
    });
  });

  test("is written by us to the byte, prefix included", () => {
    for (const index of [1, 4]) {
      const { header, body } = read[index] ?? readFlightData(new Uint8Array(0));
      const ours = Buffer.concat([flightDataHead(header, body.byteLength), body]);
      const theirs = Buffer.from(upload[index] ?? []);
      // pyarrow leaves the field of an empty body out.
      if (body.byteLength > 0) expect(ours.equals(theirs)).toBe(true);
      expect(readFlightData(ours.subarray(grpcPrefixBytes))).toEqual(readFlightData(theirs.subarray(grpcPrefixBytes)));
    }
  });
});

test.each([0, 1, 127, 128, 16_383, 16_384, 2 ** 21, 2 ** 28, 2 ** 31 - 100])(
  "the head of a message with a body of %i bytes says so in all places",
  (bodyBytes) => {
    const header = Uint8Array.from({ length: 200 }, (_none, index) => index);
    const head = flightDataHead(header, bodyBytes);
    const view = new DataView(head.buffer);
    expect(view.getUint8(0)).toBe(0);
    expect(view.getUint32(1)).toBe(head.byteLength - grpcPrefixBytes + bodyBytes);
    if (bodyBytes > 2 ** 22) return;
    const message = new Uint8Array(head.byteLength + bodyBytes);
    message.set(head);
    const read = readFlightData(message.subarray(grpcPrefixBytes));
    expect(read.header).toEqual(header);
    expect(read.body.byteLength).toBe(bodyBytes);
  },
);

describe("fields", () => {
  const some = (hex: string): Uint8Array => bytesOf(hex.replaceAll(" ", ""));

  test("no bytes are a message without anything", () => {
    const { descriptor, header, appMetadata, body } = readFlightData(new Uint8Array(0));
    expect([descriptor, header.byteLength, appMetadata.byteLength, body.byteLength]).toEqual([undefined, 0, 0, 0]);
  });

  test.each([
    ["a varint", "20 80 80 80 80 80 80 80 80 80 01"],
    ["64 bits", "21 01 02 03 04 05 06 07 08"],
    ["bytes", "22 03 61 62 63"],
    ["32 bits", "25 01 02 03 04"],
    ["a field of a large number", "fa ff ff ff 0f 01 00"],
  ])("unknown ones are skipped: %s", (_title, hex) => {
    const { header } = readFlightData(some(`${hex} 12 01 aa ${hex}`));
    expect([...header]).toEqual([0xaa]);
  });

  test("the order is free and the last one counts", () => {
    const { header, body } = readFlightData(some("c2 3e 01 01 12 01 02 c2 3e 01 03"));
    expect([[...header], [...body]]).toEqual([[2], [3]]);
  });

  test("a known field of another wire type is skipped, as protobuf has it", () => {
    expect(readFlightData(some("10 05 12 01 aa")).header).toEqual(Uint8Array.of(0xaa));
  });

  test.each([
    ["ends inside a tag", "92", "it ends inside a field tag at byte 1"],
    ["ends inside a length", "12 80", "it ends inside the length of field 2 at byte 2"],
    ["has no length", "12", "it ends inside the length of field 2 at byte 1"],
    ["is shorter than a length says", "12 05 61", "field 2 has 5 bytes, 1 are left"],
    ["has a length of 2^31", "c2 3e 80 80 80 80 08", "field 1000 has 2147483648 bytes, 0 are left"],
    ["has a length of 2^32 + 1", "c2 3e 81 80 80 80 10 61", "field 1000 has 4294967297 bytes, 1 are left"],
    ["has a length of 2^53", "12 80 80 80 80 80 80 80 10", "the length of field 2 before byte 9 is too large"],
    ["has a negative length", "12 ff ff ff ff ff ff ff ff ff 01", "the length of field 2 before byte 9 is too large"],
    ["has a tag without end", "ff ff ff ff ff ff ff ff ff ff ff ff", "a field tag before byte 8 is too large"],
    ["has a varint without end", "20 ff ff ff ff ff ff ff ff ff ff ff", "field 4 is no varint"],
    ["ends inside a varint", "20 ff", "field 4 is no varint"],
    ["ends inside 64 bits", "21 00 00 00", "it ends inside field 4"],
    ["ends inside 32 bits", "25 00 00 00", "it ends inside field 4"],
    ["begins a group", "13 14", "field 2 has wire type 3"],
    ["ends a group", "14", "field 2 has wire type 4"],
    ["has wire type 6", "16", "field 2 has wire type 6"],
    ["has wire type 7", "17", "field 2 has wire type 7"],
    ["has field number 0", "02 00", "field number 0 at byte 2"],
  ])("a message that %s is refused", (_title, hex, reason) => {
    expect(() => readFlightData(some(hex))).toThrow(
      expect.objectContaining({ code: "invalid", message: `Cannot read FlightData: ${reason}` }),
    );
  });

  test("a descriptor that is no protobuf is refused by name", () => {
    expect(() => readFlightData(some("0a 02 12 05"))).toThrow(
      expect.objectContaining({ code: "invalid", message: expect.stringContaining("FlightData.flight_descriptor") }),
    );
  });
});

/** Reads; whatever is thrown must be a Fault `invalid`. */
function outcome(message: Uint8Array): "read" | "refused" {
  try {
    const { header, body, appMetadata } = readFlightData(message);
    for (const part of [header, body, appMetadata]) expect(part.byteLength).toBeLessThanOrEqual(message.byteLength);
    return "read";
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "invalid") throw error;
    return "refused";
  }
}

test("every message cut anywhere is read up to a field's end or refused", () => {
  const coverage = new Coverage("flight data: cut messages", ["read", "refused"]);
  for (const message of upload) {
    for (let end = grpcPrefixBytes; end < message.byteLength; end += 1) {
      coverage.hit(outcome(message.subarray(grpcPrefixBytes, end)));
    }
  }
  coverage.check();
});

test("messages with random changes are read or refused", () => {
  const random = new Random("flight data: changed messages");
  const coverage = new Coverage("flight data: changed messages", ["read", "refused"]);
  for (let round = 0; round < 5_000; round += 1) {
    const message = Uint8Array.from(random.pick(upload).subarray(grpcPrefixBytes));
    for (let change = random.below(4); change >= 0; change -= 1) {
      // Mostly where tags and lengths are.
      const at = random.below(random.chance(0.7) ? Math.min(16, message.byteLength) : message.byteLength);
      message[at] = random.chance(0.5) ? random.below(256) : (message[at] ?? 0) ^ (1 << random.below(8));
    }
    coverage.hit(outcome(message));
  }
  coverage.check();
});
