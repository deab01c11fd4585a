// Which dictionaries are sent when an answer goes from one chunk to another.

import { describe, expect, test } from "vitest";
import type { BatchEntry, Chunk } from "../../src/model/chunk.ts";
import { dictionariesOf, SentDictionaries, sharedDictionaries } from "../../src/query/dictionaries.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const entry = (kind: BatchEntry["kind"], crc32: number): BatchEntry => ({
  kind,
  crc32,
  offset: 8 * crc32,
  metadataBytes: 64,
  bodyBytes: 128,
  rows: 1,
  sorted: true,
});

/** A chunk with the dictionaries `words`, a letter each, and a batch behind each of them. */
const chunkOf = (number: number, words: string): Chunk => {
  const batches = [...words].flatMap((word) => [entry("dictionary", word.charCodeAt(0)), entry("batch", 1_000)]);
  return { number, sealed: true, bytes: 0, rows: 0, entries: batches.length, batches };
};
const lettersOf = (entries: readonly BatchEntry[]): string =>
  entries.map(({ crc32 }) => String.fromCharCode(crc32)).join("");

test("only dictionaries count, in their order", () => {
  expect(lettersOf(dictionariesOf(chunkOf(0, "abc")))).toBe("abc");
});

describe("what is sent", () => {
  test.each([
    ["nothing for chunks without any", ["", ""], ["", ""]],
    ["all of the first", ["ab"], ["ab"]],
    ["nothing when they are the same", ["ab", "ab"], ["ab", ""]],
    ["what was added", ["ab", "abcd"], ["ab", "cd"]],
    ["nothing when less is wanted", ["abc", "ab", "abc"], ["abc", "", ""]],
    ["all when they differ at the start", ["ab", "xb"], ["ab", "xb"]],
    ["all when they differ later", ["abc", "abx"], ["abc", "abx"]],
    ["all again on the way back", ["ab", "x", "ab"], ["ab", "x", "ab"]],
    ["nothing where none are wanted, and they still count afterwards", ["ab", "", "abc"], ["ab", "", "c"]],
  ])("%s", (_title, chunks, sent) => {
    const dictionaries = new SentDictionaries();
    expect(chunks.map((words, number) => lettersOf(dictionaries.switchTo(chunkOf(number, words))))).toEqual(sent);
  });

  test("size and checksum stand for the bytes, the place does not", () => {
    const dictionaries = new SentDictionaries();
    const first = chunkOf(0, "a");
    const change = (changed: Partial<BatchEntry>): Chunk => ({
      ...first,
      batches: first.batches.map((one) => ({ ...one, ...changed })),
    });
    dictionaries.switchTo(first);
    expect(dictionaries.switchTo(change({ offset: 5, rows: 9 }))).toEqual([]);
    expect(dictionaries.switchTo(change({ bodyBytes: 5 }))).toHaveLength(1);
    expect(dictionaries.switchTo(change({ metadataBytes: 5 }))).toHaveLength(1);
  });
});

describe("whose dictionaries serve", () => {
  const served = (...words: readonly string[]): number[] => {
    const chunks = words.map((one, number) => chunkOf(number, one));
    const shared = sharedDictionaries(chunks);
    return chunks.map(({ number }) => shared.get(number)?.number ?? -1);
  };
  test.each<[string[], number[]]>([
    [["ab"], [0]],
    [
      ["ab", "ab"],
      [0, 0],
    ],
    [
      ["ab", "abc"],
      [1, 1],
    ],
    [
      ["abc", "ab", "a"],
      [0, 0, 0],
    ],
    [
      ["ab", "xy"],
      [0, 1],
    ],
    [
      ["a", "ab", "ax"],
      [1, 1, 2],
    ],
    [
      ["", "ab"],
      [1, 1],
    ],
  ])("%j: %j", (words, numbers) => expect(served(...words)).toEqual(numbers));
});

test("a reader that follows a random answer always has the dictionaries of its batches", () => {
  const random = new Random("dictionaries: answers");
  const coverage = new Coverage("dictionaries: sent", ["nothing", "some", "all anew"]);
  for (let round = 0; round < 500; round += 1) {
    const chunks = Array.from({ length: 6 }, (_none, number) => {
      const words = "abcdef".slice(0, random.below(7));
      return chunkOf(number, random.chance(0.3) ? words.replace("b", "x") : words);
    });
    const shared = sharedDictionaries(chunks);
    const dictionaries = new SentDictionaries();
    // What the reader holds: a first dictionary replaces all, as an IPC stream has it for one id.
    let held = "";
    for (let step = 0; step < 10; step += 1) {
      const { number } = random.pick(chunks);
      // A batch that passes as it is comes with its own chunk, one that is merged with the one that serves it.
      const chunk = random.chance(0.5) ? shared.get(number) : chunks[number];
      if (chunk === undefined) throw new Error("every chunk is served by one");
      const sent = lettersOf(dictionaries.switchTo(chunk));
      const wanted = lettersOf(dictionariesOf(chunk));
      held = sent !== "" && sent === wanted ? sent : held + sent;
      expect(held.startsWith(wanted), `${held} for ${wanted}`).toBe(true);
      expect(wanted.startsWith(lettersOf(dictionariesOf(chunks[number] ?? chunk)))).toBe(true);
      coverage.hit(sent === "" ? "nothing" : sent === wanted ? "all anew" : "some");
    }
  }
  coverage.check();
});
