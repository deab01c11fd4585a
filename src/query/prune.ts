/** What statistics say of a predicate: pure, and the same for a topic, a chunk and a zone. */

import type { Derivation, LeafStatistics, ValueRange } from "../model/statistics.ts";
import { boundsOf, spansEast } from "./area.ts";
import type { BoundColumn, BoundPredicate, ValueTest } from "./bind.ts";
import type { Effort } from "./effort.ts";
import { firstNotBelow, type Interval } from "./interval.ts";
import {
  allVerdict,
  anyVerdict,
  existsVerdict,
  intervalVerdict,
  notVerdict,
  textVerdict,
  type Verdict,
} from "./verdict.ts";

/** What is known, by the index of a leaf or by how values are derived; undefined where nothing is. */
export type StatisticsOf = (of: number | Derivation) => LeafStatistics | undefined;

export function verdictOf(predicate: BoundPredicate, statisticsOf: StatisticsOf, effort: Effort): Verdict {
  switch (predicate.kind) {
    case "all":
      return allVerdict(predicate.of.map((part) => verdictOf(part, statisticsOf, effort)));
    case "any":
      return anyVerdict(predicate.of.map((part) => verdictOf(part, statisticsOf, effort)));
    case "not":
      return notVerdict(verdictOf(predicate.of, statisticsOf, effort));
    case "never":
      return "no";
    case "value": {
      const { column, items, test } = predicate;
      // An item that is not there is null.
      if (items?.kind === "at" && test.kind === "missing") return "maybe";
      const verdict = valueVerdict(test, statisticsAt(column, statisticsOf), effort);
      // Of the items of a single row nothing is known.
      return items === undefined || verdict === "no" ? verdict : "maybe";
    }
    case "list": {
      const statistics = statisticsAt(predicate.column, statisticsOf);
      const isAbsent = predicate.items.some((test) => valueVerdict(test, statistics, effort) === "no");
      return predicate.equal && isAbsent ? "no" : "maybe";
    }
    case "within":
      return areaVerdict(predicate, statisticsOf);
    case "norm":
      return valueVerdict(predicate.test, derivedAt("norm", predicate.components, statisticsOf), effort);
  }
}

function derivedAt(
  kind: Derivation["kind"],
  columns: readonly BoundColumn[],
  statisticsOf: StatisticsOf,
): LeafStatistics | undefined {
  const leaves = columns.map(({ leaf }) => leaf).filter((leaf) => leaf !== undefined);
  return leaves.length === columns.length ? statisticsOf({ kind, leaves }) : undefined;
}

function statisticsAt({ leaf }: BoundColumn, statisticsOf: StatisticsOf): LeafStatistics | undefined {
  return leaf === undefined ? undefined : statisticsOf(leaf);
}

function valueVerdict(test: ValueTest, statistics: LeafStatistics | undefined, effort: Effort): Verdict {
  if (test.kind === "never") return "no";
  if (statistics === undefined) return "maybe";
  switch (test.kind) {
    case "exists":
      return existsVerdict(statistics);
    case "missing":
      return notVerdict(existsVerdict(statistics));
    case "intervals":
      return anyVerdict(nearest(test.of, statistics).map((interval) => intervalVerdict(interval, statistics)));
    case "text":
      return textVerdict(test.condition, statistics, effort);
  }
}

/** Of many intervals those that may have to do with the values: one that reaches into the range, and the next. */
function nearest(intervals: readonly Interval[], { range }: LeafStatistics): readonly Interval[] {
  if (intervals.length <= 2 || range?.kind !== "number") return intervals;
  const first = firstNotBelow(intervals, range.least);
  const found = intervals.slice(first, first + 2);
  return found.length > 0 ? found : intervals.slice(-1);
}

function areaVerdict(
  { latitude, longitude, area }: Extract<BoundPredicate, { kind: "within" }>,
  statisticsOf: StatisticsOf,
): Verdict {
  const north = statisticsAt(latitude, statisticsOf);
  const east = statisticsAt(longitude, statisticsOf);
  const { latitudes, longitudes, exact } = boundsOf(area);
  const inside = ([least, most]: readonly [number, number], statistics: LeafStatistics | undefined): Verdict =>
    statistics === undefined ? "maybe" : intervalVerdict({ least, most, outside: false, nan: false }, statistics);
  // Two longitudes may have become one on the way east: it tells what is not inside, and no more.
  const onWayEast = derivedAt("east", [longitude], statisticsOf);
  if (anyVerdict(longitudes.flatMap(spansEast).map((span) => inside(span, onWayEast))) === "no") return "no";
  const verdict = allVerdict([
    inside(latitudes, north),
    isTurned(east?.range) ? "maybe" : anyVerdict(longitudes.map((span) => inside(span, east))),
  ]);
  return verdict === "all" && !exact ? "maybe" : verdict;
}

/** Whether there are longitudes that stand for others. */
function isTurned(range: ValueRange | undefined): boolean {
  return range?.kind === "number" && !(range.least >= -180 && range.most <= 180);
}
