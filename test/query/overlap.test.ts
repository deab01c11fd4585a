// Groups of what overlaps in time: disjoint, in order, and as small as can be.

import { expect, test } from "vitest";
import { groupByOverlap } from "../../src/query/overlap.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

interface Piece {
  readonly name: string;
  readonly range: { readonly startNs: bigint; readonly endNs: bigint };
}

const pieces = (...ranges: readonly (readonly [number, number])[]): Piece[] =>
  ranges.map(([start, end], index) => ({
    name: String.fromCharCode(97 + index),
    range: { startNs: BigInt(start), endNs: BigInt(end) },
  }));
const namesOf = (groups: readonly (readonly Piece[])[]): string =>
  groups.map((group) => group.map(({ name }) => name).join("")).join(" ");

test.each([
  ["nothing", [], ""],
  ["one", [[1, 2]], "a"],
  [
    "disjoint, in order",
    [
      [1, 2],
      [3, 4],
    ],
    "a b",
  ],
  [
    "disjoint, out of order",
    [
      [3, 4],
      [1, 2],
    ],
    "b a",
  ],
  [
    "one starts where the other ends",
    [
      [1, 2],
      [2, 3],
    ],
    "a b",
  ],
  [
    "overlapping",
    [
      [1, 3],
      [2, 4],
    ],
    "ab",
  ],
  [
    "a chain",
    [
      [1, 3],
      [2, 5],
      [4, 6],
    ],
    "abc",
  ],
  [
    "one inside another",
    [
      [1, 9],
      [2, 3],
      [5, 6],
      [9, 10],
    ],
    "abc d",
  ],
  [
    "the long one ends last",
    [
      [1, 9],
      [2, 3],
      [8, 12],
      [10, 11],
    ],
    "abcd",
  ],
  [
    "a single time at the end of another",
    [
      [1, 3],
      [3, 3],
      [3, 4],
    ],
    "a b c",
  ],
  [
    "a single time inside another",
    [
      [1, 3],
      [2, 2],
      [4, 4],
    ],
    "ab c",
  ],
  [
    "equal single times",
    [
      [1, 1],
      [1, 1],
    ],
    "a b",
  ],
  [
    "equal ranges keep their order",
    [
      [1, 2],
      [1, 2],
      [1, 2],
    ],
    "abc",
  ],
  [
    "before 1970",
    [
      [-5, -3],
      [-4, -1],
      [-1, 0],
    ],
    "ab c",
  ],
] as const)("%s", (_title, ranges, names) => expect(namesOf(groupByOverlap(pieces(...ranges)))).toBe(names));

test("random pieces: groups are disjoint, in order, whole, and none could be split", () => {
  const random = new Random("overlap: pieces");
  const coverage = new Coverage("overlap: groups", ["alone", "of several", "of pieces of one time", "touching"]);
  for (let round = 0; round < 2_000; round += 1) {
    const given = pieces(
      ...Array.from({ length: random.below(9) }, () => {
        const start = random.below(20) - 10;
        return [start, start + random.pick([0, 0, 1, 3, 8])] as const;
      }),
    );
    const groups = groupByOverlap(given);
    expect(
      groups
        .flat()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(given.map(({ name }) => name));
    let lastEnd: bigint | undefined;
    for (const group of groups) {
      const start = group.reduce((least, { range }) => (range.startNs < least ? range.startNs : least), 100n);
      if (lastEnd !== undefined) {
        expect(start >= lastEnd).toBe(true);
        if (start === lastEnd) coverage.hit("touching");
      }
      // Every piece but the first begins before all those before it have ended.
      let end = group[0]?.range.endNs ?? 0n;
      for (const { range } of group.slice(1)) {
        expect(range.startNs < end).toBe(true);
        if (range.endNs > end) end = range.endNs;
      }
      lastEnd = lastEnd === undefined || end > lastEnd ? end : lastEnd;
      coverage.hit(group.length === 1 ? "alone" : "of several");
      if (group.some(({ range }) => range.startNs === range.endNs)) coverage.hit("of pieces of one time");
    }
  }
  coverage.check();
});
