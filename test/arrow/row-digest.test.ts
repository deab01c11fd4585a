// Digests of rows: equal for equal values, whatever their layout and order and however they are cut; others for any other value.

import { expect, test } from "vitest";
import { decompressBatch } from "../../src/arrow/compression.ts";
import { readDictionary } from "../../src/arrow/dictionary.ts";
import { gather } from "../../src/arrow/gather.ts";
import { BytesHash } from "../../src/arrow/lanes.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { type Digest, digestDifference, RowDigest } from "../../src/arrow/row-digest.ts";
import { Fault } from "../../src/model/fault.ts";
import { skipsPython } from "../clients/driver.ts";
import { splitStream } from "../load/messages.ts";
import { Coverage, combinations } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { seed } from "../seed.ts";
import {
  batchOf,
  isEqual,
  type Layout,
  leaves,
  type Meaning,
  meaningOf,
  nestings,
  randomValue,
  rowsOf,
  shown,
  type Value,
} from "./layouts.ts";
import { schemaOf } from "./made.ts";
import { Golden, type Source } from "./python.ts";
import { joinStream, readStream } from "./stream.ts";

const rounds = Number(process.env["MOSAICO_DIGEST_ROUNDS"] ?? 6_000);
const bytesMax = 2 ** 26;
const slowMs = 120_000;

interface Column {
  readonly name: string;
  readonly meaning: Meaning;
  readonly values: readonly Value[];
}

/** Laid out at random, cut and put into another order at random. */
async function digestOf(random: Random, columns: readonly Column[], hit: (way: string) => void): Promise<Digest> {
  const layout: Layout = { random, hit, dictionaries: [] };
  const { fields, batch } = batchOf(columns, layout);
  const digest = new RowDigest(schemaOf(...fields), bytesMax);
  for (const { id, parts } of layout.dictionaries)
    for (const [index, part] of parts.entries()) digest.addDictionary(id, part, { isDelta: index > 0 });
  if (random.chance(0.3)) await digest.add(batch);
  else {
    hit("cut");
    const runs = shuffled(
      random,
      Array.from({ length: batch.rows }, (_none, row) => [row, 1] as const),
    );
    for (let start = 0; start < runs.length; ) {
      const end = start + 1 + random.below(20);
      await digest.add(rowsOf(fields, batch, runs.slice(start, end)));
      start = end;
    }
  }
  return digest.digest();
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  return list
    .map((one) => ({ one, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

const changes = [
  "value",
  "null",
  "length",
  "order of items",
  "row gone",
  "row twice",
  "values swapped",
  "child of a union",
] as const;
type Change = (typeof changes)[number];

/** A value that is another one in one way; undefined where there is none. */
function changed(random: Random, value: Value, meaning: Meaning, change: Change): Value | undefined {
  const below = (index: number, one: Value): Value | undefined => {
    const child =
      meaning.kind === "map" || meaning.kind === "list"
        ? undefined
        : "children" in meaning
          ? meaning.children[index]
          : undefined;
    return child === undefined ? undefined : changed(random, one, child, change);
  };
  if (change === "null" && value !== null && meaning.kind !== "union" && random.chance(0.5)) return null;
  if (value === null) {
    if (change !== "null" || meaning.kind === "null" || meaning.kind === "union") return undefined;
    return randomValue(random, meaning, 0);
  }
  if (Buffer.isBuffer(value)) {
    if (change !== "value") return undefined;
    // A zero more, or another bit.
    if (meaning.kind !== "fixed" && random.chance(0.3)) return Buffer.concat([value, Buffer.alloc(1)]);
    if (value.byteLength === 0) return undefined;
    const other = Buffer.from(value);
    const at = random.below(other.byteLength);
    other[at] = (other[at] ?? 0) ^ (1 << random.below(8));
    return other;
  }
  if (typeof value === "boolean") return change === "value" ? !value : undefined;
  if (!isList(value)) {
    // The first and the last are of one type.
    if (change === "child of a union" && value.child !== 1) return { child: 2 - value.child, value: value.value };
    const other = below(value.child, value.value);
    return other === undefined ? undefined : { child: value.child, value: other };
  }
  if (meaning.kind === "struct") return within(random, value, (one, index) => below(index, one));
  const items: Meaning | undefined =
    meaning.kind === "map"
      ? { kind: "struct", name: "entry", children: meaning.children }
      : "children" in meaning
        ? meaning.children[0]
        : undefined;
  if (items === undefined) return undefined;
  if (change === "length" && random.chance(0.7)) {
    if (random.chance(0.5) && value.length > 0) return value.toSpliced(random.below(value.length), 1);
    const one = meaning.kind === "map" ? undefined : randomValue(random, items, 0.3);
    return one === undefined ? undefined : value.toSpliced(random.below(value.length + 1), 0, one);
  }
  if (change === "order of items" && random.chance(0.7)) return value.toReversed();
  // Keys and entries of maps are never null.
  return within(random, value, (one) =>
    meaning.kind === "map" && change === "null"
      ? within(random, one as readonly Value[], (part, index) =>
          index === 1 ? changed(random, part, meaning.children[1] ?? items, change) : undefined,
        )
      : changed(random, one, items, change),
  );
}

function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

function within(
  random: Random,
  values: readonly Value[],
  change: (value: Value, index: number) => Value | undefined,
): Value | undefined {
  for (const index of shuffled(random, [...values.keys()])) {
    const other = change(values[index] ?? null, index);
    if (other !== undefined) return values.with(index, other);
  }
  return undefined;
}

/** The columns with one change in the last one; undefined where that is not possible. */
function changedColumns(random: Random, columns: readonly Column[], change: Change): Column[] | undefined {
  const last = columns.at(-1);
  if (last === undefined) return undefined;
  const { values, meaning } = last;
  const rows = values.length;
  if (change === "row gone" || change === "row twice") {
    if (rows === 0) return undefined;
    const row = random.below(rows);
    return columns.map((column) => {
      const { values: all } = column;
      return { ...column, values: change === "row gone" ? all.toSpliced(row, 1) : [...all, all[row] ?? null] };
    });
  }
  if (change === "values swapped") {
    const [a, b] = [random.below(rows), random.below(rows)];
    if (isEqual(values[a], values[b])) return undefined;
    return [...columns.slice(0, -1), { ...last, values: values.with(a, values[b] ?? null).with(b, values[a] ?? null) }];
  }
  const other = within(random, values, (value) => changed(random, value, meaning, change));
  return isList(other ?? null) ? [...columns.slice(0, -1), { ...last, values: other as readonly Value[] }] : undefined;
}

/** Changes that there are of lists only. */
const ofLists: readonly Change[] = ["length", "order of items"];
const isPossible = (change: Change, nesting: string): boolean =>
  change === "child of a union" ? nesting === "union" : isListed(nesting) || !ofLists.includes(change);
const isListed = (nesting: string): boolean => /list|map/.test(nesting);

const ways = [
  "dictionary",
  "dictionary with a delta",
  "runs",
  "list",
  "large list",
  "list view",
  "large list view",
  "fixed list",
  "sparse union",
  "dense union",
  "small",
  "large",
  "views",
  "fixed width",
  "cut",
];

test(`${rounds} columns: one digest in whatever layout, another one after any change`, {
  timeout: slowMs,
}, async () => {
  const random = new Random("row digest");
  const hasLeaf = (change: Change, { kind }: Meaning): boolean => change !== "value" || kind !== "null";
  const coverage = new Coverage("row digest", [
    ...leaves.flatMap((leaf) =>
      (["value", "null"] as const).flatMap((change) => (leaf.kind === "null" ? [] : [`${leaf.name} ${change}`])),
    ),
    ...nestings.flatMap((nesting) =>
      changes.flatMap((change) => (isPossible(change, nesting) ? [`${nesting}: ${change}`] : [])),
    ),
    ...ways,
  ]);
  const cases = combinations({ leaf: leaves, nesting: nestings, change: changes }).filter(({ change, nesting }) =>
    isPossible(change, nesting),
  );
  for (let round = 0; round < rounds; round += 1) {
    const { leaf, nesting, change } = cases[round % cases.length] ?? random.pick(cases);
    const meaning = meaningOf(random, leaf, nesting);
    const rows = random.pick([1, 2, 5, 20]);
    const nulls = random.pick([0, 0.2, 0.6]);
    // The first tells rows apart.
    const columns: Column[] = [
      {
        name: "timestamp_ns",
        meaning: leaves[6] ?? leaf,
        values: Array.from({ length: rows }, (_none, row) => Buffer.from(BigInt64Array.of(BigInt(row)).buffer)),
      },
      { name: "c", meaning, values: Array.from({ length: rows }, () => randomValue(random, meaning, nulls)) },
    ];
    const title = `round ${round}: ${leaf.name}, ${nesting}, ${columns[1]?.values.map(shown).join(" ")}`;
    const met = new Set<string>();
    const here = await digestOf(random, columns, (way) => met.add(way));
    const there = await digestOf(random, columns, (way) => met.add(way));
    expect(digestDifference(here, there), title).toBeUndefined();
    expect(there, title).toEqual(here);
    for (const way of met) coverage.hit(way);
    if (!hasLeaf(change, leaf)) continue;
    const others = changedColumns(random, columns, change);
    if (
      others === undefined ||
      others.every(({ values }, index) => shown([...values]) === shown([...(columns[index]?.values ?? [])]))
    )
      continue;
    const other = await digestOf(random, others, () => undefined);
    const said = digestDifference(here, other);
    expect(said, `${title}, ${change}: ${others[1]?.values.map(shown).join(" ")}`).toMatch(
      change.startsWith("row")
        ? /^has \d+ rows there, here \d+$/
        : change === "values swapped"
          ? /^has its values in other rows there$/
          : /^has other contents there in column "c"$/,
    );
    expect(other.sum, title).not.toBe(here.sum);
    coverage.hit(`${nesting}: ${change}`);
    // Where nothing else can have been changed.
    if (
      nesting === "top"
        ? change === "value" || change === "null"
        : change === "value" && /^list( in list)?$/.test(nesting)
    )
      if (leaf.kind !== "null") coverage.hit(`${leaf.name} ${change}`);
  }
  coverage.check();
});

test("bytes of any length: however they come in pieces it is one hash, and one bit makes another", () => {
  const random = new Random("row digest: bytes");
  const hash = new BytesHash();
  const lanes = new Int32Array(4);
  const hashOf = (bytes: Uint8Array, pieceMost: number): string => {
    hash.begin([1, 2, 3, 4]);
    for (let at = 0; at < bytes.byteLength; ) {
      const end = Math.min(bytes.byteLength, at + 1 + random.below(pieceMost));
      hash.add(bytes, at, end);
      at = end;
    }
    hash.end(lanes, 0);
    return lanes.join();
  };
  const met = new Set<string>();
  for (const length of [0, 1, 15, 16, 17, 100, 16_383, 16_384, 16_385, 100_000]) {
    const bytes = random.bytes(length);
    const whole = hashOf(bytes, 2 ** 30);
    met.add(whole);
    for (const pieces of [1, 40, 60, 20_000]) expect(hashOf(bytes, pieces), `${length} bytes`).toBe(whole);
    for (let round = 0; round < Math.min(50, length); round += 1) {
      const at = random.below(length);
      const bit = 1 << random.below(8);
      bytes[at] = (bytes[at] ?? 0) ^ bit;
      expect(hashOf(bytes, 2 ** 30), `${length} bytes, changed at ${at}`).not.toBe(whole);
      bytes[at] = (bytes[at] ?? 0) ^ bit;
    }
  }
  expect(met.size).toBe(10);
});

test("names and order of columns count", async () => {
  const random = new Random("row digest: names");
  const leaf = leaves[0];
  if (leaf === undefined) throw new RangeError("there are leaves");
  const values = [Buffer.of(1), Buffer.of(2)];
  const columns = ["a", "b"].map((name) => ({ name, meaning: leaf, values }));
  const of = async (...named: typeof columns) => await digestOf(random, named, () => undefined);
  const [a, b] = columns;
  if (a === undefined || b === undefined) throw new RangeError("there are columns");
  expect(digestDifference(await of(a, b), await of(a, { ...b, name: "c" }))).toBe(
    'has columns "a", "c" there, here "a", "b"',
  );
  expect(digestDifference(await of(a, b), await of(b, a))).toBe('has columns "b", "a" there, here "a", "b"');
});

/** Of a stream, its batches cut and mixed. @throws Fault */
async function digestOfStream(random: Random | undefined, stream: Uint8Array): Promise<Digest> {
  const { schema, before, batches } = readStream(stream);
  const digest = new RowDigest(schema, bytesMax);
  for (const { header, body } of before) {
    const message = readMessage(header, body.byteLength);
    if (message.kind !== "dictionary") continue;
    const whole = decompressBatch(readDictionary(schema, message, body), bytesMax);
    digest.addDictionary(message.id, whole, { isDelta: message.isDelta });
  }
  const plain = batches.map((batch) => decompressBatch(batch, bytesMax));
  if (random === undefined) for (const batch of plain) await digest.add(batch);
  else {
    const rows = shuffled(
      random,
      plain.flatMap((batch, source) =>
        Array.from({ length: batch.rows }, (_none, start) => ({ source, start, length: 1 })),
      ),
    );
    for (let start = 0; start < rows.length; start += 13) {
      const { header, body } = gather(schema, plain, rows.slice(start, start + 13));
      const [again] = readStream(joinStream([...before, { header, body }])).batches;
      if (again !== undefined) await digest.add(again);
    }
  }
  return digest.digest();
}

test.skipIf(skipsPython)(
  "streams of every type that pyarrow writes: compressed, cut and mixed they say the same, and broken ones are refused",
  { timeout: slowMs },
  async () => {
    using golden = new Golden();
    await golden.run("golden.py", "make", String(seed));
    const { sources } = golden.readJson<{ sources: Source[] }>("sources.json");
    const bytes = golden.read("sources.bin");
    const random = new Random("row digest: streams");
    const coverage = new Coverage("row digest: streams", ["none", "lz4", "zstd", "broken: rows", "broken: refused"]);
    const known = new Map<string, Digest>();
    for (const { name, compression, start, bytes: length } of sources) {
      const stream = bytes.subarray(start, start + length);
      const whole = await digestOfStream(undefined, stream);
      const first = known.get(name) ?? whole;
      known.set(name, first);
      expect(whole, `${name}, ${compression}`).toEqual(first);
      expect(await digestOfStream(random, stream), `${name}, ${compression}, mixed`).toEqual(whole);
      coverage.hit(compression);
      if (length > 30_000) continue;
      for (let round = 0; round < 6; round += 1) {
        const messages = splitStream(stream).map(({ header, body }) => ({
          header: Uint8Array.from(header),
          body: Uint8Array.from(body),
        }));
        const target = random.pick(messages)[random.pick(["header", "body"] as const)];
        if (target.byteLength === 0) continue;
        for (let change = random.below(3); change >= 0; change -= 1)
          target[random.below(target.byteLength)] = random.pick([0, 1, 127, 128, 255, random.below(256)]);
        try {
          const started = Date.now();
          await digestOfStream(undefined, joinStream(messages));
          expect(Date.now() - started, `${name}: time of a broken stream`).toBeLessThan(20_000);
          coverage.hit("broken: rows");
        } catch (error) {
          if (!(error instanceof Fault)) throw new Error(`${name}, ${compression}: ${error}`, { cause: error });
          coverage.hit("broken: refused");
        }
      }
    }
    console.log(`row digest: ${known.size} types of pyarrow`);
    coverage.check();
  },
);
