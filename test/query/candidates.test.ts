// The index over sequences and topics: no answer changes by it, whatever they are asked for and however they came to be.

import { expect, test } from "vitest";
import { fillSearchKeys } from "../../src/care/fill-search-keys.ts";
import type { Catalog, Key } from "../../src/catalog/catalog.ts";
import {
  findSequence,
  findTopic,
  putSequence,
  putTopic,
  removeSequence,
  removeTopic,
  sequenceNamePages,
  topicLocatorPages,
} from "../../src/catalog/resources.ts";
import { putSearchKeysWhole, wholeFact } from "../../src/catalog/search-keys.ts";
import { type JsonObject, parseJson } from "../../src/model/json.ts";
import { queryPage, searchedMetadataMax } from "../../src/model/limits.ts";
import { parseSequenceName, parseTopicLocator } from "../../src/model/locator.ts";
import {
  emptyExtent,
  type JsonText,
  type Sequence,
  type Topic,
  type Ulid,
  type Uuid,
} from "../../src/model/resource.ts";
import { findCandidates } from "../../src/query/candidates.ts";
import { Effort } from "../../src/query/effort.ts";
import { findTagged, findTopics } from "../../src/query/find-topics.ts";
import { parseQuery } from "../../src/wire/query.ts";
import { openScratch } from "../catalog/scratch.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const never = new AbortController().signal;

const numbers = [
  ...["0", "-0", "-0.0", "1", "1.0", "2", "-3", "2.5", "-1e-7", "1e3", "1e999", "-1e999", "5e-324"],
  ...[
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "123456789012345678901234",
  ],
];
const others = [
  '"1"',
  '" 2.5 "',
  '"-3"',
  '"milo"',
  '"Milo"',
  '""',
  '"true"',
  "true",
  "false",
  '"[1]"',
  '"\\u0000é\\ud83d"',
];
const containers = ["[1]", '{"a":1}', "[]", "null"];
const paths = ["a", "b", "a.b", "b.0", "b.01", "b.1.a", "c", "**.a", "*.b", "b[*]", "é", ""].slice(0, -1);
const tags = ["imu", "gps", "Imu"];

function metadata(random: Random): string {
  const value = (): string => random.pick([numbers, numbers, others, containers].map((pool) => random.pick(pool)));
  const members = ["a", "b", "a.b", "c", "é", "0"]
    .filter(() => random.chance(0.4))
    .map((key) => {
      const nested = random.pick([
        value(),
        `[${value()},${value()}]`,
        `{"a":${value()},"b":${value()}}`,
        `[[],{"a":${value()}}]`,
      ]);
      return `${JSON.stringify(key)}:${nested}`;
    });
  if (random.chance(0.1)) members.push(`"more":[${"1,".repeat(searchedMetadataMax.values)}1]`);
  if (random.chance(0.05)) members.push(`"long":"${"x".repeat(searchedMetadataMax.characters)}"`);
  return `{${members.join(",")}}`;
}

const times = [0n, 1n, -1n, 2n ** 62n, 2n ** 62n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];

/** Puts, replaces and removes sequences and topics; to be called inside a transaction. */
function change(catalog: Catalog, random: Random): void {
  const name = parseSequenceName(`s${random.below(20)}`);
  const before = findSequence(catalog, name);
  const common = () => ({ createdAtNs: random.pick(times), userMetadata: metadata(random) as JsonText });
  const sequence = { ...common(), ulid: name as string as Ulid, uuid: name as string as Uuid, name };
  const isRemoved = before !== undefined && random.chance(0.2);
  if (isRemoved) removeSequence(catalog, before);
  else putSequence(catalog, sequence);
  for (const path of ["x", "x-y", "x/y"]) {
    const locator = parseTopicLocator(`${name}/${path}`);
    const topic = findTopic(catalog, locator);
    if (topic !== undefined && (isRemoved || random.chance(0.3))) removeTopic(catalog, topic);
    else if (!isRemoved && random.chance(0.7))
      putTopic(catalog, {
        ...common(),
        uuid: locator as string as Uuid,
        locator,
        session: "S" as Ulid,
        number: 0,
        ontologyTag: random.pick(tags),
        serializationFormat: "default",
        extent: emptyExtent,
      });
  }
}

const exact = (number: string): bigint | number => (/^-?[0-9]+$/.test(number) ? BigInt(number) : Number(number));

const operators = [
  "$eq",
  "$neq",
  "$lt",
  "$leq",
  "$gt",
  "$geq",
  "$in",
  "$between",
  "$outside",
  "$match",
  "$ex",
  "$nex",
] as const;
type Operator = (typeof operators)[number];

function condition(random: Random, operator: Operator, pool: readonly string[]): string {
  const operand = (): string => random.pick(pool);
  switch (operator) {
    case "$ex":
    case "$nex":
      return `"${operator}"`;
    case "$in":
      return `{"$in":[${[operand(), operand(), operand()].join(",")}]}`;
    case "$match":
      return '{"$match":"[mM1]*"}';
    case "$between":
    case "$outside": {
      // Anything else is refused as a range that is empty or of two kinds.
      const [least, most] = [operand(), operand()]
        .filter((text) => /^[-0-9]/.test(text))
        .sort((a, b) => (exact(a) < exact(b) ? -1 : 1));
      return `{"${operator}":[${least ?? "1"},${most ?? least ?? "1"}]}`;
    }
    default:
      return `{"${operator}":${operand()}}`;
  }
}

function filter(random: Random, operator: Operator, kind: "sequence" | "topic"): string {
  const isText = ["$eq", "$neq", "$in", "$match"].includes(operator);
  const names = kind === "sequence" ? ['"s1"', '"s17"', '"s"'] : ['"x"', '"x/y"', '"/x"'];
  const parts = [
    () =>
      `"user_metadata":{${JSON.stringify(random.pick(paths))}:${condition(random, operator, [...numbers, ...others])}}`,
    ...(isText ? [() => `"name":${condition(random, operator, names)}`] : []),
    ...(operator.startsWith("$m") ? [] : [() => `"created_at_ns":${condition(random, operator, times.map(String))}`]),
    ...(isText && kind === "topic"
      ? [
          () =>
            `"ontology_tag":${condition(
              random,
              operator,
              tags.map((tag) => `"${tag}"`),
            )}`,
        ]
      : []),
  ];
  return `{${random.pick(parts)()}}`;
}

test("answers are the same with the index and without it, after any changes", async () => {
  const random = new Random("search index");
  await using scratch = await openScratch();
  const { catalog } = scratch;
  await catalog.transaction(() => putSearchKeysWhole(catalog));
  const { facts } = catalog;
  const get = (key: Key) => (key === wholeFact ? undefined : facts.get(key));
  const without: Catalog = { ...catalog, facts: { ...facts, get } };
  const used = new Coverage("search index", [
    ...operators.flatMap((operator) => ["sequence", "topic"].map((kind) => `${operator} ${kind}`)),
    ...["by sequences", "by topics", "by none", "empty", "partial", "of a tag"],
  ]);
  for (let round = 0; round < 12; round += 1) {
    await catalog.transaction(() => {
      for (let changes = 0; changes < 20; changes += 1) change(catalog, random);
    });
    for (const operator of operators)
      for (const kind of ["sequence", "topic"] as const)
        for (let again = 0; again < 12; again += 1) {
          const both = random.chance(0.3)
            ? `,"${kind === "topic" ? "sequence" : "topic"}":${filter(random, random.pick(operators), kind === "topic" ? "sequence" : "topic")}`
            : "";
          const text = `{"${kind}":${filter(random, operator, kind)}${both}}`;
          const query = parseQuery(parseJson(text, "a query") as JsonObject);
          const tag = random.chance(0.3) ? random.pick(tags) : undefined;
          const ask = async (of: Catalog) =>
            tag === undefined ? await findTopics(of, query, never) : await findTagged(of, query, tag, never);
          const candidates = await findCandidates(catalog, { ...query, tag }, new Effort(never));
          const found = await ask(catalog);
          expect(found, text).toEqual(await ask(without));
          used.hit(`${operator} ${kind}`);
          used.hit(candidates === undefined ? "by none" : candidates.kind === "topic" ? "by topics" : "by sequences");
          if (tag !== undefined) used.hit("of a tag");
          used.hit(found.length === 0 ? "empty" : "partial");
        }
  }
  used.check();
});

test("a catalog of an earlier program gets its keys, all of them and no others", async () => {
  const random = new Random("search keys of an earlier program");
  await using scratch = await openScratch();
  const { catalog } = scratch;
  await catalog.transaction(() => {
    for (let changes = 0; changes < 400; changes += 1) change(catalog, random);
  });
  const keys = () => [...catalog.searchKeys.rows()].map(({ key }) => JSON.stringify(key));
  const expected = keys();
  expect(expected.length).toBeGreaterThan(queryPage.rows);
  await catalog.transaction(() => {
    for (const { key } of [...catalog.searchKeys.rows()]) catalog.searchKeys.remove(key);
  });
  expect(keys()).toEqual([]);
  await fillSearchKeys(catalog);
  expect(keys()).toEqual(expected);
  await catalog.transaction(() => {
    for (const locator of [...topicLocatorPages(catalog)].flat())
      removeTopic(catalog, findTopic(catalog, locator) as Topic);
    for (const name of [...sequenceNamePages(catalog)].flat())
      removeSequence(catalog, findSequence(catalog, name) as Sequence);
  });
  expect(keys()).toEqual([]);
});
