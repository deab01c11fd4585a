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
  type SearchField,
  type Stretch,
  searchField,
  textStretch,
} from "../catalog/search-keys.ts";
import { candidateOperandsMax, candidatesMax } from "../model/limits.ts";
import { type Condition, orderOf, type Scalar, type SequenceFilter, type TopicFilter } from "../model/predicate.ts";
import type { Effort } from "./effort.ts";

/** Steps of reading a key of the index, and of what it takes to look for one. */
const keySteps = 512;
const stretchSteps = 4_096;

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
      const names = await namesOf(catalog, stretches(), (least?.names.length ?? limit + 1) - 1, effort);
      if (names !== undefined) least = { kind, names };
    }
    if (least !== undefined) return least;
  }
  return undefined;
}

/** What one condition leaves. Stretches are made when they are looked at: each costs a hash. */
interface Source {
  readonly kind: SearchedKind;
  stretches(): Iterable<Stretch>;
}

/** Undefined when there are more names than `limit`. */
async function namesOf(
  catalog: Catalog,
  stretches: Iterable<Stretch>,
  limit: number,
  effort: Effort,
): Promise<string[] | undefined> {
  const names = new Set<string>();
  for (const stretch of stretches) {
    effort.spend(stretchSteps);
    for (const page of namePages(catalog, stretch)) {
      for (const name of page) names.add(name);
      if (names.size > limit) return undefined;
      effort.spend(keySteps * page.length);
      await effort.pause();
    }
  }
  return [...names];
}

function sourcesOf({ sequence, topic, tag }: CandidateQuery): Source[] {
  const sources: Source[] = [];
  const add = (kind: SearchedKind, field: string, points: Points | undefined, isMetadata = false): void => {
    if (points === undefined) return;
    sources.push({
      kind,
      *stretches() {
        const searched = searchField(kind, field);
        if ("least" in points) yield numberStretch(searched, points);
        else for (const point of points) yield stretchOf(searched, point);
        if (isMetadata) yield restStretch(kind);
      },
    });
  };
  for (const [kind, filter] of [["sequence", sequence] as const, ["topic", topic] as const]) {
    if (filter.name !== undefined) add(kind, "name", pointsOf(filter.name));
    if (filter.createdAtNs !== undefined) add(kind, "created_at_ns", pointsOf(filter.createdAtNs));
    for (const { path, condition } of filter.userMetadata)
      if (!path.some(hasManyWays) && !asksForContainer(condition))
        add(kind, metadataField(path), pointsOf(condition), true);
  }
  if (topic.ontologyTag !== undefined) add("topic", "ontology_tag", pointsOf(topic.ontologyTag));
  if (tag !== undefined) add("topic", "ontology_tag", [tag]);
  return sources;
}

/** Objects and arrays have a text too, and no key. */
function asksForContainer(condition: Condition): boolean {
  const points = pointsOf(condition) ?? [];
  return !("least" in points) && points.some((point) => typeof point === "string" && /^[{[]/.test(point));
}

/** Steps that lead to several values, and indices that are spelled as they are not when they are put. */
function hasManyWays(step: string): boolean {
  return step === "*" || step === "**" || step === "[*]" || /^0[0-9]+$/.test(step);
}

function stretchOf(field: SearchField, point: Scalar): Stretch {
  return isNumber(point) ? numberStretch(field, { least: point, most: point }) : textStretch(field, String(point));
}

/** All values that satisfy a condition, or the numbers among which they are. */
type Points = readonly Scalar[] | NumberRange;

/** Undefined when the index does not tell what satisfies the condition. */
function pointsOf(condition: Condition): Points | undefined {
  switch (condition.kind) {
    case "eq":
      return [condition.operand];
    case "in": {
      const { values } = condition.operands;
      return values.size <= candidateOperandsMax ? [...values] : undefined;
    }
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
