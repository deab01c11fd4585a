/** The header of an IPC message: what kind it is and, for batches, where nodes and buffers are listed. */

import { Fault } from "../model/fault.ts";
import { countAt, FlatTable } from "./flatbuffer.ts";
import { checkVersion } from "./schema.ts";

export type Compression = "none" | "lz4" | "zstd";

/** The lists of a RecordBatch table, in columns. */
export interface BatchLists {
  readonly rows: number;
  readonly nodeLengths: Float64Array;
  readonly nodeNulls: Float64Array;
  readonly bufferOffsets: Float64Array;
  readonly bufferLengths: Float64Array;
  /** Number of data buffers of each view column. */
  readonly variadicCounts: Float64Array;
  readonly compression: Compression;
}

export type Message =
  | { readonly kind: "schema"; readonly bodyBytes: number }
  | { readonly kind: "batch"; readonly bodyBytes: number; readonly lists: BatchLists }
  | {
      readonly kind: "dictionary";
      readonly bodyBytes: number;
      readonly lists: BatchLists;
      readonly id: bigint;
      readonly isDelta: boolean;
    };

/** Data buffers of one view column: pyarrow makes one per 32 KiB to 2 MiB of text. */
const variadicMax = 1_000_000;

/**
 * Reads a header.
 * @param bodyBytes bytes of the body that came with it; what the header says must fit into them
 * @throws Fault invalid, unsupported (other metadata version, tensors, unknown compression)
 */
export function readMessage(header: Uint8Array, bodyBytes?: number): Message {
  const message = FlatTable.root(header);
  checkVersion(message);
  const said = message.count(3, "bodyLength");
  if (bodyBytes !== undefined && said > bodyBytes) {
    throw new Fault("invalid", `The IPC message header says that the body has ${said} bytes, it has ${bodyBytes}.`);
  }
  const table = message.table(2);
  const type = message.uint8(1, 0);
  if (table === undefined) throw new Fault("invalid", "The IPC message header is broken: it has no content.");
  switch (type) {
    case 1:
      return { kind: "schema", bodyBytes: said };
    case 2: {
      const data = table.table(1);
      if (data === undefined)
        throw new Fault("invalid", "The IPC message header is broken: a dictionary without data.");
      return {
        kind: "dictionary",
        bodyBytes: said,
        lists: readLists(data),
        id: table.int64(0),
        isDelta: table.uint8(2, 0) !== 0,
      };
    }
    case 3:
      return { kind: "batch", bodyBytes: said, lists: readLists(table) };
    default:
      throw new Fault(
        "unsupported",
        `Unsupported stream message, stream aborted: IPC message of type ${type}, expected schema, dictionary or record batch.`,
      );
  }
}

function readLists(table: FlatTable): BatchLists {
  const nodes = table.vector(1, 16);
  const buffers = table.vector(2, 16);
  const variadic = table.vector(4, 8);
  const lists = {
    rows: table.count(0, "the number of rows"),
    nodeLengths: new Float64Array(nodes.length),
    nodeNulls: new Float64Array(nodes.length),
    bufferOffsets: new Float64Array(buffers.length),
    bufferLengths: new Float64Array(buffers.length),
    variadicCounts: new Float64Array(variadic.length),
    compression: readCompression(table.table(3)),
  };
  const { view } = table;
  for (let index = 0; index < nodes.length; index += 1) {
    const at = nodes.start + 16 * index;
    lists.nodeLengths[index] = countAt(view, at, `the length of node ${index}`);
    lists.nodeNulls[index] = countAt(view, at + 8, `the null count of node ${index}`);
  }
  for (let index = 0; index < buffers.length; index += 1) {
    const at = buffers.start + 16 * index;
    lists.bufferOffsets[index] = countAt(view, at, `the offset of buffer ${index}`);
    lists.bufferLengths[index] = countAt(view, at + 8, `the length of buffer ${index}`);
  }
  for (let index = 0; index < variadic.length; index += 1) {
    const count = countAt(view, variadic.start + 8 * index, `the number of data buffers of view column ${index}`);
    if (count > variadicMax)
      throw new Fault(
        "invalid",
        `The IPC message header is broken: ${count} data buffers of one column, at most ${variadicMax} are allowed.`,
      );
    lists.variadicCounts[index] = count;
  }
  return lists;
}

function readCompression(table: FlatTable | undefined): Compression {
  if (table === undefined) return "none";
  const codec = table.uint8(0, 0);
  const method = table.uint8(1, 0);
  if (method !== 0 || codec > 1) {
    throw new Fault(
      "unsupported",
      `Body compression with codec ${codec} and method ${method} is not supported, expected LZ4_FRAME or ZSTD by buffer.`,
    );
  }
  return codec === 0 ? "lz4" : "zstd";
}
