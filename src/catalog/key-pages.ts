/** Keys of a part of a table that may have millions, some at a time. In between nothing of the catalog is held open. */

import { queryPage } from "../model/limits.ts";
import type { Key, Table } from "./catalog.ts";

// Texts in keys have no control characters, so with this one is before all others that follow it.
const leastSuffix = "\u0001";

/** With `start` <= key < `end`, in order. The last part of each key is a text. */
export function* keyPages(table: Pick<Table<unknown>, "keys">, start: Key, end: Key): Generator<Key[]> {
  for (let from = start; ; ) {
    const keys = table.keys(from, end, queryPage.rows);
    const last = keys.at(-1);
    if (last === undefined) return;
    yield keys;
    if (keys.length < queryPage.rows) return;
    from = typeof last === "string" ? `${last}${leastSuffix}` : [...last.slice(0, -1), `${last.at(-1)}${leastSuffix}`];
  }
}
