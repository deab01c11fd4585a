// Requests to other Mosaicos, read back as a server reads them.

import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { EmbeddedJson } from "../../src/model/json-text.ts";
import type { JsonText, Uuid } from "../../src/model/resource.ts";
import {
  ActionSchema,
  CriteriaSchema,
  FlightDescriptor_DescriptorType,
  FlightDescriptorSchema,
} from "../../src/wire/flight_pb.js";
import {
  flightPath,
  writeAction,
  writeAllCriteria,
  writeDescriptor,
  writePutDescriptor,
} from "../../src/wire/flight-call.ts";
import { bareFlightDataHead, readFlightData } from "../../src/wire/flight-data.ts";

const uuid = "3f0c1a52-7f0e-4c7b-9b1e-6a1f2f6f9a10" as Uuid;

test("paths are those of the service", () => {
  expect(flightPath("DoPut")).toBe("/arrow.flight.protocol.FlightService/DoPut");
});

describe("requests", () => {
  test("an action, user metadata in it as they were written", () => {
    const given = '{"km": 12.50, "stamp": 1700000000000000001}' as JsonText;
    const { type, body } = fromBinary(
      ActionSchema,
      writeAction("sequence_create", { locator: "s", user_metadata: new EmbeddedJson(given), uuid: undefined }),
    );
    expect([type, Buffer.from(body).toString()]).toEqual([
      "sequence_create",
      `{"locator":"s","user_metadata":${given}}`,
    ]);
  });

  test("a descriptor of a resource", () => {
    const { type, cmd } = fromBinary(FlightDescriptorSchema, writeDescriptor("s/t"));
    expect([type, Buffer.from(cmd).toString()]).toEqual([
      FlightDescriptor_DescriptorType.CMD,
      '{"resource_locator":"s/t"}',
    ]);
  });

  test("criteria without an expression", () => {
    expect(fromBinary(CriteriaSchema, writeAllCriteria()).expression.byteLength).toBe(0);
  });

  test("the first message of an upload has its descriptor in front", () => {
    const header = Uint8Array.of(1, 2, 3);
    const first = Buffer.concat([writePutDescriptor("s/t", uuid), bareFlightDataHead(header, 0)]);
    const read = readFlightData(first);
    expect(Buffer.from(read.descriptor?.cmd ?? []).toString()).toBe(
      `{"resource_locator":"s/t","topic_uuid":"${uuid}"}`,
    );
    expect([...read.header]).toEqual([...header]);
  });
});
