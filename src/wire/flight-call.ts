/** Paths and headers of calls of the Flight service, for whoever answers and whoever makes them; and the requests that we make. */

import { create, toBinary } from "@bufbuild/protobuf";
import { jsonInteger } from "../model/json.ts";
import { composeJson } from "../model/json-text.ts";
import type { Uuid } from "../model/resource.ts";
import { everything, type TimeWindow } from "../model/time.ts";
import {
  ActionSchema,
  CriteriaSchema,
  FlightDataSchema,
  FlightDescriptor_DescriptorType,
  FlightDescriptorSchema,
  TicketSchema,
} from "./flight_pb.js";

/** The path of a method. */
export function flightPath(method: string): string {
  return `/arrow.flight.protocol.FlightService/${method}`;
}

/** Of an upload, from a client that knows us: asks for PutResults. */
export const acksHeader = "x-mosaico-edge-acks";
/** The rows that the client has been told are durable: the upload goes on behind them. */
export const resumeHeader = "x-mosaico-edge-resume-rows";

/** @param body may have embedded texts among its members */
export function writeAction(type: string, body: object): Uint8Array {
  return toBinary(ActionSchema, create(ActionSchema, { type, body: utf8(composeJson(body)) }));
}

/** The criteria that list all sequences. */
export function writeAllCriteria(): Uint8Array {
  return toBinary(CriteriaSchema, create(CriteriaSchema, { expression: new Uint8Array(0) }));
}

/** The descriptor of a resource; of a topic also of what lies in a window. */
export function writeDescriptor(locator: string, window: TimeWindow = everything): Uint8Array {
  const bounds =
    window === everything
      ? {}
      : { timestamp_ns_start: jsonInteger(window.startNs), timestamp_ns_end: jsonInteger(window.endNs) };
  const command = commandOf({ resource_locator: locator, ...bounds });
  return toBinary(FlightDescriptorSchema, create(FlightDescriptorSchema, command));
}

/** The request of a `do_get`. @param ticket as the other one gave it */
export function writeTicketRequest(ticket: Uint8Array): Uint8Array {
  return toBinary(TicketSchema, create(TicketSchema, { ticket }));
}

/** The descriptor of an upload as the beginning of its first FlightData: the other fields follow. */
export function writePutDescriptor(locator: string, uuid: Uuid): Uint8Array {
  const flightDescriptor = commandOf({ resource_locator: locator, topic_uuid: uuid });
  return toBinary(FlightDataSchema, create(FlightDataSchema, { flightDescriptor }));
}

function commandOf(command: object): { type: FlightDescriptor_DescriptorType; cmd: Uint8Array } {
  return { type: FlightDescriptor_DescriptorType.CMD, cmd: utf8(composeJson(command)) };
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
