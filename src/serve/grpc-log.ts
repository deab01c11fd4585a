/** What grpc-js has to say goes to our log, for it would write raw lines to stderr. */

import { format } from "node:util";
import { setLogger } from "@grpc/grpc-js";
import type { Log } from "../host/log.ts";

/** Until there is a port: what cannot be listened on is told once, by whoever asked for it. */
export function silenceGrpcLog(): void {
  setLogger({});
}

/** For the whole process: grpc-js has one logger. How much it says is set by its own variable GRPC_VERBOSITY. */
export function routeGrpcLog(log: Log): void {
  const say =
    (level: "error" | "info" | "debug") =>
    (...words: unknown[]): void =>
      log[level]("grpc_message", { message: format(...words) });
  setLogger({ error: say("error"), info: say("info"), debug: say("debug") });
}
