/** What clients last proved to be, by API key and by peer address. Functions named put are to be called inside a transaction. */

import { dialectMemoriesMax } from "../model/limits.ts";
import type { TimeNs } from "../model/time.ts";
import type { Catalog, Key } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";

export type MemoryKind = "key" | "peer";
export type RememberedGeneration = "0.4" | "0.5" | "0.6";

interface Memory {
  readonly generation: RememberedGeneration;
  readonly atNs: TimeNs;
}

export function findDialect(catalog: Catalog, kind: MemoryKind, name: string): RememberedGeneration | undefined {
  const row = catalog.dialects.get([kind, name]);
  return row === undefined ? undefined : decodeRow<Memory>(row).generation;
}

/** Remembers; when there are too many, the oldest is forgotten. */
export function putDialect(
  catalog: Catalog,
  kind: MemoryKind,
  name: string,
  generation: RememberedGeneration,
  atNs: TimeNs,
): void {
  if (catalog.dialects.count() >= dialectMemoriesMax) forgetOldest(catalog);
  catalog.dialects.put([kind, name], encodeRow({ generation, atNs } satisfies Memory));
}

function forgetOldest(catalog: Catalog): void {
  let oldest: { key: Key; atNs: TimeNs } | undefined;
  for (const { key, value } of catalog.dialects.range(["", ""], ["\u007f", ""])) {
    const { atNs } = decodeRow<Memory>(value);
    if (oldest === undefined || atNs < oldest.atNs) oldest = { key, atNs };
  }
  if (oldest !== undefined) catalog.dialects.remove(oldest.key);
}
