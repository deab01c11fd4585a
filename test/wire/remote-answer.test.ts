// What other Mosaicos answer, in the words of each generation, and what none of them would.

import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { frameHeader } from "../../src/arrow/frame.ts";
import { emptySchema } from "../../src/arrow/metadata.ts";
import { parseJson } from "../../src/model/json.ts";
import { FlightInfoSchema, ResultSchema } from "../../src/wire/flight_pb.js";
import {
  readCreated,
  readNotifications,
  readResponse,
  readSequenceInfo,
  readSequenceName,
  readTopicInfo,
  readTopicStatus,
  readVersion,
} from "../../src/wire/remote-answer.ts";

const json = (value: unknown) => parseJson(JSON.stringify(value), "a test");
const uuid = "3f0c1a52-7f0e-4c7b-9b1e-6a1f2f6f9a10";
const result = (text: string) => toBinary(ResultSchema, create(ResultSchema, { body: Buffer.from(text) }));

describe("versions", () => {
  const semver = (minor: number) => ({ version: `0.${minor}.0`, semver: { major: 0, minor, patch: 0, pre: "" } });
  test.each([
    ["0.4, which tells no limit", semver(4), { minor: 4, messageBytesMax: 25_000_000, edge: undefined }],
    ["0.6, which tells none either", semver(6), { minor: 6, messageBytesMax: 50_000_000, edge: undefined }],
    [
      "0.7",
      { ...semver(7), config: { grpc_max_decode_message_size: 52_428_800, more: 1 } },
      { minor: 7, messageBytesMax: 52_428_800, edge: undefined },
    ],
    [
      "an edge",
      {
        ...semver(7),
        config: { grpc_max_decode_message_size: 262_144 },
        edge: { version: "1.2.3", capabilities: ["resume"] },
      },
      { messageBytesMax: 262_144, edge: { version: "1.2.3", capabilities: ["resume"] } },
    ],
  ])("%s", (_name, given, expected) => {
    expect(readVersion(json(given))).toMatchObject(expected);
  });
});

describe("what none of them would answer is refused, naming it", () => {
  test.each([
    [
      "a version",
      () => readVersion(json({ version: 7 })),
      /remote's version: .*version: expected string, found the number 7/,
    ],
    ["no version", () => readVersion(undefined), /remote's version/],
    ["a UUID", () => readCreated(json({ uuid: "x" })), /invalid uuid "x"/],
    [
      "a status",
      () => readTopicStatus(json({ rows: "1", state: "open" })),
      /topic status: rows: expected a count, found the string "1"/,
    ],
    [
      "a state",
      () => readTopicStatus(json({ rows: 1, state: "odd" })),
      /state: expected one of open, completed, finalized/,
    ],
    [
      "notifications",
      () => readNotifications(json({ notifications: {} })),
      /notifications: notifications: expected array/,
    ],
    ["an envelope", () => readResponse("x", [result("[1]")]), /answer of x: expected object/],
    ["no JSON", () => readResponse("x", [result("{")]), /answer of x/],
    [
      "a topic without metadata",
      () => readTopicInfo(toBinary(FlightInfoSchema, create(FlightInfoSchema, {}))),
      /tells nothing/,
    ],
  ])("%s", (_name, read, message) => {
    expect(read).toThrow(message);
  });
});

test("an action may say nothing, and what it says is its response", () => {
  expect(readResponse("x", [])).toBeUndefined();
  expect(readResponse("x", [result("")])).toBeUndefined();
  expect(readResponse("x", [result('{"action":"empty"}')])).toBeUndefined();
  expect(
    readCreated(readResponse("x", [result(`{"action":"x","response":{"uuid":"${uuid}","locator":"s:1"}}`)])),
  ).toEqual({
    uuid,
    locator: "s:1",
  });
});

function sequence(appMetadata: unknown, schemaMetadata: ReadonlyMap<string, string> = new Map()): Uint8Array {
  return toBinary(
    FlightInfoSchema,
    create(FlightInfoSchema, {
      appMetadata: Buffer.from(JSON.stringify(appMetadata)),
      schema: frameHeader(emptySchema(schemaMetadata)),
    }),
  );
}

test("user metadata of a sequence stand in what it tells, or in its schema before 0.7", () => {
  const sessions = [{ topics: ["s/a", "s/b"] }, { topics: [] }];
  expect(readSequenceInfo(sequence({ sessions, user_metadata: { km: "far" } }))).toEqual({
    userMetadata: { km: "far" },
    topics: ["s/a", "s/b"],
    sessions,
  });
  const older = new Map([["mosaico:user_metadata", '{"km":"far"}']]);
  expect(readSequenceInfo(sequence({ sessions }, older))).toEqual({
    userMetadata: { km: "far" },
    topics: ["s/a", "s/b"],
    sessions,
  });
  const told = [{ topics: [], uuid, locked: true }];
  expect(readSequenceInfo(sequence({ sessions: told }))).toEqual({
    userMetadata: undefined,
    topics: [],
    sessions: told,
  });
});

function topic(appMetadata: string): Uint8Array {
  return toBinary(
    FlightInfoSchema,
    create(FlightInfoSchema, { endpoint: [{ appMetadata: Buffer.from(appMetadata) }] }),
  );
}

test("a topic tells rows since 0.7, messages before, and its times exactly", () => {
  const times = '{"start_ns":1700000000000000001,"end_ns":9223372036854775807}';
  const range = { startNs: 1_700_000_000_000_000_001n, endNs: 9_223_372_036_854_775_807n };
  expect(
    readTopicInfo(topic(`{"locked":true,"info":{"chunks_number":3,"total_bytes":1,"timestamp":${times}}}`)),
  ).toEqual({
    locked: true,
    rows: undefined,
    messages: 3,
    range,
  });
  expect(readTopicInfo(topic(`{"locked":true,"data_info":{"interval":${times},"total_row_count":9}}`))).toMatchObject({
    rows: 9,
    range,
  });
  expect(readTopicInfo(topic('{"locked":false,"info":null}'))).toEqual({
    locked: false,
    rows: undefined,
    messages: undefined,
    range: undefined,
  });
});

test("names of sequences are the first parts of their paths", () => {
  const flight = (path: string[]) =>
    toBinary(FlightInfoSchema, create(FlightInfoSchema, { flightDescriptor: { type: 1, path } }));
  expect([["a"], ["b", "more"], []].map((parts) => readSequenceName(flight(parts)))).toEqual(["a", "b", undefined]);
});
