/** The Flight service on grpc-js, but for DoPut. Messages are raw bytes; each handler reads and writes its own. */

import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type {
  Metadata,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Fault } from "../model/fault.ts";
import { allows, type Permission } from "../model/permission.ts";
import { type DialectProof, listActions, type ParsedAction, parseAction } from "../wire/action.ts";
import { writeAnswer, writeEmptyAnswer } from "../wire/answer.ts";
import {
  ActionSchema,
  ActionTypeSchema,
  CriteriaSchema,
  FlightDescriptorSchema,
  FlightInfoSchema,
  ResultSchema,
  SchemaResultSchema,
} from "../wire/flight_pb.js";
import { readMessage } from "../wire/flight-data.ts";
import { type ActionParts, runAction } from "./actions.ts";
import { demand, tokenHeader } from "./authorize.ts";
import type { FailureLog } from "./failure-log.ts";
import { type FlightInfoParts, flightInfo, listFlightInfos, topicSchema } from "./flight-info.ts";
import { type CallOrigin, type CallSign, type IdentifyParts, type Identity, identify, plainSign } from "./identify.ts";
import { statusDetailsMax } from "./status.ts";

export interface FlightParts extends IdentifyParts, FlightInfoParts {
  readonly failures: FailureLog;
  readonly actions: ActionParts;
  /** Fires when the server stops, with what callers are told. */
  readonly stopping: AbortSignal;
}

type Unary = ServerUnaryCall<Buffer, Buffer>;
type Writable = ServerWritableStream<Buffer, Buffer>;

const servicePath = "/arrow.flight.protocol.FlightService";
export const getPath = `${servicePath}/DoGet`;
export const putPath = `${servicePath}/DoPut`;

const raw = (bytes: Buffer): Buffer => bytes;

function method(name: string, streams: { request?: boolean; response?: boolean }) {
  return {
    path: `${servicePath}/${name}`,
    requestStream: streams.request ?? false,
    responseStream: streams.response ?? false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  };
}

/** DoGet and DoPut stand here too, so that grpc-js knows the methods; their calls never reach it (http2-seam.ts). */
export const flightService: ServiceDefinition = {
  Handshake: method("Handshake", { request: true, response: true }),
  ListFlights: method("ListFlights", { response: true }),
  GetFlightInfo: method("GetFlightInfo", {}),
  PollFlightInfo: method("PollFlightInfo", {}),
  GetSchema: method("GetSchema", {}),
  DoGet: method("DoGet", { response: true }),
  DoPut: method("DoPut", { request: true, response: true }),
  DoExchange: method("DoExchange", { request: true, response: true }),
  DoAction: method("DoAction", { response: true }),
  ListActions: method("ListActions", { response: true }),
};

export function flightHandlers(parts: FlightParts): UntypedServiceImplementation {
  const unary =
    (
      name: string,
      permission: Permission | undefined,
      proof: DialectProof,
      act: (identity: Identity, call: Unary) => Promise<Uint8Array>,
    ) =>
    (call: Unary, done: sendUnaryData<Buffer>): void => {
      const run = async () => {
        const identity = identify(parts, originOf(call), { call: "other", proof });
        demand(identity.caller, permission, name);
        return await act(identity, call);
      };
      run().then(
        (bytes) => done(null, toBuffer(bytes)),
        (error: unknown) => done(grpcError(parts, name, call, error)),
      );
    };
  const streaming =
    (name: string, act: (call: Writable, send: Send) => Promise<void>) =>
    (call: Writable): void => {
      const send = sender(call);
      act(call, send).then(
        () => call.end(),
        (error: unknown) => call.emit("error", grpcError(parts, name, call, error)),
      );
    };
  const unimplemented = (name: string) => async (): Promise<never> => {
    throw new Fault("unsupported", `Unimplemented: ${name}.`);
  };
  const unimplementedStream = (name: string) =>
    streaming(name, async (call) => {
      identify(parts, originOf(call), plainSign);
      await unimplemented(name)();
    });

  return {
    Handshake: unimplementedStream("Handshake"),
    DoExchange: unimplementedStream("DoExchange"),
    DoGet: unimplementedStream("DoGet"),
    DoPut: unimplementedStream("DoPut"),
    PollFlightInfo: unary("PollFlightInfo", undefined, undefined, unimplemented("PollFlightInfo")),

    ListFlights: streaming("ListFlights", async (call, send) => {
      const { caller } = identify(parts, originOf(call), { call: "list", proof: undefined });
      // A key that may write and not read has to get through the connect of SDK 0.4 and 0.5, which lists.
      if (!allows(caller.permissions, "read") && allows(caller.permissions, "write")) return;
      demand(caller, "read", "ListFlights");
      const { expression } = readMessage(CriteriaSchema, call.request, "Criteria");
      for (const info of listFlightInfos(parts, expression)) await send(encode(FlightInfoSchema, info));
    }),

    GetFlightInfo: unary("GetFlightInfo", "read", undefined, async (identity, call) => {
      const descriptor = readMessage(FlightDescriptorSchema, call.request, "FlightDescriptor");
      return encode(FlightInfoSchema, await flightInfo(parts, identity, descriptor, cancelOf(call)));
    }),

    // Only SDK 0.7 asks for schemas.
    GetSchema: unary("GetSchema", "read", "new", async (_identity, call) => {
      const descriptor = readMessage(FlightDescriptorSchema, call.request, "FlightDescriptor");
      return encode(SchemaResultSchema, { schema: topicSchema(parts, descriptor) });
    }),

    DoAction: streaming("DoAction", async (call, send) => {
      const action = readMessage(ActionSchema, call.request, "Action");
      const { parsed, failure } = tryParse(action.type, action.body);
      const identity = identify(parts, originOf(call), signOf(parsed?.request.kind, parsed?.proof));
      if (parsed === undefined) throw failure;
      demand(identity.caller, parsed.permission, action.type);
      const signal = AbortSignal.any([send.signal, parts.stopping]);
      const response = await runAction(parts.actions, identity, parsed.request, signal);
      const body = response === "empty" ? writeEmptyAnswer() : writeAnswer(action.type, response);
      await send(encode(ResultSchema, { body }));
    }),

    ListActions: streaming("ListActions", async (call, send) => {
      identify(parts, originOf(call), plainSign);
      for (const { name, description } of listActions())
        await send(encode(ActionTypeSchema, { type: name, description }));
    }),
  };
}

/** Authentication comes before the body's errors, but what the body proves of the dialect decides how it is refused. */
function tryParse(type: string, body: Uint8Array): { parsed?: ParsedAction; failure?: unknown } {
  try {
    return { parsed: parseAction(type, body) };
  } catch (failure) {
    return { failure };
  }
}

function signOf(kind: string | undefined, proof: DialectProof): CallSign {
  return { call: kind === "version" || kind === "info" ? kind : "other", proof };
}

function originOf(call: { getPeer(): string; readonly metadata: Metadata }): CallOrigin {
  const [token] = call.metadata.get(tokenHeader);
  return { peer: call.getPeer(), token: typeof token === "string" ? token : undefined };
}

interface Send {
  /** Ends when the message has gone to the socket's queue; fails when the client is gone. */
  (bytes: Uint8Array): Promise<void>;
  readonly signal: AbortSignal;
}

function cancelOf(call: Unary | Writable): AbortSignal {
  const abort = new AbortController();
  call.on("cancelled", () => abort.abort(new Fault("cancelled", "The client cancelled the call.")));
  return abort.signal;
}

function sender(call: Writable): Send {
  const signal = cancelOf(call);
  const send = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancelled = () => reject(signal.reason);
      signal.addEventListener("abort", cancelled, { once: true });
      call.write(toBuffer(bytes), (error: Error | null | undefined) => {
        signal.removeEventListener("abort", cancelled);
        if (error) reject(error);
        else resolve();
      });
    });
  return Object.assign(send, { signal });
}

function encode<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, message));
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
