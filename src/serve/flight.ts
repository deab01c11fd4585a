/** The Flight service on grpc-js: the few calls that carry next to nothing. The others are taken over (http2-seam.ts). */

import { create, toBinary } from "@bufbuild/protobuf";
import type {
  Metadata,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Fault } from "../model/fault.ts";
import { listActions } from "../wire/action.ts";
import { ActionTypeSchema } from "../wire/flight_pb.js";
import { flightPath } from "../wire/flight-call.ts";
import { statusDetailsMax } from "../wire/grpc-status.ts";
import { tokenHeader } from "../wire/token.ts";
import type { FailureLog } from "./failure-log.ts";
import { type CallOrigin, type IdentifyParts, identify, plainSign } from "./identify.ts";

export interface FlightParts extends IdentifyParts {
  readonly failures: FailureLog;
}

type Unary = ServerUnaryCall<Buffer, Buffer>;
type Writable = ServerWritableStream<Buffer, Buffer>;

/** The calls that are taken over from grpc-js: those with data, and those whose request or answer may be large. */
export const takenCalls = ["DoPut", "DoGet", "DoAction", "GetFlightInfo", "GetSchema", "ListFlights"] as const;
export type TakenName = (typeof takenCalls)[number];

const raw = (bytes: Buffer): Buffer => bytes;

function method(name: string, streams: { request?: boolean; response?: boolean }) {
  return {
    path: flightPath(name),
    requestStream: streams.request ?? false,
    responseStream: streams.response ?? false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  };
}

/** The calls that are taken over are left out: they never reach grpc-js. */
export const flightService: ServiceDefinition = {
  Handshake: method("Handshake", { request: true, response: true }),
  PollFlightInfo: method("PollFlightInfo", {}),
  DoExchange: method("DoExchange", { request: true, response: true }),
  ListActions: method("ListActions", { response: true }),
};

export function flightHandlers(parts: FlightParts): UntypedServiceImplementation {
  const unimplemented = (name: string, call: Unary | Writable): { code: number; details: string } => {
    try {
      identify(parts, originOf(call), plainSign);
      throw new Fault("unsupported", `Unimplemented: ${name}.`);
    } catch (error) {
      return grpcError(parts, name, call, error);
    }
  };
  const unimplementedStream =
    (name: string) =>
    (call: Writable): void =>
      void call.emit("error", unimplemented(name, call));

  return {
    Handshake: unimplementedStream("Handshake"),
    DoExchange: unimplementedStream("DoExchange"),
    PollFlightInfo: (call: Unary, done: sendUnaryData<Buffer>): void => done(unimplemented("PollFlightInfo", call)),
    ListActions: (call: Writable): void => {
      try {
        identify(parts, originOf(call), plainSign);
        for (const { name, description } of listActions()) {
          const type = create(ActionTypeSchema, { type: name, description });
          call.write(Buffer.from(toBinary(ActionTypeSchema, type)));
        }
        call.end();
      } catch (error) {
        call.emit("error", grpcError(parts, "ListActions", call, error));
      }
    },
  };
}

function originOf(call: { getPeer(): string; readonly metadata: Metadata }): CallOrigin {
  const [token] = call.metadata.get(tokenHeader);
  return { peer: call.getPeer(), token: typeof token === "string" ? token : undefined };
}

function grpcError(
  { failures, authorizer }: FlightParts,
  name: string,
  call: { getPeer(): string },
  error: unknown,
): { code: number; details: string } {
  const where = { call: name, peer: call.getPeer() };
  const { code, details } = failures.failed(where, error, authorizer.clock.monotonicMs());
  return { code, details: details.slice(0, statusDetailsMax) };
}
