/** Statistics of rows that were looked at apart, as of all of them together. */

import { distinctTextsMax } from "./limits.ts";
import { isSameDerivation, type LeafStatistics, type RowStatistics, type ValueRange } from "./statistics.ts";

/** Of the same leaves; of those that only one knows of, nothing is known. */
export function mergeStatistics(a: RowStatistics, b: RowStatistics): RowStatistics {
  return Array.from({ length: Math.max(a.length, b.length) }, (_none, index) => mergeLeaves(a[index], b[index]));
}

export function mergeLeaves(a: LeafStatistics | undefined, b: LeafStatistics | undefined): LeafStatistics | undefined {
  if (a === undefined || b === undefined || !isSameDerivation(a.derivation, b.derivation)) return undefined;
  const merged = { values: a.values + b.values, nulls: a.nulls + b.nulls, nans: a.nans + b.nans };
  if (!Number.isSafeInteger(merged.values)) return undefined;
  const range = isWithoutOrdered(a) ? b.range : isWithoutOrdered(b) ? a.range : mergeRanges(a.range, b.range);
  const distinct =
    a.values === a.nulls ? b.distinct : b.values === b.nulls ? a.distinct : mergeDistinct(a.distinct, b.distinct);
  const all = { ...merged, range, distinct };
  return a.derivation === undefined ? all : { ...all, derivation: a.derivation };
}

/** Whether every value is null or NaN: an absent range means that there is none, not that it is unknown. */
function isWithoutOrdered({ values, nulls, nans }: LeafStatistics): boolean {
  return values === nulls + nans;
}

function mergeRanges(a: ValueRange | undefined, b: ValueRange | undefined): ValueRange | undefined {
  if (a?.kind === "number" && b?.kind === "number")
    return { kind: "number", least: a.least < b.least ? a.least : b.least, most: a.most > b.most ? a.most : b.most };
  if (a?.kind !== "text" || b?.kind !== "text") return undefined;
  return {
    kind: "text",
    least: Buffer.compare(a.least, b.least) < 0 ? a.least : b.least,
    most:
      a.most === undefined || b.most === undefined ? undefined : Buffer.compare(a.most, b.most) > 0 ? a.most : b.most,
  };
}

function mergeDistinct(a: LeafStatistics["distinct"], b: LeafStatistics["distinct"]): LeafStatistics["distinct"] {
  if (a === undefined || b === undefined) return undefined;
  const all = new Set([...a, ...b]);
  return all.size <= distinctTextsMax.texts ? [...all] : undefined;
}
