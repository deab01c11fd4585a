/**
 * The index over sequences and topics: what they are asked for by, so that a query over a large catalog looks at few rows. Its keys
 *
 *   [hash of kind, field and text, name]               of what equals a text
 *   [hash of kind and field, number as double, name]   of what lies in a range
 *   [hash of kind, name]                               of what has more values than are kept
 *
 * where a name is that of a sequence or a topic's locator. They lead to whatever may match and to more: hashes may be the same, and
 * numbers beyond 2^53 are rounded. Who asks looks at the rows that they name.
 */

import { textHash } from "../host/checksum.ts";
import { parseJson } from "../model/json.ts";
import { searchedMetadataMax } from "../model/limits.ts";
import { pathOfTopic } from "../model/locator.ts";
import { type MetadataLeaf, metadataLeaves, numberIn, textIn } from "../model/metadata-value.ts";
import type { JsonText, Sequence, Topic } from "../model/resource.ts";
import type { Catalog, Key } from "./catalog.ts";
import { keyPages } from "./key-pages.ts";

export type SearchedKind = "sequence" | "topic";

/** Keys of one text, or of the numbers from one to another. */
export interface Stretch {
  readonly start: Key;
  readonly end: Key;
}

/** The fact that all rows have their keys. */
export const wholeFact = "searchKeys";

// Names are ASCII without control characters.
const behindAscii = "\u007f";

/** What the keys of one field are made of. */
export interface SearchField {
  readonly texts: string;
  readonly numbers: string;
}

export function searchField(kind: SearchedKind, field: string): SearchField {
  return { texts: textHash(`${kind} = ${field}`), numbers: textHash(`${kind} < ${field}`) };
}

export function textStretch(field: SearchField, text: string): Stretch {
  return stretchOf(textKeyHash(field, text));
}

/** Both ends are in it. */
export interface NumberRange {
  readonly least: bigint | number;
  readonly most: bigint | number;
}

export function numberStretch({ numbers }: SearchField, { least, most }: NumberRange): Stretch {
  return { start: [numbers, doubleOf(least), ""], end: [numbers, doubleOf(most), behindAscii] };
}

/** Of what has values that no other key tells of: it may match whatever user metadata is asked for. */
export function restStretch(kind: SearchedKind): Stretch {
  return stretchOf(restHash(kind));
}

function stretchOf(hash: string): Stretch {
  return { start: [hash, ""], end: [hash, behindAscii] };
}

/** The field of a path into user metadata. */
export function metadataField(path: readonly string[]): string {
  return `user_metadata.${path.join(".")}`;
}

function textKeyHash({ texts }: SearchField, text: string): string {
  return textHash(`${texts}\n${text}`);
}

function restHash(kind: SearchedKind): string {
  return textHash(`${kind} *`);
}

/** In the order of the numbers themselves, so that a range of them is one of doubles too. */
function doubleOf(value: bigint | number): number {
  // Keys tell the two zeros apart, and infinity has no JSON, by which keys are compared.
  return Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, Number(value))) + 0;
}

/** Names of what lies in a stretch, one per key, in the order of the keys and some at a time. */
export function* namePages(catalog: Catalog, { start, end }: Stretch): Generator<string[]> {
  for (const keys of keyPages(catalog.searchKeys, start, end)) yield keys.map((key) => String(key.at(-1)));
}

/** Of a key before its name, of its value, and of what LMDB keeps of a row: at most. */
const keyHeadBytes = 64;

/** All keys of a sequence. */
export function keysOfSequence({ name, createdAtNs, userMetadata }: Sequence): Key[] {
  return keysOf("sequence", name, { createdAtNs, userMetadata, texts: { name } });
}

/** All keys of a topic. */
export function keysOfTopic({ locator, ontologyTag, createdAtNs, userMetadata }: Topic): Key[] {
  const texts = { name: pathOfTopic(locator), ontology_tag: ontologyTag };
  return keysOf("topic", locator, { createdAtNs, userMetadata, texts });
}

interface Searched extends Pick<Sequence, "createdAtNs" | "userMetadata"> {
  /** By field. */
  readonly texts: Readonly<Record<string, string>>;
}

function keysOf(kind: SearchedKind, name: string, { createdAtNs, userMetadata, texts }: Searched): Key[] {
  const keys = new Map<string, Key>();
  const add = (...key: (string | number)[]): void => void keys.set(JSON.stringify(key), key);
  for (const [field, text] of Object.entries(texts)) add(textKeyHash(searchField(kind, field), text), name);
  add(searchField(kind, "created_at_ns").numbers, doubleOf(createdAtNs), name);
  const leaves = leavesOf(userMetadata);
  if (leaves === undefined) add(restHash(kind), name);
  for (const { path, value } of leaves ?? []) {
    const field = searchField(kind, metadataField(path));
    add(textKeyHash(field, textIn(value)), name);
    const number = numberIn(value);
    if (number !== undefined) add(field.numbers, doubleOf(number), name);
  }
  return [...keys.values()];
}

/** Undefined when there are too many to have keys of their own. */
function leavesOf(userMetadata: JsonText): readonly MetadataLeaf[] | undefined {
  if (userMetadata.length > searchedMetadataMax.characters) return undefined;
  const leaves = metadataLeaves(parseJson(userMetadata, "user metadata"))
    .take(searchedMetadataMax.values + 1)
    .toArray();
  return leaves.length > searchedMetadataMax.values ? undefined : leaves;
}

/** Bytes of all keys that a sequence or topic of this name may have. */
export function searchKeyBytesMax(name: string): number {
  // A text and a number of each value, and what is asked for beside user metadata.
  return (2 * searchedMetadataMax.values + 4) * (keyHeadBytes + name.length);
}

/** Puts the keys that a row has and removes those that only the one before had; to be called inside a transaction. */
export function replaceSearchKeys(catalog: Catalog, before: readonly Key[], after: readonly Key[]): void {
  const kept = new Set(after.map((key) => JSON.stringify(key)));
  for (const key of before) if (!kept.has(JSON.stringify(key))) catalog.searchKeys.remove(key);
  for (const key of after) catalog.searchKeys.put(key, "");
}

/** Of a catalog that was made without the index, or whose index is not whole yet, it says nothing. */
export function hasSearchKeys(catalog: Catalog): boolean {
  return catalog.facts.get(wholeFact) !== undefined;
}

/** For a catalog that has no rows yet, or keys of all of them; to be called inside a transaction. */
export function putSearchKeysWhole(catalog: Catalog): void {
  catalog.facts.put(wholeFact, "1");
}
