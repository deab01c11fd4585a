/** Dictionary messages: checked as a batch of one column of the dictionary's value type. */

import { Fault } from "../model/fault.ts";
import { type Batch, checkBatch } from "./batch.ts";
import type { Message } from "./message.ts";
import { fieldOfDictionary, type Schema } from "./schema.ts";

/** @throws Fault invalid */
export function readDictionary(
  schema: Schema,
  message: Extract<Message, { kind: "dictionary" }>,
  body: Uint8Array,
): Batch {
  const field = fieldOfDictionary(schema, message.id);
  if (field === undefined) throw new Fault("invalid", `The schema has no dictionary ${message.id}.`);
  return checkBatch([{ ...field, dictionary: undefined }], message.lists, body);
}
