/** The Flight service on grpc-js, but for DoPut. Messages are raw bytes; each handler reads and writes its own. */

import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Catalog } from "../catalog/catalog.ts";
import type { Budget } from "../flow/budget.ts";
import type { Disk } from "../host/disk.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { allows, type Permission } from "../model/permission.ts";
import { TopicReader } from "../query/topic-reader.ts";
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
  TicketSchema,
} from "../wire/flight_pb.js";
import { layOutFlightData, readMessage } from "../wire/flight-data.ts";
import { readTicket } from "../wire/ticket.ts";
import { type ActionParts, runAction } from "./actions.ts";
import { demand } from "./authorize.ts";
import { flightInfo, listFlightInfos, readerSchema, topicOf, topicSchema, viewWindow } from "./flight-info.ts";
import { type CallSign, type Identity, type IdentifyParts, identify } from "./identify.ts";
import { statusDetailsMax, toStatus } from "./status.ts";

export interface FlightParts extends IdentifyParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly log: Log;
  /** What reads may hold together: messages on their way to clients. */
  readonly readBudget: Budget;
  readonly actions: ActionParts;
}

type Unary = ServerUnaryCall<Buffer, Buffer>;
type Writable = ServerWritableStream<Buffer, Buffer>;

const servicePath = "/arrow.flight.protocol.FlightService";
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

/** DoPut stands here too, so that grpc-js knows the method; its calls never reach it (http2-seam.ts). */
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

const anyCall: CallSign = { call: "other", proof: undefined };

export function flightHandlers(parts: FlightParts): UntypedServiceImplementation {
  const unary =
    (name: string, permission: Permission | undefined, proof: DialectProof, act: (identity: Identity, call: Unary) => Promise<Uint8Array>) =>
    (call: Unary, done: sendUnaryData<Buffer>): void => {
      const run = async () => {
        const identity = identify(parts, call, { call: "other", proof });
        demand(identity.caller, permission, name);
        return await act(identity, call);
      };
      run().then(
        (bytes) => done(null, toBuffer(bytes)),
        (error: unknown) => done(grpcError(parts.log, name, call, error)),
      );
    };
  const streaming =
    (name: string, act: (call: Writable, send: Send) => Promise<void>) =>
    (call: Writable): void => {
      const send = sender(call);
      act(call, send).then(
        () => call.end(),
        (error: unknown) => call.emit("error", grpcError(parts.log, name, call, error)),
      );
    };
  const unimplemented = (name: string) => async (): Promise<never> => {
    throw new Fault("unsupported", `Unimplemented: ${name}.`);
  };
  const unimplementedStream = (name: string) =>
    streaming(name, async (call) => {
      identify(parts, call, anyCall);
      await unimplemented(name)();
    });

  return {
    Handshake: unimplementedStream("Handshake"),
    DoExchange: unimplementedStream("DoExchange"),
    DoPut: unimplementedStream("DoPut"),
    PollFlightInfo: unary("PollFlightInfo", undefined, undefined, unimplemented("PollFlightInfo")),

    ListFlights: streaming("ListFlights", async (call, send) => {
      const { caller } = identify(parts, call, { call: "list", proof: undefined });
      // A key that may write and not read has to get through the connect of SDK 0.4 and 0.5, which lists.
      if (!allows(caller.permissions, "read") && allows(caller.permissions, "write")) return;
      demand(caller, "read", "ListFlights");
      const { expression } = readMessage(CriteriaSchema, call.request, "Criteria");
      for (const info of listFlightInfos(parts, expression)) await send(encode(FlightInfoSchema, info));
    }),

    GetFlightInfo: unary("GetFlightInfo", "read", undefined, async (identity, call) => {
      const descriptor = readMessage(FlightDescriptorSchema, call.request, "FlightDescriptor");
      return encode(FlightInfoSchema, await flightInfo(parts, identity, descriptor));
    }),

    // Only SDK 0.7 asks for schemas.
    GetSchema: unary("GetSchema", "read", "new", async (_identity, call) => {
      const descriptor = readMessage(FlightDescriptorSchema, call.request, "FlightDescriptor");
      return encode(SchemaResultSchema, { schema: topicSchema(parts, descriptor) });
    }),

    DoGet: streaming("DoGet", async (call, send) => {
      const identity = identify(parts, call, anyCall);
      demand(identity.caller, "read", "DoGet");
      await getTopic(parts, identity, call, send);
    }),

    DoAction: streaming("DoAction", async (call, send) => {
      const action = readMessage(ActionSchema, call.request, "Action");
      const { parsed, failure } = tryParse(action.type, action.body);
      const identity = identify(parts, call, signOf(parsed?.request.kind, parsed?.proof));
      if (parsed === undefined) throw failure;
      demand(identity.caller, parsed.permission, action.type);
      const response = await runAction(parts.actions, identity, parsed.request);
      const body = response === "empty" ? writeEmptyAnswer() : writeAnswer(action.type, response);
      await send(encode(ResultSchema, { body }));
    }),

    ListActions: streaming("ListActions", async (call, send) => {
      identify(parts, call, anyCall);
      for (const { name, description } of listActions()) await send(encode(ActionTypeSchema, { type: name, description }));
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

async function getTopic(parts: FlightParts, identity: Identity, call: Writable, send: Send): Promise<void> {
  const { catalog, readBudget } = parts;
  const ticket = readTicket(readMessage(TicketSchema, call.request, "Ticket").ticket);
  const topic = topicOf(catalog, ticket.topic);
  const view = await viewWindow(parts, topic, ticket.window);
  await send(layOutFlightData(readerSchema(catalog, identity, topic, view), 0).message);
  const schemaHeader = catalog.schemas.get(topic.uuid);
  if (schemaHeader === undefined) return;
  await using reader = new TopicReader(parts, topic, schemaHeader);
  for await (const message of reader.messages(ticket.window, send.signal)) {
    using _held = await readBudget.take(Math.min(message.chargeBytes, readBudget.limitBytes), send.signal);
    const { message: bytes, body } = layOutFlightData(message.header, message.bodyBytes);
    await message.readBody(body);
    await send(bytes);
  }
}

interface Send {
  /** Ends when the message has gone to the socket's queue; fails when the client is gone. */
  (bytes: Uint8Array): Promise<void>;
  readonly signal: AbortSignal;
}

function sender(call: Writable): Send {
  const abort = new AbortController();
  const gone = new Fault("cancelled", "The client cancelled the call.");
  call.on("cancelled", () => abort.abort(gone));
  const { signal } = abort;
  const send = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(gone);
      const cancelled = () => reject(gone);
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

function grpcError(log: Log, name: string, call: { getPeer(): string }, error: unknown): { code: number; details: string } {
  const status = toStatus(error);
  const fields = { call: name, peer: call.getPeer(), status: status.code, details: status.details };
  if (error instanceof Fault && error.code !== "internal") {
    if (error.code !== "cancelled") log.info("call_refused", fields);
  } else log.error("call_failed", { ...fields, cause: error });
  return { code: status.code, details: status.details.slice(0, statusDetailsMax) };
}
