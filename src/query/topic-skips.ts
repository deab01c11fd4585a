/** What the skip index says of a topic, its chunks and their parts, for one predicate. Counts what it decides. */

import type { Catalog } from "../catalog/catalog.ts";
import { readChunkStatistics, readSkips, readTopicStatistics } from "../catalog/skip-rows.ts";
import type { Chunk, ChunkSummary } from "../model/chunk.ts";
import { isCompleted } from "../model/resource.ts";
import type { Derivation, LeafStatistics } from "../model/statistics.ts";
import { decodeDerived, decodeLeaf } from "../model/statistics-codec.ts";
import { decodeZones } from "../model/zone-codec.ts";
import type { BoundPredicate } from "./bind.ts";
import type { Effort } from "./effort.ts";
import { verdictOf } from "./prune.ts";
import type { BatchChoice, ReadableTopic } from "./topic-reader.ts";
import type { Verdict } from "./verdict.ts";

/** Steps of reading the statistics of a leaf: a microsecond or so. */
const leafSteps = 256;

/** How often each answer was given. */
export type VerdictCounts = Record<Verdict, number>;

export interface SkipCounts {
  readonly topics: VerdictCounts;
  readonly chunks: VerdictCounts;
  /** Parts of chunks that may match. */
  readonly zones: VerdictCounts;
}

export function noCounts(): SkipCounts {
  const none = (): VerdictCounts => ({ no: 0, maybe: 0, all: 0 });
  return { topics: none(), chunks: none(), zones: none() };
}

export interface SkipParts {
  readonly catalog: Catalog;
  readonly topic: ReadableTopic;
  readonly predicate: BoundPredicate;
  /** How many the topic's schema has. */
  readonly leaves: number;
  readonly effort: Effort;
  readonly counts: SkipCounts;
  /** Whether what statistics say counts: without it everything that has rows may match. */
  readonly usesIndex: boolean;
}

export class TopicSkips implements BatchChoice {
  readonly #parts: SkipParts;
  readonly #chunks = new Map<number, Verdict>();

  constructor(parts: SkipParts) {
    this.#parts = parts;
  }

  /** Of the topic as a whole, as far as all of it lies in sealed chunks. */
  ofTopic(): Verdict {
    const { catalog, topic, usesIndex, counts } = this.#parts;
    const { rows, chunks } = topic.extent;
    // Of a topic that grows some rows lie in no sealed chunk.
    const known = usesIndex && isCompleted(topic) ? readTopicStatistics(catalog, topic.uuid) : undefined;
    const isWhole = known !== undefined && known.chunks >= chunks;
    const verdict = rows === 0 ? "no" : isWhole ? this.#verdict(known.statistics) : "maybe";
    counts.topics[verdict] += 1;
    return verdict;
  }

  ofChunk({ number, sealed, rows }: ChunkSummary): Verdict {
    const { catalog, topic, usesIndex, counts } = this.#parts;
    const statistics = usesIndex && sealed ? readChunkStatistics(catalog, topic.uuid, number) : undefined;
    const verdict = rows === 0 ? "no" : statistics === undefined ? "maybe" : this.#verdict(statistics);
    this.#chunks.set(number, verdict);
    counts.chunks[verdict] += 1;
    return verdict;
  }

  ofEntries(chunk: Chunk): readonly Verdict[] {
    const { catalog, topic, usesIndex, counts } = this.#parts;
    const whole = this.#chunks.get(chunk.number) ?? "maybe";
    const skips =
      usesIndex && whole === "maybe" && chunk.sealed ? readSkips(catalog, topic.uuid, chunk.number) : undefined;
    if (skips === undefined) return chunk.batches.map(() => whole);
    return decodeZones(skips.zones).flatMap(({ entries, statistics }) => {
      const verdict = this.#verdict(statistics);
      counts.zones[verdict] += 1;
      return Array.from({ length: entries }, () => verdict);
    });
  }

  async pause(): Promise<void> {
    await this.#parts.effort.pause();
  }

  #verdict(statistics: Uint8Array): Verdict {
    const { predicate, leaves, effort } = this.#parts;
    const statisticsOf = (of: number | Derivation): LeafStatistics | undefined => {
      effort.spend(leafSteps);
      return typeof of === "number" ? decodeLeaf(statistics, of) : decodeDerived(statistics, of, leaves);
    };
    return verdictOf(predicate, statisticsOf, effort);
  }
}
