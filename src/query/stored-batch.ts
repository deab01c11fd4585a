/**
 * Batches that come from the disk. They were checked when they were stored, so what the arrow floor refuses in them now is
 * not the reader's fault: bytes or catalog have changed since. `place` says where a batch lies, for whoever has to look.
 */

import { type Batch, checkBatch, readBatch } from "../arrow/batch.ts";
import { unfoldBatch } from "../arrow/compression.ts";
import { type Message, readMessage } from "../arrow/message.ts";
import type { Schema } from "../arrow/schema.ts";
import { timeColumn } from "../arrow/timestamps.ts";
import { Fault, type FaultCode } from "../model/fault.ts";
import type { StoredMessage } from "../store/chunk-reader.ts";

/** @throws Fault corrupt */
export function readStoredMessage(place: string, header: Uint8Array): Message {
  return asCorrupt(place, refusals, () => readMessage(header));
}

/** The batch as it lies there; compressed buffers are not looked into. @throws Fault corrupt */
export function readStoredBatch(place: string, schema: Schema, { header, body }: StoredMessage): Batch {
  return asCorrupt(place, refusals, () => readBatch(schema, readMessage(header), body));
}

/** The batch without compression, in no more than so many bytes. @throws Fault corrupt, overloaded */
export async function unfoldStoredBatch(place: string, schema: Schema, batch: Batch, bytesMax: number): Promise<Batch> {
  const unfolded = await unfoldBatch(batch, bytesMax).catch((error: unknown) => error);
  return asCorrupt(place, refusals, () => {
    if (unfolded instanceof Error) throw unfolded;
    const plain = unfolded as Batch;
    return checkBatch(schema.fields, plain, plain.body);
  });
}

/** All times, copied. They were unfolded once, so that they unfold too far is news as well. @throws Fault corrupt */
export function storedTimes(place: string, schema: Schema, batch: Batch): BigInt64Array {
  return asCorrupt(place, [...refusals, "overloaded"], () => timeColumn(schema, batch));
}

const refusals: readonly FaultCode[] = ["invalid", "unsupported"];

function asCorrupt<T>(place: string, codes: readonly FaultCode[], act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof Fault && codes.includes(error.code))) throw error;
    throw new Fault("corrupt", `Cannot read ${place}: ${error.message}`, error);
  }
}
