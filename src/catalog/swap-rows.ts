/**
 * Files that repair has written anew and that have not taken their place yet, in the table of facts: "swap <path>" -> where the
 * file that lies there now has to go. Functions named put and remove are to be called inside a transaction.
 */

import type { Catalog, Key } from "./catalog.ts";

export interface Swap {
  /** Where the new file belongs. */
  readonly path: string;
  /** Where the old one is put aside. */
  readonly quarantine: string;
}

const prefix = "swap ";

export function isSwapKey(key: Key): boolean {
  return typeof key === "string" && key.startsWith(prefix);
}

export function listSwaps(catalog: Catalog): Swap[] {
  const rows = catalog.facts.range(prefix, `${prefix}\u007f`);
  return [...rows].map(({ key, value }) => ({ path: String(key).slice(prefix.length), quarantine: value }));
}

export function putSwap(catalog: Catalog, { path, quarantine }: Swap): void {
  catalog.facts.put(`${prefix}${path}`, quarantine);
}

export function removeSwap(catalog: Catalog, { path }: Swap): void {
  catalog.facts.remove(`${prefix}${path}`);
}
