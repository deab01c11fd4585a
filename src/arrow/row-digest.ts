/**
 * What rows say, as 128 bits and their number: the sum of the hashes of all rows, so that neither their order counts nor how they are cut
 * into batches, compressed or encoded, nor what a schema says beside names and types. Columns count by their names and in their order.
 */

import { setImmediate as turn } from "node:timers/promises";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { unfoldAtOnceBytesMax } from "../model/limits.ts";
import type { Batch } from "./batch.ts";
import { cannotRead, type Room, take } from "./column-bytes.ts";
import { givenWidth, hashedColumn } from "./column-hash.ts";
import { valueField } from "./dictionary.ts";
import {
  type ByteSink,
  blockRows,
  type HashedColumn,
  type HashedDictionary,
  type HashPlan,
  HashWork,
  planOf,
} from "./hash-job.ts";
import { absorb, finish, LaneSum, laneCount } from "./lanes.ts";
import type { Field, Schema } from "./schema.ts";

export interface Digest {
  readonly rows: number;
  readonly sum: string;
  /** Of each column by itself. */
  readonly columns: readonly { readonly name: string; readonly sum: string }[];
}

/** Bytes that reading a batch may make beside it, and steps of hashing it: for each of its bytes, and besides. */
const roomFactor = { bytes: 2, more: 64 * 1024 } as const;
const effortFactor = { bytes: 8, more: 2 ** 28 } as const;
const rowEffort = 4;

export class RowDigest {
  readonly #names: readonly string[];
  #plans: readonly HashPlan[];
  readonly #columnSums: readonly LaneSum[];
  readonly #sum = new LaneSum();
  #rows = 0;
  #dictionaries: HashedDictionaries;
  readonly #dictionaryBytesMax: number;

  /** @param dictionaryBytesMax of all dictionaries in force together */
  constructor(schema: Schema, dictionaryBytesMax: number) {
    this.#names = namesOf(schema);
    this.#plans = schema.fields.map(planOf);
    this.#columnSums = schema.fields.map(() => new LaneSum());
    this.#dictionaries = new HashedDictionaries(schema, dictionaryBytesMax);
    this.#dictionaryBytesMax = dictionaryBytesMax;
  }

  /** Goes on with rows of another stream, which has its own dictionaries. @throws Fault invalid when it has other columns */
  goOn(schema: Schema): void {
    const names = namesOf(schema);
    if (names.length !== this.#names.length || names.some((name, index) => name !== this.#names[index]))
      throw new Fault("invalid", `The columns of one topic are ${named(names)} now, they were ${named(this.#names)}.`);
    this.#plans = schema.fields.map(planOf);
    this.#dictionaries = new HashedDictionaries(schema, this.#dictionaryBytesMax);
  }

  /** A dictionary, uncompressed; it is borrowed. @throws Fault overloaded */
  addDictionary(id: bigint, batch: Batch, { isDelta }: { isDelta: boolean }): void {
    this.#dictionaries.add(id, batch, isDelta);
  }

  /** Adds the rows of an uncompressed batch, in pieces, so that others go on. @throws Fault corrupt, invalid, overloaded, unsupported */
  async add(batch: Batch): Promise<void> {
    const { rows, body } = batch;
    const { work } = this.#dictionaries;
    work.allow(effortFactor.bytes * body.byteLength + effortFactor.more);
    work.spend(rowEffort * rows, "");
    const room: Room = { bytes: roomFactor.bytes * body.byteLength + roomFactor.more };
    const columns = this.#plans.map((plan, index) => {
      const { field } = plan;
      const column = batch.columns[index];
      assert(column !== undefined, "a checked batch has all columns");
      return hashedColumn(plan, { field, cursor: { batch, ...column }, rows, path: field.name, room }, undefined, work);
    });
    const rowHashes = new Int32Array(laneCount * Math.min(rows, blockRows));
    const blockBytes = (body.byteLength / Math.max(1, rows)) * blockRows;
    let pieceBytes = 0;
    for (let start = 0; start < rows; start += blockRows) {
      const end = Math.min(rows, start + blockRows);
      this.#addBlock(columns, { start, end }, rowHashes);
      pieceBytes += blockBytes;
      if (pieceBytes < unfoldAtOnceBytesMax) continue;
      pieceBytes = 0;
      await turn();
    }
    this.#rows += rows;
  }

  #addBlock(
    columns: readonly HashedColumn[],
    { start, end }: { start: number; end: number },
    hashes: Int32Array,
  ): void {
    const count = end - start;
    const values = this.#dictionaries.work.scratch(0);
    hashes.fill(0);
    for (const [index, column] of columns.entries()) {
      const plan = this.#plans[index];
      assert(plan !== undefined, "a column has a plan");
      column.hash(start, end, values, 1);
      this.#columnSums[index]?.add(values, count);
      for (let at = 0; at < laneCount * count; at += laneCount) absorb(hashes, at, values, at, plan.nameSeed);
    }
    for (let at = 0; at < laneCount * count; at += laneCount) finish(hashes, at, columns.length);
    this.#sum.add(hashes, count);
  }

  digest(): Digest {
    return {
      rows: this.#rows,
      sum: this.#sum.text(),
      columns: this.#names.map((name, index) => ({ name, sum: this.#columnSums[index]?.text() ?? "" })),
    };
  }
}

function namesOf({ fields }: Schema): string[] {
  return fields.map(({ name }) => name);
}

/** Dictionaries in force, their values hashed when they are first asked for. */
class HashedDictionaries {
  readonly work: HashWork;
  readonly #schema: Schema;
  readonly #bytesMax: number;
  readonly #parts = new Map<bigint, Batch[]>();
  /** Of all parts. */
  #bytes = 0;
  readonly #hashed = new Map<bigint, { dictionary: HashedDictionary; parts: number; bytes: number }>();
  /** Of all that were hashed. */
  #hashedBytes = 0;
  /** Those that are being hashed: a broken schema has some that refer to themselves. */
  readonly #open = new Set<bigint>();

  constructor(schema: Schema, bytesMax: number) {
    this.#schema = schema;
    this.#bytesMax = bytesMax;
    this.work = new HashWork((id, path) => this.#get(id, path));
  }

  add(id: bigint, batch: Batch, isDelta: boolean): void {
    const before = this.#parts.get(id) ?? [];
    if (!isDelta) {
      this.#bytes -= bytesOf(before);
      // Another one may refer to its values.
      this.#hashed.clear();
      this.#hashedBytes = 0;
    }
    this.#parts.set(id, isDelta ? [...before, batch] : [batch]);
    this.#bytes += bytesOf([batch]);
    if (this.#bytes <= this.#bytesMax) return;
    const problem = `Its dictionaries have ${this.#bytes} bytes together, ${this.#bytesMax} are allowed here.`;
    throw new Fault("overloaded", problem);
  }

  #get(id: bigint, path: string): HashedDictionary {
    const parts = this.#parts.get(id);
    if (parts === undefined) throw cannotRead(path, `dictionary ${id} is missing`);
    const known = this.#hashed.get(id);
    if (known?.parts === parts.length) return known.dictionary;
    if (this.#open.has(id)) throw cannotRead(path, `dictionary ${id} refers to itself`);
    this.#open.add(id);
    try {
      this.#hashedBytes -= known?.bytes ?? 0;
      this.#hashed.delete(id);
      const room: Room = { bytes: this.#bytesMax - this.#hashedBytes };
      const field = valueField(this.#schema, id);
      const count = parts.reduce((sum, { rows }) => sum + rows, 0);
      const bytes = (4 * laneCount + (givenWidth(field) ?? 0) + 1) * count;
      take(room, bytes, path);
      const dictionary = this.#hash(field, parts, { count, path, room });
      this.#hashed.set(id, { dictionary, parts: parts.length, bytes });
      this.#hashedBytes += bytes;
      return dictionary;
    } finally {
      this.#open.delete(id);
    }
  }

  #hash(
    field: Field,
    parts: readonly Batch[],
    { count, path, room }: { count: number; path: string; room: Room },
  ): HashedDictionary {
    const width = givenWidth(field);
    const lanes = new Int32Array(laneCount * count);
    const given =
      width === undefined ? undefined : { width, bytes: new Uint8Array(width * count), nulls: new Uint8Array(count) };
    const plan = planOf(field);
    let first = 0;
    for (const batch of parts) {
      const [column] = batch.columns;
      assert(column !== undefined, "a dictionary has one column");
      const { rows } = batch;
      const hashed = hashedColumn(
        plan,
        { field, cursor: { batch, ...column }, rows, path, room },
        undefined,
        this.work,
      );
      const block = new Int32Array(laneCount * Math.min(rows, blockRows));
      for (let start = 0; start < rows; start += blockRows) {
        const end = Math.min(rows, start + blockRows);
        hashed.hash(start, end, block, 1);
        lanes.set(block.subarray(0, laneCount * (end - start)), laneCount * (first + start));
      }
      if (given !== undefined) giveAll(hashed, given, first);
      first += rows;
    }
    return { count, lanes, given };
  }
}

function bytesOf(batches: readonly Batch[]): number {
  return batches.reduce((sum, { body }) => sum + body.byteLength, 0);
}

function giveAll(column: HashedColumn, given: NonNullable<HashedDictionary["given"]>, first: number): void {
  const { width, bytes, nulls } = given;
  for (let row = 0; row < column.rows; row += 1) {
    let at = width * (first + row);
    const sink: ByteSink = {
      add(from, start, end) {
        bytes.set(from.subarray(start, end), at);
        at += end - start;
      },
    };
    if (column.give?.(row, row + 1, sink) !== true) nulls[first + row] = 1;
  }
}

/** In what the contents there are others than those here; undefined when they are the same. */
export function digestDifference(here: Digest, there: Digest): string | undefined {
  if (here.rows !== there.rows) return `has ${there.rows} rows there, here ${here.rows}`;
  if (here.sum === there.sum) return undefined;
  const name = ({ name }: { name: string }): string => name;
  const [ours, theirs] = [here.columns.map(name), there.columns.map(name)];
  if (ours.length !== theirs.length || ours.some((one, index) => one !== theirs[index]))
    return `has columns ${named(theirs)} there, here ${named(ours)}`;
  const others = here.columns.filter(({ sum }, index) => sum !== there.columns[index]?.sum).map(name);
  if (others.length === 0) return "has its values in other rows there";
  return `has other contents there in ${others.length === 1 ? "column" : "columns"} ${named(others)}`;
}

/** Columns that a sentence names. */
const namedMax = 5;

function named(names: readonly string[]): string {
  const more = names.length > namedMax ? ` and ${names.length - namedMax} more` : "";
  const first = names.slice(0, namedMax).map((name) => JSON.stringify(name.slice(0, 100)));
  return `${first.join(", ")}${more}`;
}
