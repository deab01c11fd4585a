/**
 * Which sequences or topics may satisfy a filter, by the catalog's index. The conditions are tried, and the one that leaves fewest
 * names says which; all others, and that one too, are for whoever looks at the rows.
 */

import type { Catalog } from "../catalog/catalog.ts";
import {
  hasSearchKeys,
  metadataField,
  type NumberRange,
  namePages,
  numberStretch,
  restStretch,
  type SearchedKind,
  type Stretch,
  textStretch,
} from "../catalog/search-keys.ts";
import { candidateOperandsMax, candidatesMax } from "../model/limits.ts";
import {
  type Condition,
  type MetadataCondition,
  orderOf,
  type Scalar,
  type SequenceFilter,
  type TopicFilter,
} from "../model/predicate.ts";
import type { Effort } from "./effort.ts";

/** Steps of reading a key of the index. */
const keySteps = 512;

/** What is asked for with the tag that contents are asked of. */
export interface CandidateQuery {
  readonly sequence: SequenceFilter;
  readonly topic: TopicFilter;
  readonly tag: string | undefined;
}

export interface Candidates {
  readonly kind: SearchedKind;
  /** Names of sequences or locators of topics, each once, in no order. */
  readonly names: readonly string[];
}

/** Undefined when no condition leaves few enough: then all have to be looked at. @throws Fault as Effort */
export async function findCandidates(
  catalog: Catalog,
  query: CandidateQuery,
  effort: Effort,
): Promise<Candidates | undefined> {
  if (!hasSearchKeys(catalog)) return undefined;
  const sources = sourcesOf(query);
  for (const limit of candidatesMax) {
    let least: Candidates | undefined;
    for (const { kind, stretches } of sources) {
      const names = await namesOf(catalog, stretches, (least?.names.length ?? limit + 1) - 1, effort);
      if (names !== undefined) least = { kind, names };
    }
    if (least !== undefined) return least;
  }
  return undefined;
}

/** What one condition leaves. */
interface Source {
  readonly kind: SearchedKind;
  readonly stretches: readonly Stretch[];
}

/** Undefined when there are more names than `limit`. */
async function namesOf(
  catalog: Catalog,
  stretches: readonly Stretch[],
  limit: number,
  effort: Effort,
): Promise<string[] | undefined> {
  const names = new Set<string>();
  for (const stretch of stretches) {
    for (const page of namePages(catalog, stretch)) {
      for (const name of page) names.add(name);
      if (names.size > limit) return undefined;
      effort.spend(keySteps * (1 + page.length));
      await effort.pause();
    }
  }
  return [...names];
}

function sourcesOf({ sequence, topic, tag }: CandidateQuery): Source[] {
  const sources: Source[] = [];
  const add = (kind: SearchedKind, stretches: readonly Stretch[] | undefined): void => {
    if (stretches !== undefined) sources.push({ kind, stretches });
  };
  for (const [kind, filter] of [["sequence", sequence] as const, ["topic", topic] as const]) {
    if (filter.name !== undefined) add(kind, stretchesOf(kind, "name", filter.name));
    if (filter.createdAtNs !== undefined) add(kind, stretchesOf(kind, "created_at_ns", filter.createdAtNs));
    for (const condition of filter.userMetadata) add(kind, metadataStretches(kind, condition));
  }
  if (topic.ontologyTag !== undefined) add("topic", stretchesOf("topic", "ontology_tag", topic.ontologyTag));
  if (tag !== undefined) add("topic", [textStretch("topic", "ontology_tag", tag)]);
  return sources;
}

function metadataStretches(kind: SearchedKind, { path, condition }: MetadataCondition): Stretch[] | undefined {
  if (path.some(hasManyWays)) return undefined;
  // Objects and arrays have a text too, and no key.
  if (pointsOf(condition)?.some((operand) => typeof operand === "string" && /^[{[]/.test(operand))) return undefined;
  const stretches = stretchesOf(kind, metadataField(path), condition);
  return stretches === undefined ? undefined : [...stretches, restStretch(kind)];
}

/** Steps that lead to several values, and indices that are spelled as they are not when they are put. */
function hasManyWays(step: string): boolean {
  return step === "*" || step === "**" || step === "[*]" || /^0[0-9]+$/.test(step);
}

/** Undefined when the index does not tell what satisfies the condition. */
function stretchesOf(kind: SearchedKind, field: string, condition: Condition): Stretch[] | undefined {
  const range = rangeOf(condition);
  if (range !== undefined) return [numberStretch(kind, field, range)];
  return pointsOf(condition)?.map((point) =>
    isNumber(point)
      ? numberStretch(kind, field, { least: point, most: point })
      : textStretch(kind, field, String(point)),
  );
}

/** All values that satisfy the condition, when they are few. */
function pointsOf(condition: Condition): readonly Scalar[] | undefined {
  if (condition.kind === "eq") return [condition.operand];
  if (condition.kind !== "in") return undefined;
  const { values } = condition.operands;
  return values.size <= candidateOperandsMax ? [...values] : undefined;
}

/** Numbers among which all are that satisfy the condition. */
function rangeOf(condition: Condition): NumberRange | undefined {
  switch (condition.kind) {
    case "lt":
    case "leq":
      return rangeBetween(Number.NEGATIVE_INFINITY, condition.operand);
    case "gt":
    case "geq":
      return rangeBetween(condition.operand, Number.POSITIVE_INFINITY);
    case "between":
      return rangeBetween(condition.least, condition.most);
    default:
      return undefined;
  }
}

/** Undefined for what is ordered otherwise. */
function rangeBetween(least: Scalar, most: Scalar): NumberRange | undefined {
  return isNumber(least) && isNumber(most) ? { least, most } : undefined;
}

function isNumber(value: Scalar): value is bigint | number {
  return orderOf(value) === "number";
}
