/** Facts about the store as a whole: its identity and format, and which process owns it. */

import { Fault } from "../model/fault.ts";
import type { TimeNs } from "../model/time.ts";
import type { Catalog } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";
import { putSearchKeysWhole } from "./search-keys.ts";

export interface StoreFacts {
  readonly id: string;
  readonly format: number;
  readonly createdAtNs: TimeNs;
}

export function readStoreFacts(catalog: Catalog): StoreFacts | undefined {
  const row = catalog.facts.get("store");
  return row === undefined ? undefined : decodeRow<StoreFacts>(row);
}

/** For a catalog that has no sequences and topics yet, or search keys of all of them. */
export async function writeStoreFacts(catalog: Catalog, facts: StoreFacts): Promise<void> {
  await catalog.transaction(() => {
    catalog.facts.put("store", encodeRow(facts));
    putSearchKeysWhole(catalog);
  });
}

interface LatestTimeRow {
  readonly atNs: TimeNs;
}

/** The latest wall time that was noted. */
export function readLatestTime(catalog: Catalog): TimeNs | undefined {
  const row = catalog.facts.get("latestTime");
  return row === undefined ? undefined : decodeRow<LatestTimeRow>(row).atNs;
}

/** To be called inside a transaction. */
export function putLatestTime(catalog: Catalog, atNs: TimeNs): void {
  catalog.facts.put("latestTime", encodeRow({ atNs } satisfies LatestTimeRow));
}

/** The process that serves the store. Its control socket answers as long as it lives. */
export interface Owner {
  readonly socket: string;
  readonly pid: number;
}

export function readOwner(catalog: Catalog): Owner | undefined {
  const row = catalog.facts.get("owner");
  return row === undefined ? undefined : decodeRow<Owner>(row);
}

/** Takes the store from `previous`, which has been found dead. @throws Fault wrong_state when another process was faster */
export async function takeOwnership(catalog: Catalog, owner: Owner, previous: Owner | undefined): Promise<void> {
  await catalog.transaction(() => {
    const current = readOwner(catalog);
    if (current?.socket !== previous?.socket) {
      throw new Fault(
        "wrong_state",
        `Another server (process ${current?.pid}) has just started on this data directory.`,
      );
    }
    catalog.facts.put("owner", encodeRow(owner));
  });
}

/** @param next whose the store is then: nobody's, or that of a dead process which did not close it */
export async function giveUpOwnership(catalog: Catalog, owner: Owner, next?: Owner): Promise<void> {
  await catalog.transaction(() => {
    if (readOwner(catalog)?.socket !== owner.socket) return;
    if (next === undefined) catalog.facts.remove("owner");
    else catalog.facts.put("owner", encodeRow(next));
  });
}

/** Bytes of all chunk files and of what lies in tail logs: the sum of all topics' extents. */
export function readStoredBytes(catalog: Catalog): number {
  return Number(catalog.facts.get("bytes") ?? 0);
}

/** To be called inside the transaction that changes extents. */
export function addStoredBytes(catalog: Catalog, bytes: number): void {
  if (bytes !== 0) catalog.facts.put("bytes", String(readStoredBytes(catalog) + bytes));
}
