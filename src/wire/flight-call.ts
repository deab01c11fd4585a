/** What calls of the Flight service have beside their messages, for whoever answers and whoever makes them. */

import { create, toBinary } from "@bufbuild/protobuf";
import { FlightDescriptor_DescriptorType, FlightDescriptorSchema } from "./flight_pb.js";

/** The path of a method. */
export function flightPath(method: string): string {
  return `/arrow.flight.protocol.FlightService/${method}`;
}

/** Of an upload, from a client that knows us: asks for PutResults. */
export const acksHeader = "x-mosaico-edge-acks";
/** The rows that the client has been told are durable: the upload goes on behind them. */
export const resumeHeader = "x-mosaico-edge-resume-rows";

/** A descriptor of type CMD. @param command JSON */
export function commandDescriptor(command: string): Uint8Array {
  const message = { type: FlightDescriptor_DescriptorType.CMD, cmd: new TextEncoder().encode(command) };
  return toBinary(FlightDescriptorSchema, create(FlightDescriptorSchema, message));
}
