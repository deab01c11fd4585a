// The loads of the benchmark: what each stream sends. Batches are made once; only their times change from one to the next.

import { Binary, Float64, Int64, makeData, makeVector, vectorFromArray } from "apache-arrow";
import { readBatch } from "../../src/arrow/batch.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { readSchema } from "../../src/arrow/schema.ts";
import type { Outgoing } from "../load/flight-client.ts";
import { type Columns, toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";

const MiB = 2 ** 20;

export interface Load {
  readonly name: string;
  readonly topics: number;
  /** Batches of each topic. */
  readonly batches: number;
  /** One batch; all batches of the load look like it. */
  readonly columns: Columns;
}

/** One topic of 16 columns: the ceiling of one stream. */
export function single(batchMiB: number, totalMiB: number): Load {
  const rows = Math.floor((batchMiB * MiB) / (16 * 8));
  const random = randomFrom(1);
  const doubles = () =>
    makeVector(makeData({ type: new Float64(), data: Float64Array.from({ length: rows }, random) }));
  const values = Array.from({ length: 15 }, (_none, index) => [`value_${index}`, doubles()] as const);
  return {
    name: `single ${batchMiB} MiB`,
    topics: 1,
    batches: Math.ceil(totalMiB / batchMiB),
    columns: { timestamp_ns: times(rows), ...Object.fromEntries(values) },
  };
}

/** Blobs of 1 MiB: a camera. */
export function images(batchMiB: number, totalMiB: number): Load {
  const random = randomFrom(2);
  const blobs = Array.from({ length: batchMiB }, () => randomBytes(random, MiB - 64));
  return {
    name: `images ${batchMiB} MiB`,
    topics: 1,
    batches: Math.ceil(totalMiB / batchMiB),
    columns: { timestamp_ns: times(batchMiB), data: vectorFromArray(blobs, new Binary()) },
  };
}

/** 200 topics with batches of 64 KiB: many sensors. */
export function small(batches: number): Load {
  const rows = 64 * 8;
  const random = randomFrom(3);
  const values = Array.from(
    { length: 15 },
    (_none, index) => [`value_${index}`, makeVector(Float64Array.from({ length: rows }, random))] as const,
  );
  return { name: "small", topics: 200, batches, columns: { timestamp_ns: times(rows), ...Object.fromEntries(values) } };
}

/** 20 topics with batches of 100 rows of about 50 bytes: the cost of a batch. */
export function tiny(batches: number): Load {
  const random = randomFrom(4);
  const values = Array.from(
    { length: 5 },
    (_none, index) => [`value_${index}`, makeVector(Float64Array.from({ length: 100 }, random))] as const,
  );
  return { name: "tiny", topics: 20, batches, columns: { timestamp_ns: times(100), ...Object.fromEntries(values) } };
}

function times(rows: number) {
  return makeVector(
    makeData({ type: new Int64(), data: BigInt64Array.from({ length: rows }, (_none, row) => BigInt(row)) }),
  );
}

/** The messages of one topic, its schema first. Bodies are used again after `turns` messages: send each before that. */
export function* messagesOf(load: Load, turns: number): Generator<Outgoing> {
  const [schema, batch] = toMessages([load.columns]);
  if (schema === undefined || batch === undefined) throw new Error(`${load.name} has no batch`);
  const { bufferOffsets, rows } = readBatch(readSchema(schema.header), readMessage(batch.header), batch.body);
  const [, timesAt = 0] = bufferOffsets;
  const bodies = Array.from({ length: turns }, () => Uint8Array.from(batch.body));
  yield schema;
  for (let index = 0; index < load.batches; index += 1) {
    const body = bodies[index % turns] ?? batch.body;
    const times = new BigInt64Array(body.buffer, timesAt, rows);
    const first = BigInt(index) * BigInt(rows);
    for (let row = 0; row < rows; row += 1) times[row] = first + BigInt(row);
    yield { header: batch.header, body };
  }
}

/** Bytes of Arrow body of the whole load. */
export function bytesOf(load: Load): number {
  const [, batch] = toMessages([load.columns]);
  return load.topics * load.batches * (batch?.body.byteLength ?? 0);
}
