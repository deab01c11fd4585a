/** Targets of sync. Functions named put and remove are to be called inside a transaction. */

import type { Target } from "../model/target.ts";
import type { Catalog } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";

export function findTarget(catalog: Catalog, name: string): Target | undefined {
  const row = catalog.targets.get(name);
  return row === undefined ? undefined : decodeRow<Target>(row);
}

/** In the order of their names. */
export function listTargets(catalog: Catalog): Target[] {
  return [...catalog.targets.range("\u0001", "\u007f")].map(({ value }) => decodeRow<Target>(value));
}

export function putTarget(catalog: Catalog, target: Target): void {
  catalog.targets.put(target.name, encodeRow(target));
}

export function removeTarget(catalog: Catalog, name: string): void {
  catalog.targets.remove(name);
}
