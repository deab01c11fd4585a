// Arrow tables as the messages of a do_put, by apache-arrow: an implementation that is not the one under test.

import {
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  type Schema,
  Struct,
  Table,
  type TypeMap,
  type Vector,
} from "apache-arrow";
import { readMessage } from "../../src/arrow/message.ts";
import type { Outgoing } from "./flight-client.ts";

/** Columns of one record batch, all of the same length. */
export type Columns = Readonly<Record<string, Vector>>;

/** The schema message and one message per batch. */
export function toMessages(batches: readonly Columns[]): Outgoing[] {
  const [first] = batches;
  if (first === undefined) throw new Error("a table needs at least one batch, which may have no rows");
  const schema = new Table(first as Record<string, Vector>).schema;
  const writer = new RecordBatchStreamWriter();
  for (const columns of batches) writer.write(toBatch(schema as Schema<TypeMap>, columns));
  writer.close();
  return splitStream(writer.toUint8Array(true));
}

function toBatch(schema: Schema<TypeMap>, columns: Columns): RecordBatch {
  const children = schema.fields.map(({ name }) => {
    const data = columns[name]?.data[0];
    if (data === undefined) throw new Error(`the batch has no column ${name}`);
    return data;
  });
  const struct = makeData({
    type: new Struct(schema.fields),
    length: children[0]?.length ?? 0,
    nullCount: 0,
    children,
  });
  return new RecordBatch(schema, struct);
}

/** The encapsulated messages of an IPC stream. */
export function splitStream(stream: Uint8Array): Outgoing[] {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  const messages: Outgoing[] = [];
  for (let at = 0; at + 8 <= stream.byteLength; ) {
    const headerBytes = view.getInt32(at + 4, true);
    if (headerBytes === 0) break;
    const header = stream.subarray(at + 8, at + 8 + headerBytes);
    const bodyAt = at + 8 + headerBytes;
    const { bodyBytes } = readMessage(header);
    messages.push({ header, body: stream.subarray(bodyAt, bodyAt + bodyBytes) });
    // Writers of streams count the padding into the body.
    at = bodyAt + bodyBytes;
  }
  return messages;
}
