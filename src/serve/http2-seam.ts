/**
 * The seam between grpc-js and node:http2, all of it: grpc-js has no public way to take over single calls, to set the receive
 * window of a server, or to hear of connections. It reaches into three private names of grpc-js 1.14 (`commonServerOptions`,
 * `http2Servers`, and its one `stream` listener per server); test/serve/http2-seam.test.ts fails when one of them changes.
 * Streams taken over are not counted by grpc-js, so its idle and age limits of connections stay off, and stopping counts our own.
 */

import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { assert } from "../model/assert.ts";
import {
  connectionWindowBytes,
  headerBytesMax,
  streamsPerConnectionMax,
  windowBytes,
  windowBytesTotal,
} from "../model/limits.ts";

interface PrivateServer {
  commonServerOptions: { settings?: Record<string, unknown> };
  http2Servers: Map<Http2Server, unknown>;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => void;

export type Take = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export interface SeamHandlers {
  /** Who takes over the calls to a path. */
  readonly takers: ReadonlyMap<string, Take>;
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
    const listeners = http2Server.listeners("stream") as StreamListener[];
    assert(listeners.length === 1, "grpc-js listens once for streams");
    http2Server.removeAllListeners("stream");
    http2Server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => {
      handlers.seen(stream, headers);
      const take = handlers.takers.get(headers[":path"] ?? "");
      if (take === undefined) {
        for (const listener of listeners) listener.call(http2Server, stream, headers, flags);
        return;
      }
      windows.opened();
      stream.once("close", () => windows.closed());
      take(stream, headers);
    });
    http2Server.on("session", (session) => {
      session.setLocalWindowSize(connectionWindowBytes);
      windows.add(session);
      const { remoteAddress, remotePort } = session.socket;
      session.once("close", () => handlers.closed(`${remoteAddress}:${remotePort}`));
    });
  }
  return windows;
}

/** Keeps streams x window below a total: the window shrinks as streams grow, and grows again with hysteresis. */
export class Windows {
  readonly #sessions = new Set<ServerHttp2Session>();
  #streams = 0;
  #window: number = windowBytes.most;

  add(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    if (this.#window !== windowBytes.most) session.settings({ initialWindowSize: this.#window });
  }

  get streams(): number {
    return this.#streams;
  }

  opened(): void {
    this.#streams += 1;
    this.#adjust();
  }

  closed(): void {
    this.#streams -= 1;
    this.#adjust();
  }

  #adjust(): void {
    const fair = windowBytesTotal / Math.max(1, this.#streams);
    // Growing waits until there is room for twice as many streams, so that one stream more or less changes nothing.
    const wanted = Math.max(Math.min(this.#window, windowFor(fair)), windowFor(fair / 2));
    if (wanted === this.#window) return;
    this.#window = wanted;
    for (const session of this.#sessions) {
      if (!session.destroyed && !session.closed) session.settings({ initialWindowSize: wanted });
    }
  }
}

/** The largest power of two that is not above the share, within bounds. */
function windowFor(shareBytes: number): number {
  return Math.min(windowBytes.most, Math.max(windowBytes.least, 2 ** Math.floor(Math.log2(shareBytes))));
}
