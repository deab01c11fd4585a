// Zones of a tail: as many batches as it has, whatever is taken from it, and nothing said that is not so.

import { expect, test } from "vitest";
import { TailZones } from "../../src/ingest/tail-zones.ts";
import { zoneBytes } from "../../src/model/limits.ts";
import type { RowStatistics } from "../../src/model/statistics.ts";
import { Random } from "../model/random.ts";

/** Of one column of int64, of one row. */
function statisticsOf(value: bigint): RowStatistics {
  return [{ values: 1, nulls: 0, nans: 0, range: { kind: "number", least: value, most: value }, distinct: undefined }];
}

test("gathers small batches, splits and forgets them", () => {
  const random = new Random("tail zones");
  const zones = new TailZones();
  let values: (bigint | undefined)[] = [];
  let gathered = 0;
  let cut = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const dice = random.next();
    if (dice < 0.8) {
      const value = random.chance(0.02) ? undefined : random.int64();
      values.push(value);
      zones.add(1 + random.below(zoneBytes / 4), value === undefined ? undefined : statisticsOf(value));
    } else if (dice < 0.9) {
      const count = random.below(values.length + 1);
      values = values.slice(count);
      zones.drop(count);
    } else {
      const count = values.length - random.below(Math.min(3, values.length) + 1);
      values = values.slice(0, count);
      zones.keep(count);
    }
    const count = random.below(values.length + 1);
    const first = zones.first(count);
    expect(first.reduce((sum, { entries }) => sum + entries, 0)).toBe(count);
    let at = 0;
    for (const { entries, bytes, statistics } of first) {
      expect(bytes).toBeGreaterThan(0);
      expect(bytes).toBeLessThanOrEqual(zoneBytes);
      if (entries > 1) gathered += 1;
      for (const value of values.slice(at, at + entries)) {
        const range = statistics?.[0]?.range;
        if (value === undefined) expect(statistics).toBeUndefined();
        else if (range?.kind === "number") expect(value >= range.least && value <= range.most).toBe(true);
      }
      at += entries;
    }
    if (count < values.length && first.length > 0) cut += 1;
  }
  console.log(`tail zones: ${gathered} of some batches, ${cut} cuts`);
  expect(gathered).toBeGreaterThan(1_000);
  expect(cut).toBeGreaterThan(500);
});
