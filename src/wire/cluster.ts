/** Requests of `topic_filter_clusterize` and `topic_filter_intersect`, which SDKs send since 0.6. */

import { z } from "zod";
import { isJsonObject, type JsonObject, type JsonValue } from "../model/json.ts";
import { intersectionTopicsMax } from "../model/limits.ts";
import { parseTopicLocator, sequenceOfTopic } from "../model/locator.ts";
import type { ClusterRequest } from "../model/predicate.ts";
import { type TimeRange, timeNsMax, timeNsMin } from "../model/time.ts";
import { parseContentFilter } from "./content-query.ts";
import { checkLimit, malformed, refusal } from "./refusal.ts";
import { int64, parseWith, uint64 } from "./shape.ts";

const jsonObject = z.custom<JsonObject>((value) => isJsonObject(value as JsonValue | undefined), "expected an object");
const jsonArray = z.custom<readonly JsonValue[]>((value) => Array.isArray(value), "expected an array");

const clusterShape = z.object({ locator: z.string(), clustering_dt_ns: uint64, ontology: jsonObject });
const intersectShape = z.object({ topics: jsonArray, intersect_dt_ns: uint64 });

/**
 * Of one topic; an empty `ontology` means every row, for SDKs send it to cluster a topic that their query had no condition on.
 * @param what names `body` in errors
 * @param at the path of `body` in the whole one, with a dot behind it
 * @throws Fault invalid
 */
export function parseCluster(body: JsonObject, what: string, at = ""): ClusterRequest {
  const { locator, clustering_dt_ns: gapNs, ontology } = parseWith(clusterShape, body, what);
  return {
    topic: parseTopicLocator(locator),
    filter: parseContentFilter(ontology, `${at}ontology`),
    gapNs,
    range: parseRange(body["timestamp_range"] ?? null, `${what}: timestamp_range`),
  };
}

/** Of two topics at least, all of one sequence. One topic may come twice, with other conditions. @throws Fault invalid */
export function parseIntersection(
  body: JsonObject,
  what: string,
): { clusters: readonly ClusterRequest[]; toleranceNs: bigint } {
  const { topics, intersect_dt_ns: toleranceNs } = parseWith(intersectShape, body, what);
  checkLimit(what, { what: "topics", found: topics.length, max: intersectionTopicsMax });
  if (topics.length < 2) throw refusal(what, `topics: expected two at least, found ${topics.length}`);
  const clusters = topics.map((topic, index) => {
    const where = `topics.${index}`;
    if (!isJsonObject(topic)) throw malformed(`${what}: ${where}`, "expected an object", topic);
    return parseCluster(topic, `${what}: ${where}`, `${where}.`);
  });
  const [one, another] = new Set(clusters.map(({ topic }) => sequenceOfTopic(topic)));
  if (another !== undefined) {
    throw refusal(what, `topics: expected topics of one sequence, found \`${one}\` and \`${another}\``);
  }
  return { clusters, toleranceNs };
}

const rangeShape = z.object({ start_ns: int64.nullable(), end_ns: int64.nullable() });

/**
 * `{start_ns, end_ns}` as SDKs send it, or `[start, end]` as answers of queries have it; null for no bound. Both ends are
 * included, unlike those of a read: it is of the type of the clusters that are answered, and one that is sent back finds itself.
 */
function parseRange(value: JsonValue, what: string): TimeRange | undefined {
  if (value === null) return undefined;
  const fields = Array.isArray(value) ? fieldsOfPair(value, what) : value;
  if (!isJsonObject(fields)) throw malformed(what, "expected an object or an array of two", value);
  const range = parseWith(rangeShape, fields, what);
  const startNs = range.start_ns ?? timeNsMin;
  const endNs = range.end_ns ?? timeNsMax;
  if (startNs > endNs) throw refusal(what, `expected a start that is not above the end, found ${startNs} and ${endNs}`);
  return { startNs, endNs };
}

function fieldsOfPair(pair: readonly JsonValue[], what: string): JsonObject {
  const [start, end] = pair;
  if (start === undefined || end === undefined || pair.length > 2)
    throw malformed(what, "expected an object or an array of two", pair);
  return { start_ns: start, end_ns: end };
}
