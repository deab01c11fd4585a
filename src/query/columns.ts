/** The columns of one batch as conditions ask for them. */

import { isNull, readVector, type Vector, type VectorSource } from "../arrow/vector.ts";
import type { BoundColumn } from "./bind.ts";
import type { Effort } from "./effort.ts";

export interface Floats {
  readonly values: Float64Array;
  isNull(row: number): boolean;
}

export class Columns {
  readonly rows: number;
  readonly #source: VectorSource;
  readonly #effort: Effort;
  /** The one read last: conditions on a column mostly stand together, and what is made of a column has to fit but once. */
  #last: { chain: string; vector: Vector } | undefined;

  constructor(source: VectorSource, effort: Effort) {
    this.rows = source.batch.rows;
    this.#source = source;
    this.#effort = effort;
  }

  /** @throws Fault corrupt, invalid, overloaded */
  read({ chain }: BoundColumn): Vector {
    const key = chain.join();
    if (this.#last?.chain === key) return this.#last.vector;
    this.#last = undefined;
    const vector = readVector(this.#source, chain);
    this.#effort.scan(sizeOf(vector));
    this.#last = { chain: key, vector };
    return vector;
  }

  /** A column as float64, however it is encoded; undefined when it has no numbers. @throws Fault as `read` */
  readFloats(column: BoundColumn): Floats | undefined {
    const vector = this.read(column);
    this.#effort.scan(vector.length);
    const values = floatsOf(vector);
    return values === undefined ? undefined : { values, isNull: (row) => isNull(vector, row) };
  }
}

/** Values on all levels. */
function sizeOf(vector: Vector): number {
  switch (vector.kind) {
    case "list":
      return vector.length + (vector.items === undefined ? 0 : sizeOf(vector.items));
    case "indexed":
      return vector.length + sizeOf(vector.values);
    default:
      return vector.length;
  }
}

function floatsOf(vector: Vector): Float64Array | undefined {
  if (vector.kind === "number") {
    const { values } = vector;
    return values instanceof Float64Array ? values : Float64Array.from(values as ArrayLike<bigint | number>, Number);
  }
  if (vector.kind !== "indexed") return undefined;
  const values = floatsOf(vector.values);
  return values === undefined
    ? undefined
    : Float64Array.from({ length: vector.length }, (_none, row) => values[vector.indices[row] ?? 0] ?? Number.NaN);
}
