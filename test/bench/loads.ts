// The loads of the benchmark: what each stream sends. Batches are made once; only their times change from one to the next.

import { Binary, Int64, makeData, makeVector, vectorFromArray } from "apache-arrow";
import { readBatch } from "../../src/arrow/batch.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { readSchema } from "../../src/arrow/schema.ts";
import type { Outgoing } from "../load/flight-client.ts";
import { type Columns, toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";

const MiB = 2 ** 20;

/** Topics that are alike. */
export interface LoadPart {
  readonly topics: number;
  /** Batches of each topic. */
  readonly batches: number;
  /** One batch; all batches of the part look like it. */
  readonly columns: Columns;
  /** Batches of each topic per second, where it is paced. */
  readonly rateHz?: number;
}

export interface Load {
  readonly name: string;
  readonly parts: readonly LoadPart[];
  /** Arguments of the server besides. */
  readonly args?: readonly string[];
}

/** One topic of 16 columns: the ceiling of one stream. */
export function single(batchMiB: number, totalMiB: number): Load {
  const columns = doubles(Math.floor((batchMiB * MiB) / (16 * 8)), 15, 1);
  return {
    name: `single ${batchMiB} MiB`,
    parts: [
      {
        topics: 1,
        batches: Math.ceil(totalMiB / batchMiB),
        columns,
      },
    ],
  };
}

/** Blobs of 1 MiB: a camera. */
export function images(batchMiB: number, totalMiB: number): Load {
  const columns = { timestamp_ns: times(batchMiB), data: vectorFromArray(blobs(batchMiB, MiB - 64, 2), new Binary()) };
  return { name: `images ${batchMiB} MiB`, parts: [{ topics: 1, batches: Math.ceil(totalMiB / batchMiB), columns }] };
}

/** 200 topics with batches of 64 KiB: many sensors. */
export function small(batches: number): Load {
  return { name: "small", parts: [{ topics: 200, batches, columns: doubles(64 * 8, 15, 3) }] };
}

/** 20 topics with batches of 100 rows of about 50 bytes: the cost of a batch. */
export function tiny(batches: number): Load {
  return { name: "tiny", parts: [{ topics: 20, batches, columns: doubles(100, 5, 4) }] };
}

/** 500 topics of 200 rows of about 100 bytes per second, a second in each batch: the buses of a vehicle. */
export function can(seconds: number): Load {
  return { name: "can", parts: [{ topics: 500, batches: seconds, columns: doubles(200, 11, 5), rateHz: 1 }] };
}

/** 500 topics that have nothing to say for long. */
export function idle(): Load {
  return { name: "idle", parts: [{ topics: 500, batches: 1, columns: doubles(100, 5, 4) }] };
}

/** 64 streams of 16 MiB at once: what is bounded by the budget. */
export function greedy(budgetMiB: number): Load {
  const columns = { timestamp_ns: times(16), data: vectorFromArray(blobs(16, MiB - 8 * 1024, 6), new Binary()) };
  return {
    name: `greedy, budget ${budgetMiB} MiB`,
    parts: [{ topics: 64, batches: 2, columns }],
    args: ["--memory-budget", `${budgetMiB}MiB`],
  };
}

/** The sensors of a vehicle, 572 MB/s in real time: a batch each of cameras and lidars, the others by half seconds. */
export function automotive(seconds: number): Load {
  const sensor = (topics: number, rateHz: number, columns: Columns): LoadPart => ({
    topics,
    batches: Math.ceil(seconds * rateHz),
    columns,
    rateHz,
  });
  const sample = (bytes: number, seed: number): Columns => ({
    timestamp_ns: times(1),
    data: vectorFromArray(blobs(1, bytes, seed), new Binary()),
  });
  return {
    name: "automotive",
    parts: [
      sensor(6, 24, sample(3_750_000, 7)),
      sensor(5, 5, sample(1_300_000, 8)),
      sensor(8, 2, { timestamp_ns: times(10), data: vectorFromArray(blobs(10, 2_000, 9), new Binary()) }),
      sensor(1, 2, doubles(5, 6, 10)),
      sensor(1, 2, doubles(100, 10, 11)),
      sensor(12, 2, doubles(20, 2, 12)),
    ],
  };
}

function doubles(rows: number, columns: number, seed: number): Columns {
  const random = randomFrom(seed);
  const values = Array.from(
    { length: columns },
    (_none, index) => [`value_${index}`, makeVector(Float64Array.from({ length: rows }, random))] as const,
  );
  return { timestamp_ns: times(rows), ...Object.fromEntries(values) };
}

function blobs(count: number, bytes: number, seed: number): Uint8Array[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => randomBytes(random, bytes));
}

function times(rows: number) {
  return makeVector(
    makeData({ type: new Int64(), data: BigInt64Array.from({ length: rows }, (_none, row) => BigInt(row)) }),
  );
}

/** The messages of one topic, its schema first. Bodies are used again after `turns` messages: send each before that. */
export function* messagesOf(part: LoadPart, turns: number): Generator<Outgoing> {
  const [schema, batch] = toMessages([part.columns]);
  if (schema === undefined || batch === undefined) throw new Error("a load has a batch");
  const { bufferOffsets, rows } = readBatch(readSchema(schema.header), readMessage(batch.header), batch.body);
  const [, timesAt = 0] = bufferOffsets;
  const bodies = Array.from({ length: Math.min(turns, part.batches) }, () => Uint8Array.from(batch.body));
  yield schema;
  for (let index = 0; index < part.batches; index += 1) {
    const body = bodies[index % turns] ?? batch.body;
    const stamps = new BigInt64Array(body.buffer, timesAt, rows);
    const first = BigInt(index) * BigInt(rows);
    for (let row = 0; row < rows; row += 1) stamps[row] = first + BigInt(row);
    yield { header: batch.header, body };
  }
}

/** Bytes of Arrow body of the whole load. */
export function bytesOf({ parts }: Load): number {
  return parts.reduce((sum, { topics, batches, columns }) => {
    const [, batch] = toMessages([columns]);
    return sum + topics * batches * (batch?.body.byteLength ?? 0);
  }, 0);
}

export function batchesOf({ parts }: Load): number {
  return parts.reduce((sum, { topics, batches }) => sum + topics * batches, 0);
}
