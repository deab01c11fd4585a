/** The JSON query language of 0.4 to 0.7 into one internal query. All dialects at once: the keys tell them apart. */

import { Fault } from "../model/fault.ts";
import { isJsonObject, type JsonObject } from "../model/json.ts";
import { metadataConditionsMax, metadataPathMax } from "../model/limits.ts";
import type { CatalogQuery, MetadataCondition, SequenceFilter, TopicFilter } from "../model/predicate.ts";
import { type MatchStyle, parseCondition } from "./condition.ts";
import { noContentQuery, parseContentQuery } from "./content-query.ts";
import { checkLimit, malformed, refusal } from "./refusal.ts";

/**
 * @param style of `$match` on contents: LIKE for clients of 0.4 and 0.5, whose users know no other meaning of it, though their server
 * refused it there
 * @throws Fault invalid naming the path
 */
export function parseQuery(body: JsonObject, style: MatchStyle = "glob"): CatalogQuery {
  checkKeys(body, "the query", ["sequence", "topic", "ontology"]);
  const ontology = filterObject(body, "ontology");
  return {
    sequence: parseSequenceFilter(filterObject(body, "sequence") ?? {}),
    topic: parseTopicFilter(filterObject(body, "topic") ?? {}),
    ...(ontology === undefined ? noContentQuery : parseContentQuery(ontology, style)),
  };
}

/**
 * Which dialect the keys of a query prove: `name` is 0.6 or later, `locator` is 0.4 or 0.5, and so is `include_timestamp_range`,
 * unless it is asked for by a client that knows us.
 */
export function queryProof(body: JsonObject): "new" | "old" | undefined {
  for (const key of ["sequence", "topic"]) {
    const filter = body[key];
    if (!isJsonObject(filter)) continue;
    if (filter["name"] !== undefined) return "new";
    if (filter["locator"] !== undefined) return "old";
  }
  const ontology = body["ontology"];
  if (!isJsonObject(ontology) || ontology["include_time_ranges"] !== undefined) return undefined;
  return ontology["include_timestamp_range"] !== undefined ? "old" : undefined;
}

function filterObject(body: JsonObject, key: string): JsonObject | undefined {
  const filter = body[key] ?? null;
  if (filter === null) return undefined;
  if (!isJsonObject(filter)) throw malformed(key, "expected an object", filter);
  return filter;
}

const sequenceKeys = ["name", "locator", "created_at_ns", "created_at", "user_metadata"];
const topicKeys = [...sequenceKeys, "ontology_tag", "serialization_format"];

/** What is not understood would be answered as if it had not been asked. */
function checkKeys(given: JsonObject, at: string, known: readonly string[]): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw refusal(at, `expected ${known.join(", ")}, found ${JSON.stringify(unknown.slice(0, 100))}`);
}

function parseSequenceFilter(filter: JsonObject, at = "sequence"): SequenceFilter {
  checkKeys(filter, at, at === "topic" ? topicKeys : sequenceKeys);
  const name = filter["name"];
  const locator = filter["locator"];
  if (name !== undefined && locator !== undefined) {
    throw new Fault("invalid", `Bad request: ${at} has both name and locator, expected one of them.`);
  }
  const created = filter["created_at_ns"] ?? filter["created_at"];
  return {
    name:
      name !== undefined
        ? parseCondition(name, "text", `${at}.name`, "glob")
        : locator !== undefined
          ? parseCondition(locator, "text", `${at}.locator`, "like")
          : undefined,
    createdAtNs: created === undefined ? undefined : parseCondition(created, "time", `${at}.created_at_ns`, "glob"),
    userMetadata: parseMetadata(filter, at),
  };
}

function parseTopicFilter(filter: JsonObject): TopicFilter {
  const tag = filter["ontology_tag"];
  const format = filter["serialization_format"];
  return {
    ...parseSequenceFilter(filter, "topic"),
    ontologyTag: tag === undefined ? undefined : parseCondition(tag, "text", "topic.ontology_tag", styleOf(filter)),
    serializationFormat:
      format === undefined ? undefined : parseCondition(format, "text", "topic.serialization_format", styleOf(filter)),
  };
}

function styleOf(filter: JsonObject): MatchStyle {
  return filter["name"] === undefined && filter["locator"] !== undefined ? "like" : "glob";
}

function parseMetadata(filter: JsonObject, at: string): MetadataCondition[] {
  const metadata = filterObject(filter, "user_metadata");
  if (metadata === undefined) return [];
  const entries = Object.entries(metadata);
  checkLimit(`${at}.user_metadata`, { what: "conditions", found: entries.length, max: metadataConditionsMax });
  return entries.map(([key, value]) => {
    const where = `${at}.user_metadata.${key.slice(0, 200)}`;
    return { path: parsePath(key, where), condition: parseCondition(value, "any", where, "glob") };
  });
}

/** `a.b.0`, `a.*.c`, `**.c`, `a[*].b`: steps between dots, `[*]` a step of its own. */
function parsePath(key: string, where: string): string[] {
  checkLimit(where, { what: "characters in its path", found: key.length, max: metadataPathMax.characters });
  const steps = key.split(".").flatMap((part) => {
    const [, bare = part, stars = ""] = /^((?:(?!\[\*\]).)*)((?:\[\*\])*)$/s.exec(part) ?? [];
    if (bare.includes("[*]")) {
      throw refusal(where, `[*] stands behind a step, found ${JSON.stringify(part.slice(0, 100))}`);
    }
    const items = Array.from({ length: stars.length / 3 }, () => "[*]");
    return bare === "" && items.length > 0 ? items : [bare, ...items];
  });
  if (steps.some((step) => step === "")) {
    throw refusal(where, "a path has no empty step");
  }
  checkLimit(where, { what: "steps in its path", found: steps.length, max: metadataPathMax.steps });
  return steps;
}
