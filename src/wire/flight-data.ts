/**
 * FlightData on the wire, by hand: a batch's body is megabytes and must not be copied on its way in or out.
 *
 *   1 flight_descriptor   2 data_header   3 app_metadata   1000 data_body; other fields are skipped
 */

import { fromBinary } from "@bufbuild/protobuf";
import { Fault } from "../model/fault.ts";
import { type FlightDescriptor, FlightDescriptorSchema } from "./flight_pb.js";

export interface FlightData {
  readonly descriptor?: FlightDescriptor | undefined;
  /** The bare flatbuffer Message; empty when the field is missing. Borrowed from the message. */
  readonly header: Uint8Array;
  readonly appMetadata: Uint8Array;
  /** Borrowed from the message. */
  readonly body: Uint8Array;
}

/** Flag and length in front of each gRPC message. */
const grpcPrefixBytes = 5;
const nothing = new Uint8Array(0);
const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Reads one FlightData; its parts are views into `message`. @throws Fault invalid */
export function readFlightData(message: Uint8Array): FlightData {
  const cursor = { bytes: message, at: 0 };
  let descriptor: FlightDescriptor | undefined;
  let header: Uint8Array = nothing;
  let appMetadata: Uint8Array = nothing;
  let body: Uint8Array = nothing;
  while (cursor.at < message.byteLength) {
    const tag = readVarint(cursor, "a field tag");
    const field = Math.floor(tag / 8);
    const type = tag % 8;
    if (type !== wireType.bytes) {
      skip(cursor, field, type);
      continue;
    }
    const value = readBytes(cursor, field);
    if (field === 1) descriptor = readMessage(FlightDescriptorSchema, value, "FlightData.flight_descriptor");
    else if (field === 2) header = value;
    else if (field === 3) appMetadata = value;
    else if (field === 1000) body = value;
    else if (field === 0) throw new Fault("invalid", `Cannot read FlightData: field number 0 at byte ${cursor.at}`);
  }
  return { descriptor, header, appMetadata, body };
}

/** Reads a protobuf message with its generated schema. @throws Fault invalid */
export function readMessage<Schema extends Parameters<typeof fromBinary>[0]>(
  schema: Schema,
  bytes: Uint8Array,
  what: string,
): ReturnType<typeof fromBinary<Schema>> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new Fault(
      "invalid",
      `Cannot read ${what}: ${error instanceof Error ? error.message : "malformed protobuf"}`,
      error,
    );
  }
}

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

/** A varint below 2^53; longer ones are no length or tag of ours. */
function readVarint(cursor: Cursor, what: string): number {
  let value = 0;
  let factor = 1;
  for (let index = 0; index < 8; index += 1) {
    const byte = cursor.bytes[cursor.at];
    if (byte === undefined)
      throw new Fault("invalid", `Cannot read FlightData: it ends inside ${what} at byte ${cursor.at}`);
    cursor.at += 1;
    value += (byte & 127) * factor;
    if (byte < 128) {
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    factor *= 128;
  }
  throw new Fault("invalid", `Cannot read FlightData: ${what} before byte ${cursor.at} is too large`);
}

function readBytes(cursor: Cursor, field: number): Uint8Array {
  const length = readVarint(cursor, `the length of field ${field}`);
  const rest = cursor.bytes.byteLength - cursor.at;
  if (length > rest) {
    throw new Fault("invalid", `Cannot read FlightData: field ${field} has ${length} bytes, ${rest} are left`);
  }
  const value = cursor.bytes.subarray(cursor.at, cursor.at + length);
  cursor.at += length;
  return value;
}

function skip(cursor: Cursor, field: number, type: number): void {
  if (type === wireType.varint) {
    for (let index = 0; ; index += 1) {
      const byte = cursor.bytes[cursor.at];
      if (byte === undefined || index === 10) break;
      cursor.at += 1;
      if (byte < 128) return;
    }
    throw new Fault("invalid", `Cannot read FlightData: field ${field} is no varint`);
  }
  const length = type === wireType.fixed64 ? 8 : type === wireType.fixed32 ? 4 : undefined;
  if (length === undefined) throw new Fault("invalid", `Cannot read FlightData: field ${field} has wire type ${type}`);
  if (length > cursor.bytes.byteLength - cursor.at) {
    throw new Fault("invalid", `Cannot read FlightData: it ends inside field ${field}`);
  }
  cursor.at += length;
}

/** The bytes of a gRPC message with one FlightData, up to its body: prefix, header, and the body's tag and length. */
export function flightDataHead(header: Uint8Array, bodyBytes: number): Uint8Array {
  const dataBytes = 1 + varintBytes(header.byteLength) + header.byteLength + 2 + varintBytes(bodyBytes);
  const head = new Uint8Array(grpcPrefixBytes + dataBytes);
  new DataView(head.buffer).setUint32(1, dataBytes + bodyBytes);
  let at = grpcPrefixBytes;
  head[at] = 0x12;
  at = writeVarint(head, at + 1, header.byteLength);
  head.set(header, at);
  at += header.byteLength;
  // Field 1000, length-delimited: 8002 as a varint.
  head[at] = 0xc2;
  head[at + 1] = 0x3e;
  writeVarint(head, at + 2, bodyBytes);
  return head;
}

/** The bytes of a FlightData up to its body, for whoever sends it by a library. */
export function bareFlightDataHead(header: Uint8Array, bodyBytes: number): Uint8Array {
  return flightDataHead(header, bodyBytes).subarray(grpcPrefixBytes);
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
  return bytes;
}

function writeVarint(target: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) {
    target[at] = (rest % 128) | 128;
    at += 1;
  }
  target[at] = rest;
  return at + 1;
}
