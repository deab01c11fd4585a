/**
 * Matches texts against patterns. What stands between two runs is looked for from left to right and never again, so a pattern of
 * literal characters takes time in proportion to the text; one with sets or `?` between runs at most their number times that.
 */

import type { Pattern, PatternElement } from "../model/predicate.ts";
import type { Effort } from "./effort.ts";

type Test = Exclude<PatternElement, { kind: "run" }>;

/** The elements between two runs. */
interface Segment {
  readonly tests: readonly Test[];
  /** The characters, when all are literal. */
  readonly literal: Literal | undefined;
}

interface Literal {
  readonly codes: Uint32Array;
  /** For each number of characters that matched: how many of them still do when the next one does not. */
  readonly fallbacks: Uint32Array;
}

const compiled = new WeakMap<Pattern, readonly Segment[]>();

/** Matches the whole text. @throws Fault overloaded */
export function matchesPattern(pattern: Pattern, text: string, effort: Effort): boolean {
  const segments = segmentsOf(pattern);
  const codes = codesOf(text);
  effort.spend(codes.length + pattern.length);
  const [head, ...rest] = segments;
  const tail = rest.pop();
  if (head === undefined || !matchesAt(head, codes, 0)) return false;
  if (tail === undefined) return codes.length === head.tests.length;
  const end = codes.length - tail.tests.length;
  let at = head.tests.length;
  for (const segment of rest) {
    const found = find(segment, codes.subarray(0, Math.max(0, end)), at, effort);
    if (found < 0) return false;
    at = found + segment.tests.length;
  }
  return at <= end && matchesAt(tail, codes, end);
}

function segmentsOf(pattern: Pattern): readonly Segment[] {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const lists: Test[][] = [[]];
  for (const element of pattern) {
    if (element.kind === "run") lists.push([]);
    else lists.at(-1)?.push(element);
  }
  // Of runs side by side one is enough; the first and the last segment stay, for they are where the text begins and ends.
  const segments = lists
    .filter((tests, index) => tests.length > 0 || index === 0 || index === lists.length - 1)
    .map((tests) => ({ tests, literal: literalOf(tests) }));
  compiled.set(pattern, segments);
  return segments;
}

function literalOf(tests: readonly Test[]): Literal | undefined {
  const codes = new Uint32Array(tests.length);
  for (const [index, test] of tests.entries()) {
    if (test.kind !== "literal") return undefined;
    codes[index] = test.character.codePointAt(0) ?? 0;
  }
  const fallbacks = new Uint32Array(tests.length + 1);
  let matched = 0;
  for (let index = 1; index < codes.length; index += 1) {
    while (matched > 0 && codes[index] !== codes[matched]) matched = fallbacks[matched] ?? 0;
    if (codes[index] === codes[matched]) matched += 1;
    fallbacks[index + 1] = matched;
  }
  return { codes, fallbacks };
}

/** Code points: a pattern's character is one of them, whatever it takes in UTF-16. */
function codesOf(text: string): Uint32Array {
  const codes = new Uint32Array(text.length);
  let count = 0;
  for (let at = 0; at < text.length; count += 1) {
    const code = text.codePointAt(at) ?? 0;
    codes[count] = code;
    at += code > 0xffff ? 2 : 1;
  }
  return codes.subarray(0, count);
}

/** Where the segment first begins at or behind `start`; -1 when nowhere. */
function find({ tests, literal }: Segment, codes: Uint32Array, start: number, effort: Effort): number {
  if (literal !== undefined) return findLiteral(literal, codes, start);
  for (let at = start; at + tests.length <= codes.length; at += 1) {
    let matched = 0;
    while (matched < tests.length && passes(tests[matched], codes[at + matched] ?? 0)) matched += 1;
    if (matched === tests.length) return at;
    effort.spend(1 + matched);
  }
  return -1;
}

/** The search of Knuth, Morris and Pratt, which never goes back in the text. */
function findLiteral({ codes: wanted, fallbacks }: Literal, codes: Uint32Array, start: number): number {
  let matched = 0;
  for (let at = start; at < codes.length; at += 1) {
    while (matched > 0 && codes[at] !== wanted[matched]) matched = fallbacks[matched] ?? 0;
    if (codes[at] === wanted[matched]) matched += 1;
    if (matched === wanted.length) return at + 1 - matched;
  }
  return -1;
}

function matchesAt({ tests }: Segment, codes: Uint32Array, start: number): boolean {
  if (start < 0 || start + tests.length > codes.length) return false;
  return tests.every((test, index) => passes(test, codes[start + index] ?? 0));
}

function passes(test: Test | undefined, code: number): boolean {
  switch (test?.kind) {
    case undefined:
      return false;
    case "one":
      return true;
    case "literal":
      return test.character.codePointAt(0) === code;
    case "set":
      return isWithin(test.ranges, code) !== test.negated;
  }
}

/** @param ranges disjoint and in order */
function isWithin(ranges: readonly (readonly [number, number])[], code: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const [first, last] = ranges[middle] ?? [0, 0];
    if (code < first) high = middle;
    else if (code > last) low = middle + 1;
    else return true;
  }
  return false;
}
