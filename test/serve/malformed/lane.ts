// Sends hostile requests, one after the other on a topic of its own, and tells what became of each.

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { CallError, type FlightClient } from "../../load/flight-client.ts";
import type { Mutant, Topic } from "./mutations.ts";

export interface Outcome {
  /** Status of gRPC; `http <n>` when there was none, `closed <n>` when the stream was reset, `silent` when nothing came in time. */
  readonly status: string;
  readonly details: string;
}

const servicePath = "/arrow.flight.protocol.FlightService";
/** What hangs hangs for ever; a bomb takes seconds to be found out when other tests have the cores. */
const answerWaitMs = 60_000;

/** One HTTP/2 connection, taken anew when the server closes it. */
export class Wire implements Disposable {
  readonly #port: number;
  #session: ClientHttp2Session | undefined;
  /** Connections that have been opened. */
  connections = 0;

  constructor(port: number) {
    this.#port = port;
  }

  [Symbol.dispose](): void {
    this.#session?.destroy();
  }

  #connected(): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.destroyed && !known.closed) return known;
    const session = connect(`http://127.0.0.1:${this.#port}`);
    session.setMaxListeners(0);
    session.on("error", () => undefined);
    this.#session = session;
    this.connections += 1;
    return session;
  }

  async send(mutant: Mutant, topic: Topic): Promise<Outcome> {
    const path = mutant.method.startsWith("/") ? mutant.method : `${servicePath}/${mutant.method}`;
    const headers = { ":method": "POST", ":path": path, te: "trailers", "content-type": "application/grpc" };
    const endStream = mutant.headers?.[":method"] === "GET" || mutant.headers?.[":method"] === "HEAD";
    let stream: ClientHttp2Stream;
    try {
      stream = this.#connected().request({ ...headers, ...mutant.headers }, { endStream });
    } catch (error) {
      return { status: "closed", details: String(error) };
    }
    const outcome = outcomeOf(stream);
    if (!endStream) leave(stream, mutant, mutant.bytes(topic));
    return await outcome;
  }
}

function leave(stream: ClientHttp2Stream, { ending }: Mutant, bytes: Uint8Array): void {
  // What the client has sent goes out before it leaves; whether the server has taken it is up to chance.
  const written = (): void => {
    if (ending === "reset") stream.destroy();
  };
  stream.write(bytes, written);
  if (ending === "end") stream.end();
}

/** Never fails. Whatever the server answers is read and dropped. */
function outcomeOf(stream: ClientHttp2Stream): Promise<Outcome> {
  return new Promise((resolve) => {
    let status: string | undefined;
    let details = "";
    let http = 0;
    const note = (headers: Readonly<Record<string, unknown>>): void => {
      if (headers[":status"] !== undefined) http = Number(headers[":status"]);
      if (headers["grpc-status"] === undefined) return;
      status = String(headers["grpc-status"]);
      details = decodeURIComponent(String(headers["grpc-message"] ?? ""));
    };
    const timer = setTimeout(() => {
      resolve({ status: "silent", details: "" });
      stream.destroy();
    }, answerWaitMs);
    stream.on("response", note);
    stream.on("trailers", note);
    stream.on("error", () => undefined);
    stream.on("close", () => {
      clearTimeout(timer);
      const otherwise = http !== 0 && http !== 200 ? `http ${http}` : `closed ${stream.rstCode}`;
      resolve({ status: status ?? otherwise, details });
    });
    stream.resume();
  });
}

/** Topics of one sequence, a new one whenever the last was completed. */
export class Lane {
  readonly #client: FlightClient;
  readonly #sequence: string;
  #session: string | undefined;
  #topic: Topic | undefined;
  #count = 0;

  constructor(client: FlightClient, sequence: string) {
    this.#client = client;
    this.#sequence = sequence;
  }

  async topic(): Promise<Topic> {
    if (this.#topic !== undefined) return this.#topic;
    this.#session ??= await this.#open();
    this.#count += 1;
    const locator = `${this.#sequence}/${this.#count}`;
    const body = { locator, session_uuid: this.#session, ontology_tag: "t", serialization_format: "default" };
    const answer = await this.#client.action("topic_create", { ...body, user_metadata: {} });
    this.#topic = { locator, uuid: (answer as { uuid: string }).uuid };
    return this.#topic;
  }

  /** The topic was completed, or holds what the next upload must not meet. */
  leaveTopic(): void {
    this.#topic = undefined;
  }

  async #open(): Promise<string> {
    await this.#client.action("sequence_create", { locator: this.#sequence, user_metadata: {} });
    const answer = await this.#client.action("session_create", { locator: this.#sequence });
    return (answer as { uuid: string }).uuid;
  }

  /**
   * Sends a mutant to the topic, or to a new one when that has kept a dictionary of the one before, and its schema with it. A
   * topic whose stream was reset a moment ago may still be held by the server.
   */
  async send(wire: Wire, mutant: Mutant): Promise<Outcome> {
    for (let tries = 0; ; tries += 1) {
      const outcome = await wire.send(mutant, await this.topic());
      if (tries === 200) return outcome;
      if (outcome.details.includes("goes on with the schema")) this.leaveTopic();
      else if (outcome.details.includes("is being uploaded by another stream")) await sleep(5);
      else return outcome;
    }
  }
}

/** What becomes of a read: the status, and what was read when it is OK. */
export async function tryRead<T>(read: () => Promise<T>): Promise<{ status: number; details: string; value?: T }> {
  try {
    return { status: 0, details: "", value: await read() };
  } catch (error) {
    if (error instanceof CallError) return { status: error.code, details: error.message };
    throw error;
  }
}
