// Makes an edge look like the central daemon of 0.4 to whoever calls it: no `info`, no UUIDs of the caller's choice, no uploads that go
// on, messages counted in place of rows, smaller messages, and INTERNAL of everything that its database says no to. What it cannot be
// made to do is to overwrite an upload that broke off, so it is a daemon whose caller may delete.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { ActionSchema, FlightDescriptorSchema, FlightInfoSchema, ResultSchema } from "../../src/wire/flight_pb.js";
import { resumeHeader } from "../../src/wire/flight-call.ts";
import { type FlightData, readFlightData } from "../../src/wire/flight-data.ts";

const service = "/arrow.flight.protocol.FlightService";
const messageBytesMax = 25_000_000;
const [invalid, exists, absent, cancelled, internal] = [3, 6, 5, 1, 13];

export interface OldFront extends AsyncDisposable {
  readonly port: number;
  /** How often it has answered something as an edge would not. */
  readonly hits: ReadonlyMap<string, number>;
}

interface Failure {
  readonly code: number;
  readonly details: string;
}

const noMessage = Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x0f]);

/** What cannot be read is for the edge to refuse. */
function readMessage(message: Buffer): Pick<FlightData, "descriptor" | "header" | "body"> {
  try {
    return readFlightData(message);
  } catch {
    return { header: Buffer.alloc(0), body: Buffer.alloc(0) };
  }
}

const raw = (bytes: Buffer): Buffer => bytes;
const codec = {
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
} as const;

/**
 * @param target the port of the edge behind it, which may be another one after a restart
 * @param broken actions at which its database fails, or `GetFlightInfo`
 * @param tells by what it tells sessions: the daemons of 0.4 by their UUIDs, later ones by locators
 */
export async function openOldFront(
  target: () => number,
  { broken = new Set(), tells = "uuid" }: { broken?: ReadonlySet<string>; tells?: "uuid" | "locator" } = {},
): Promise<OldFront> {
  const hits = new Map<string, number>();
  const hit = (what: string): void => void hits.set(what, (hits.get(what) ?? 0) + 1);
  /** Messages with rows of each upload, by locator. */
  const messages = new Map<string, number>();
  /** UUIDs of the sessions that were made through it, by locator: in lists an edge tells others. */
  const sessions = new Map<string, string>();
  let client: { readonly port: number; readonly to: Client } | undefined;

  function edge(): Client {
    const port = target();
    if (client?.port === port) return client.to;
    client?.to.close();
    const to = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 100,
    });
    client = { port, to };
    return to;
  }

  /** What its database says no to is all the same to it. */
  function oldFailure({ code, details }: Failure, isTopicCreate = false): Failure {
    if (code === absent || (code === exists && !isTopicCreate)) {
      hit("INTERNAL");
      return { code: internal, details: "Internal error: database failure." };
    }
    return { code, details };
  }

  function doAction(call: ServerWritableStream<Buffer, Buffer>): void {
    const { type, body } = fromBinary(ActionSchema, call.request);
    if (type === "info" || type.startsWith("edge_")) {
      hit("no such action");
      const details = `Bad request: no available action for string \`${type}\`.`;
      call.emit("error", { code: invalid, details } satisfies Failure);
      return;
    }
    if (broken.has(type)) {
      hit(`${type} failed`);
      call.emit("error", { code: internal, details: "Internal error: index broken." } satisfies Failure);
      return;
    }
    const answers: Buffer[] = [];
    const action = create(ActionSchema, { type, body: oldBody(type, body) });
    edge()
      .makeServerStreamRequest(`${service}/DoAction`, raw, raw, Buffer.from(toBinary(ActionSchema, action)))
      .on("data", (answer: Buffer) => answers.push(type === "version" ? version : oldAnswer(type, answer)))
      .on("error", (error: ServiceError) => call.emit("error", oldFailure(error, type === "topic_create")))
      .on("end", () => {
        for (const answer of answers) call.write(answer);
        call.end();
      });
  }

  /** At first sessions have no locators. */
  function oldAnswer(type: string, answer: Buffer): Buffer {
    if (type !== "session_create" || tells === "locator") return answer;
    const { response, ...others } = JSON.parse(Buffer.from(fromBinary(ResultSchema, answer).body).toString()) as {
      response: { uuid: string; locator: string };
    };
    sessions.set(response.locator, response.uuid);
    const body = Buffer.from(JSON.stringify({ ...others, response: { uuid: response.uuid } }));
    return Buffer.from(toBinary(ResultSchema, create(ResultSchema, { body })));
  }

  function oldBody(type: string, body: Uint8Array): Uint8Array {
    if (!["sequence_create", "session_create", "topic_create"].includes(type)) return body;
    const { uuid, ...others } = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
    if (uuid !== undefined) throw new Error(`${type} chooses a UUID, which the old daemon knows nothing of`);
    return Buffer.from(JSON.stringify(others));
  }

  function getFlightInfo(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>): void {
    const { resource_locator: locator } = JSON.parse(
      Buffer.from(fromBinary(FlightDescriptorSchema, call.request).cmd).toString(),
    ) as { resource_locator: string };
    if (broken.has("GetFlightInfo")) {
      hit("GetFlightInfo failed");
      answer({ code: internal, details: "Internal error: index broken." });
      return;
    }
    edge().makeUnaryRequest(`${service}/GetFlightInfo`, raw, raw, call.request, (error, found) => {
      if (error !== null) return answer(oldFailure(error));
      if (found === undefined) return answer({ code: internal, details: "nothing" });
      const info = fromBinary(FlightInfoSchema, found);
      for (const endpoint of info.endpoint) {
        const text = Buffer.from(endpoint.appMetadata).toString();
        const old = text
          .replace(/,"data_info":\{"interval":(null|\{[^}]*\}),[^}]*\}/, "")
          .replace(/"chunks_number":[0-9]+/, `"chunks_number":${messages.get(locator) ?? 0}`);
        if (old.includes("total_row_count")) throw new Error(`an edge tells a topic in another form: ${text}`);
        hit("messages counted");
        endpoint.appMetadata = Buffer.from(old);
      }
      info.appMetadata = oldSequence(info.appMetadata);
      answer(null, Buffer.from(toBinary(FlightInfoSchema, info)));
    });
  }

  function oldSequence(metadata: Uint8Array): Uint8Array {
    if (metadata.byteLength === 0) return metadata;
    const text = Buffer.from(metadata).toString();
    // As text, for it may have integers beyond 2^53.
    const old = text.replace(/"uuid":"([^"]*)","locator":"([^"]*)"/g, (_all, uuid: string, locator: string) =>
      tells === "locator" ? `"locator":"${locator}"` : `"uuid":"${sessions.get(locator) ?? uuid}"`,
    );
    if (/"sessions":\[\{/.test(text) && old === text)
      throw new Error(`an edge tells a session in another form: ${text}`);
    if (old !== text) hit(`sessions by ${tells}`);
    return Buffer.from(old);
  }

  function listFlights(call: ServerWritableStream<Buffer, Buffer>): void {
    edge()
      .makeServerStreamRequest(`${service}/ListFlights`, raw, raw, call.request)
      .on("data", (flight: Buffer) => call.write(flight))
      .on("error", (error: ServiceError) => call.emit("error", oldFailure(error)))
      .on("end", () => call.end());
  }

  function doPut(call: ServerDuplexStream<Buffer, Buffer>): void {
    if (call.metadata.get(resumeHeader).length > 0) throw new Error("the old daemon continues nothing");
    const upload = edge().makeBidiStreamRequest(`${service}/DoPut`, raw, raw, new Metadata());
    let locator = "";
    const fail = (failure: Failure): void => {
      if (!call.cancelled) call.emit("error", failure);
    };
    call.on("data", (message: Buffer) => {
      if (message.byteLength > messageBytesMax) {
        upload.cancel();
        return fail({ code: cancelled, details: "decoded message length too large" });
      }
      const { descriptor, header, body } = readMessage(message);
      if (descriptor !== undefined)
        locator = (JSON.parse(Buffer.from(descriptor.cmd).toString()) as { resource_locator: string }).resource_locator;
      if (descriptor !== undefined) messages.set(locator, 0);
      else if (header.byteLength > 0 && body.byteLength > 0) messages.set(locator, (messages.get(locator) ?? 0) + 1);
      if (upload.write(message)) return;
      call.pause();
      upload.once("drain", () => call.resume());
    });
    call.on("end", () => upload.end());
    // Cancelled alone it would be ended before.
    call.on("cancelled", () => upload.write(noMessage, () => upload.cancel()));
    upload.on("data", () => undefined);
    upload.on("error", (error: ServiceError) => fail(oldFailure(error)));
    upload.on("end", () => call.end());
  }

  const server = new Server({ "grpc.max_receive_message_length": -1 });
  const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
    ...codec,
    path: `${service}/${name}`,
    requestStream,
    responseStream,
  });
  server.addService(
    {
      DoAction: method("DoAction", false, true),
      GetFlightInfo: method("GetFlightInfo", false, false),
      ListFlights: method("ListFlights", false, true),
      DoPut: method("DoPut", true, true),
    },
    { DoAction: doAction, GetFlightInfo: getFlightInfo, ListFlights: listFlights, DoPut: doPut },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    port,
    hits,
    async [Symbol.asyncDispose]() {
      client?.to.close();
      server.forceShutdown();
    },
  };
}

const version = ((): Buffer => {
  const response = { version: "0.4.0", semver: { major: 0, minor: 4, patch: 0, pre: "" } };
  const body = Buffer.from(JSON.stringify({ action: "version", response }));
  return Buffer.from(toBinary(ResultSchema, create(ResultSchema, { body })));
})();
