/**
 * A connection to another Mosaico: calls with a deadline, and uploads that wait for the socket. It is used until something breaks,
 * then thrown away. Whatever goes wrong is a Fault with the remote's words; nothing is tried again here.
 */

import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import { Fault } from "../model/fault.ts";
import { keepalive } from "../model/limits.ts";
import type { RemoteUrl } from "../model/remote-url.ts";
import { hideTokens } from "../model/secret.ts";
import { remoteAnswerBytesMax, remoteCallMs } from "../model/sync-limits.ts";
import { flightPath } from "../wire/flight-call.ts";
import { faultCodeOf } from "../wire/grpc-status.ts";
import { tokenHeader } from "../wire/token.ts";

export interface ConnectionOptions {
  readonly url: RemoteUrl;
  /** Certificates to trust (PEM) in place of those of the system. */
  readonly ca: Buffer | undefined;
  readonly token: string | undefined;
  /** A UNIX socket to connect to in place of host and port. */
  readonly socket?: string | undefined;
}

const raw = (bytes: Buffer): Buffer => bytes;

export class FlightConnection implements Disposable {
  readonly #client: Client;
  readonly #token: string | undefined;
  readonly #name: string;

  constructor({ url, ca, token, socket }: ConnectionOptions) {
    const channel = url.tls ? credentials.createSsl(ca ?? null) : credentials.createInsecure();
    const address = socket === undefined ? `${url.host}:${url.port}` : `unix:${socket}`;
    this.#client = new Client(address, channel, {
      "grpc.max_receive_message_length": remoteAnswerBytesMax,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": keepalive.everyMs,
      "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
      "grpc.enable_retries": 0,
      // One that is thrown away must not leave its connection to the next.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
    });
    this.#token = token;
    this.#name = url.text;
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /** One request, and all that is answered. @throws Fault as the remote says, unavailable, expired */
  async call(
    method: "DoAction" | "GetFlightInfo" | "ListFlights",
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Buffer[]> {
    signal.throwIfAborted();
    const deadline = Date.now() + remoteCallMs;
    return await new Promise<Buffer[]>((resolve, reject) => {
      const answers: Buffer[] = [];
      // A call with one answer is on the wire as one with many.
      const call = this.#client
        .makeServerStreamRequest(flightPath(method), raw, raw, Buffer.from(request), this.#metadata({}), { deadline })
        .on("data", (answer: Buffer) => answers.push(answer))
        .on("error", (error: ServiceError) => ended(this.#faultOf(method, error)))
        .on("end", () => ended());
      const abort = (): void => call.cancel();
      signal.addEventListener("abort", abort, { once: true });
      const ended = (fault?: Fault): void => {
        signal.removeEventListener("abort", abort);
        if (fault === undefined) resolve(answers);
        else reject(signal.aborted ? signal.reason : fault);
      };
    });
  }

  /** Opens an upload. @param descriptor the beginning of its first message */
  openPut(descriptor: Uint8Array, headers: Readonly<Record<string, string>>, signal: AbortSignal): PutStream {
    signal.throwIfAborted();
    const call = this.#client.makeBidiStreamRequest(flightPath("DoPut"), raw, raw, this.#metadata(headers), {});
    return new PutStream(call, { descriptor, signal, faultOf: (status) => this.#faultOf("DoPut", status) });
  }

  #metadata(headers: Readonly<Record<string, string>>): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    if (this.#token !== undefined) metadata.set(tokenHeader, this.#token);
    return metadata;
  }

  #faultOf(method: string, { code, details }: Pick<StatusObject, "code" | "details">): Fault {
    return new Fault(faultCodeOf(code), hideTokens(`${this.#name}: ${method}: ${details}`));
  }
}

interface PutOptions {
  readonly descriptor: Uint8Array;
  readonly signal: AbortSignal;
  faultOf(status: Pick<StatusObject, "code" | "details">): Fault;
}

/** An upload: messages one after the other, each when the socket has taken the one before. */
export class PutStream implements Disposable {
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #status: Promise<Fault | undefined>;
  /** Until it was sent. */
  #descriptor: Uint8Array | undefined;
  readonly #release: () => void;

  constructor(call: ClientDuplexStream<Buffer, Buffer>, { descriptor, signal, faultOf }: PutOptions) {
    this.#call = call;
    this.#descriptor = descriptor;
    const abort = (): void => call.cancel();
    signal.addEventListener("abort", abort, { once: true });
    this.#release = () => signal.removeEventListener("abort", abort);
    this.#status = new Promise((resolve) => {
      call.on("status", (status: StatusObject) => resolve(status.code === 0 ? undefined : faultOf(status)));
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
    const ended = await this.#inTime(Promise.race([this.#status, taken]));
    if (ended === "taken") return;
    throw ended ?? new Fault("wrong_state", "The remote ended the upload before all was sent.");
  }

  /** Ends the upload; the remote has it then. @throws Fault as the remote says */
  async end(): Promise<void> {
    this.#call.end();
    const fault = await this.#inTime(this.#status);
    if (fault !== undefined) throw fault;
  }

  /** Breaks it off, unless it has ended. */
  [Symbol.dispose](): void {
    this.#release();
    this.#call.cancel();
  }

  async #inTime<T>(what: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const seconds = remoteCallMs / 1000;
      timer = setTimeout(
        () => reject(new Fault("unavailable", `The remote took nothing for ${seconds} s.`)),
        remoteCallMs,
      );
    });
    try {
      return await Promise.race([what, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
