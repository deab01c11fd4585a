/** The standard gRPC health service: SERVING while uploads are accepted, NOT_SERVING when stopping or poisoned. Needs no key. */

import { create, toBinary } from "@bufbuild/protobuf";
import type {
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { Fault } from "../model/fault.ts";
import { readMessage } from "../wire/flight-data.ts";
import { toStatus } from "../wire/grpc-status.ts";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../wire/health_pb.js";

const raw = (bytes: Buffer): Buffer => bytes;
const codec = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };

export const healthService: ServiceDefinition = {
  Check: { path: "/grpc.health.v1.Health/Check", requestStream: false, responseStream: false, ...codec },
  Watch: { path: "/grpc.health.v1.Health/Watch", requestStream: false, responseStream: true, ...codec },
};

const knownServices = new Set(["", "arrow.flight.protocol.FlightService"]);

type Watcher = ServerWritableStream<Buffer, Buffer>;

export class Health {
  #ready = true;
  readonly #watchers = new Set<Watcher>();

  setReady(ready: boolean): void {
    if (ready === this.#ready) return;
    this.#ready = ready;
    for (const watcher of this.#watchers) watcher.write(encode(this.#status()));
  }

  handlers(): UntypedServiceImplementation {
    return {
      Check: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
        try {
          const { service } = readMessage(HealthCheckRequestSchema, call.request, "HealthCheckRequest");
          if (knownServices.has(service)) done(null, encode(this.#status()));
          else throw new Fault("absent", `Not found: service ${JSON.stringify(service.slice(0, 100))}.`);
        } catch (error) {
          done(toStatus(error));
        }
      },
      Watch: (call: Watcher): void => {
        try {
          const { service } = readMessage(HealthCheckRequestSchema, call.request, "HealthCheckRequest");
          if (!knownServices.has(service)) {
            call.write(encode(Serving.SERVICE_UNKNOWN));
            return;
          }
          call.write(encode(this.#status()));
          this.#watchers.add(call);
          call.on("cancelled", () => this.#watchers.delete(call));
        } catch (error) {
          call.emit("error", toStatus(error));
        }
      },
    };
  }

  /** Ends all watches, so that the server can stop. */
  close(): void {
    for (const watcher of this.#watchers) watcher.end();
    this.#watchers.clear();
  }

  #status(): Serving {
    return this.#ready ? Serving.SERVING : Serving.NOT_SERVING;
  }
}

function encode(status: Serving): Buffer {
  return Buffer.from(toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status })));
}
