/**
 * Answers the part of a query that the catalog alone can answer: sequence and topic filters. What the index leads to is looked at row
 * by row between pauses, so that a query over a large catalog holds up nobody and keeps no read transaction open.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { findSequence, findTopic, sequenceNamePages, topicLocatorPages } from "../catalog/resources.ts";
import { type JsonValue, parseJson } from "../model/json.ts";
import { pathOfTopic, type SequenceName, sequenceOfTopic, type TopicLocator } from "../model/locator.ts";
import type { CatalogQuery, SequenceFilter, TopicFilter } from "../model/predicate.ts";
import type { Sequence, Topic } from "../model/resource.ts";
import { type CandidateQuery, findCandidates } from "./candidates.ts";
import { Effort } from "./effort.ts";
import { matchesMetadata, matchesScalar } from "./match.ts";
import type { ReadableTopic } from "./topic-reader.ts";

/** What answers tell of a topic; its user metadata may be large and is not kept. */
export type FoundTopic = Pick<Topic, "locator" | "ontologyTag" | "extent">;

export interface FoundSequence {
  readonly sequence: SequenceName;
  readonly topics: readonly FoundTopic[];
}

/** What of the catalog was looked at: names that candidates or all sequences and topics have, and the rows behind them. */
export interface CatalogCounts {
  names: number;
  rows: number;
}

/**
 * Sequences with their matching topics, both in the order of their names. A query without any condition finds nothing, and a
 * sequence without topics never appears, as upstream has it. What changes meanwhile may be seen or not.
 * @throws Fault overloaded when it takes too many steps, the signal's reason when it has fired
 */
export async function findTopics(
  catalog: Catalog,
  query: Pick<CatalogQuery, "sequence" | "topic">,
  signal: AbortSignal,
  counts?: CatalogCounts,
): Promise<readonly FoundSequence[]> {
  if (!hasConditions(query.sequence) && !hasConditions(query.topic)) return [];
  const search = new CatalogSearch(catalog, { ...query, tag: undefined }, signal, counts);
  return await search.find(({ locator, ontologyTag, extent }) => ({ locator, ontologyTag, extent }));
}

/** Topics of one tag that satisfy the conditions, all of them when there are none. @throws Fault as `findTopics` */
export async function findTagged(
  catalog: Catalog,
  query: Pick<CatalogQuery, "sequence" | "topic">,
  ontologyTag: string,
  signal: AbortSignal,
  counts?: CatalogCounts,
): Promise<readonly { readonly sequence: SequenceName; readonly topics: readonly ReadableTopic[] }[]> {
  const search = new CatalogSearch(catalog, { ...query, tag: ontologyTag }, signal, counts);
  return await search.find((topic) => (topic.ontologyTag === ontologyTag ? withoutMetadata(topic) : undefined));
}

function withoutMetadata({ userMetadata: _, ...topic }: Topic): ReadableTopic {
  return topic;
}

interface Found<Kept> {
  readonly sequence: SequenceName;
  readonly topics: readonly Kept[];
}

class CatalogSearch {
  readonly #catalog: Catalog;
  readonly #query: CandidateQuery;
  readonly #effort: Effort;
  readonly #counts: CatalogCounts;

  constructor(
    catalog: Catalog,
    query: CandidateQuery,
    signal: AbortSignal,
    counts: CatalogCounts = { names: 0, rows: 0 },
  ) {
    this.#counts = counts;
    this.#catalog = catalog;
    this.#query = query;
    this.#effort = new Effort(signal);
  }

  async find<Kept>(keep: (topic: Topic) => Kept | undefined): Promise<Found<Kept>[]> {
    const found: Found<Kept>[] = [];
    for await (const { sequence, locators } of this.#places()) {
      const topics: Kept[] = [];
      for (const locator of locators) {
        const topic = await this.#matchingTopic(locator);
        const kept = topic === undefined ? undefined : keep(topic);
        if (kept !== undefined) topics.push(kept);
      }
      if (topics.length > 0) found.push({ sequence, topics });
    }
    return found;
  }

  /** Sequences that match, and in each the topics that have to be looked at; both in the order of their names. */
  async *#places(): AsyncGenerator<{ sequence: SequenceName; locators: Iterable<TopicLocator> }> {
    const candidates = await findCandidates(this.#catalog, this.#query, this.#effort);
    if (candidates?.kind === "topic") {
      for (const [sequence, locators] of bySequence(candidates.names as readonly TopicLocator[]))
        if (await this.#matchesSequence(sequence)) yield { sequence, locators };
      return;
    }
    const names =
      (candidates?.names as readonly SequenceName[] | undefined)?.toSorted() ?? each(sequenceNamePages(this.#catalog));
    for (const sequence of names)
      if (await this.#matchesSequence(sequence))
        yield { sequence, locators: each(topicLocatorPages(this.#catalog, sequence)) };
  }

  async #matchesSequence(name: SequenceName): Promise<boolean> {
    const { sequence: filter } = this.#query;
    if (!(await this.#matchesName(filter, name))) return false;
    if (!hasConditions({ ...filter, name: undefined })) return true;
    const sequence = findSequence(this.#catalog, name);
    return sequence !== undefined && (await this.#matchesRow(filter, sequence));
  }

  async #matchingTopic(locator: TopicLocator): Promise<Topic | undefined> {
    const { topic: filter } = this.#query;
    if (!(await this.#matchesName(filter, pathOfTopic(locator)))) return undefined;
    const topic = findTopic(this.#catalog, locator);
    if (topic === undefined) return undefined;
    const { ontologyTag, serializationFormat } = filter;
    const isOfKind =
      (ontologyTag === undefined || matchesScalar(ontologyTag, topic.ontologyTag, this.#effort)) &&
      (serializationFormat === undefined ||
        matchesScalar(serializationFormat, topic.serializationFormat, this.#effort));
    return isOfKind && (await this.#matchesRow(filter, topic)) ? topic : undefined;
  }

  /** A name is known before the row is read. */
  async #matchesName({ name: condition }: SequenceFilter, name: string): Promise<boolean> {
    this.#counts.names += 1;
    this.#effort.spend(steps.name);
    await this.#effort.pause();
    return condition === undefined || matchesScalar(condition, name, this.#effort);
  }

  async #matchesRow({ createdAtNs, userMetadata }: SequenceFilter, row: Sequence | Topic): Promise<boolean> {
    this.#counts.rows += 1;
    this.#effort.spend(steps.row);
    if (createdAtNs !== undefined && !matchesScalar(createdAtNs, row.createdAtNs, this.#effort)) return false;
    if (userMetadata.length === 0) return true;
    const metadata: JsonValue = parseJson(row.userMetadata, "user metadata");
    this.#effort.spend(steps.metadataCharacter * row.userMetadata.length);
    for (const condition of userMetadata) {
      await this.#effort.pause();
      if (!matchesMetadata(condition, metadata, this.#effort)) return false;
    }
    return true;
  }
}

/** Steps of reading a name, a row, and each character of user metadata. */
const steps = { name: 512, row: 2_048, metadataCharacter: 8 } as const;

function hasConditions(filter: SequenceFilter | TopicFilter): boolean {
  return Object.values(filter).some((field) => (Array.isArray(field) ? field.length > 0 : field !== undefined));
}

function bySequence(locators: readonly TopicLocator[]): [SequenceName, readonly TopicLocator[]][] {
  const groups = Map.groupBy(locators.toSorted(), sequenceOfTopic);
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

function* each<Item>(pages: Iterable<readonly Item[]>): Generator<Item> {
  for (const page of pages) yield* page;
}
