/** Rows of the catalog as bytes: JSON for what people may want to read, with int64 exact; packed where there are millions. */

import { Fault } from "../model/fault.ts";

/** A row as JSON; a bigint becomes `{"int64":"…"}`. */
export function encodeRow(row: object): string {
  return JSON.stringify(row, (_key, value: unknown) =>
    typeof value === "bigint" ? { int64: value.toString() } : value,
  );
}

/** Bytes of a row as it is stored, but for its key. */
export function rowBytes(row: object): number {
  return Buffer.byteLength(encodeRow(row));
}

/** @throws Fault corrupt when the text is not what `encodeRow` writes */
export function decodeRow<Row>(text: string): Row {
  try {
    return JSON.parse(text, (_key, value: unknown) => (isInt64(value) ? BigInt(value.int64) : value)) as Row;
  } catch (error) {
    throw new Fault("corrupt", `Cannot read a catalog row of ${text.length} characters: it is not JSON`, error);
  }
}

function isInt64(value: unknown): value is { int64: string } {
  return typeof value === "object" && value !== null && "int64" in value && typeof value.int64 === "string";
}
