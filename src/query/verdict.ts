/**
 * What statistics say of a condition: no row matches, all do, or the rows have to be read. Never more than they know: where they are
 * wide or missing, the answer is "maybe".
 */

import type { Condition } from "../model/predicate.ts";
import type { LeafStatistics, ValueRange } from "../model/statistics.ts";
import type { Effort } from "./effort.ts";
import type { Interval } from "./interval.ts";
import { matchesScalar } from "./match.ts";

export type Verdict = "no" | "maybe" | "all";

export function notVerdict(verdict: Verdict): Verdict {
  return verdict === "maybe" ? "maybe" : verdict === "all" ? "no" : "all";
}

/** All conditions hold at once. */
export function allVerdict(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes("no")) return "no";
  return verdicts.every((verdict) => verdict === "all") ? "all" : "maybe";
}

export function anyVerdict(verdicts: readonly Verdict[]): Verdict {
  return notVerdict(allVerdict(verdicts.map(notVerdict)));
}

/** What parts of the rows say together; none of no rows. */
function partsVerdict(parts: readonly { readonly values: number; readonly verdict: Verdict }[]): Verdict {
  const verdicts = new Set(parts.filter(({ values }) => values > 0).map(({ verdict }) => verdict));
  const [only] = verdicts;
  return only === undefined ? "no" : verdicts.size === 1 ? only : "maybe";
}

export function existsVerdict({ values, nulls }: LeafStatistics): Verdict {
  return partsVerdict([
    { values: values - nulls, verdict: "all" },
    { values: nulls, verdict: "no" },
  ]);
}

/** Of numbers, times and booleans. */
export function intervalVerdict(interval: Interval, { values, nulls, nans, range }: LeafStatistics): Verdict {
  return partsVerdict([
    { values: nulls, verdict: "no" },
    { values: nans, verdict: interval.nan ? "all" : "no" },
    { values: values - nulls - nans, verdict: rangeVerdict(interval, range) },
  ]);
}

function rangeVerdict({ least, most, outside }: Interval, range: ValueRange | undefined): Verdict {
  if (range?.kind !== "number") return "maybe";
  const inside: Verdict =
    !(least <= most) || range.most < least || range.least > most
      ? "no"
      : range.least >= least && range.most <= most
        ? "all"
        : "maybe";
  return outside ? notVerdict(inside) : inside;
}

/** Of texts. */
export function textVerdict(condition: Condition, leaf: LeafStatistics, effort: Effort): Verdict {
  const { values, nulls, range, distinct } = leaf;
  let verdict: Verdict;
  if (distinct === undefined) verdict = textRangeVerdict(condition, range);
  else {
    const matching = distinct.filter((text) => matchesScalar(condition, text, effort)).length;
    verdict = matching === 0 ? "no" : matching === distinct.length ? "all" : "maybe";
  }
  return partsVerdict([
    { values: nulls, verdict: "no" },
    { values: values - nulls, verdict },
  ]);
}

const utf8 = new TextEncoder();

function textRangeVerdict(condition: Condition, range: ValueRange | undefined): Verdict {
  if (range?.kind !== "text") return "maybe";
  switch (condition.kind) {
    case "eq":
      return inTextRange(range, condition.operand) ? "maybe" : "no";
    case "neq":
      if (typeof condition.operand !== "string") return "no";
      return inTextRange(range, condition.operand) ? "maybe" : "all";
    case "in":
      return [...condition.operands.values].some((operand) => inTextRange(range, operand)) ? "maybe" : "no";
    case "lt":
    case "leq":
      return orderVerdict(range, undefined, condition.operand);
    case "gt":
    case "geq":
      return orderVerdict(range, condition.operand, undefined);
    case "between":
      return orderVerdict(range, condition.least, condition.most);
    default:
      return "maybe";
  }
}

function inTextRange({ least, most }: Extract<ValueRange, { kind: "text" }>, operand: unknown): boolean {
  if (typeof operand !== "string") return false;
  const bytes = utf8.encode(operand);
  return Buffer.compare(bytes, least) >= 0 && (most === undefined || Buffer.compare(bytes, most) <= 0);
}

/** Texts from one bound to another; at the bounds themselves only the texts can tell. */
function orderVerdict({ least, most }: Extract<ValueRange, { kind: "text" }>, from: unknown, to: unknown): Verdict {
  const bounds = [from, to].map((bound) => (typeof bound === "string" ? utf8.encode(bound) : undefined));
  const [lower, upper] = bounds;
  if ((from !== undefined && lower === undefined) || (to !== undefined && upper === undefined)) return "no";
  if (lower !== undefined && most !== undefined && Buffer.compare(most, lower) < 0) return "no";
  if (upper !== undefined && Buffer.compare(least, upper) > 0) return "no";
  const aboveLower = lower === undefined || Buffer.compare(least, lower) > 0;
  const belowUpper = upper === undefined || (most !== undefined && Buffer.compare(most, upper) < 0);
  return aboveLower && belowUpper ? "all" : "maybe";
}
