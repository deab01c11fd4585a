/**
 * Ontology models that users have registered, in the table of facts: "ontology <tag>" -> the models of the tag, as they were
 * checked when they came. Functions named put and remove are to be called inside a transaction.
 */

import type { OntologyModel } from "../model/ontology.ts";
import type { Catalog, Key } from "./catalog.ts";
import { decodeRow, encodeRow } from "./row.ts";

interface OntologyRow {
  readonly models: readonly OntologyModel[];
}

const prefix = "ontology ";
/** Behind every key with the prefix, whatever characters the tag has. */
const end = "ontology!";

export function isOntologyKey(key: Key): boolean {
  return typeof key === "string" && key.startsWith(prefix);
}

export function findRegistered(catalog: Catalog, tag: string): readonly OntologyModel[] {
  const row = catalog.facts.get(`${prefix}${tag}`);
  return row === undefined ? [] : decodeRow<OntologyRow>(row).models;
}

export function listRegistered(catalog: Catalog): OntologyModel[] {
  return [...catalog.facts.range(prefix, end)].flatMap(({ value }) => decodeRow<OntologyRow>(value).models);
}

export function countRegisteredTags(catalog: Catalog): number {
  return catalog.facts.keys(prefix, end).length;
}

/** Bytes that the row of these models takes. */
export function registeredBytes(models: readonly OntologyModel[]): number {
  return Buffer.byteLength(encodeRow({ models } satisfies OntologyRow));
}

/** Instead of what was registered for the tag before. */
export function putRegistered(catalog: Catalog, tag: string, models: readonly OntologyModel[]): void {
  catalog.facts.put(`${prefix}${tag}`, encodeRow({ models } satisfies OntologyRow));
}

export function removeRegistered(catalog: Catalog, tag: string): void {
  catalog.facts.remove(`${prefix}${tag}`);
}
