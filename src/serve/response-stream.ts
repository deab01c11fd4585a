/** The answering side of a call that was taken over: headers, message bytes as the client takes them, trailers. */

import { constants, type ServerHttp2Stream } from "node:http2";
import { encodeStatusMessage, overloadedStatus, type Status, statusDetailsMax } from "../wire/grpc-status.ts";
import { messageEncodings } from "./frame-reader.ts";

const responseHeaders = {
  ":status": 200,
  "content-type": "application/grpc+proto",
  "grpc-accept-encoding": messageEncodings.join(","),
} as const;

export class ResponseStream {
  readonly #stream: ServerHttp2Stream;
  readonly #signal: AbortSignal;
  #trailers: Record<string, string> = {};
  /** Writes that the socket has not taken. */
  #writing = 0;

  constructor(stream: ServerHttp2Stream, signal: AbortSignal) {
    this.#stream = stream;
    this.#signal = signal;
  }

  /**
   * Writes bytes of gRPC messages; ends when the socket has taken them. They must not change until then, and not at all
   * after a failure: they may still be on their way.
   * @throws what the call's signal says
   */
  write(bytes: Uint8Array): Promise<void> {
    const stream = this.#stream;
    const signal = this.#signal;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (!stream.headersSent) this.#respond();
      const aborted = (): void => reject(signal.reason);
      signal.addEventListener("abort", aborted, { once: true });
      this.#writing += 1;
      stream.write(bytes, (error) => {
        this.#writing -= 1;
        signal.removeEventListener("abort", aborted);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  #respond(): void {
    this.#stream.respond(responseHeaders, { waitForTrailers: true });
    this.#stream.once("wantTrailers", () => this.#stream.sendTrailers(this.#trailers));
  }

  /** Sends the status as the last thing; by a reset, when the call was broken off while the client had yet to take bytes of it. */
  end({ code, details }: Status): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    if (this.#signal.aborted && this.#writing > 0) {
      // They would stay until the client reads, and nobody counts them any more.
      stream.close(resetCodeOf(code));
      stream.destroy();
      return;
    }
    // What the client sends from now on is dropped: Node keeps a closed stream until its last byte was read.
    stream.resume();
    if (stream.closed) return;
    this.#trailers = {
      "grpc-status": String(code),
      ...(details === "" ? {} : { "grpc-message": encodeStatusMessage(details.slice(0, statusDetailsMax)) }),
    };
    if (stream.headersSent || code === 0) {
      if (!stream.headersSent) this.#respond();
      stream.end();
      return;
    }
    stream.respond({ ...responseHeaders, ...this.#trailers }, { endStream: true });
    // The client may still be sending: tell it that nobody reads any more. NO_ERROR lets it keep the status.
    stream.close(constants.NGHTTP2_NO_ERROR);
  }
}

/** Clients make RESOURCE_EXHAUSTED of the one and CANCELLED of the other. */
function resetCodeOf(status: number): number {
  return status === overloadedStatus ? constants.NGHTTP2_ENHANCE_YOUR_CALM : constants.NGHTTP2_CANCEL;
}
