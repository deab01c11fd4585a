/**
 * Dictionaries of an answer. A chunk repeats the dictionaries of the one before and may add deltas, so that its list mostly goes
 * on where that of the other ends; then batches of both go together with the longer list, and only what is missing is sent.
 */

import type { BatchEntry, Chunk } from "../model/chunk.ts";

export function dictionariesOf(chunk: Chunk): BatchEntry[] {
  return chunk.batches.filter(({ kind }) => kind === "dictionary");
}

/** What a reader of the stream has been sent. */
export class SentDictionaries {
  #sent: readonly BatchEntry[] = [];

  /** The entries to be sent before batches of the chunk: none, those that are new, or all of them as replacements. */
  switchTo(chunk: Chunk): readonly BatchEntry[] {
    const wanted = dictionariesOf(chunk);
    if (goesOn(this.#sent, wanted)) return [];
    const missing = goesOn(wanted, this.#sent) ? wanted.slice(this.#sent.length) : wanted;
    this.#sent = wanted;
    return missing;
  }
}

/** For each chunk the one of them whose dictionaries serve its batches too: rows may be mixed when it is the same. */
export function sharedDictionaries(chunks: readonly Chunk[]): Map<number, Chunk> {
  const lists = chunks.map((chunk) => ({ chunk, dictionaries: dictionariesOf(chunk) }));
  lists.sort((a, b) => b.dictionaries.length - a.dictionaries.length);
  const shared = new Map<number, Chunk>();
  for (const { chunk, dictionaries } of lists) {
    const longest = lists.find((other) => goesOn(other.dictionaries, dictionaries));
    shared.set(chunk.number, longest?.chunk ?? chunk);
  }
  return shared;
}

/** Whether `list` starts with all of `start`. Sizes and checksums stand for the bytes. */
function goesOn(list: readonly BatchEntry[], start: readonly BatchEntry[]): boolean {
  return start.every(({ crc32, metadataBytes, bodyBytes }, index) => {
    const entry = list[index];
    return entry?.crc32 === crc32 && entry.metadataBytes === metadataBytes && entry.bodyBytes === bodyBytes;
  });
}
