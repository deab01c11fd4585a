/** The command `query`: topics by name and by content, also while the server runs; as a table or as the JSON of the protocol. */

import { Budget } from "../flow/budget.ts";
import { printOut, remark } from "../host/log.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { isJsonObject, type JsonObject, jsonInteger, parseJson } from "../model/json.ts";
import { commandQueryBytes, timeRanges } from "../model/limits.ts";
import type { CatalogQuery } from "../model/predicate.ts";
import type { TimeNs } from "../model/time.ts";
import { findTopics } from "../query/find-topics.ts";
import { hasContents, noSearchCounts, type SearchCounts, searchContents } from "../query/search.ts";
import { type QueryItem, queryAnswer } from "../wire/answer.ts";
import { parseQuery } from "../wire/query.ts";
import { readOntologyDirectory } from "./ontology-directory.ts";
import { searchPartsOf } from "./search-parts.ts";
import { printTable } from "./table.ts";
import { parseWhere } from "./where.ts";
import { withCatalogToRead } from "./with-catalog.ts";

/** A query as words of a command line: the JSON of the protocol, or the friendly form. */
export interface QueryWords {
  readonly json: string | undefined;
  readonly where: readonly string[];
  /** Patterns of names. */
  readonly sequence: string | undefined;
  readonly topic: string | undefined;
  /** Nanoseconds between rows that make one time range; undefined when no ranges are asked for. */
  readonly gapNs: string | undefined;
}

export interface QueryStore {
  readonly dataDir: string;
  readonly ontologyDir: string | undefined;
}

export interface QueryOutput {
  readonly format: "table" | "json";
  readonly explain: boolean;
}

/** Prints what a query finds. @throws Fault invalid (query), absent (store), corrupt */
export async function queryStore(
  { dataDir, ontologyDir }: QueryStore,
  words: QueryWords,
  { format, explain }: QueryOutput,
  signal: AbortSignal,
): Promise<void> {
  const query = readWords(words);
  const given = readOntologyDirectory(ontologyDir);
  await withCatalogToRead(dataDir, async (catalog, disk) => {
    const [mergeBudget, sendBudget] = [new Budget(commandQueryBytes), new Budget(commandQueryBytes)];
    const parts = searchPartsOf({ disk, catalog, mergeBudget, sendBudget, given });
    const counts = noSearchCounts();
    const found: readonly QueryItem[] = hasContents(query)
      ? await searchContents(parts, query, signal, counts)
      : await findTopics(catalog, query, signal, counts.catalog);
    const explained = explain || query.explain ? counts : undefined;
    if (format === "json") printOut(`${JSON.stringify(queryAnswer(found, explained))}\n`);
    else printFound(found, query, explained);
    if (found.length === 0) printHints(query, counts);
  });
}

/** @throws Fault invalid */
function readWords({ json, where, sequence, topic, gapNs }: QueryWords): CatalogQuery {
  const isFriendly = where.length > 0 || [sequence, topic, gapNs].some((one) => one !== undefined);
  if (json !== undefined) {
    if (isFriendly)
      throw new Fault(
        "invalid",
        "query: expected the JSON of a query or --where, --sequence, --topic, --ranges; found both",
      );
    const body = parseJson(json, "the query");
    if (!isJsonObject(body)) throw new Fault("invalid", `query: expected a JSON object, found ${json.slice(0, 100)}`);
    return parseQuery(body);
  }
  if (where.length === 0 && sequence === undefined && topic === undefined)
    throw new Fault("invalid", "query: expected the JSON of a query, or --where, --sequence or --topic; found nothing");
  if (where.length === 0 && gapNs !== undefined)
    throw new Fault("invalid", "--ranges: expected --where, whose rows the ranges are of; found none");
  const names = namesOf(sequence, topic);
  if (where.length === 0) return parseQuery(names);
  const limit = jsonInteger(timeRanges.most);
  const ranges = gapNs === undefined ? {} : { include_time_ranges: { gap_ns: parseJson(gapNs, "--ranges"), limit } };
  // An object has a key once, but a field may be asked twice.
  const parsed = where.map((text) => parseQuery({ ...names, ontology: { ...parseWhere(text), ...ranges } }));
  const [first] = parsed;
  assert(first !== undefined, "there is a condition");
  const byTag = Map.groupBy(
    parsed.flatMap(({ contents = [] }) => contents),
    ({ ontologyTag }) => ontologyTag,
  );
  const contents = [...byTag].map(([ontologyTag, filters]) => ({
    ontologyTag,
    rows: { kind: "all", of: filters.map(({ rows }) => rows) } as const,
  }));
  return { ...first, contents };
}

/** A topic may be named as it is printed, behind its sequence. @throws Fault invalid */
function namesOf(sequence: string | undefined, topic: string | undefined): JsonObject {
  const at = topic === undefined || /^[/*[?]/.test(topic) ? -1 : topic.indexOf("/");
  if (topic !== undefined && at < 0 && !/^[/*[?]/.test(topic))
    throw new Fault("invalid", `--topic: expected /PATH, SEQUENCE/PATH or a pattern like '*/imu'; found ${topic}`);
  if (at >= 0 && sequence !== undefined)
    throw new Fault("invalid", `--topic: expected /PATH beside --sequence, found ${topic}`);
  const inSequence = at < 0 ? sequence : topic?.slice(0, at);
  const path = at < 0 ? topic : topic?.slice(at);
  return {
    ...(inSequence === undefined ? {} : { sequence: { name: { $match: inSequence } } }),
    ...(path === undefined ? {} : { topic: { name: { $match: path } } }),
  };
}

function printFound(found: readonly QueryItem[], query: CatalogQuery, counts: SearchCounts | undefined): void {
  const hasRanges = query.timeRanges !== undefined || query.includeTimestampRange;
  const rows = found.flatMap(({ topics }) =>
    topics.flatMap(({ locator, ontologyTag, range, ranges }) => {
      const shown = ranges ?? (range === undefined ? [] : [range]);
      if (!hasRanges) return [[locator, ontologyTag]];
      return shown.map(({ startNs, endNs }) => [locator, ontologyTag, isoTime(startNs), isoTime(endNs)]);
    }),
  );
  if (rows.length > 0) printTable([["TOPIC", "TAG", ...(hasRanges ? ["FIRST", "LAST"] : [])], ...rows]);
  const topics = found.flatMap((one) => one.topics);
  for (const { locator, ranges = [] } of topics.filter(({ hasMoreRanges }) => hasMoreRanges === true))
    printOut(`${locator} has more: only its first ${ranges.length} time ranges are here\n`);
  printOut(`${countOf(topics.length, "topic")} of ${countOf(found.length, "sequence")}\n`);
  if (counts === undefined) return;
  printOut(`${counts.catalog.names} names and ${counts.catalog.rows} rows of the catalog looked at\n`);
  if (hasContents(query)) printExplained(counts);
}

function printExplained({ skips, scan, storedBytes }: SearchCounts): void {
  printTable([
    ["", "SKIPPED", "READ", "ALL ROWS MATCH"],
    ...(["topics", "chunks", "zones"] as const).map((level) => {
      const { no, maybe, all } = skips[level];
      return [level, String(no), String(maybe), String(all)];
    }),
  ]);
  const { batches, bytes, rowsTested, rowsMatched } = scan;
  const share = storedBytes === 0 ? 0 : (100 * bytes) / storedBytes;
  printOut(
    `${batches} batches read, ${bytes} of ${storedBytes} bytes (${share.toFixed(2)} %); ${rowsTested} rows tested, ${rowsMatched} matched\n`,
  );
}

/** Why nothing was found, where that is not the values. */
function printHints({ contents = [] }: CatalogQuery, counts: SearchCounts): void {
  const { no, maybe, all } = counts.skips.topics;
  const [first] = contents;
  if (first !== undefined && no + maybe + all === 0)
    remark(`no topic that was asked has the ontology tag ${JSON.stringify(first.ontologyTag)}`);
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** With all nine digits of its fraction. */
function isoTime(timeNs: TimeNs): string {
  const nsPerSecond = 1_000_000_000n;
  const rest = ((timeNs % nsPerSecond) + nsPerSecond) % nsPerSecond;
  const seconds = Number((timeNs - rest) / nsPerSecond);
  // Beyond the years that a date has, the number says it.
  if (Math.abs(seconds) > 8.64e12) return String(timeNs);
  return `${new Date(seconds * 1000).toISOString().slice(0, -5)}.${String(rest).padStart(9, "0")}Z`;
}
