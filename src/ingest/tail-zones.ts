/** What is known of the batches in a topic's tail, some together as they will be in the chunk that they move to. */

import { zoneBytes } from "../model/limits.ts";
import type { RowStatistics } from "../model/statistics.ts";
import { mergeStatistics } from "../model/statistics-merge.ts";
import type { RunZone } from "../store/chunk-writer.ts";

export class TailZones {
  #zones: RunZone[] = [];

  /** @param statistics undefined when nothing is known of the batch */
  add(bytes: number, statistics: RowStatistics | undefined): void {
    const last = this.#zones.at(-1);
    if (last === undefined || last.bytes + bytes > zoneBytes) {
      this.#zones.push({ entries: 1, bytes, statistics });
      return;
    }
    const known = last.statistics !== undefined && statistics !== undefined;
    this.#zones[this.#zones.length - 1] = {
      entries: last.entries + 1,
      bytes: last.bytes + bytes,
      statistics: known ? mergeStatistics(last.statistics, statistics) : undefined,
    };
  }

  /** Of the first so many batches. What is known of a zone that is cut is known of both its parts. */
  first(batches: number): readonly RunZone[] {
    return this.#cut(batches).before;
  }

  /** Forgets the first so many batches. */
  drop(batches: number): void {
    this.#zones = this.#cut(batches).behind;
  }

  /** Forgets all but the first so many batches. */
  keep(batches: number): void {
    this.#zones = this.#cut(batches).before;
  }

  #cut(batches: number): { before: RunZone[]; behind: RunZone[] } {
    const before: RunZone[] = [];
    const behind: RunZone[] = [];
    let left = batches;
    for (const zone of this.#zones) {
      const taken = Math.min(left, zone.entries);
      left -= taken;
      if (taken > 0) before.push(partOf(zone, taken));
      if (taken < zone.entries) behind.push(partOf(zone, zone.entries - taken));
    }
    return { before, behind };
  }
}

function partOf({ entries, bytes, statistics }: RunZone, taken: number): RunZone {
  return { entries: taken, bytes: Math.ceil((bytes * taken) / entries), statistics };
}
