/**
 * How far sessions have come on their way to targets. A session without a row has not been begun. Functions named put and remove
 * are to be called inside a transaction.
 */

import { Fault } from "../model/fault.ts";
import type { SequenceName } from "../model/locator.ts";
import type { Sequence, Session, Ulid, Uuid } from "../model/resource.ts";
import { pastClaimsMax, pastClaimsOver } from "../model/sync-limits.ts";
import { type Cursor, type Leftover, leftoverOf, type SequenceClaim, type TransferRow } from "../model/transfer.ts";
import type { Catalog, Key } from "./catalog.ts";
import { keyPages } from "./key-pages.ts";
import { decodeRow, encodeRow } from "./row.ts";
import { listTargets } from "./target-rows.ts";

// ULIDs are ASCII without control characters.
const behindAscii = "\u007f";

export function findTransfer(catalog: Catalog, session: Ulid, target: Ulid): TransferRow | undefined {
  const row = catalog.transfers.get([session, target]);
  return row === undefined ? undefined : decodeRow<TransferRow>(row);
}

/** Of a session, by target. */
export function transfersOf(catalog: Catalog, session: Ulid): Map<Ulid, TransferRow> {
  const rows = catalog.transfers.range([session, ""], [session, behindAscii]);
  return new Map([...rows].map(({ key, value }) => [String(key[1]) as Ulid, decodeRow<TransferRow>(value)]));
}

export function putTransfer(catalog: Catalog, session: Ulid, target: Ulid, row: TransferRow): void {
  catalog.transfers.put([session, target], encodeRow(row));
}

/** Keys of a table whose rows are of sessions or sequences and targets: those of one target, some at a time. */
export function* keysOfTarget(
  table: Catalog["transfers" | "claims"],
  target: Ulid,
): Generator<readonly [of: Ulid, target: Ulid][]> {
  for (const keys of keyPages(table, ["", ""], [behindAscii, ""]))
    yield keys.flatMap((key) => (key[1] === target ? [[String(key[0]) as Ulid, target] as const] : []));
}

/** Of a sequence that is gone here: by its name, which no ULID looks like. */
function pastKey(name: SequenceName): string {
  return `${pastPrefix}${name}`;
}

export const pastPrefix = "/";
const behindPast = "0";

/** Known by every session of a sequence, also when those that found it out are gone. */
export function findClaim(catalog: Catalog, sequence: Ulid, target: Ulid): SequenceClaim {
  return (catalog.claims.get([sequence, target]) as SequenceClaim | undefined) ?? "unknown";
}

/** The UUID of the first sequence of a name that is gone here and was ours there: the one there has what follows from it. */
export function findPastSequence(catalog: Catalog, name: SequenceName, target: Ulid): Uuid | undefined {
  return readable(catalog, [pastKey(name), target]) as Uuid | undefined;
}

export function putClaim(catalog: Catalog, sequence: Ulid, target: Ulid, claim: SequenceClaim): void {
  if (catalog.claims.get([sequence, target]) !== claim) catalog.claims.put([sequence, target], claim);
}

/**
 * Of a sequence that goes. Which one was ours there is kept, for as many as are held: the first names are given up before the last, and
 * not while there is a sequence of the name, which goes by it.
 */
export function removeClaims(catalog: Catalog, { ulid, uuid, name }: Pick<Sequence, "ulid" | "uuid" | "name">): void {
  const { claims } = catalog;
  const targets = new Set<string>(listTargets(catalog).map(({ id }) => id));
  for (const key of claims.keys([ulid, ""], [ulid, behindAscii])) {
    const target = String(key[1]);
    const past: Key = [pastKey(name), target];
    const isNews = readable(catalog, key) === "ours" && readable(catalog, past) === undefined;
    if (targets.has(target) && isNews) claims.put(past, uuid);
    claims.remove(key);
  }
  const past = claims.keys([pastPrefix, ""], [behindPast, ""], pastClaimsMax + pastClaimsOver);
  if (past.length < pastClaimsMax + pastClaimsOver) return;
  const unused = past.filter(([name]) => !catalog.sequences.has(String(name).slice(pastPrefix.length)));
  for (const key of unused.slice(0, pastClaimsOver)) claims.remove(key);
}

/** What cannot be read is given up, and nothing else with it. */
function readable({ claims }: Catalog, key: Key): string | undefined {
  try {
    return claims.get(key);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

/** Whether a session goes because somebody does not want it, or because there is no room here: then what is there is all of it. */
export type DeletedWhere = "everywhere" | "here";

/** All of a session that is deleted. What was begun of it at targets is noted where it has to go there too. */
export function removeTransfers(catalog: Catalog, session: Session, where: DeletedWhere): void {
  const { ulid } = session;
  if (where === "everywhere")
    for (const [target, { cursor }] of transfersOf(catalog, ulid)) putLeftover(catalog, target, session, cursor);
  for (const key of catalog.transfers.keys([ulid, ""], [ulid, behindAscii])) catalog.transfers.remove(key);
}

/** Of a session that is deleted, if there may be anything of it there. */
export function putLeftover(catalog: Catalog, target: Ulid, session: Session, cursor: Cursor): void {
  const leftover = leftoverOf(session, cursor);
  if (leftover !== undefined) catalog.leftovers.put([target, session.ulid], encodeRow(leftover));
}

/** What is to be deleted at a target, by the session that it was here. */
export function* listLeftovers(catalog: Catalog, target: Ulid): Generator<readonly [session: Ulid, Leftover]> {
  for (const { key, value } of catalog.leftovers.range([target, ""], [target, behindAscii]))
    yield [String(key[1]) as Ulid, decodeRow<Leftover>(value)];
}

export function removeLeftover(catalog: Catalog, target: Ulid, session: Ulid): void {
  catalog.leftovers.remove([target, session]);
}

/** All of a target that is forgotten, for nobody deletes there any more; how many. */
export function removeLeftovers(catalog: Catalog, target: Ulid): number {
  const keys = catalog.leftovers.keys([target, ""], [target, behindAscii]);
  for (const key of keys) catalog.leftovers.remove(key);
  return keys.length;
}
