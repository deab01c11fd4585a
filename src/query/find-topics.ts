/** Answers the part of a query that the catalog alone can answer: sequence and topic filters. */

import type { Catalog } from "../catalog/catalog.ts";
import { listSequences, listTopics } from "../catalog/resources.ts";
import { parseJson } from "../model/json.ts";
import { pathOfTopic, type SequenceName } from "../model/locator.ts";
import type { CatalogQuery, SequenceFilter, TopicFilter } from "../model/predicate.ts";
import type { JsonText, Sequence, Topic } from "../model/resource.ts";
import { matchesMetadata, matchesScalar } from "./match.ts";

/** What is answered of a topic: without its metadata, which may be as large as a message. */
export type FoundTopic = Pick<Topic, "locator" | "ontologyTag" | "extent">;

export interface FoundSequence {
  readonly sequence: SequenceName;
  readonly topics: readonly FoundTopic[];
}

/**
 * Sequences with their matching topics, both in the order of their names. A query without any condition finds nothing, and a
 * sequence without topics never appears, as upstream has it.
 */
export function findTopics(catalog: Catalog, query: CatalogQuery): FoundSequence[] {
  if (!hasConditions(query.sequence) && !hasConditions(query.topic)) return [];
  const found: FoundSequence[] = [];
  for (const sequence of listSequences(catalog)) {
    if (!matchesSequence(query.sequence, sequence)) continue;
    const topics: FoundTopic[] = [];
    for (const topic of listTopics(catalog, sequence.name)) {
      const { locator, ontologyTag, extent } = topic;
      if (matchesTopic(query.topic, topic)) topics.push({ locator, ontologyTag, extent });
    }
    if (topics.length > 0) found.push({ sequence: sequence.name, topics });
  }
  return found;
}

function hasConditions(filter: SequenceFilter | TopicFilter): boolean {
  return Object.values(filter).some((field) => (Array.isArray(field) ? field.length > 0 : field !== undefined));
}

function matchesSequence(filter: SequenceFilter, sequence: Sequence): boolean {
  return matchesCommon(filter, sequence.name, sequence);
}

function matchesTopic(filter: TopicFilter, topic: Topic): boolean {
  if (filter.ontologyTag !== undefined && !matchesScalar(filter.ontologyTag, topic.ontologyTag)) return false;
  if (filter.serializationFormat !== undefined && !matchesScalar(filter.serializationFormat, topic.serializationFormat))
    return false;
  return matchesCommon(filter, pathOfTopic(topic.locator), topic);
}

function matchesCommon(
  filter: SequenceFilter,
  name: string,
  resource: { createdAtNs: bigint; userMetadata: JsonText },
): boolean {
  if (filter.name !== undefined && !matchesScalar(filter.name, name)) return false;
  if (filter.createdAtNs !== undefined && !matchesScalar(filter.createdAtNs, resource.createdAtNs)) return false;
  if (filter.userMetadata.length === 0) return true;
  const metadata = parseJson(resource.userMetadata, "user metadata");
  return filter.userMetadata.every((condition) => matchesMetadata(condition, metadata));
}
