/** Dictionary messages: checked, compared and made as batches of one column of the dictionary's value type. */

import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { type Batch, checkBatch } from "./batch.ts";
import { getBit } from "./bits.ts";
import { type Gathered, gather } from "./gather.ts";
import type { Message } from "./message.ts";
import { offsetReader } from "./offsets.ts";
import { type Field, fieldsOfDictionary, type Schema } from "./schema.ts";

/** @throws Fault invalid */
export function readDictionary(
  schema: Schema,
  message: Extract<Message, { kind: "dictionary" }>,
  body: Uint8Array,
): Batch {
  return checkBatch([valueField(schema, message.id)], message.lists, body);
}

/**
 * Each value of an uncompressed dictionary as a text that is the same when the value is. Undefined for values with children or
 * views, which are not compared.
 * @throws Fault invalid when a value lies outside
 */
export function dictionaryKeys(schema: Schema, id: bigint, batch: Batch): string[] | undefined {
  const { type, name } = valueField(schema, id);
  assert(batch.compression === "none", "dictionaries are decompressed before they are compared");
  const [validity, ...buffers] = Array.from(batch.bufferOffsets, (offset, index) =>
    Buffer.from(batch.body.buffer, batch.body.byteOffset + offset, batch.bufferLengths[index]),
  );
  const [first, second] = buffers;
  if (validity === undefined || first === undefined) return undefined;
  const nulls = batch.nodeNulls[0] ?? 0;
  const keyOf = (value: (row: number) => string) =>
    Array.from({ length: batch.rows }, (_none, row) =>
      nulls > 0 && getBit(validity, row) === 0 ? "null" : `=${value(row)}`,
    );
  switch (type.kind) {
    case "bool":
      return keyOf((row) => String(getBit(first, row)));
    case "utf8":
    case "binary": {
      if (second === undefined) return undefined;
      const offsetAt = offsetReader(first, type.offsetBits);
      return keyOf((row) => {
        const start = offsetAt(row);
        const end = offsetAt(row + 1);
        if (start >= 0 && end >= start && end <= second.byteLength) return second.toString("latin1", start, end);
        throw new Fault("invalid", `Dictionary ${id} of column ${JSON.stringify(name)}: value ${row} lies outside.`);
      });
    }
    case "int":
    case "float":
    case "decimal":
    case "date":
    case "time":
    case "timestamp":
    case "duration":
    case "interval":
    case "fixedBinary":
      return keyOf((row) => first.toString("latin1", (row * type.bits) / 8, ((row + 1) * type.bits) / 8));
    default:
      return undefined;
  }
}

/** A message that adds some values of a dictionary to the one that it continues. */
export function makeDelta(schema: Schema, id: bigint, batch: Batch, rows: readonly number[]): Gathered {
  const runs = rows.map((start) => ({ source: 0, start, length: 1 }));
  return gather({ fields: [valueField(schema, id)] }, [batch], runs, { dictionary: { id, isDelta: true } });
}

/** The column that a dictionary is. @throws Fault invalid */
export function valueField(schema: Schema, id: bigint): Field {
  const [field] = fieldsOfDictionary(schema, id);
  if (field === undefined) throw new Fault("invalid", `The schema has no dictionary ${id}.`);
  return { ...field, dictionary: undefined };
}
