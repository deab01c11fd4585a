// The seam between grpc-js and node:http2: the private names that it needs are there, one path is taken over while all others go
// to grpc-js, and stream windows follow the number of streams.

import { EventEmitter, once } from "node:events";
import http2, { type ServerHttp2Session } from "node:http2";
import net from "node:net";
import grpc from "@grpc/grpc-js";
import { describe, expect, test, vi } from "vitest";
import { machineClock } from "../../src/host/clock.ts";
import { openLog } from "../../src/host/log.ts";
import {
  headerBytesMax,
  settingsAckMs,
  streamsPerConnectionMax,
  windowBytes,
  windowBytesMost,
  windowBytesTotal,
} from "../../src/model/limits.ts";
import { Connections } from "../../src/serve/connections.ts";
import { openSeam, raiseWindow, type SeamHandlers, Windows } from "../../src/serve/http2-seam.ts";

const takenPath = "/seam.Test/Taken";
const echoPath = "/seam.Test/Echo";

function echo(bytes: Buffer): grpc.MethodDefinition<Buffer, Buffer> {
  const identity = (value: Buffer): Buffer => value;
  return {
    path: echoPath,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: () => bytes,
  };
}

interface Bound extends AsyncDisposable {
  readonly server: grpc.Server;
  readonly port: number;
}

async function bind(): Promise<Bound> {
  const server = new grpc.Server();
  raiseWindow(server);
  server.addService(
    { echo: { ...echo(Buffer.alloc(0)), responseDeserialize: (value: Buffer) => value } },
    {
      echo: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) =>
        answer(null, call.request),
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    server,
    port,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

function guardOf({ connectionsMax = 100, firstCallMs = 60_000 } = {}): Connections {
  return new Connections({ connectionsMax, firstCallMs, log: openLog("error"), clock: machineClock() });
}

/** Handlers that answer each taken call with a status of its own and note what they are shown. */
function noting(): SeamHandlers & { readonly paths: string[]; readonly closedPeers: string[] } {
  const paths: string[] = [];
  const closedPeers: string[] = [];
  return {
    paths,
    closedPeers,
    connections: guardOf(),
    crowded: () => undefined,
    takers: new Map([
      [
        takenPath,
        (stream) => {
          stream.resume();
          stream.respond(
            { ":status": 200, "content-type": "application/grpc", "grpc-status": "11" },
            { endStream: true },
          );
        },
      ],
    ]),
    seen: (_stream, headers) => paths.push(headers[":path"] ?? ""),
    closed: (peer) => closedPeers.push(peer),
  };
}

function callEcho(port: number, text: string): Promise<string> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const identity = (value: Buffer): Buffer => value;
  return new Promise<string>((resolve, reject) => {
    client.makeUnaryRequest(echoPath, identity, identity, Buffer.from(text), (error, value) => {
      client.close();
      if (error !== null) reject(error);
      else resolve(value?.toString() ?? "");
    });
  });
}

/** Calls a path on a session; the grpc-status of the answer. */
async function callRaw(session: http2.ClientHttp2Session, path: string, extra: object = {}): Promise<unknown> {
  const stream = session.request({
    ...extra,
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(Buffer.from([0, 0, 0, 0, 0]));
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("trailers", (given) => {
    trailers = given;
  });
  const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  stream.resume();
  await once(stream, "close");
  return headers["grpc-status"] ?? trailers["grpc-status"];
}

describe("the private names of grpc-js", () => {
  test("options, servers and the one listener are where the seam looks for them", async () => {
    await using bound = await bind();
    const inside = bound.server as unknown as { commonServerOptions: object; http2Servers: Map<EventEmitter, unknown> };
    expect(inside.commonServerOptions).toMatchObject({ settings: { initialWindowSize: windowBytes.most } });
    expect(inside.http2Servers).toBeInstanceOf(Map);
    expect([...inside.http2Servers.keys()].map((server) => server.listenerCount("stream"))).toEqual([1]);
    openSeam(bound.server, noting());
    expect([...inside.http2Servers.keys()].map((server) => server.listenerCount("stream"))).toEqual([1]);
  });

  test("a server that is not bound has no seam", () => {
    const server = new grpc.Server();
    expect(() => openSeam(server, noting())).toThrow("grpc-js keeps its bound servers in http2Servers");
  });

  test("names that have gone are found out", () => {
    const server = new grpc.Server();
    Object.assign(server, { commonServerOptions: undefined, http2Servers: undefined });
    expect(() => raiseWindow(server)).toThrow("grpc-js keeps its http2 options in commonServerOptions");
    expect(() => openSeam(server, noting())).toThrow("grpc-js keeps its bound servers in http2Servers");
  });

  test("a second listener for streams is found out", async () => {
    await using bound = await bind();
    const { http2Servers } = bound.server as unknown as { http2Servers: Map<EventEmitter, unknown> };
    for (const server of http2Servers.keys()) server.on("stream", () => undefined);
    expect(() => openSeam(bound.server, noting())).toThrow("grpc-js listens once for streams");
  });
});

describe("calls", () => {
  test("one path is taken over while another goes to grpc-js, on one connection", async () => {
    await using bound = await bind();
    const handlers = noting();
    openSeam(bound.server, handlers);
    const session = http2.connect(`http://127.0.0.1:${bound.port}`);
    expect(await callRaw(session, takenPath)).toBe("11");
    expect(await callRaw(session, echoPath)).toBe("0");
    expect(await callRaw(session, "/seam.Test/Unknown")).toBe("12");
    expect(await callRaw(session, `${takenPath}/`)).toBe("12");
    expect(await callRaw(session, takenPath)).toBe("11");
    expect(handlers.paths).toEqual([takenPath, echoPath, "/seam.Test/Unknown", `${takenPath}/`, takenPath]);
    session.close();
    await once(session, "close");
  });

  test("grpc-js answers with what it was sent", async () => {
    await using bound = await bind();
    openSeam(bound.server, noting());
    expect(await callEcho(bound.port, "across the seam")).toBe("across the seam");
  });

  test("streams are counted while they are open", async () => {
    await using bound = await bind();
    const ends: (() => void)[] = [];
    const windows = openSeam(bound.server, {
      ...noting(),
      takers: new Map([
        [
          takenPath,
          (stream) => {
            stream.resume();
            stream.respond({ ":status": 200 });
            ends.push(() => stream.end());
          },
        ],
      ]),
    });
    const session = http2.connect(`http://127.0.0.1:${bound.port}`);
    const streams = [0, 1, 2].map(() =>
      session.request({ ":method": "POST", ":path": takenPath, "content-type": "application/grpc" }),
    );
    await Promise.all(streams.map((stream) => once(stream, "response")));
    await callEcho(bound.port, "x");
    await expect.poll(() => windows.streams).toBe(3);
    for (const end of ends) end();
    for (const stream of streams) stream.resume().end();
    await Promise.all(streams.map((stream) => once(stream, "close")));
    session.close();
    await once(session, "close");
    await expect.poll(() => windows.streams).toBe(0);
  });

  test("a connection's end is told with the peer that its calls had", async () => {
    await using bound = await bind();
    const handlers = noting();
    openSeam(bound.server, handlers);
    const session = http2.connect(`http://127.0.0.1:${bound.port}`);
    await callRaw(session, takenPath);
    const peer = `127.0.0.1:${session.socket.localPort}`;
    expect(handlers.closedPeers).toEqual([]);
    session.destroy();
    await expect.poll(() => handlers.closedPeers).toEqual([peer]);
  });

  test.each([
    ["HEAD", "application/grpc", 405],
    ["GET", "application/grpc", 405],
    ["POST", "application/json", 415],
    ["POST", undefined, 415],
  ])("%s of %s is no gRPC: HTTP status %i", async (method, type, status) => {
    await using bound = await bind();
    const handlers = noting();
    openSeam(bound.server, handlers);
    const session = http2.connect(`http://127.0.0.1:${bound.port}`);
    for (const path of [takenPath, echoPath]) {
      const headers = type === undefined ? {} : { "content-type": type };
      const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: true });
      const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
      expect(answer[":status"]).toBe(status);
      stream.resume();
      await once(stream, "close");
    }
    expect(handlers.paths).toEqual([]);
    session.destroy();
  });

  test("a deadline in a month is none for grpc-js", async () => {
    await using bound = await bind();
    openSeam(bound.server, noting());
    const session = http2.connect(`http://127.0.0.1:${bound.port}`);
    expect(await callRaw(session, echoPath, { "grpc-timeout": "2592000S" })).toBe("0");
    session.destroy();
  });

  test("a connection that makes no call is closed, one that has made one may rest", async () => {
    await using bound = await bind();
    openSeam(bound.server, { ...noting(), connections: guardOf({ firstCallMs: 300 }) });
    const session = http2.connect(`http://127.0.0.1:${bound.port}`);
    const silent = http2.connect(`http://127.0.0.1:${bound.port}`);
    const bare = net.connect(bound.port, "127.0.0.1").resume();
    expect(await callRaw(session, echoPath)).toBe("0");
    await Promise.all([once(silent, "close"), once(bare, "close")]);
    expect(session.destroyed).toBe(false);
    expect(await callRaw(session, echoPath)).toBe("0");
    session.destroy();
  });

  test("connections beyond the limit are refused until others go", async () => {
    await using bound = await bind();
    openSeam(bound.server, { ...noting(), connections: guardOf({ connectionsMax: 2 }) });
    const open = [0, 1].map(() => http2.connect(`http://127.0.0.1:${bound.port}`));
    for (const session of open) expect(await callRaw(session, echoPath)).toBe("0");
    await once(
      net
        .connect(bound.port, "127.0.0.1")
        .on("error", () => undefined)
        .resume(),
      "close",
    );
    expect(await callRaw(open[0] as http2.ClientHttp2Session, echoPath)).toBe("0");
    for (const session of open) session.destroy();
    await expect.poll(() => callEcho(bound.port, "again").catch(() => "refused")).toBe("again");
  });

  test("clients are told of the raised limits", async () => {
    await using bound = await bind();
    openSeam(bound.server, noting());
    const session = http2.connect(`http://127.0.0.1:${bound.port}`);
    await once(session, "remoteSettings");
    expect(session.remoteSettings).toMatchObject({
      initialWindowSize: windowBytes.most,
      maxConcurrentStreams: streamsPerConnectionMax,
      maxHeaderListSize: headerBytesMax,
    });
    await callRaw(session, echoPath);
    expect(session.state.remoteWindowSize).toBeGreaterThan(2 ** 23);
    session.destroy();
  });
});

describe("windows", () => {
  const KiB = 1024;

  /** What stands for a connection: only what Windows asks of it. */
  class Connection extends EventEmitter {
    readonly told: number[] = [];
    readonly #acknowledgements: (() => void)[] = [];
    readonly #ends: (() => void)[] = [];
    /** A client that acknowledges what it is told at once. */
    prompt = true;
    destroyed = false;
    closed = false;
    settings({ initialWindowSize }: { initialWindowSize: number }, done: (error: Error | null) => void): void {
      this.told.push(initialWindowSize);
      this.#acknowledgements.push(() => done(null));
      if (this.prompt) this.acknowledge();
    }
    acknowledge(): void {
      this.#acknowledgements.shift()?.();
    }
    goaway(): void {}
    destroy(): void {
      this.destroyed = true;
    }
    get session(): ServerHttp2Session {
      return this as unknown as ServerHttp2Session;
    }
    /** Opens streams until so many are open in all, or there is no room. */
    open(windows: Windows, streams: number): void {
      while (windows.streams < streams) {
        const end = windows.open(this.session);
        if (end === undefined) return;
        this.#ends.push(end);
      }
    }
    close(windows: Windows, streams: number): void {
      while (windows.streams > streams) this.#ends.pop()?.();
    }
  }

  test.each([
    [1, []],
    [128, []],
    [129, [256 * KiB]],
    [256, [256 * KiB]],
    [257, [256 * KiB, 128 * KiB]],
    [513, [256 * KiB, 128 * KiB, 64 * KiB]],
    [1_024, [256 * KiB, 128 * KiB, 64 * KiB]],
    [4_096, [256 * KiB, 128 * KiB, 64 * KiB]],
  ])("%i streams: connections are told %j", (streams, told) => {
    const windows = new Windows();
    const connection = new Connection();
    windows.add(connection.session);
    connection.open(windows, streams);
    expect(connection.told).toEqual(told);
  });

  test("streams x window stay below the total as long as the least window allows it", () => {
    const windows = new Windows();
    const connection = new Connection();
    windows.add(connection.session);
    let window: number = windowBytes.most;
    for (let streams = 1; streams <= windowBytesTotal / windowBytes.least; streams += 1) {
      connection.open(windows, streams);
      window = connection.told.at(-1) ?? window;
      expect(streams * window).toBeLessThanOrEqual(windowBytesTotal);
    }
    for (let streams = windows.streams; streams > 0; streams -= 1) {
      window = connection.told.at(-1) ?? window;
      expect(streams * window).toBeLessThanOrEqual(windowBytesTotal);
      connection.close(windows, streams - 1);
    }
  });

  test.each([128, 256, 512])("at %i streams one more or less, again and again, changes nothing", (streams) => {
    const windows = new Windows();
    const connection = new Connection();
    windows.add(connection.session);
    connection.open(windows, streams + 1);
    const before = connection.told.length;
    for (let round = 0; round < 10; round += 1) {
      connection.close(windows, streams);
      connection.open(windows, streams + 1);
    }
    expect(connection.told.length).toBe(before);
  });

  test("the window grows when there is room for twice as many streams, step by step", () => {
    const windows = new Windows();
    const connection = new Connection();
    windows.add(connection.session);
    connection.open(windows, 1_000);
    const before = connection.told.length;
    const grown: number[] = [];
    for (let streams = 1_000; streams > 0; streams -= 1) {
      const told = connection.told.length;
      connection.close(windows, streams - 1);
      if (connection.told.length > told) grown.push(windows.streams);
    }
    expect(connection.told.slice(before)).toEqual([128 * KiB, 256 * KiB, 512 * KiB]);
    expect(grown).toEqual([256, 128, 64]);
  });

  test("when few streams are left the window is large again", () => {
    const windows = new Windows();
    const connection = new Connection();
    windows.add(connection.session);
    connection.open(windows, 1_000);
    connection.close(windows, 0);
    expect(connection.told.at(-1)).toBe(windowBytes.most);
    expect(windows.streams).toBe(0);
  });

  test("a connection that comes while the window is small is told so, one that comes before is not told twice", () => {
    const windows = new Windows();
    const before = new Connection();
    windows.add(before.session);
    expect(before.told).toEqual([]);
    before.open(windows, 300);
    const late = new Connection();
    windows.add(late.session);
    expect(late.told).toEqual([128 * KiB]);
    expect(before.told).toEqual([256 * KiB, 128 * KiB]);
  });

  test("connections that have gone are not told, and not kept", () => {
    const windows = new Windows();
    const [destroyed, closing, gone, busy] = [new Connection(), new Connection(), new Connection(), new Connection()];
    for (const connection of [destroyed, closing, gone, busy]) windows.add(connection.session);
    destroyed.destroyed = true;
    closing.closed = true;
    gone.emit("close");
    busy.open(windows, 600);
    expect([destroyed, closing, gone].map(({ told }) => told)).toEqual([[], [], []]);
  });

  test("a client that does not acknowledge has the larger window, and no more streams than fit with it", () => {
    const windows = new Windows();
    const connection = new Connection();
    connection.prompt = false;
    windows.add(connection.session);
    connection.open(windows, 10_000);
    expect(windows.streams).toBe(windowBytesMost / windowBytes.most);
    expect(connection.told).toEqual([256 * KiB]);
    const other = new Connection();
    windows.add(other.session);
    expect(windows.open(other.session)).toBeUndefined();
    connection.acknowledge();
    expect(connection.told).toEqual([256 * KiB, 128 * KiB]);
    expect(windows.open(other.session)).toBeTypeOf("function");
    connection.prompt = true;
    connection.acknowledge();
    connection.open(windows, 10_000);
    expect(windows.streams).toBe(windowBytesMost / windowBytes.least);
    connection.close(windows, 1);
  });

  test("a client that never acknowledges is closed", () => {
    vi.useFakeTimers();
    try {
      const windows = new Windows();
      const connection = new Connection();
      connection.prompt = false;
      windows.add(connection.session);
      connection.open(windows, 200);
      vi.advanceTimersByTime(settingsAckMs - 1);
      expect(connection.destroyed).toBe(false);
      vi.advanceTimersByTime(1);
      expect(connection.destroyed).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});
