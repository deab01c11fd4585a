/** Targets of sync. Functions named put and remove are to be called inside a transaction. */

import type { Target } from "../model/target.ts";
import type { Catalog } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";

export function findTarget(catalog: Catalog, name: string): Target | undefined {
  const row = catalog.targets.get(name);
  return row === undefined ? undefined : decodeRow<Target>(row);
}

/** In the order of their names, without those that are being forgotten. */
export function listTargets(catalog: Catalog): Target[] {
  const targets = [...catalog.targets.range("\u0001", "\u007f")].map(({ value }) => decodeRow<Target>(value));
  return targets.filter(({ leaving }) => leaving !== true);
}

/** As it is now; undefined when it is forgotten, or another one of its name. */
function known(catalog: Catalog, { name, id }: Target): Target | undefined {
  const target = findTarget(catalog, name);
  return target?.id === id && target.leaving !== true ? target : undefined;
}

/** Whether it is not forgotten, and not another one of its name. */
export function isKnown(catalog: Catalog, target: Target): boolean {
  return known(catalog, target) !== undefined;
}

/** Whether anything is to go there now. */
export function isActive(catalog: Catalog, target: Target): boolean {
  return known(catalog, target)?.paused === false;
}

/** Whether it may be another store than the one that sessions went to. */
export function isUnconfirmed(catalog: Catalog, target: Target): boolean {
  return known(catalog, target)?.isUnconfirmed === true;
}

/** Whether nobody has changed it since it was read. */
export function isUnchanged(catalog: Catalog, target: Target): boolean {
  return known(catalog, target)?.changedAtNs === target.changedAtNs;
}

export function putTarget(catalog: Catalog, target: Target): void {
  catalog.targets.put(target.name, encodeRow(target));
}

export function removeTarget(catalog: Catalog, name: string): void {
  catalog.targets.remove(name);
}
