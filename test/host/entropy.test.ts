// Names of resources by clocks that are right, and by such that are not.

import { expect, test } from "vitest";
import { newUlid } from "../../src/host/entropy.ts";

test.each([-1e15, -86_400_000, -1, 0, 1, 1_700_000_000_000])("at %i ms since 1970 there is a name", (wallMs) => {
  expect(newUlid(wallMs)).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});

test("names sort by their time, and those before 1970 first", () => {
  const times = [-5, 2, 1_000, 1_700_000_000_000];
  const names = times.map(newUlid);
  expect([...names].sort()).toEqual(names);
});
