/** Conditions of a query as values, whatever dialect they came in. All conditions of a filter hold together. */

/** A number is a bigint when it was spelled as an integer; JavaScript compares the two kinds exactly. */
export type Scalar = bigint | number | string | boolean;

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

export interface CatalogQuery {
  readonly sequence: SequenceFilter;
  readonly topic: TopicFilter;
  /** Whether the answer carries the time range of the matching rows: asked for by 0.4 and 0.5. */
  readonly includeTimestampRange: boolean;
}
