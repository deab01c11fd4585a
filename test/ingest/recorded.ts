// Messages of small topics: with and without a dictionary.

import { Dictionary, Int8, Int64, makeData, makeVector, Utf8, vectorFromArray } from "apache-arrow";
import type { Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { blobs } from "../load/robot.ts";

function stamps(...times: readonly bigint[]) {
  return makeVector(makeData({ type: new Int64(), data: BigInt64Array.from(times) }));
}

/** The schema, then batches of one row with so many bytes. */
export function plainMessages(count: number, bytes: number, first = 0): Outgoing[] {
  return toMessages(
    Array.from({ length: count }, (_none, index) => ({
      timestamp_ns: stamps(BigInt(first + index)),
      data: blobs([new Uint8Array(bytes).fill(first + index)]),
    })),
  );
}

/** The schema, the dictionary, then batches of two rows. */
export function dictionaryMessages(count: number): Outgoing[] {
  const color = vectorFromArray(["red", "blue"], new Dictionary(new Utf8(), new Int8()));
  return toMessages(
    Array.from({ length: count }, (_none, index) => ({
      timestamp_ns: stamps(BigInt(2 * index), BigInt(2 * index + 1)),
      color,
    })),
  );
}
