/**
 * A connection to another Mosaico: calls with a deadline, and uploads that wait for the socket. It is used until something breaks,
 * then thrown away: what grpc-js would connect to by itself may be another one, of which nobody has asked what it is. Whatever goes
 * wrong is a Fault with the remote's words; nothing is tried again here.
 */

import {
  Client,
  type ClientDuplexStream,
  connectivityState,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { leaveGarbage } from "../host/young-garbage.ts";
import { Fault, type FaultCode } from "../model/fault.ts";
import { shownWords } from "../model/foreign-words.ts";
import { keepalive } from "../model/limits.ts";
import type { RemoteUrl } from "../model/remote-url.ts";
import { remoteCallMs, spoilMs } from "../model/sync-limits.ts";
import { flightPath } from "../wire/flight-call.ts";
import { faultCodeOf } from "../wire/grpc-status.ts";
import { tokenHeader } from "../wire/token.ts";
import { GetStream } from "./get-stream.ts";
import { inTime } from "./in-time.ts";

export interface ConnectionOptions {
  readonly url: RemoteUrl;
  /** Certificates to trust (PEM) in place of those of the system. */
  readonly ca: Buffer | undefined;
  readonly token: string | undefined;
  /** A UNIX socket to connect to in place of host and port. */
  readonly socket?: string | undefined;
  /** Of one message that comes. */
  readonly messageBytesMax: number;
}

export interface Question {
  readonly method: "DoAction" | "GetFlightInfo" | "ListFlights";
  readonly request: Uint8Array;
  /** Of all answers together. */
  readonly bytesMax: number;
}

/** How grpc-js says of a message that it is above `grpc.max_receive_message_length`, with the status of a remote that has no room. */
const answerTooLarge = "Received message larger than max";

const raw = (bytes: Buffer): Buffer => bytes;

export class FlightConnection implements Disposable {
  readonly #client: Client;
  readonly #token: string | undefined;
  readonly #name: string;
  /** Whether it was connected, and is not any more. */
  #isLost = false;

  constructor({ url, ca, socket, token, messageBytesMax }: ConnectionOptions) {
    const channel = url.tls ? credentials.createSsl(ca ?? null) : credentials.createInsecure();
    const address = socket === undefined ? `${url.host}:${url.port}` : `unix:${socket}`;
    this.#client = new Client(address, channel, {
      "grpc.max_receive_message_length": messageBytesMax,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": keepalive.everyMs,
      "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
      "grpc.enable_retries": 0,
      // One that is thrown away must not leave its connection to the next.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
    });
    this.#watch(this.#client.getChannel(), connectivityState.IDLE);
    this.#token = token;
    this.#name = url.text;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Notices when the connection ends, before anything goes over another one. */
  #watch(channel: ReturnType<Client["getChannel"]>, state: connectivityState): void {
    channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => {
      const now = channel.getConnectivityState(false);
      if (now === connectivityState.SHUTDOWN) return;
      if (state !== connectivityState.READY) return this.#watch(channel, now);
      this.#isLost = true;
      // What waits for a connection would get the next one.
      this.#client.close();
    });
  }

  /** @throws Fault unavailable */
  #check(method: string): void {
    if (this.#isLost) throw new Fault("unavailable", `${this.#name}: ${method}: The connection broke off.`);
  }

  [Symbol.dispose](): void {
    if (!this.#isLost) this.#client.close();
  }

  /**
   * One request, and what all that is answered says.
   * @throws Fault as the remote says; invalid when it answers more than it may, or what `read` refuses; unavailable, expired
   */
  async call<T>(question: Question, read: (answers: readonly Buffer[]) => T, signal: AbortSignal): Promise<T> {
    const answers: Buffer[] = [];
    await this.#ask(question, (answer) => void answers.push(answer), signal);
    try {
      return read(answers);
    } catch (error) {
      throw this.#unreadable(question.method, error);
    }
  }

  /** One request, and whether one of the answers is meant: each is looked at and let go. @throws Fault as `call` */
  async some(question: Question, isMeant: (answer: Buffer) => boolean, signal: AbortSignal): Promise<boolean> {
    let found = false;
    const look = (answer: Buffer): void => {
      found ||= isMeant(answer);
    };
    await this.#ask(question, look, signal);
    return found;
  }

  async #ask(question: Question, take: (answer: Buffer) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { method, request, bytesMax } = question;
    this.#check(method);
    const deadline = Date.now() + remoteCallMs;
    await new Promise<void>((resolve, reject) => {
      let bytes = 0;
      const ended = (fault?: Fault): void => {
        signal.removeEventListener("abort", abort);
        if (fault === undefined) resolve();
        else reject(signal.aborted ? signal.reason : fault);
      };
      // A call with one answer is on the wire as one with many.
      const call = this.#client
        .makeServerStreamRequest(flightPath(method), raw, raw, Buffer.from(request), this.#metadata({}), { deadline })
        .on("data", (answer: Buffer) => {
          bytes += answer.byteLength;
          try {
            if (bytes > bytesMax) throw new Fault("invalid", `it answers more than ${bytesMax} bytes`);
            take(answer);
          } catch (error) {
            call.cancel();
            ended(this.#unreadable(method, error));
          }
        })
        .on("error", ({ code, details }: ServiceError) => ended(this.#faultOf(method, { code, details })))
        .on("end", () => ended());
      const abort = (): void => call.cancel();
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  /** Opens an upload. @param descriptor the beginning of its first message */
  openPut(descriptor: Uint8Array, headers: Readonly<Record<string, string>>, signal: AbortSignal): PutStream {
    signal.throwIfAborted();
    this.#check("DoPut");
    const call = this.#client.makeBidiStreamRequest(flightPath("DoPut"), raw, raw, this.#metadata(headers), {});
    return new PutStream(call, {
      descriptor,
      signal,
      faultOf: (status) => this.#faultOf("DoPut", status),
    });
  }

  /** Reads a topic. */
  openGet(request: Uint8Array, signal: AbortSignal): GetStream {
    signal.throwIfAborted();
    this.#check("DoGet");
    return new GetStream({
      signal,
      open: (interceptor) =>
        this.#client.makeServerStreamRequest(flightPath("DoGet"), raw, raw, Buffer.from(request), this.#metadata({}), {
          interceptors: [interceptor],
        }),
      faultOf: (status) => this.#faultOf("DoGet", status),
      unreadable: (error) => this.#unreadable("DoGet", error),
    });
  }

  #metadata(headers: Readonly<Record<string, string>>): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    if (this.#token !== undefined) metadata.set(tokenHeader, this.#token);
    return metadata;
  }

  #faultOf(method: string, { code, details }: Pick<StatusObject, "code" | "details">): Fault {
    // What is too large is not the remote's word: it would be tried again for ever.
    return this.#fault(method, details.startsWith(answerTooLarge) ? "invalid" : faultCodeOf(code), details);
  }

  #unreadable(method: string, error: unknown): Fault {
    if (error instanceof Fault) return this.#fault(method, error.code, error.message);
    return this.#fault(
      method,
      "invalid",
      `its answer cannot be read: ${error instanceof Error ? error.message : error}`,
    );
  }

  #fault(method: string, code: FaultCode, words: string): Fault {
    return new Fault(code, `${this.#name}: ${method}: ${shownWords(plainWords(words))}`);
  }
}

/** In place of what Node and OpenSSL say of connections to whoever wrote the program. */
function plainWords(words: string): string {
  const bare = words.replace(/\s*Resolution note:\s*$/, "");
  if (/self-signed certificate|unable to (get|verify)/.test(bare))
    return `${bare.replace(/; if the root CA is installed locally.*$/, "")} (--ca FILE names the certificates to trust)`;
  return /wrong version number|packet length too long/.test(bare)
    ? "the other side does not speak TLS there: grpc:// would be without (or it is another port)"
    : bare;
}

interface PutOptions {
  readonly descriptor: Uint8Array;
  readonly signal: AbortSignal;
  faultOf(status: Pick<StatusObject, "code" | "details">): Fault;
}

/** Bytes that nobody can take for a message: a field that goes on behind its end. */
const noMessage = Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x0f]);

/** An upload: messages one after the other, each when the socket has taken the one before. */
export class PutStream implements Disposable {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #status: Promise<Fault | undefined>;
  /** Until it was sent. */
  #descriptor: Uint8Array | undefined;
  readonly #release: () => void;
  #isEnded = false;

  constructor(call: ClientDuplexStream<Buffer, Buffer>, { descriptor, signal, faultOf }: PutOptions) {
    this.#call = call;
    this.#descriptor = descriptor;
    const abort = (): void => this[Symbol.dispose]();
    signal.addEventListener("abort", abort, { once: true });
    this.#release = () => signal.removeEventListener("abort", abort);
    this.#status = new Promise((resolve) => {
      call.on("status", (status: StatusObject) => {
        this.#isEnded = true;
        resolve(status.code === 0 ? undefined : faultOf(status));
      });
    });
    // The status says it.
    call.on("error", () => undefined);
    // An answer that nobody reads would keep the call open.
    call.resume();
  }

  /**
   * Sends a FlightData, which may be used again when this has ended.
   * @throws Fault as the remote says, unavailable when it takes nothing for too long
   */
  async send(flightData: Buffer): Promise<void> {
    const message = this.#descriptor === undefined ? flightData : Buffer.concat([this.#descriptor, flightData]);
    this.#descriptor = undefined;
    const taken = new Promise<"taken">((resolve) => this.#call.write(message, () => resolve("taken")));
    const ended = await inTime(Promise.race([this.#status, taken]), "took nothing");
    if (ended === "taken") {
      // grpc-js has made a copy of it, which is dead now.
      leaveGarbage(message.byteLength);
      return;
    }
    throw ended ?? new Fault("wrong_state", "The remote ended the upload before all was sent.");
  }

  /** Ends the upload; the remote has it then. @throws Fault as the remote says */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#call.end();
    const fault = await inTime(this.#status, "took nothing");
    if (fault !== undefined) throw fault;
  }

  /**
   * Breaks it off, unless it has ended. Before its reset an HTTP/2 stream of Node is ended as if all had been sent, and who gets both
   * would take what there is for the whole: so the last message is none.
   */
  [Symbol.dispose](): void {
    this.#release();
    const cancel = (): void => this.#call.cancel();
    if (this.#isEnded) {
      cancel();
      return;
    }
    this.#isEnded = true;
    // Where nothing goes out any more it is not heard either that it ended.
    const late = setTimeout(cancel, spoilMs);
    this.#call.write(noMessage, () => {
      clearTimeout(late);
      cancel();
    });
  }
}
