/**
 * Connections of the server: how many there may be, and that each makes a call. Without a limit they would take all descriptors,
 * which the store needs for its files.
 */

import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { refusalIntervalMs } from "../model/limits.ts";

export interface ConnectionsOptions {
  readonly connectionsMax: number;
  /** Time in which a connection makes its first call, in milliseconds. */
  readonly firstCallMs: number;
  readonly log: Log;
  readonly clock: Clock;
}

interface Silent {
  readonly timer: NodeJS.Timeout;
  session: ServerHttp2Session | undefined;
}

/** For a client to hear that its connection goes. */
const farewellMs = 1_000;

export class Connections {
  readonly #options: ConnectionsOptions;
  /** Those that have made no call, by their peer. */
  readonly #silent = new Map<string, Silent>();
  #loggedMs = Number.NEGATIVE_INFINITY;
  #refused = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  guard(server: Http2Server): void {
    const { connectionsMax } = this.#options;
    server.maxConnections = connectionsMax;
    server.on("drop", () => this.#noteRefused());
    // Before TLS and HTTP/2 have begun, which a client may leave undone.
    server.on("connection", (socket: Socket) => this.#watch(socket));
    server.on("session", (session) => {
      const silent = this.#silent.get(peerOf(session.socket));
      if (silent !== undefined) silent.session = session;
    });
  }

  /** Its connection has made a call, and may rest from now on. */
  called({ session }: ServerHttp2Stream): void {
    if (session !== undefined && this.#silent.size > 0) this.#forget(peerOf(session.socket));
  }

  #watch(socket: Socket): void {
    const peer = peerOf(socket);
    const timer = setTimeout(() => {
      const session = this.#silent.get(peer)?.session;
      this.#silent.delete(peer);
      if (session === undefined) return void socket.destroy();
      // In the words of HTTP/2: a client that was about to call opens another one.
      if (!session.destroyed) session.close();
      setTimeout(() => socket.destroy(), farewellMs).unref();
    }, this.#options.firstCallMs);
    timer.unref();
    this.#silent.set(peer, { timer, session: undefined });
    socket.once("close", () => this.#forget(peer));
  }

  #forget(peer: string): void {
    clearTimeout(this.#silent.get(peer)?.timer);
    this.#silent.delete(peer);
  }

  #noteRefused(): void {
    const { log, clock, connectionsMax } = this.#options;
    this.#refused += 1;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#loggedMs < refusalIntervalMs) return;
    log.warning("connections_refused", { connections: this.#refused, connectionsMax });
    this.#loggedMs = nowMs;
    this.#refused = 0;
  }
}

function peerOf({
  remoteAddress,
  remotePort,
}: {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
}) {
  return `${remoteAddress}:${remotePort}`;
}
