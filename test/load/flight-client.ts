// A Flight client on bare HTTP/2, for loads and hostile inputs: it sends what it is told, byte by byte when it must, and copies
// nothing. Programs that want comfort use pyarrow or an SDK.

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  ActionSchema,
  FlightDescriptor_DescriptorType,
  FlightDescriptorSchema,
  type FlightInfo,
  FlightInfoSchema,
  ResultSchema,
  SchemaResultSchema,
  TicketSchema,
} from "../../src/wire/flight_pb.js";
import { type FlightData, readFlightData } from "../../src/wire/flight-data.ts";

const servicePath = "/arrow.flight.protocol.FlightService";
const prefixBytes = 5;
/** MB. Node breaks streams off when more than 10 MB wait to be sent on one connection. */
const maxSessionMemory = 4096;
const writeBytesMax = 512 * 1024;

/** A call that ended with another status than OK. */
export class CallError extends Error {
  readonly code: number;

  constructor(method: string, code: number, details: string) {
    super(`${method} ended with status ${code}: ${details}`);
    this.code = code;
  }
}

export interface Outgoing {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  /** JSON command of a FlightDescriptor; the first message of a put has one. */
  readonly command?: string;
}

export interface ClientOptions {
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The certificate to trust (PEM); switches TLS on. */
  readonly ca?: string;
}

export class FlightClient implements Disposable {
  readonly #session: ClientHttp2Session;
  readonly #headers: Record<string, string>;

  /** @param token API key, if the server asks for one */
  constructor(port: number, token?: string, { headers = {}, ca }: ClientOptions = {}) {
    const tls = ca === undefined ? {} : { ca };
    this.#session = connect(`${ca === undefined ? "http" : "https"}://127.0.0.1:${port}`, {
      ...tls,
      maxSessionMemory,
      settings: { initialWindowSize: 2 ** 20 },
    });
    this.#session.setMaxListeners(0);
    // Whoever waits for a call hears of it there.
    this.#session.on("error", () => undefined);
    this.#session.once("connect", () => this.#session.setLocalWindowSize(2 ** 24));
    this.#headers = { ...headers, ...(token === undefined ? {} : { "mosaico-api-key-token": token }) };
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }

  /** A call to any method of the service, or to any other path. */
  call(method: string): Call {
    const path = method.startsWith("/") ? method : `${servicePath}/${method}`;
    const stream = this.#session.request(
      {
        ":method": "POST",
        ":path": path,
        te: "trailers",
        "content-type": "application/grpc",
        "user-agent": "mosaico-edge-load",
        ...this.#headers,
      },
      { endStream: false },
    );
    return new Call(method, stream);
  }

  /** The JSON answer of an action, undefined when it has none. */
  /** The first answer as it came: its integers may be beyond what JavaScript's JSON holds. */
  async actionText(type: string, body: unknown): Promise<string | undefined> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const [result] = await this.all("DoAction", ActionSchema, { type, body: new TextEncoder().encode(text) });
    return result === undefined ? undefined : Buffer.from(fromBinary(ResultSchema, result).body).toString();
  }

  async action(type: string, body: unknown): Promise<unknown> {
    const answer = await this.actionText(type, body);
    if (answer === undefined) return undefined;
    const parsed: unknown = answer === "" ? undefined : JSON.parse(answer);
    if (typeof parsed === "object" && parsed !== null && "response" in parsed) return parsed.response;
    return parsed;
  }

  async info(command: Command): Promise<FlightInfo> {
    return await this.#one("GetFlightInfo", FlightDescriptorSchema, descriptor(command), FlightInfoSchema);
  }

  async schema(command: Command): Promise<Uint8Array> {
    return (await this.#one("GetSchema", FlightDescriptorSchema, descriptor(command), SchemaResultSchema)).schema;
  }

  /** All answers of a call with one request. */
  async all<Desc extends DescMessage>(
    method: string,
    schema: Desc,
    request: MessageInitShape<Desc>,
  ): Promise<Buffer[]> {
    const call = this.call(method);
    await call.send([toBinary(schema, create(schema, request))]);
    call.end();
    const answers: Buffer[] = [];
    for await (const answer of call.messages()) answers.push(answer);
    return answers;
  }

  async #one<Request extends DescMessage, Answer extends DescMessage>(
    method: string,
    schema: Request,
    request: MessageInitShape<Request>,
    answerSchema: Answer,
  ): Promise<MessageShape<Answer>> {
    const [answer] = await this.all(method, schema, request);
    if (answer === undefined) throw new Error(`${method} answered nothing`);
    return fromBinary(answerSchema, answer);
  }

  /** The messages of a topic, its schema first. */
  async *get(ticket: Uint8Array): AsyncGenerator<FlightData> {
    const call = this.call("DoGet");
    await call.send([toBinary(TicketSchema, create(TicketSchema, { ticket }))]);
    call.end();
    for await (const message of call.messages()) yield readFlightData(message);
  }

  /** Uploads a topic in one go; ends when the server says that it is durable. */
  async put(command: { locator: string; uuid: string }, messages: Iterable<Outgoing>): Promise<void> {
    const call = this.openPut(command);
    for (const message of messages) await call.sendData(message);
    await call.finish();
  }

  /** A put whose messages the caller sends. Its first one gets the descriptor. */
  openPut({ locator, uuid }: { locator: string; uuid: string }, answers: "dropped" | "kept" = "dropped"): PutCall {
    const put = new PutCall(this.call("DoPut"), JSON.stringify({ resource_locator: locator, topic_uuid: uuid }));
    // Node ends no stream that is not read.
    if (answers === "dropped") put.call.stream.resume();
    return put;
  }
}

/** As text where it holds integers beyond 2^53, which JSON.stringify cannot write. */
type Command = string | Readonly<Record<string, unknown>>;

function descriptor(command: Command): MessageInitShape<typeof FlightDescriptorSchema> {
  const text = typeof command === "string" ? command : JSON.stringify(command);
  return { type: FlightDescriptor_DescriptorType.CMD, cmd: new TextEncoder().encode(text) };
}

/** One call: messages out, messages in, a status. */
export class Call {
  readonly method: string;
  readonly stream: ClientHttp2Stream;
  readonly #closed: Promise<void>;
  #status: { code: number; details: string } | undefined;
  #sending: Promise<void> = Promise.resolve();

  constructor(method: string, stream: ClientHttp2Stream) {
    this.method = method;
    this.stream = stream;
    const note = (headers: Record<string, unknown>): void => {
      if (headers["grpc-status"] === undefined) return;
      const details = decodeURIComponent(String(headers["grpc-message"] ?? ""));
      this.#status = { code: Number(headers["grpc-status"]), details };
    };
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("error", () => undefined);
    // The event, not the property: that one is set before the trailers have been told of.
    this.#closed = new Promise((resolve) => stream.once("close", resolve));
  }

  /** Ends when the socket has taken everything. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  /** Sends one message, given in pieces, behind those before; ends when the socket has taken it. */
  async send(pieces: readonly Uint8Array[]): Promise<void> {
    const prefix = Buffer.alloc(prefixBytes);
    prefix.writeUInt32BE(
      pieces.reduce((sum, { byteLength }) => sum + byteLength, 0),
      1,
    );
    this.#sending = this.#sending.then(() => this.write([prefix, ...pieces]));
    await this.#sending;
  }

  /**
   * Writes bytes as they are, not more at a time than a socket takes: what is queued costs Node more than it sends.
   * Never an empty piece: Node 24 says at once that it is done, and lets go of the pieces before it while they are on their way.
   */
  async write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      for (let at = 0; at < piece.byteLength; at += writeBytesMax)
        await this.#writeOne(piece.subarray(at, at + writeBytesMax));
    }
  }

  async #writeOne(bytes: Uint8Array): Promise<void> {
    const { stream } = this;
    if (stream.destroyed || stream.closed || stream.writableEnded) return;
    await new Promise<void>((resolve) => {
      stream.once("close", resolve);
      stream.write(bytes, () => {
        stream.off("close", resolve);
        resolve();
      });
    });
  }

  end(): void {
    this.stream.end();
  }

  /** Breaks the call off, as a client that is killed would. */
  cancel(): void {
    this.stream.close(8);
  }

  /** @throws CallError when the status is not OK */
  async *messages(): AsyncGenerator<Buffer> {
    let pending: Buffer[] = [];
    let bytes = 0;
    let wanted = prefixBytes;
    let inMessage = false;
    for await (const piece of this.stream as AsyncIterable<Buffer>) {
      pending.push(piece);
      bytes += piece.byteLength;
      while (bytes >= wanted) {
        const whole = pending.length === 1 && pending[0] !== undefined ? pending[0] : Buffer.concat(pending, bytes);
        const taken = whole.subarray(0, wanted);
        const rest = whole.subarray(wanted);
        pending = rest.byteLength === 0 ? [] : [rest];
        bytes = rest.byteLength;
        if (inMessage) {
          inMessage = false;
          wanted = prefixBytes;
          yield taken;
        } else {
          inMessage = true;
          wanted = taken.readUInt32BE(1);
        }
      }
    }
    await this.#ended();
  }

  /** The status of the call; messages that it answers are dropped. */
  async status(): Promise<{ code: number; details: string }> {
    this.stream.resume();
    await this.#closed;
    return this.#status ?? { code: 14, details: "the stream was closed without a status" };
  }

  async #ended(): Promise<void> {
    const { code, details } = await this.status();
    if (code !== 0) throw new CallError(this.method, code, details);
  }
}

export class PutCall {
  readonly call: Call;
  #command: string | undefined;

  constructor(call: Call, command: string) {
    this.call = call;
    this.#command = command;
  }

  async sendData({ header, body }: Outgoing): Promise<void> {
    const head = flightDataHead(header, body.byteLength, this.#command);
    this.#command = undefined;
    await this.call.send([head, body]);
  }

  /** @throws CallError unless everything is durable */
  async finish(): Promise<void> {
    await this.call.sent();
    this.call.end();
    const { code, details } = await this.call.status();
    if (code !== 0) throw new CallError(this.call.method, code, details);
  }
}

/** The bytes of a FlightData up to its body. */
function flightDataHead(header: Uint8Array, bodyBytes: number, command: string | undefined): Uint8Array {
  const pieces: Uint8Array[] = [];
  if (command !== undefined) {
    const flightDescriptor = toBinary(FlightDescriptorSchema, create(FlightDescriptorSchema, descriptor(command)));
    pieces.push(Uint8Array.of(0x0a), varint(flightDescriptor.byteLength), flightDescriptor);
  }
  pieces.push(Uint8Array.of(0x12), varint(header.byteLength), header, Uint8Array.of(0xc2, 0x3e), varint(bodyBytes));
  return Buffer.concat(pieces);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
