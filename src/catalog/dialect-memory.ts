/** What clients last proved to be, by API key and by peer address. Functions named put are to be called inside a transaction. */

import { dialectMemoriesMax } from "../model/limits.ts";
import type { TimeNs } from "../model/time.ts";
import type { Catalog, Key } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";

export type MemoryKind = "key" | "peer";
export type RememberedGeneration = "0.4" | "0.5" | "0.6";

/** What one key or address was last, and which of the two that connect alike; clients of both kinds may share it. */
export interface DialectMemory {
  readonly generation: RememberedGeneration;
  readonly legacy?: "0.4" | "0.5" | undefined;
}

interface MemoryRow extends DialectMemory {
  readonly atNs: TimeNs;
}

export function findDialect(catalog: Catalog, kind: MemoryKind, name: string): DialectMemory | undefined {
  const row = catalog.dialects.get([kind, name]);
  return row === undefined ? undefined : decodeRow<MemoryRow>(row);
}

/** Remembers; when there are too many, the oldest is forgotten. */
export function putDialect(
  catalog: Catalog,
  kind: MemoryKind,
  name: string,
  generation: RememberedGeneration,
  atNs: TimeNs,
): void {
  const before = findDialect(catalog, kind, name);
  if (before === undefined && catalog.dialects.count() >= dialectMemoriesMax) forgetOldest(catalog);
  const legacy = generation === "0.6" ? before?.legacy : generation;
  catalog.dialects.put([kind, name], encodeRow({ generation, legacy, atNs } satisfies MemoryRow));
}

function forgetOldest(catalog: Catalog): void {
  let oldest: { key: Key; atNs: TimeNs } | undefined;
  for (const { key, value } of catalog.dialects.range(["", ""], ["\u007f", ""])) {
    const { atNs } = decodeRow<MemoryRow>(value);
    if (oldest === undefined || atNs < oldest.atNs) oldest = { key, atNs };
  }
  if (oldest !== undefined) catalog.dialects.remove(oldest.key);
}
