/** What a rebuild has to do about tail logs that are damaged: whether frames have to move, and which topics may have lost some. */

import type { Topic } from "../model/resource.ts";
import { tailFile } from "../store/layout.ts";
import type { TopicRecord } from "./session-record.ts";
import type { TailBreak, TailGap, TailRecords } from "./tail-record.ts";

export interface SuspectedLoss {
  readonly topic: Topic;
  readonly sentence: string;
}

export class TailRescue {
  readonly tails: TailRecords;
  /** By `<session ULID>/<topic number>`: those that are open, for others have nothing in logs. */
  readonly #topics = new Map<string, Topic>();
  readonly #gaps: TailGap[] = [];
  /** Places of all topics that the catalog has. */
  readonly written = new Set<string>();

  constructor(tails: TailRecords) {
    this.tails = tails;
  }

  add({ topic, gaps }: TopicRecord): void {
    this.#gaps.push(...gaps);
    const place = `${topic.session}/${topic.number}`;
    this.written.add(place);
    if (topic.completedAtNs === undefined) this.#topics.set(place, topic);
  }

  /** Half a frame at the end of a log is what a kill leaves: alone it is no reason to move anything. */
  get isNeeded(): boolean {
    return this.#gaps.length > 0 || this.tails.breaks.some(({ kind }) => kind === "hole");
  }

  /** All that may have frames in logs. */
  topics(): Topic[] {
    return [...this.#topics.values()];
  }

  /** Batches that nothing else shows to be missing: those of a topic's last frame. */
  suspected(): SuspectedLoss[] {
    const losses = new Map<string, SuspectedLoss>();
    for (const found of this.tails.breaks) {
      if (this.#gaps.some((gap) => explains(gap, found))) continue;
      // It had moved before the topic was complete.
      if (found.place !== undefined && this.written.has(found.place) && !this.#topics.has(found.place)) continue;
      const sure = found.place === undefined ? undefined : this.#topics.get(found.place);
      const topics = sure === undefined ? this.#topicsIn(found.log) : [sure];
      for (const topic of topics) {
        const bytes = `${found.to - found.from} bytes of ${tailFile(found.log)}, which are no whole frame`;
        const sentence = `topic \`${topic.locator}\` may have lost its last batch: ${bytes}`;
        losses.set(topic.uuid, losses.get(topic.uuid) ?? { topic, sentence });
      }
    }
    return [...losses.values()];
  }

  #topicsIn(log: number): Topic[] {
    return [...this.#topics].flatMap(([place, topic]) =>
      this.tails.topics.get(place)?.some((record) => record.log === log) === true ? [topic] : [],
    );
  }
}

function explains(gap: TailGap, { log, from, to }: TailBreak): boolean {
  return gap.log === log && gap.from <= from && gap.to >= to;
}
