/**
 * The door for calls that are taken over from grpc-js before it reads a byte of them, so that memory can be bounded in both
 * directions: grpc-js assembles whole messages before anybody is asked, and wants whole messages to send. Headers, trailers,
 * deadline, cancellation and compression of the gRPC protocol are done here; the rest is `putTopic`, `getTopic` and their like.
 */

import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { BufferPool } from "../flow/buffer-pool.ts";
import { Fault } from "../model/fault.ts";
import { okStatus, type Status, toStatus } from "../wire/grpc-status.ts";
import { FrameReader, type MessageEncoding, messageEncodings, type RequestLimits } from "./frame-reader.ts";
import { parseTimeoutMs, timerMsMax } from "./grpc-timeout.ts";
import { peerOf } from "./peer.ts";
import { ResponseStream } from "./response-stream.ts";

/** Where a call comes from: what is known before anything of it is read. */
export interface CallHead {
  readonly peer: string;
  readonly headers: IncomingHttpHeaders;
}

export interface TakenCall extends CallHead {
  readonly frames: FrameReader;
  readonly response: ResponseStream;
  /** Fires when the client is gone, the deadline has passed, or the server stops waiting. */
  readonly signal: AbortSignal;
  /** Ends the call from our side; reading and writing fail with this reason. */
  cancel(reason: Fault): void;
}

export interface DoorOptions {
  readonly pool: BufferPool;
  /** What the messages of the request may be, by who sends them. */
  limits(head: CallHead): RequestLimits;
  /** Serves one call; what it throws becomes the call's status. */
  serve(call: TakenCall): Promise<void>;
  /** Told of each failure, for the log. */
  failed(call: TakenCall, error: unknown): void;
}

/** Serves one call from headers to trailers. Never rejects. */
export async function openDoor(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  options: DoorOptions,
): Promise<void> {
  // A stream error is followed by 'close', which is what counts here.
  stream.on("error", () => undefined);
  const abort = new AbortController();
  const { signal } = abort;
  const gone = () => abort.abort(new Fault("cancelled", "The client cancelled the call or its connection broke."));
  stream.once("aborted", gone);
  stream.once("close", gone);
  const response = new ResponseStream(stream, signal);
  let status: Status = okStatus;
  let clearDeadline: () => void = () => undefined;
  let frames: FrameReader | undefined;
  try {
    clearDeadline = startDeadline(headers["grpc-timeout"], abort);
    const { pool } = options;
    const encoding = encodingOf(headers);
    const head: CallHead = { peer: peerOf(stream), headers };
    frames = new FrameReader(stream, { ...options.limits(head), pool, encoding, signal });
    const call: TakenCall = {
      ...head,
      frames,
      response,
      signal,
      cancel: (reason) => abort.abort(reason),
    };
    try {
      await options.serve(call);
    } catch (error) {
      options.failed(call, error);
      status = toStatus(error);
    }
  } catch (error) {
    status = toStatus(error);
  } finally {
    clearDeadline();
    frames?.close();
  }
  response.end(status);
}

function encodingOf(headers: IncomingHttpHeaders): MessageEncoding {
  const name = headers["grpc-encoding"] ?? "identity";
  const encoding = messageEncodings.find((known) => known === name);
  if (encoding === undefined) {
    throw new Fault(
      "unsupported",
      `Message encoding ${JSON.stringify(name)} is not supported, expected one of ${messageEncodings.join(", ")}.`,
    );
  }
  return encoding;
}

function startDeadline(timeout: string | string[] | undefined, abort: AbortController): () => void {
  if (timeout === undefined) return () => undefined;
  const milliseconds = parseTimeoutMs(String(timeout));
  if (milliseconds === undefined) {
    throw new Fault(
      "invalid",
      `The header grpc-timeout is ${JSON.stringify(timeout)}, expected up to 8 digits and a unit.`,
    );
  }
  if (milliseconds > timerMsMax) return () => undefined;
  const timer = setTimeout(
    () => abort.abort(new Fault("expired", "The deadline of the call has passed.")),
    milliseconds,
  );
  return () => clearTimeout(timer);
}
