/** Conditions of a query as values, whatever dialect they came in. All conditions of a filter hold together. */

import type { TopicLocator } from "./locator.ts";
import type { TimeRange } from "./time.ts";

/** A number is a bigint when it was spelled as an integer; JavaScript compares the two kinds exactly. */
export type Scalar = bigint | number | string | boolean;

/** What a value can be compared with. */
export function orderOf(value: Scalar): "number" | "string" | "boolean" {
  return typeof value === "bigint" ? "number" : (typeof value as "number" | "string" | "boolean");
}

/**
 * Of two values of one order. Texts have the order of their code points, which is that of their bytes; JavaScript's own is that of
 * UTF-16 units.
 */
export function isBelow(a: Scalar, b: Scalar): boolean {
  if (typeof a !== "string" || typeof b !== "string") return a < b;
  return isAstral(a) || isAstral(b) ? Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0 : a < b;
}

function isAstral(text: string): boolean {
  return /[\ud800-\udfff]/.test(text);
}

/** Scalars to be found by value: what equals one of them is among them. */
export interface ScalarSet {
  readonly values: ReadonlySet<Scalar>;
  /** Kinds of the values: what is not asked for need not be read. */
  readonly kinds: Readonly<Record<"text" | "number" | "boolean", boolean>>;
}

export function scalarSet(values: readonly Scalar[]): ScalarSet {
  const types = new Set(values.map((value) => typeof value));
  return {
    values: new Set(values.map(byValue)),
    kinds: {
      text: types.has("string"),
      number: types.has("bigint") || types.has("number"),
      boolean: types.has("boolean"),
    },
  };
}

export function isIn({ values }: ScalarSet, value: Scalar): boolean {
  return values.has(byValue(value));
}

/** The same for equal numbers of both kinds. */
function byValue(value: Scalar): Scalar {
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
}

export type Condition =
  | { readonly kind: "eq" | "neq" | "lt" | "leq" | "gt" | "geq"; readonly operand: Scalar }
  | { readonly kind: "between" | "outside"; readonly least: Scalar; readonly most: Scalar }
  | { readonly kind: "in"; readonly operands: ScalarSet }
  | { readonly kind: "match"; readonly pattern: Pattern }
  | { readonly kind: "exists" | "missing" };

/** One element of a pattern: any run of characters, any one, one of a set of code point ranges, or a literal character. */
export type PatternElement =
  | { readonly kind: "run" }
  | { readonly kind: "one" }
  /** The ranges are disjoint and in order. */
  | { readonly kind: "set"; readonly ranges: readonly (readonly [number, number])[]; readonly negated: boolean }
  | { readonly kind: "literal"; readonly character: string };

/** A pattern for the whole text. */
export type Pattern = readonly PatternElement[];

export interface MetadataCondition {
  /** Steps of the path: a key (or index), `*` for one level, `**` for any depth, `[*]` for the items of an array. */
  readonly path: readonly string[];
  readonly condition: Condition;
}

export interface SequenceFilter {
  readonly name?: Condition | undefined;
  readonly createdAtNs?: Condition | undefined;
  readonly userMetadata: readonly MetadataCondition[];
}

export interface TopicFilter extends SequenceFilter {
  readonly ontologyTag?: Condition | undefined;
  readonly serializationFormat?: Condition | undefined;
}

/** Where a condition on contents looks: names of fields with dots between them, as the client wrote them, below a tag. */
export interface FieldPath {
  /** Text in front of the specifier, or all of it; names may have dots themselves. */
  readonly field: string;
  /** Which items of the list that `field` is; undefined when the value itself is meant. */
  readonly items?: ItemChoice | undefined;
  /** The field of the items that is meant, where they are structs; undefined for the items themselves. */
  readonly itemField?: string | undefined;
}

/** `[i]`, `[?]` (one at least) or `[!]` (all, and one at least). */
export type ItemChoice =
  | { readonly kind: "at"; readonly index: number }
  | { readonly kind: "any" }
  | { readonly kind: "all" };

/** Whole lists, compared item by item. */
export interface ListCondition {
  readonly kind: "list eq" | "list neq";
  readonly items: readonly Scalar[];
}

/** Degrees: latitude north, longitude east. A box whose west is above its east crosses the 180th meridian. */
export type Area =
  | {
      readonly kind: "box";
      readonly south: number;
      readonly west: number;
      readonly north: number;
      readonly east: number;
    }
  | { readonly kind: "circle"; readonly latitude: number; readonly longitude: number; readonly radiusM: number };

/** What a row is asked for. Conditions are true or false, never unknown: a null satisfies `missing` alone. */
export type RowPredicate =
  /** Every one; no parts: every row. */
  | { readonly kind: "all"; readonly of: readonly RowPredicate[] }
  /** One at least. */
  | { readonly kind: "any"; readonly of: readonly RowPredicate[] }
  | { readonly kind: "not"; readonly of: RowPredicate }
  | { readonly kind: "field"; readonly path: FieldPath; readonly condition: Condition | ListCondition }
  /** @see Area; `field` is that of the position, empty when the model is one itself. */
  | { readonly kind: "within"; readonly field: string; readonly area: Area }
  /** Of the length of a vector; `field` is that of the vector, empty when the model is one itself. */
  | { readonly kind: "norm"; readonly field: string; readonly condition: Condition };

/** What topics of one tag are asked for. */
export interface ContentFilter {
  readonly ontologyTag: string;
  readonly rows: RowPredicate;
}

export interface TimeRangesRequest {
  /** Matching rows that are not farther apart than this make one range. */
  readonly gapNs: bigint;
  /** The most ranges per topic. */
  readonly limit: number;
}

export interface CatalogQuery {
  readonly sequence: SequenceFilter;
  readonly topic: TopicFilter;
  /** Undefined: the query has no part on contents. Sequences must match all, as sets: one of no filters finds nothing. */
  readonly contents: readonly ContentFilter[] | undefined;
  /** Asked for by clients that know us. */
  readonly timeRanges: TimeRangesRequest | undefined;
  /** Whether the answer carries the time range of the matching rows: asked for by 0.4 and 0.5. */
  readonly includeTimestampRange: boolean;
  /** Whether the answer tells what was skipped and what was read. */
  readonly explain: boolean;
  /** Every row is read when not: the answer is the same, unless the index is wrong. */
  readonly usesSkipIndex: boolean;
}

/** Which rows of one topic are put into clusters, and how. */
export interface ClusterRequest {
  readonly topic: TopicLocator;
  /** Undefined: every row. Its tag may be another than the topic's, which the parser cannot know. */
  readonly filter: ContentFilter | undefined;
  /** Rows that are farther apart than this belong to two clusters; 0 puts all of them into one. */
  readonly gapNs: bigint;
  /** Times of the rows, both ends included; undefined for all. */
  readonly range: TimeRange | undefined;
}
