/**
 * The door of DoPut: takes the calls over from grpc-js before it reads a byte of them, so that memory can be bounded. Headers,
 * trailers, deadline, cancellation and compression of the gRPC protocol are done here; everything else is `putTopic`.
 */

import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Budget } from "../flow/budget.ts";
import type { BufferPool } from "../flow/buffer-pool.ts";
import { Fault } from "../model/fault.ts";
import { FrameReader, type MessageEncoding, messageEncodings } from "./frame-reader.ts";
import { encodeStatusMessage, okStatus, type Status, statusDetailsMax, toStatus } from "./status.ts";

export const putPath = "/arrow.flight.protocol.FlightService/DoPut";

export interface PutCall {
  readonly peer: string;
  readonly headers: IncomingHttpHeaders;
  readonly frames: FrameReader;
  /** Fires when the client is gone, the deadline has passed, or the server stops waiting. */
  readonly signal: AbortSignal;
  /** Ends the call from our side; reading fails with this reason. */
  cancel(reason: Fault): void;
}

export interface PutDoorOptions {
  readonly budget: Budget;
  readonly pool: BufferPool;
  readonly messageBytesMax: number;
  /** Serves one call; what it throws becomes the call's status. */
  serve(call: PutCall): Promise<void>;
  /** Told of each status, for the log. */
  ended(call: PutCall, error: unknown): void;
}

/** Serves one DoPut stream from headers to trailers. Never rejects. */
export async function openPutDoor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: PutDoorOptions): Promise<void> {
  // A stream error is followed by 'close', which is what counts here.
  stream.on("error", () => undefined);
  const abort = new AbortController();
  const gone = () => abort.abort(new Fault("cancelled", "The client cancelled the call or its connection broke."));
  stream.once("aborted", gone);
  stream.once("close", gone);
  let status: Status = okStatus;
  let clearDeadline: () => void = () => undefined;
  let frames: FrameReader | undefined;
  try {
    clearDeadline = startDeadline(headers["grpc-timeout"], abort);
    const { budget, pool, messageBytesMax } = options;
    frames = new FrameReader(stream, { budget, pool, messageBytesMax, encoding: encodingOf(headers), signal: abort.signal });
    const call: PutCall = { peer: peerOf(stream), headers, frames, signal: abort.signal, cancel: (reason) => abort.abort(reason) };
    try {
      await options.serve(call);
    } catch (error) {
      options.ended(call, error);
      status = toStatus(error);
    }
  } catch (error) {
    status = toStatus(error);
  } finally {
    clearDeadline();
    frames?.close();
  }
  answer(stream, status);
}

/** Peer of a stream as `address:port`, in the form that grpc-js gives to handlers. */
export function peerOf(stream: ServerHttp2Stream): string {
  const socket = stream.session?.socket;
  return socket?.remoteAddress === undefined ? "unknown" : `${socket.remoteAddress}:${socket.remotePort}`;
}

function encodingOf(headers: IncomingHttpHeaders): MessageEncoding {
  const name = headers["grpc-encoding"] ?? "identity";
  const encoding = messageEncodings.find((known) => known === name);
  if (encoding === undefined) {
    throw new Fault("unsupported", `Message encoding ${JSON.stringify(name)} is not supported, expected one of ${messageEncodings.join(", ")}.`);
  }
  return encoding;
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

// setTimeout fires at once beyond 2^31 - 1 ms; a deadline 24 days away is none.
const timerMsMax = 2 ** 31 - 1;

function startDeadline(timeout: string | string[] | undefined, abort: AbortController): () => void {
  if (timeout === undefined) return () => undefined;
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(String(timeout));
  const unit = unitMs[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    throw new Fault("invalid", `The header grpc-timeout is ${JSON.stringify(timeout)}, expected up to 8 digits and a unit.`);
  }
  const milliseconds = Number(match[1]) * unit;
  if (milliseconds > timerMsMax) return () => undefined;
  const timer = setTimeout(() => abort.abort(new Fault("expired", "The deadline of the call has passed.")), milliseconds);
  return () => clearTimeout(timer);
}

function answer(stream: ServerHttp2Stream, status: Status): void {
  if (stream.destroyed || stream.closed) return;
  const head = { ":status": 200, "content-type": "application/grpc+proto" };
  const trailers = {
    "grpc-status": String(status.code),
    ...(status.details === "" ? {} : { "grpc-message": encodeStatusMessage(status.details.slice(0, statusDetailsMax)) }),
  };
  if (status.code !== 0) {
    stream.respond({ ...head, ...trailers }, { endStream: true });
    // The client may still be sending: tell it that nobody reads any more. NO_ERROR lets it keep the status.
    stream.close(constants.NGHTTP2_NO_ERROR);
    return;
  }
  stream.respond(head, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end();
}
