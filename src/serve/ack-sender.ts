/**
 * Tells a client that asked for it what of its topic is durable, after each commit: PutResults whose app_metadata is
 * `{"rows":n,"batches":n}`. A client that does not read gets the last one only, when it reads again.
 */

import { create, toBinary } from "@bufbuild/protobuf";
import type { Durable } from "../ingest/topic-writer.ts";
import type { Upload } from "../ingest/upload.ts";
import { PutResultSchema } from "../wire/flight_pb.js";
import { frame } from "./answer-sender.ts";
import type { ResponseStream } from "./response-stream.ts";

export class AckSender {
  readonly #response: ResponseStream;
  #latest: Durable | undefined;
  #sending: Promise<void> | undefined;

  constructor(response: ResponseStream, upload: Upload) {
    this.#response = response;
    upload.onDurable((durable) => this.#note(durable));
    // What earlier uploads have left, so that a client knows at once where it stands.
    this.#note(upload.durable);
  }

  #note(durable: Durable): void {
    this.#latest = durable;
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  async #send(): Promise<void> {
    try {
      for (let durable = this.#latest; durable !== undefined; durable = this.#latest) {
        this.#latest = undefined;
        await this.#response.write(encode(durable));
      }
    } catch {
      // The client is gone; the stream hears of it by itself.
    }
  }

  /** Ends when the last one has gone to the socket. */
  async flush(): Promise<void> {
    await this.#sending;
  }
}

function encode({ rows, batches }: Durable): Uint8Array {
  const appMetadata = new TextEncoder().encode(JSON.stringify({ rows, batches }));
  return frame(toBinary(PutResultSchema, create(PutResultSchema, { appMetadata })));
}
