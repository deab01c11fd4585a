/** The listening server: one port, all calls that carry anything taken over from grpc-js, stopped gracefully. */

import { Server, ServerCredentials } from "@grpc/grpc-js";
import { Budget } from "../flow/budget.ts";
import type { Certificate } from "../host/certificate.ts";
import type { SocketPlace } from "../host/control-socket.ts";
import { Fault } from "../model/fault.ts";
import {
  answerBytesTotal,
  connections,
  firstCallMs,
  grpcMessageBytesMax,
  headerBytesMax,
  keepalive,
  messageStallMs,
  stopGraceMs,
  uploadPace,
  windowBytesMost,
} from "../model/limits.ts";
import { flightPath } from "../wire/flight-call.ts";
import { toStatus } from "../wire/grpc-status.ts";
import { openDoor, type TakenCall } from "./call-door.ts";
import { Connections } from "./connections.ts";
import { type DoActionParts, doAction } from "./do-action.ts";
import { FailureLog } from "./failure-log.ts";
import { flightHandlers, flightService, type TakenName, takenCalls } from "./flight.ts";
import type { RequestLimits } from "./frame-reader.ts";
import { type GetTopicParts, getTopic } from "./get-topic.ts";
import { routeGrpcLog, silenceGrpcLog } from "./grpc-log.ts";
import type { Health } from "./health.ts";
import { healthService } from "./health.ts";
import { openSeam, raiseWindow, type Take } from "./http2-seam.ts";
import { peerOf } from "./peer.ts";
import { type PutTopicParts, putTopic } from "./put-topic.ts";
import { ResponseStream } from "./response-stream.ts";
import { getFlightInfo, getSchema, listFlights, type ShowFlightParts } from "./show-flight.ts";
import { actionLimits, type LimitsByCaller, smallLimits } from "./unary-request.ts";

export interface ServerParts
  extends PutTopicParts,
    GetTopicParts,
    Omit<DoActionParts & ShowFlightParts, "answerBudget" | "stopping"> {
  readonly health: Health;
  /** What uploads may hold together: in large messages, and in small ones. */
  readonly uploadBudget: Budget;
  readonly smallUploadBudget: Budget;
  readonly messageBytesMax: number;
  /** Files and sockets that the process may have open. */
  readonly openFilesMax: number;
  readonly host: string;
  /** 0 for any free one; undefined for none: then nobody comes but over the socket. */
  readonly port: number | undefined;
  /** In the data directory: whoever may open it may write all that is there, so it asks for no API key. */
  readonly socket: SocketPlace;
  readonly tls: Certificate | undefined;
}

export interface RunningServer {
  /** 0 when it listens on none. */
  readonly port: number;
  /** Refuses new calls, lets uploads commit what has arrived, ends within `stopGraceMs`. */
  stop(): Promise<void>;
}

/** @throws Fault unavailable when the address cannot be listened on */
export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const { log, health, dialects, authorizer } = parts;
  const failures = new FailureLog(log);
  silenceGrpcLog();
  const server = new Server({
    "grpc.max_receive_message_length": grpcMessageBytesMax,
    "grpc.max_metadata_size": headerBytesMax,
    "grpc.keepalive_time_ms": keepalive.everyMs,
    "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
    "grpc.enable_channelz": 0,
  });
  raiseWindow(server);
  const stopping = new AbortController();
  server.addService(flightService, flightHandlers({ ...parts, failures }));
  server.addService(healthService, health.handlers());
  const port = parts.port === undefined ? 0 : await bind(server, parts, parts.port);
  await bindSocket(server, parts.socket);
  routeGrpcLog(log);

  const calls = new Set<Promise<void>>();
  const open = new Set<TakenCall>();
  const uploads = new Set<TakenCall>();
  const takeOver =
    (call: string, limits: LimitsByCaller, serve: (call: TakenCall) => Promise<void>): Take =>
    (stream, headers) => {
      const ended = openDoor(stream, headers, {
        pool: parts.pool,
        limits,
        async serve(taken) {
          stopping.signal.throwIfAborted();
          open.add(taken);
          try {
            await serve(taken);
          } finally {
            open.delete(taken);
          }
        },
        failed: ({ peer }, error) => failures.failed({ call, peer }, error, authorizer.clock.monotonicMs()),
      });
      calls.add(ended);
      void ended.finally(() => calls.delete(ended));
    };
  const answerBudget = new Budget(answerBytesTotal);
  const takersFor = (own: ServerParts): ReadonlyMap<string, Take> => {
    const answering = { ...own, answerBudget, stopping: stopping.signal };
    const takers: Readonly<Record<TakenName, Take>> = {
      DoPut: takeOver("DoPut", putLimits(own), async (call) => {
        uploads.add(call);
        try {
          await putTopic(own, call);
        } finally {
          uploads.delete(call);
        }
      }),
      DoGet: takeOver("DoGet", smallLimits, (call) => getTopic(own, call)),
      DoAction: takeOver("DoAction", actionLimits(own), (call) => doAction(answering, call)),
      GetFlightInfo: takeOver("GetFlightInfo", smallLimits, (call) => getFlightInfo(answering, call)),
      GetSchema: takeOver("GetSchema", smallLimits, (call) => getSchema(answering, call)),
      ListFlights: takeOver("ListFlights", smallLimits, (call) => listFlights(answering, call)),
    };
    return new Map(takenCalls.map((name) => [flightPath(name), takers[name]]));
  };
  const guarded = new Connections({
    connectionsMax: connectionsMaxOf(parts.openFilesMax),
    firstCallMs,
    log,
    clock: authorizer.clock,
  });
  openSeam(server, {
    connections: guarded,
    crowded(stream, headers, streams) {
      const fault = new Fault(
        "overloaded",
        `Too many open streams: ${streams} are, and what they may send at once is limited to ${windowBytesMost} bytes.`,
      );
      const call = takenCalls.find((name) => flightPath(name) === headers[":path"]) ?? "other";
      failures.failed({ call, peer: peerOf(stream) }, fault, authorizer.clock.monotonicMs());
      stream.on("error", () => undefined);
      new ResponseStream(stream, new AbortController().signal).end(toStatus(fault));
    },
    takers: takersFor(parts),
    localTakers: takersFor({ ...parts, authorizer: { ...authorizer, keysRequired: false } }),
    seen(stream, headers) {
      // Only SDK 0.5 and later can switch compression on; grpc-js does not show the header to its handlers.
      const encoding = headers["grpc-encoding"] ?? "identity";
      if (encoding !== "identity") dialects.prove(dialects.connection(peerOf(stream)), "new");
    },
    closed: (peer) => dialects.closed(peer),
  });

  return {
    port,
    async stop() {
      const reason = new Fault(
        "unavailable",
        "The server is stopping; what has arrived is kept, continue the upload later.",
      );
      stopping.abort(reason);
      health.setReady(false);
      health.close();
      // Those that may wait for their client for ever; what has come whole is done.
      for (const call of open) if (uploads.has(call) || call.frames.messages === 0) call.cancel(reason);
      const shut = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const grace = AbortSignal.timeout(stopGraceMs);
      await Promise.race([
        Promise.all([...calls, shut]),
        new Promise<void>((resolve) => grace.addEventListener("abort", () => resolve(), { once: true })),
      ]);
      server.forceShutdown();
      parts.socket.remove();
      failures.close();
    },
  };
}

async function bindSocket(server: Server, socket: SocketPlace): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket.path}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve();
      else reject(new Fault("unavailable", `Cannot listen on the socket ${socket.path}: ${error.message}`, error));
    });
  });
  socket.protect();
}

function bind(server: Server, { host, tls }: ServerParts, port: number): Promise<number> {
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [{ cert_chain: tls.chain, private_key: tls.key }]);
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Fault("unavailable", `Cannot listen on ${address}: ${whyNotBound(error)}`, error));
    });
  });
}

/** Node's words stand at the end of those of grpc-js, which knows no more. */
function whyNotBound({ message }: Error): string {
  if (message.includes("EADDRINUSE"))
    return "the address is in use (EADDRINUSE); another server may run there, --port takes another one";
  return /errors: \[(.*)\]$/.exec(message)?.[1] ?? message;
}

/** Files of uploads and reads come first; a few connections there always are. */
function connectionsMaxOf(openFilesMax: number): number {
  return Math.max(8, Math.min(connections.most, Math.floor(openFilesMax / connections.filesPerConnection)));
}

function putLimits({ uploadBudget, smallUploadBudget, messageBytesMax }: ServerParts): LimitsByCaller {
  const limits: RequestLimits = {
    budget: uploadBudget,
    smallBudget: smallUploadBudget,
    freeBytesMax: 0,
    messageBytesMax,
    setting: "max_message_bytes",
    stallMs: messageStallMs,
    restMs: undefined,
    pace: uploadPace,
  };
  return () => limits;
}
