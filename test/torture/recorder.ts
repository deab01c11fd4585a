// A sensor that never stops: one stream that sends a batch every few milliseconds until the server dies, to measure how much
// of what was sent and not acknowledged a death takes.

import { setTimeout as sleep } from "node:timers/promises";
import { Int64, makeData, makeVector } from "apache-arrow";
import { CallError, FlightClient, type Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { blobs } from "../load/robot.ts";
import { createTopic, openSession } from "../round-trip.ts";

/** What deaths have taken of streams in flight. */
export interface Loss {
  /** Deaths after which a stream was looked at. */
  deaths: number;
  batchesSent: number;
  batchesLost: number;
  /** Age of the oldest lost batch of each death, since it was sent, beyond the commit interval of that life: milliseconds. */
  readonly beyondIntervalMs: number[];
}

export function nothingLost(): Loss {
  return { deaths: 0, batchesSent: 0, batchesLost: 0, beyondIntervalMs: [] };
}

export interface Death {
  readonly diedAtMs: number;
  /** The commit interval of that life. */
  readonly intervalMs: number;
}

/**
 * What a death may take of a stream beyond the commit interval: the commit in flight, and the time that dozens of processes on a
 * few cores take to send and to read. A timer or a note that is forgotten takes seconds.
 */
export const lossBeyondIntervalMsMax = 1_000;

const everyMs = 4;
const notFound = 5;

export class Recorder {
  readonly #sequence: string;
  readonly #bytes: number;
  /** When each batch was handed to the socket. */
  readonly #sentAtMs: number[] = [];
  #isCreated = false;
  #isCounted = false;

  /** @param bytes of a batch */
  constructor(sequence: string, bytes: number) {
    this.#sequence = sequence;
    this.#bytes = bytes;
  }

  get locator(): string {
    return `${this.#sequence}/imu`;
  }

  /** Ends when the server dies. */
  async run(port: number): Promise<void> {
    using client = new FlightClient(port);
    try {
      const topic = await createTopic(client, await openSession(client, this.#sequence), this.locator);
      const [schema, batch] = messages(this.#bytes);
      const put = client.openPut(topic);
      await put.sendData(schema);
      this.#isCreated = true;
      const { stream } = put.call;
      while (!stream.closed && !stream.destroyed) {
        await put.sendData(batch);
        this.#sentAtMs.push(performance.now());
        await sleep(everyMs);
      }
    } catch {
      // That is how it ends: what is there is looked at in the next life.
    }
  }

  /** Counts what is missing and deletes the sequence; may be called again when a server died meanwhile. */
  async settle(client: FlightClient, death: Death, loss: Loss): Promise<void> {
    if (this.#isCreated && !this.#isCounted) await this.#count(client, death, loss);
    this.#isCounted = true;
    await client.action("sequence_delete", { locator: this.#sequence }).catch((error: unknown) => {
      if (!(error instanceof CallError && error.code === notFound)) throw error;
    });
  }

  async #count(client: FlightClient, { diedAtMs, intervalMs }: Death, loss: Loss): Promise<void> {
    const info = await client.info({ resource_locator: this.locator });
    const [endpoint] = info.endpoint;
    const shown = JSON.parse(Buffer.from(endpoint?.appMetadata ?? []).toString()) as {
      data_info: { total_row_count: number };
    };
    const rows = shown.data_info.total_row_count;
    const lost = this.#sentAtMs.slice(rows);
    loss.deaths += 1;
    loss.batchesSent += this.#sentAtMs.length;
    loss.batchesLost += lost.length;
    loss.beyondIntervalMs.push(lost[0] === undefined ? 0 : Math.max(0, diedAtMs - lost[0] - intervalMs));
  }
}

/** A schema and a batch of one row. */
function messages(bytes: number): [Outgoing, Outgoing] {
  const stamps = makeVector(makeData({ type: new Int64(), data: BigInt64Array.of(1n) }));
  const [schema, batch] = toMessages([{ timestamp_ns: stamps, data: blobs([new Uint8Array(bytes)]) }]);
  if (schema === undefined || batch === undefined) throw new Error("a table has a schema and a batch");
  return [schema, batch];
}

/** In words; the deaths that took most come last. */
export function describeLoss({ deaths, batchesSent, batchesLost, beyondIntervalMs }: Loss): string {
  const sorted = beyondIntervalMs.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(0);
  return `of streams in flight ${deaths} deaths took ${batchesLost} of ${batchesSent} batches; the oldest was sent before the last commit interval by ${at(0.5)} ms (median), ${at(0.9)} ms (nine of ten), ${at(1)} ms (most)`;
}
