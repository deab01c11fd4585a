/** Which values of a vector satisfy a test: one byte each, 0 or 1. A null satisfies `missing` alone. Long texts let others go first. */

import { getBit } from "../arrow/bits.ts";
import { type TextVector, textAt } from "../arrow/text-vector.ts";
import { isNull, type NumberVector, type Vector } from "../arrow/vector.ts";
import type { Condition } from "../model/predicate.ts";
import type { ValueTest } from "./bind.ts";
import type { Effort } from "./effort.ts";
import { firstNotBelow, type Interval } from "./interval.ts";
import { matchesScalar } from "./match.ts";

/** Steps that a text costs beside its characters. */
const stepsPerText = 16;

/** @throws Fault overloaded, the signal's reason when it has fired */
export async function matchValues(vector: Vector, test: ValueTest, effort: Effort): Promise<Uint8Array> {
  const found = new Uint8Array(vector.length);
  effort.scan(vector.length);
  if (test.kind === "exists" || test.kind === "missing") {
    const wanted = test.kind === "missing";
    for (let row = 0; row < found.length; row += 1) found[row] = isNull(vector, row) === wanted ? 1 : 0;
    return found;
  }
  if (test.kind === "never") return found;
  switch (vector.kind) {
    case "number":
      if (test.kind === "intervals") matchIntervals(vector, test.of, found, effort);
      break;
    case "boolean":
      if (test.kind === "intervals") {
        const verdicts = [0, 1].map((value) => (test.of.some((interval) => isInside(interval, value)) ? 1 : 0));
        for (let row = 0; row < found.length; row += 1) found[row] = verdicts[getBit(vector.bits, row)] ?? 0;
      }
      break;
    case "text":
      if (test.kind === "text") await matchTexts(vector, test.condition, found, effort);
      break;
    case "indexed": {
      const values = await matchValues(vector.values, test, effort);
      for (let row = 0; row < found.length; row += 1) found[row] = values[vector.indices[row] ?? 0] ?? 0;
      break;
    }
    case "list":
    case "opaque":
      break;
  }
  maskNulls(vector, found);
  return found;
}

function maskNulls({ validity }: Vector, found: Uint8Array): void {
  if (validity === undefined) return;
  for (let row = 0; row < found.length; row += 1) found[row] = (found[row] ?? 0) & getBit(validity, row);
}

/** @param value not NaN */
function isInside({ least, most, outside }: Interval, value: bigint | number): boolean {
  return (value >= least && value <= most) !== outside;
}

function matchIntervals(vector: NumberVector, intervals: readonly Interval[], found: Uint8Array, effort: Effort): void {
  const [only] = intervals;
  if (only !== undefined && intervals.length === 1) {
    matchNumbers(vector, only, found);
    return;
  }
  effort.scan(vector.length * Math.ceil(Math.log2(intervals.length + 1)));
  for (let row = 0; row < found.length; row += 1) {
    const value = vector.values[row] as bigint | number;
    const interval = intervals[firstNotBelow(intervals, value)];
    if (interval !== undefined && value >= interval.least && value <= interval.most) found[row] = 1;
  }
}

/** What is in the interval. */
function matchNumbers({ values }: NumberVector, interval: Interval, found: Uint8Array): void {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    matchLongs(values, interval, found);
    return;
  }
  const { outside, nan } = interval;
  // Such columns have no value to which the bound that is nearest as a double would not be right.
  const [least, most] = [Number(interval.least), Number(interval.most)];
  for (let row = 0; row < found.length; row += 1) {
    const value = values[row] as number;
    if ((value >= least && value <= most) !== outside && (nan || !Number.isNaN(value))) found[row] = 1;
  }
}

function matchLongs(
  values: BigInt64Array | BigUint64Array,
  { least, most, outside }: Interval,
  found: Uint8Array,
): void {
  for (let row = 0; row < found.length; row += 1) {
    const value = values[row] as bigint;
    if ((value >= least && value <= most) !== outside) found[row] = 1;
  }
}

async function matchTexts(vector: TextVector, condition: Condition, found: Uint8Array, effort: Effort): Promise<void> {
  const exact =
    condition.kind === "eq" && typeof condition.operand === "string" ? Buffer.from(condition.operand) : undefined;
  effort.scan(stepsPerText * found.length);
  for (let row = 0; row < found.length; row += 1) {
    if (vector.validity !== undefined && getBit(vector.validity, row) === 0) continue;
    const bytes = textAt(vector, row);
    if (exact !== undefined) {
      found[row] = exact.byteLength === bytes.byteLength && exact.compare(bytes) === 0 ? 1 : 0;
      continue;
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
    found[row] = matchesScalar(condition, text, effort) ? 1 : 0;
    if (effort.isDue) await effort.pause();
  }
}
