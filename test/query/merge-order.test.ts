// The k-way merge against a plain stable sort.

import { expect, test } from "vitest";
import type { RowRun } from "../../src/arrow/gather-job.ts";
import { mergeOrder } from "../../src/query/merge-order.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const columnsOf = (...columns: readonly (readonly number[])[]): BigInt64Array[] =>
  columns.map((times) => BigInt64Array.from(times, BigInt));

const rowsOf = (runs: Iterable<RowRun>): (readonly [number, number])[] =>
  [...runs].flatMap(({ source, start, length }) =>
    Array.from({ length }, (_none, index) => [source, start + index] as const),
  );

/** Sources in their order, then sorted by time: an engine's sort is stable. */
const sorted = (columns: readonly BigInt64Array[]): (readonly [number, number])[] =>
  columns
    .flatMap((times, source) => Array.from(times, (time, row) => ({ time, source, row })))
    .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
    .map(({ source, row }) => [source, row] as const);

test.each<[string, BigInt64Array[], RowRun[]]>([
  ["nothing", [], []],
  ["columns without rows", columnsOf([], []), []],
  ["one column is one run", columnsOf([1, 2, 2, 3]), [{ source: 0, start: 0, length: 4 }]],
  [
    "disjoint columns are a run each, whatever their order",
    columnsOf([7, 8], [1, 2, 3]),
    [
      { source: 1, start: 0, length: 3 },
      { source: 0, start: 0, length: 2 },
    ],
  ],
  [
    "equal times keep the order of the sources",
    columnsOf([5, 5], [5], [5, 5]),
    [
      { source: 0, start: 0, length: 2 },
      { source: 1, start: 0, length: 1 },
      { source: 2, start: 0, length: 2 },
    ],
  ],
  [
    "a source later in order lets the same time of an earlier one go first",
    columnsOf([2, 4], [1, 2, 3]),
    [
      { source: 1, start: 0, length: 1 },
      { source: 0, start: 0, length: 1 },
      { source: 1, start: 1, length: 2 },
      { source: 0, start: 1, length: 1 },
    ],
  ],
  [
    "ends of int64",
    [BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n), BigInt64Array.of(-(2n ** 63n), 0n)],
    [
      { source: 0, start: 0, length: 1 },
      { source: 1, start: 0, length: 2 },
      { source: 0, start: 1, length: 1 },
    ],
  ],
])("%s", (_title, columns, runs) => expect([...mergeOrder(columns)]).toEqual(runs));

test("random columns come in the order of a stable sort, in runs as long as can be", () => {
  const random = new Random("merge order: columns");
  const coverage = new Coverage("merge order: columns", [
    "one column",
    "two columns",
    "many columns",
    "a column without rows",
    "ties between columns",
    "ties inside a column",
    "runs longer than one row",
    "a run that ends inside a galloping step",
  ]);
  for (let round = 0; round < 800; round += 1) {
    const spread = random.pick([1, 3, 20, 1_000_000]);
    const count = random.pick([1, 2, 3, 4, 9]);
    const columns = Array.from({ length: count }, () =>
      BigInt64Array.from({ length: random.pick([0, 1, 5, 40]) }, () => BigInt(random.below(spread) - 5)).sort(),
    );
    const runs = [...mergeOrder(columns)];
    const rows = rowsOf(runs);
    expect(rows).toEqual(sorted(columns));
    // Two runs of one source behind each other would have been one.
    for (const [index, { source }] of runs.entries()) expect(runs[index + 1]?.source).not.toBe(source);
    coverage.hit(count === 1 ? "one column" : count === 2 ? "two columns" : "many columns");
    if (columns.some(({ length }) => length === 0)) coverage.hit("a column without rows");
    const sets = columns.map((times) => new Set(times));
    if (sets.some((set, index) => set.size < (columns[index]?.length ?? 0))) coverage.hit("ties inside a column");
    if (new Set(sets.flatMap((set) => [...set])).size < sets.reduce((sum, { size }) => sum + size, 0))
      coverage.hit("ties between columns");
    if (runs.some(({ length }) => length > 1)) coverage.hit("runs longer than one row");
    if (runs.some(({ length }) => length > 3 && length % 2 === 0))
      coverage.hit("a run that ends inside a galloping step");
  }
  coverage.check();
});
