/**
 * What is known of the values of a leaf in some rows without reading them. A leaf is a column that is no struct, structs opened
 * (`acceleration.x`), or the items of a list (`ranges[]`). Statistics may claim too little, never too much: bounds hold every
 * value, though there need not be one at the bound.
 */

import type { Scalar } from "./predicate.ts";

export interface LeafStatistics {
  /** Values, nulls among them: rows, or items of lists. A null struct or list makes what is below it null: one value. */
  readonly values: number;
  readonly nulls: number;
  /** Values that are NaN; they are in no range. */
  readonly nans: number;
  /** Undefined when there is no value to be ordered, or none is kept. */
  readonly range?: ValueRange | undefined;
  /** All that occur, each once, where they are few: texts. */
  readonly distinct?: readonly Scalar[] | undefined;
  /** What the values are when no column has them. */
  readonly derivation?: Derivation | undefined;
}

/** In this order in files: new ones come last. */
export const derivationKinds = ["norm", "east"] as const;

/**
 * Values that each row has by some leaves together, null where one of these is.
 * - `norm`: the length of the vector that the leaves are the components of
 * - `east`: how far east the longitude that the leaf is lies of the prime meridian, from 0 to 360 degrees: where a track crosses the
 *   180th meridian its longitudes are everywhere, and this is not
 */
export interface Derivation {
  readonly kind: (typeof derivationKinds)[number];
  /** Their indices. */
  readonly leaves: readonly number[];
}

export function isSameDerivation(a: Derivation | undefined, b: Derivation | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.kind === b.kind && a.leaves.length === b.leaves.length && a.leaves.every((leaf, at) => leaf === b.leaves[at])
  );
}

/**
 * Booleans as 0 and 1, integers of 64 bits as bigint, other numbers as number, times in their own unit. Texts as the order of
 * their bytes wants it, cut: `most` is above all texts then, or undefined when there is nothing above.
 */
export type ValueRange =
  | { readonly kind: "number"; readonly least: bigint | number; readonly most: bigint | number }
  | { readonly kind: "text"; readonly least: Uint8Array; readonly most: Uint8Array | undefined };

/** Of each leaf of a schema, in its order, then of what is derived; undefined where nothing is known. */
export type RowStatistics = readonly (LeafStatistics | undefined)[];
