/**
 * Answers the part of a query that the catalog alone can answer: sequence and topic filters. Rows are read page by page and
 * looked at between pauses, so that a query over a large catalog holds up nobody and keeps no read transaction open.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { sequencePages, topicPages } from "../catalog/resources.ts";
import { type JsonValue, parseJson } from "../model/json.ts";
import { pathOfTopic, type SequenceName } from "../model/locator.ts";
import type { CatalogQuery, SequenceFilter, TopicFilter } from "../model/predicate.ts";
import type { JsonText, Sequence, Topic } from "../model/resource.ts";
import { Effort } from "./effort.ts";
import { matchesMetadata, matchesScalar } from "./match.ts";
import type { ReadableTopic } from "./topic-reader.ts";

/** What answers tell of a topic; its user metadata may be large and is not kept. */
export type FoundTopic = Pick<Topic, "locator" | "ontologyTag" | "extent">;

export interface FoundSequence {
  readonly sequence: SequenceName;
  readonly topics: readonly FoundTopic[];
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
): Promise<readonly FoundSequence[]> {
  if (!hasConditions(query.sequence) && !hasConditions(query.topic)) return [];
  return await findAll(catalog, query, signal, ({ locator, ontologyTag, extent }) => ({
    locator,
    ontologyTag,
    extent,
  }));
}

/** Topics of one tag that satisfy the conditions, all of them when there are none. @throws Fault as `findTopics` */
export async function findTagged(
  catalog: Catalog,
  query: Pick<CatalogQuery, "sequence" | "topic">,
  ontologyTag: string,
  signal: AbortSignal,
): Promise<readonly { readonly sequence: SequenceName; readonly topics: readonly ReadableTopic[] }[]> {
  return await findAll(catalog, query, signal, (topic) =>
    topic.ontologyTag === ontologyTag ? withoutMetadata(topic) : undefined,
  );
}

function withoutMetadata({ userMetadata: _, ...topic }: Topic): ReadableTopic {
  return topic;
}

async function findAll<Kept>(
  catalog: Catalog,
  query: Pick<CatalogQuery, "sequence" | "topic">,
  signal: AbortSignal,
  keep: (topic: Topic) => Kept | undefined,
): Promise<{ readonly sequence: SequenceName; readonly topics: readonly Kept[] }[]> {
  const effort = new Effort(signal);
  const found: { readonly sequence: SequenceName; readonly topics: readonly Kept[] }[] = [];
  for (const page of sequencePages(catalog)) {
    for (const sequence of page) {
      if (!(await matchesSequence(query.sequence, sequence, effort))) continue;
      const topics = await findIn(catalog, sequence.name, query.topic, effort, keep);
      if (topics.length > 0) found.push({ sequence: sequence.name, topics });
    }
  }
  return found;
}

async function findIn<Kept>(
  catalog: Catalog,
  sequence: SequenceName,
  filter: TopicFilter,
  effort: Effort,
  keep: (topic: Topic) => Kept | undefined,
): Promise<Kept[]> {
  const found: Kept[] = [];
  for (const page of topicPages(catalog, sequence)) {
    for (const topic of page) {
      if (!(await matchesTopic(filter, topic, effort))) continue;
      const kept = keep(topic);
      if (kept !== undefined) found.push(kept);
    }
  }
  return found;
}

function hasConditions(filter: SequenceFilter | TopicFilter): boolean {
  return Object.values(filter).some((field) => (Array.isArray(field) ? field.length > 0 : field !== undefined));
}

async function matchesSequence(filter: SequenceFilter, sequence: Sequence, effort: Effort): Promise<boolean> {
  return await matchesCommon(filter, sequence.name, sequence, effort);
}

async function matchesTopic(filter: TopicFilter, topic: Topic, effort: Effort): Promise<boolean> {
  const { ontologyTag, serializationFormat } = filter;
  if (ontologyTag !== undefined && !matchesScalar(ontologyTag, topic.ontologyTag, effort)) return false;
  if (serializationFormat !== undefined && !matchesScalar(serializationFormat, topic.serializationFormat, effort))
    return false;
  return await matchesCommon(filter, pathOfTopic(topic.locator), topic, effort);
}

/** Steps of reading a row, and of each character of user metadata. */
const rowSteps = { row: 2_048, metadataCharacter: 8 } as const;

async function matchesCommon(
  filter: SequenceFilter,
  name: string,
  resource: { createdAtNs: bigint; userMetadata: JsonText },
  effort: Effort,
): Promise<boolean> {
  effort.spend(rowSteps.row);
  await effort.pause();
  if (filter.name !== undefined && !matchesScalar(filter.name, name, effort)) return false;
  if (filter.createdAtNs !== undefined && !matchesScalar(filter.createdAtNs, resource.createdAtNs, effort))
    return false;
  if (filter.userMetadata.length === 0) return true;
  const metadata: JsonValue = parseJson(resource.userMetadata, "user metadata");
  effort.spend(rowSteps.metadataCharacter * resource.userMetadata.length);
  for (const condition of filter.userMetadata) {
    await effort.pause();
    if (!matchesMetadata(condition, metadata, effort)) return false;
  }
  return true;
}
