/** Whether others have a session: what retention may delete first, or at all. */

import { matchesGlob } from "node:path";
import type { Catalog } from "../catalog/catalog.ts";
import { transfersOf } from "../catalog/transfer-rows.ts";
import type { SequenceName } from "../model/locator.ts";
import type { Session } from "../model/resource.ts";
import type { Target } from "../model/target.ts";
import { isLeftOut, isSynced } from "../model/transfer.ts";

/** Whether sessions of a sequence go to a target. */
export function isIncluded({ include, exclude }: Pick<Target, "include" | "exclude">, sequence: SequenceName): boolean {
  const fits = (patterns: readonly string[]): boolean => patterns.some((pattern) => matchesGlob(sequence, pattern));
  return (include.length === 0 || fits(include)) && !fits(exclude);
}

/**
 * Whether each target that the session goes to has it, that was checked, and it is still the same store; one that goes nowhere is
 * nowhere else.
 */
export function isSyncedEverywhere(catalog: Catalog, session: Session, targets: readonly Target[]): boolean {
  const included = targets.filter((target) => isIncluded(target, session.sequence));
  if (included.length === 0) return false;
  const transfers = transfersOf(catalog, session.ulid);
  const wanted = included.flatMap((target) => {
    const cursor = transfers.get(target.id)?.cursor;
    return cursor !== undefined && isLeftOut(cursor, target) ? [] : [cursor];
  });
  if (included.some(({ isUnconfirmed }) => isUnconfirmed === true)) return false;
  return wanted.length > 0 && wanted.every((cursor) => cursor !== undefined && isSynced(cursor));
}
