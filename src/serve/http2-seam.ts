/**
 * The seam between grpc-js and node:http2, all of it: grpc-js has no public way to take over single calls, to set the receive
 * window of a server, or to hear of connections. It reaches into three private names of grpc-js 1.14 (`commonServerOptions`,
 * `http2Servers`, and its one `stream` listener per server); test/serve/http2-seam.test.ts fails when one of them changes.
 * Streams taken over are not counted by grpc-js, so its idle and age limits of connections stay off, and stopping counts our own.
 */

import {
  constants,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { assert } from "../model/assert.ts";
import {
  connectionWindowBytes,
  headerBytesMax,
  settingsAckMs,
  streamsPerConnectionMax,
  windowBytes,
  windowBytesMost,
  windowBytesTotal,
} from "../model/limits.ts";
import type { Connections } from "./connections.ts";
import { parseTimeoutMs, timerMsMax } from "./grpc-timeout.ts";
import { nameLocalPeer } from "./peer.ts";

interface PrivateServer {
  commonServerOptions: { settings?: Record<string, unknown> };
  http2Servers: Map<Http2Server, unknown>;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => void;

export type Take = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export interface SeamHandlers {
  /** Who takes over the calls to a path. */
  readonly takers: ReadonlyMap<string, Take>;
  /** And over the socket in the data directory; the same when it is not given. */
  readonly localTakers?: ReadonlyMap<string, Take>;
  readonly connections: Connections;
  /** Answers a call for which there is no room, with the number of streams that are open. */
  crowded(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, streams: number): void;
  /** Shown the headers of every call, also of those that grpc-js serves: it hides some from its handlers. */
  seen(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** A connection was closed; `address:port`. */
  closed(peer: string): void;
}

/** Raises the receive window of servers bound from now on; to be called before `bindAsync`. */
export function raiseWindow(server: Server): void {
  const { commonServerOptions } = server as unknown as PrivateServer;
  assert(typeof commonServerOptions === "object", "grpc-js keeps its http2 options in commonServerOptions");
  commonServerOptions.settings = {
    ...commonServerOptions.settings,
    initialWindowSize: windowBytes.most,
    maxConcurrentStreams: streamsPerConnectionMax,
    maxHeaderListSize: headerBytesMax,
  };
}

/** Puts the handlers between the bound server's sockets and grpc-js. */
export function openSeam(server: Server, handlers: SeamHandlers): Windows {
  const { http2Servers } = server as unknown as PrivateServer;
  assert(http2Servers instanceof Map && http2Servers.size > 0, "grpc-js keeps its bound servers in http2Servers");
  const windows = new Windows();
  for (const http2Server of http2Servers.keys()) {
    // Those who may open that are no strangers: their connections are not counted.
    const isLocal = typeof http2Server.address() === "string";
    const takers = isLocal ? (handlers.localTakers ?? handlers.takers) : handlers.takers;
    const listeners = http2Server.listeners("stream") as StreamListener[];
    assert(listeners.length === 1, "grpc-js listens once for streams");
    http2Server.removeAllListeners("stream");
    http2Server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => {
      handlers.connections.called(stream);
      const refusal = refusalOf(headers);
      if (refusal !== undefined) return turnAway(stream, refusal);
      const close = windows.open(stream.session);
      if (close === undefined) return handlers.crowded(stream, headers, windows.streams);
      stream.once("close", close);
      handlers.seen(stream, headers);
      const take = takers.get(headers[":path"] ?? "");
      if (take !== undefined) return take(stream, headers);
      dropLongTimeout(headers);
      for (const listener of listeners) listener.call(http2Server, stream, headers, flags);
    });
    if (!isLocal) handlers.connections.guard(http2Server);
    http2Server.on("session", (session) => {
      session.setLocalWindowSize(connectionWindowBytes);
      windows.add(session);
      const { remoteAddress, remotePort } = session.socket;
      const peer = isLocal ? nameLocalPeer(session) : `${remoteAddress}:${remotePort}`;
      session.once("close", () => handlers.closed(peer));
    });
  }
  return windows;
}

/** What is no gRPC, in the words of HTTP as the gRPC specification has them. */
function refusalOf(headers: IncomingHttpHeaders): OutgoingHttpHeaders | undefined {
  if (headers[":method"] !== "POST") return { ":status": 405, allow: "POST" };
  const isGrpc = headers["content-type"]?.startsWith("application/grpc") === true;
  return isGrpc ? undefined : { ":status": 415 };
}

function turnAway(stream: ServerHttp2Stream, refusal: OutgoingHttpHeaders): void {
  stream.on("error", () => undefined);
  stream.resume();
  stream.respond(refusal, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** grpc-js counts milliseconds in 32 bits, and takes a deadline in a month for one that has passed. */
function dropLongTimeout(headers: IncomingHttpHeaders): void {
  const timeout = headers["grpc-timeout"];
  if (typeof timeout === "string" && (parseTimeoutMs(timeout) ?? 0) > timerMsMax) delete headers["grpc-timeout"];
}

interface Connection {
  readonly session: ServerHttp2Session;
  streams: number;
  /** What the client has acknowledged. At first the largest: it may at any time. */
  acknowledged: number;
  /** What it was told and has not acknowledged. */
  told: number | undefined;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Keeps streams x window below a total: the window shrinks as streams grow, and grows again with hysteresis. What counts is what
 * clients have acknowledged, for that is what they may send; beyond a second total nobody may open a stream.
 */
export class Windows {
  readonly #connections = new Map<Http2Session, Connection>();
  #streams = 0;
  /** Bytes that all clients together may send. */
  #bytes = 0;
  #window: number = windowBytes.most;

  add(session: ServerHttp2Session): void {
    const acknowledged = windowBytes.most;
    const connection: Connection = { session, streams: 0, acknowledged, told: undefined, timer: undefined };
    this.#connections.set(session, connection);
    session.once("close", () => {
      clearTimeout(connection.timer);
      this.#connections.delete(session);
    });
    this.#tell(connection);
  }

  get streams(): number {
    return this.#streams;
  }

  /** Takes a stream into account; answers how to end that, or undefined when there is no room for its window. */
  open(session: Http2Session | undefined): (() => void) | undefined {
    const connection = session === undefined ? undefined : this.#connections.get(session);
    if (connection === undefined || this.#bytes + windowOf(connection) > windowBytesMost) return undefined;
    this.#count(connection, 1);
    return () => this.#count(connection, -1);
  }

  #count(connection: Connection, streams: 1 | -1): void {
    this.#streams += streams;
    this.#change(connection, () => {
      connection.streams += streams;
    });
    this.#adjust();
  }

  #change(connection: Connection, act: () => void): void {
    this.#bytes -= connection.streams * windowOf(connection);
    act();
    this.#bytes += connection.streams * windowOf(connection);
  }

  #adjust(): void {
    const fair = windowBytesTotal / Math.max(1, this.#streams);
    // Growing waits until there is room for twice as many streams, so that one stream more or less changes nothing.
    const wanted = Math.max(Math.min(this.#window, windowFor(fair)), windowFor(fair / 2));
    if (wanted === this.#window) return;
    this.#window = wanted;
    for (const connection of this.#connections.values()) this.#tell(connection);
  }

  /** One thing at a time: what it has to know besides it is told when it has acknowledged. */
  #tell(connection: Connection): void {
    const { session, told, acknowledged } = connection;
    const window = this.#window;
    if (told !== undefined || acknowledged === window || session.destroyed || session.closed) return;
    this.#change(connection, () => {
      connection.told = window;
    });
    connection.timer = setTimeout(() => {
      session.goaway(constants.NGHTTP2_SETTINGS_TIMEOUT);
      session.destroy();
    }, settingsAckMs);
    session.settings({ initialWindowSize: window }, (error) => {
      if (error !== null) return;
      clearTimeout(connection.timer);
      this.#change(connection, () => {
        connection.acknowledged = window;
        connection.told = undefined;
      });
      this.#tell(connection);
    });
  }
}

/** The most that the client may take for its window. */
function windowOf({ acknowledged, told = 0 }: Connection): number {
  return Math.max(acknowledged, told);
}

/** The largest power of two that is not above the share, within bounds. */
function windowFor(shareBytes: number): number {
  return Math.min(windowBytes.most, Math.max(windowBytes.least, 2 ** Math.floor(Math.log2(shareBytes))));
}
