/** The listening server: one port, grpc-js for everything but DoGet and DoPut, stopped gracefully. */

import { Server, ServerCredentials } from "@grpc/grpc-js";
import { Budget } from "../flow/budget.ts";
import type { BufferPool } from "../flow/buffer-pool.ts";
import type { Certificate } from "../host/certificate.ts";
import type { Log } from "../host/log.ts";
import type { Uploads } from "../ingest/uploads.ts";
import { Fault } from "../model/fault.ts";
import { actionBytesMax, headerBytesMax, keepalive, stopGraceMs, ticketBytesMax } from "../model/limits.ts";
import { openDoor, peerOf, type TakenCall } from "./call-door.ts";
import { FailureLog } from "./failure-log.ts";
import { type FlightParts, flightHandlers, flightService, getPath, putPath } from "./flight.ts";
import { getTopic } from "./get-topic.ts";
import { routeGrpcLog } from "./grpc-log.ts";
import type { Health } from "./health.ts";
import { healthService } from "./health.ts";
import { openSeam, raiseWindow, type Take } from "./http2-seam.ts";
import { putTopic } from "./put-topic.ts";

export interface ServerParts extends Omit<FlightParts, "failures" | "stopping"> {
  readonly log: Log;
  readonly uploads: Uploads;
  readonly health: Health;
  /** What uploads may hold together. */
  readonly uploadBudget: Budget;
  readonly pool: BufferPool;
  readonly messageBytesMax: number;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly tls: Certificate | undefined;
}

export interface RunningServer {
  readonly port: number;
  /** Refuses new calls, lets uploads commit what has arrived, ends within `stopGraceMs`. */
  stop(): Promise<void>;
}

/** Messages of the calls that grpc-js serves: the largest is an action's body. */
const unaryBytesMax = actionBytesMax + 64 * 1024;

/** @throws Fault unavailable when the address cannot be listened on */
export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const { log, health, dialects, authorizer } = parts;
  const failures = new FailureLog(log);
  routeGrpcLog(log);
  const server = new Server({
    "grpc.max_receive_message_length": unaryBytesMax,
    "grpc.max_send_message_length": -1,
    "grpc.max_metadata_size": headerBytesMax,
    "grpc.keepalive_time_ms": keepalive.everyMs,
    "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
    "grpc.enable_channelz": 0,
  });
  raiseWindow(server);
  const stopping = new AbortController();
  server.addService(flightService, flightHandlers({ ...parts, failures, stopping: stopping.signal }));
  server.addService(healthService, health.handlers());
  const port = await bind(server, parts);

  const calls = new Set<Promise<void>>();
  /** Those that may wait for their client for ever, also such that have not begun an upload yet. */
  const puts = new Set<TakenCall>();
  const takeOver =
    (
      call: string,
      { budget, messageBytesMax }: { budget: () => Budget; messageBytesMax: number },
      serve: (call: TakenCall) => Promise<void>,
    ): Take =>
    (stream, headers) => {
      const ended = openDoor(stream, headers, {
        budget: budget(),
        pool: parts.pool,
        messageBytesMax,
        async serve(taken) {
          stopping.signal.throwIfAborted();
          await serve(taken);
        },
        failed: ({ peer }, error) => failures.failed({ call, peer }, error, authorizer.clock.monotonicMs()),
      });
      calls.add(ended);
      void ended.finally(() => calls.delete(ended));
    };
  openSeam(server, {
    takers: new Map([
      [
        putPath,
        takeOver(
          "DoPut",
          { budget: () => parts.uploadBudget, messageBytesMax: parts.messageBytesMax },
          async (call) => {
            puts.add(call);
            try {
              await putTopic(parts, call);
            } finally {
              puts.delete(call);
            }
          },
        ),
      ],
      // A ticket needs next to nothing and must not wait behind uploads.
      [
        getPath,
        takeOver("DoGet", { budget: () => new Budget(ticketBytesMax), messageBytesMax: ticketBytesMax }, (call) =>
          getTopic(parts, call),
        ),
      ],
    ]),
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
      for (const put of puts) put.cancel(reason);
      const shut = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const grace = AbortSignal.timeout(stopGraceMs);
      await Promise.race([
        Promise.all([...calls, shut]),
        new Promise<void>((resolve) => grace.addEventListener("abort", () => resolve(), { once: true })),
      ]);
      server.forceShutdown();
      failures.close();
    },
  };
}

function bind(server: Server, { host, port, tls }: ServerParts): Promise<number> {
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [{ cert_chain: tls.chain, private_key: tls.key }]);
  const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Fault("unavailable", `Cannot listen on ${address}: ${error.message}`, error));
    });
  });
}
