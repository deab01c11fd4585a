/**
 * Answers a query on contents: for each tag the topics that have a matching row, by the skip index as far as it knows, else by
 * reading; then sequences that have one for every tag.
 */

import { leavesOf } from "../arrow/leaf.ts";
import { Fault } from "../model/fault.ts";
import { timeRanges } from "../model/limits.ts";
import type { SequenceName } from "../model/locator.ts";
import type { CatalogQuery, ContentFilter, TimeRangesRequest } from "../model/predicate.ts";
import { everything, type TimeRange } from "../model/time.ts";
import { bindPredicate } from "./bind.ts";
import { ClusterBuilder } from "./clusters.ts";
import { Effort } from "./effort.ts";
import { type CatalogCounts, type FoundTopic, findTagged } from "./find-topics.ts";
import type { FindRoles } from "./roles.ts";
import { type ReadableTopic, type ReadParts, TopicReader } from "./topic-reader.ts";
import { type ScanCounts, TopicScan } from "./topic-scan.ts";
import { noCounts, type SkipCounts, TopicSkips } from "./topic-skips.ts";

export interface SearchParts extends ReadParts {
  /** What the fields of topics of a tag mean. */
  rolesOf(ontologyTag: string, schema: TopicReader["schema"]): FindRoles;
}

/** What a search has looked at. */
export interface SearchCounts {
  readonly catalog: CatalogCounts;
  readonly skips: SkipCounts;
  readonly scan: ScanCounts;
  /** Of the files of all topics that were asked. */
  storedBytes: number;
}

export interface MatchedTopic extends FoundTopic {
  /** Of the matching rows, where it was asked for. */
  readonly range?: TimeRange | undefined;
  readonly ranges?: readonly TimeRange[] | undefined;
  /** Whether there are more than these. */
  readonly hasMoreRanges?: boolean | undefined;
}

export interface MatchedSequence {
  readonly sequence: SequenceName;
  readonly topics: readonly MatchedTopic[];
}

export function noSearchCounts(): SearchCounts {
  return {
    catalog: { names: 0, rows: 0 },
    skips: noCounts(),
    scan: { batches: 0, bytes: 0, rowsTested: 0, rowsMatched: 0 },
    storedBytes: 0,
  };
}

/** Sequences must match all filters: of none there is nothing to tell. */
export type ContentQuery = CatalogQuery & { readonly contents: readonly ContentFilter[] };

export function hasContents(query: CatalogQuery): query is ContentQuery {
  return query.contents !== undefined;
}

/** @throws Fault as `findTopics`; corrupt when what lies on disk cannot be read */
export async function searchContents(
  parts: SearchParts,
  query: ContentQuery,
  signal: AbortSignal,
  counts: SearchCounts,
): Promise<readonly MatchedSequence[]> {
  const rangesLeft = { count: timeRanges.total };
  let matched: Map<SequenceName, Map<string, MatchedTopic>> | undefined;
  for (const filter of query.contents) {
    const found = new Map<SequenceName, Map<string, MatchedTopic>>();
    for (const { sequence, topics } of await findTagged(
      parts.catalog,
      query,
      filter.ontologyTag,
      signal,
      counts.catalog,
    )) {
      const before = matched?.get(sequence);
      if (matched !== undefined && before === undefined) continue;
      const hits = new Map(before);
      let any = false;
      for (const topic of topics) {
        const hit = await matchTopic(parts, topic, { query, filter, signal, counts, rangesLeft });
        if (hit === undefined) continue;
        any = true;
        hits.set(topic.locator, hit);
      }
      if (any) found.set(sequence, hits);
    }
    matched = found;
    if (matched.size === 0) break;
  }
  return [...(matched ?? [])].map(([sequence, topics]) => ({
    sequence,
    topics: [...topics.values()].toSorted((a, b) => (a.locator < b.locator ? -1 : 1)),
  }));
}

interface TopicSearch {
  readonly query: CatalogQuery;
  readonly filter: ContentFilter;
  readonly signal: AbortSignal;
  readonly counts: SearchCounts;
  /** How many the answer may still have. */
  readonly rangesLeft: { count: number };
}

async function matchTopic(
  parts: SearchParts,
  topic: ReadableTopic,
  { query, filter, signal, counts, rangesLeft }: TopicSearch,
): Promise<MatchedTopic | undefined> {
  const opened = openTopic(parts, topic, filter, { signal, counts, usesIndex: query.usesSkipIndex });
  if (opened === undefined) return undefined;
  const { reader, skips, scan } = opened;
  await using _reader = reader;
  counts.storedBytes += topic.extent.bytes;
  const verdict = skips.ofTopic();
  if (verdict === "no") return undefined;
  const found: FoundTopic = topic;
  const within = query.timeRanges === undefined ? undefined : await rangesOf(scan, query.timeRanges);
  if (within?.ranges.length === 0) return undefined;
  rangesLeft.count -= within?.ranges.length ?? 0;
  if (rangesLeft.count < 0) throw tooManyRanges();
  if (query.includeTimestampRange) {
    const range = verdict === "all" ? topic.extent.range : await scan.range(everything);
    return range === undefined ? undefined : { ...found, range, ...within };
  }
  if (within !== undefined || verdict === "all") return { ...found, ...within };
  return (await scan.matchesAny(everything)) ? found : undefined;
}

function tooManyRanges(): Fault {
  return new Fault(
    "overloaded",
    `The query finds more than ${timeRanges.total} time ranges; ask with a larger gap_ns, a smaller limit or of fewer topics.`,
  );
}

interface FoundRanges {
  readonly ranges: readonly TimeRange[];
  /** Undefined where these are all. */
  readonly hasMoreRanges: true | undefined;
}

async function rangesOf(scan: TopicScan, { gapNs, limit }: TimeRangesRequest): Promise<FoundRanges> {
  const clusters = new ClusterBuilder(gapNs);
  const ranges: TimeRange[] = [];
  for await (const times of scan.times(everything)) {
    for (const timeNs of times) {
      const ended = clusters.add(timeNs);
      if (ended !== undefined) ranges.push(ended);
      // A row that ends one begins the next.
      if (ranges.length === limit) return { ranges, hasMoreRanges: true };
    }
  }
  const last = clusters.end();
  return { ranges: last === undefined ? ranges : [...ranges, last], hasMoreRanges: undefined };
}

/** What it takes to look into a topic; undefined when nothing was ever uploaded to it. */
export function openTopic(
  parts: SearchParts,
  topic: ReadableTopic,
  filter: ContentFilter,
  { signal, counts, usesIndex }: { signal: AbortSignal; counts: SearchCounts; usesIndex: boolean },
): { reader: TopicReader; skips: TopicSkips; scan: TopicScan } | undefined {
  const { catalog } = parts;
  const schemaHeader = catalog.schemas.get(topic.uuid);
  if (schemaHeader === undefined) return undefined;
  const reader = new TopicReader(parts, topic, schemaHeader);
  const { schema } = reader;
  const roles = parts.rolesOf(topic.ontologyTag, schema);
  const leaves = leavesOf(schema);
  const predicate = bindPredicate(filter.rows, { schema, leaves, roles });
  const effort = new Effort(signal);
  const skips = new TopicSkips({
    catalog,
    topic,
    predicate,
    leaves: leaves.list.length,
    effort,
    counts: counts.skips,
    usesIndex,
  });
  const scan = new TopicScan({ memory: parts, reader, skips, predicate, effort, signal, counts: counts.scan });
  return { reader, skips, scan };
}
