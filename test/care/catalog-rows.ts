// Everything that a catalog knows, as values that can be compared. How batches are spread over rows says only when commits were.

import { openCatalogToRead } from "../../src/catalog/catalog.ts";
import { readChunk } from "../../src/catalog/chunk-rows.ts";
import { decodeRow } from "../../src/catalog/row.ts";
import { listAllTailRuns } from "../../src/catalog/tail-rows.ts";
import { findDisk } from "../../src/host/disk.ts";
import type { Uuid } from "../../src/model/resource.ts";

/** Of each table keys and values. */
export type Rows = Readonly<Record<string, readonly (readonly [key: unknown, value: unknown])[]>>;

/** @param tables which of the plain ones */
export async function catalogRows(dataDir: string, tables: "data" | "all"): Promise<Rows> {
  await using catalog = await openCatalogToRead(await findDisk(dataDir), "catalog");
  const plain = ["sequences", "sessions", "sessionKeys", "topics", "topicLocators", "searchKeys"] as const;
  const others = ["notifications", "keys", "dialects"] as const;
  const rows: Record<string, (readonly [unknown, unknown])[]> = {};
  for (const name of tables === "all" ? [...plain, ...others] : plain)
    rows[name] = [...catalog[name].rows()].map(({ key, value }) => [key, decoded(value)]);
  rows["facts"] = [...catalog.facts.rows()]
    // Who serves the store, and by which time keys expire.
    .filter(({ key }) => key !== "owner" && key !== "latestTime")
    .map(({ key, value }) => [key, decoded(value)]);
  rows["schemas"] = [...catalog.schemas.rows()].map(({ key, value }) => [key, hex(value)]);
  const chunks = [...catalog.chunks.rows()];
  rows["chunks"] = chunks.map(({ key, value }) => [key, hex(value)]);
  for (const name of ["statistics", "zones"] as const)
    rows[name] = [...catalog[name].rows()].map(({ key, value }) => [key, hex(value)]);
  rows["batches"] = chunks.map(({ key }) => [key, readChunk(catalog, String(key[0]) as Uuid, Number(key[1]))?.batches]);
  rows["tails"] = [...listAllTailRuns(catalog)].flatMap(({ topic, first, log, batches }) =>
    batches.map((entry, index) => [[topic, first + index], { log, entry }]),
  );
  return rows;
}

/** The order of members says nothing. */
function decoded(value: string | undefined): unknown {
  return value?.startsWith("{") === true ? decodeRow(value) : value;
}

function hex(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString("hex");
}
