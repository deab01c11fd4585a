// Queries over a catalog on disk: all pages of it, in order, giving way to others and ending when nobody wants the answer.

import { expect, test } from "vitest";
import type { Catalog } from "../../src/catalog/catalog.ts";
import { putSequence, putTopic } from "../../src/catalog/resources.ts";
import type { JsonObject } from "../../src/model/json.ts";
import { parseJson } from "../../src/model/json.ts";
import { queryPage } from "../../src/model/limits.ts";
import { parseSequenceName, parseTopicLocator } from "../../src/model/locator.ts";
import { emptyExtent, type JsonText, type Ulid, type Uuid } from "../../src/model/resource.ts";
import { findTopics } from "../../src/query/find-topics.ts";
import { parseQuery } from "../../src/wire/query.ts";
import { openScratch } from "../catalog/scratch.ts";

const never = new AbortController().signal;
const ask = (text: string) => parseQuery(parseJson(text, "a query") as JsonObject);

/** @param topics by sequence */
async function fill(
  catalog: Catalog,
  topics: ReadonlyMap<string, readonly string[]>,
  userMetadata = "{}",
): Promise<void> {
  await catalog.transaction(() => {
    for (const [name, paths] of topics) {
      const common = { createdAtNs: 1n, userMetadata: userMetadata as JsonText };
      putSequence(catalog, { ...common, ulid: name as Ulid, uuid: name as Uuid, name: parseSequenceName(name) });
      for (const path of paths) {
        const locator = parseTopicLocator(`${name}/${path}`);
        const kind = { ontologyTag: "imu", serializationFormat: "default" } as const;
        const place = { session: "S" as Ulid, number: 0, extent: emptyExtent };
        putTopic(catalog, { ...common, ...kind, ...place, uuid: locator as string as Uuid, locator });
      }
    }
  });
}

test("every sequence and topic of several pages is found once, in the order of names", async () => {
  await using scratch = await openScratch();
  const many = Array.from({ length: 2 * queryPage.rows + 3 }, (_none, index) => `t${String(index).padStart(5, "0")}`);
  // Names that begin alike, and characters before and behind the slash.
  const names = [
    "a",
    "a-",
    "a0",
    "a~",
    ...Array.from({ length: queryPage.rows + 2 }, (_none, at) => `s${String(at).padStart(4, "0")}`),
  ];
  const topics = new Map(names.sort().map((name) => [name, name === "a0" ? many : ["x", "x-y", "x/y"].sort()]));
  await fill(scratch.catalog, topics);
  const found = await findTopics(scratch.catalog, ask('{"topic":{"ontology_tag":{"$eq":"imu"}}}'), never);
  expect(found.map(({ sequence }) => sequence)).toEqual(names);
  for (const { sequence, topics: list } of found) {
    expect(list.map(({ locator }) => locator)).toEqual(topics.get(sequence)?.map((path) => `${sequence}/${path}`));
  }
});

test("rows with large user metadata are read in pages of their size", async () => {
  await using scratch = await openScratch();
  const metadata = JSON.stringify({ k: "x".repeat(300_000) });
  await fill(scratch.catalog, new Map([["s", Array.from({ length: 9 }, (_none, index) => `t${index}`)]]), metadata);
  const [found] = await findTopics(scratch.catalog, ask('{"topic":{"user_metadata":{"k":{"$match":"x*"}}}}'), never);
  expect(found?.topics).toHaveLength(9);
  expect(
    JSON.stringify(found, (_key, value) => (typeof value === "bigint" ? String(value) : value)).length,
  ).toBeLessThan(2_000);
});

test("others have their turn while it runs, and it ends when it is told to", async () => {
  await using scratch = await openScratch();
  const paths = Array.from({ length: 1_000 }, (_none, index) => `t${index}`);
  await fill(scratch.catalog, new Map([["s", paths]]), `{"k":[${"1,".repeat(1_000)}1]}`);
  const query = ask('{"topic":{"user_metadata":{"**.x":{"$eq":5}}}}');
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  expect(await findTopics(scratch.catalog, query, never)).toEqual([]);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(3);
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error("nobody waits")), 1);
  await expect(findTopics(scratch.catalog, query, abort.signal)).rejects.toThrow("nobody waits");
});
