/** Gathers what is known of a chunk's entries while it grows, in bounded memory. */

import { zoneBytes, zonesBytesMax } from "../model/limits.ts";
import type { RowStatistics } from "../model/statistics.ts";
import { decodeStatistics, encodeStatistics } from "../model/statistics-codec.ts";
import { mergeStatistics } from "../model/statistics-merge.ts";
import { type ChunkSkips, encodeZones, type Zone } from "../model/zone-codec.ts";

interface OpenZone {
  entries: number;
  bytes: number;
  statistics: RowStatistics | undefined;
}

const nothingKnown: RowStatistics = [];

export class ZoneBuilder {
  #zones: Zone[] = [];
  #zonesBytes = 0;
  /** Bytes of messages that a zone gathers. */
  #zoneBytes: number = zoneBytes;
  #open: OpenZone = { entries: 0, bytes: 0, statistics: undefined };
  #chunk: RowStatistics | undefined;

  /**
   * @param entries of the file, one behind the other
   * @param bytes of them
   * @param statistics of their rows, or of more rows than theirs; undefined when they have none: dictionaries; empty when nothing is
   * known of them
   */
  add(entries: number, bytes: number, statistics: RowStatistics | undefined): void {
    // A large batch stands alone.
    if (this.#open.entries > 0 && this.#open.bytes + bytes > this.#zoneBytes) this.#close();
    const open = this.#open;
    open.entries += entries;
    open.bytes += bytes;
    open.statistics = merged(open.statistics, statistics);
    if (open.bytes >= this.#zoneBytes) this.#close();
  }

  #close(): void {
    const { entries, statistics } = this.#open;
    this.#open = { entries: 0, bytes: 0, statistics: undefined };
    this.#chunk = merged(this.#chunk, statistics);
    this.#push({ entries, statistics: encodeStatistics(statistics ?? nothingKnown) });
  }

  #push(zone: Zone): void {
    this.#zones.push(zone);
    this.#zonesBytes += zone.statistics.byteLength;
    while (this.#zonesBytes > zonesBytesMax && this.#zones.length > 1) {
      this.#zoneBytes *= 2;
      this.#zones = inPairs(this.#zones);
      this.#zonesBytes = this.#zones.reduce((sum, { statistics }) => sum + statistics.byteLength, 0);
    }
  }

  /** What is known of everything that was added so far. */
  finish(): ChunkSkips {
    if (this.#open.entries > 0) this.#close();
    return { chunk: encodeStatistics(this.#chunk ?? nothingKnown), zones: encodeZones(this.#zones) };
  }
}

function merged(a: RowStatistics | undefined, b: RowStatistics | undefined): RowStatistics | undefined {
  return a === undefined || b === undefined ? (a ?? b) : mergeStatistics(a, b);
}

function inPairs(zones: readonly Zone[]): Zone[] {
  const pairs: Zone[] = [];
  for (let index = 0; index < zones.length; index += 2) {
    const [a, b] = [zones[index], zones[index + 1]];
    if (a === undefined) break;
    if (b === undefined) pairs.push(a);
    else
      pairs.push({
        entries: a.entries + b.entries,
        statistics: encodeStatistics(mergeStatistics(decodeStatistics(a.statistics), decodeStatistics(b.statistics))),
      });
  }
  return pairs;
}
