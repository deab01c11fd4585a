// Vectors as plain values, for tests: what a reader by row gets to see.

import { getBit } from "../../src/arrow/bits.ts";
import { textAt } from "../../src/arrow/text-vector.ts";
import { isNull, type Vector } from "../../src/arrow/vector.ts";
import type { Plain } from "./random-columns.ts";

/** Of a struct, and of a list whose items are not opened, only that it is there. */
export const something = "something";

export function valueAt(vector: Vector, row: number): Plain {
  if (isNull(vector, row)) return null;
  switch (vector.kind) {
    case "number":
      return vector.values[row] ?? null;
    case "boolean":
      return getBit(vector.bits, row) === 1;
    case "text":
      return Buffer.from(textAt(vector, row)).toString();
    case "indexed":
      return valueAt(vector.values, vector.indices[row] ?? -1);
    case "opaque":
      return something;
    case "list": {
      const { items } = vector;
      if (items === undefined) return something;
      const start = vector.starts[row] ?? 0;
      return Array.from({ length: (vector.ends[row] ?? 0) - start }, (_none, index) => valueAt(items, start + index));
    }
  }
}

export function valuesOf(vector: Vector): Plain[] {
  return Array.from({ length: vector.length }, (_none, row) => valueAt(vector, row));
}
