/** Clusters of the matching rows of a topic, and what clusters of several topics have in common. */

import { findTopic } from "../catalog/resources.ts";
import { Fault } from "../model/fault.ts";
import type { ClusterRequest, ContentFilter } from "../model/predicate.ts";
import { everything, type TimeNs, type TimeRange, type TimeWindow, timeNsMax, timeNsMin } from "../model/time.ts";
import { ClusterBuilder } from "./clusters.ts";
import { noSearchCounts, openTopic, type SearchParts } from "./search.ts";

/**
 * Clusters in the order of time, found as they are asked for.
 * @throws Fault absent (topic), invalid (conditions for another tag), as the search of contents
 */
export async function* clusterTopic(
  parts: SearchParts,
  { topic: locator, filter, gapNs, range }: ClusterRequest,
  signal: AbortSignal,
): AsyncGenerator<TimeRange> {
  const topic = findTopic(parts.catalog, locator);
  if (topic === undefined) throw new Fault("absent", `Topic \`${locator}\` does not exist.`);
  if (filter !== undefined && filter.ontologyTag !== topic.ontologyTag) {
    throw new Fault(
      "invalid",
      `Bad request: topic \`${locator}\` has the ontology tag \`${topic.ontologyTag}\`, its conditions are for \`${filter.ontologyTag}\`.`,
    );
  }
  const asked: ContentFilter = filter ?? { ontologyTag: topic.ontologyTag, rows: { kind: "all", of: [] } };
  const opened = openTopic(parts, topic, asked, { signal, counts: noSearchCounts(), usesIndex: true });
  if (opened === undefined) return;
  await using _reader = opened.reader;
  const { skips, scan } = opened;
  const window = range === undefined ? everything : windowOf(range);
  if (skips.ofTopic() === "no") return;
  if (gapNs === 0n) {
    const whole = await scan.range(window);
    if (whole !== undefined) yield whole;
    return;
  }
  const clusters = new ClusterBuilder(gapNs);
  for await (const times of scan.times(window)) {
    for (const timeNs of times) {
      const ended = clusters.add(timeNs);
      if (ended !== undefined) yield ended;
    }
  }
  const last = clusters.end();
  if (last !== undefined) yield last;
}

/** A window ends before its end, and one that ends at the last time has none. */
function windowOf({ startNs, endNs }: TimeRange): TimeWindow {
  return { startNs, endNs: endNs < timeNsMax ? endNs + 1n : timeNsMax };
}

/**
 * Windows in which all topics have a cluster, or have them no farther apart than `toleranceNs`; in the order of time. Of topics of which one
 * has no cluster there is none.
 */
export async function* intersectTopics(
  parts: SearchParts,
  { clusters, toleranceNs }: { readonly clusters: readonly ClusterRequest[]; readonly toleranceNs: bigint },
  signal: AbortSignal,
): AsyncGenerator<TimeRange> {
  const streams = clusters.map((cluster) => clusterTopic(parts, cluster, signal));
  try {
    const current: TimeRange[] = [];
    for (const stream of streams) {
      const first = await stream.next();
      if (first.done === true) return;
      current.push(first.value);
    }
    for (;;) {
      const startNs = current.reduce(
        (latest, cluster) => (cluster.startNs > latest ? cluster.startNs : latest),
        timeNsMin,
      );
      const ending = current.reduce((least, { endNs }, index) => (endNs < endOf(current, least) ? index : least), 0);
      const endNs = endOf(current, ending);
      if (startNs <= endNs + toleranceNs)
        yield startNs <= endNs ? { startNs, endNs } : widened(startNs, endNs, toleranceNs);
      const next = await streams[ending]?.next();
      if (next === undefined || next.done === true) return;
      current[ending] = next.value;
    }
  } finally {
    for (const stream of streams) await stream.return(undefined);
  }
}

function endOf(clusters: readonly TimeRange[], index: number): TimeNs {
  return clusters[index]?.endNs ?? timeNsMax;
}

/** Clusters that only come close are met halfway. */
function widened(startNs: TimeNs, endNs: TimeNs, gapNs: bigint): TimeRange {
  const start = startNs - gapNs / 2n;
  const end = endNs + (gapNs + 1n) / 2n;
  return { startNs: start < timeNsMin ? timeNsMin : start, endNs: end > timeNsMax ? timeNsMax : end };
}
