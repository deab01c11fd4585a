/**
 * The union of the dictionaries that an upload has had under one id. A client that replaces its dictionary with every batch, as
 * pyarrow does with categories that come up as they go, gets one dictionary that grows by deltas, and indices that are moved.
 */

import type { Batch } from "../arrow/batch.ts";
import { dictionaryKeys, makeDelta } from "../arrow/dictionary.ts";
import type { Gathered } from "../arrow/gather.ts";
import { valuesMax } from "../arrow/indices.ts";
import { fieldsOfDictionary, type Schema } from "../arrow/schema.ts";
import { dictionaryUnionMax } from "../model/limits.ts";

export class DictionaryUnion {
  readonly #schema: Schema;
  readonly #id: bigint;
  readonly #places = new Map<string, number>();
  #values = 0;
  #bytes = 0;
  /** For each value of the client's dictionary its place in the union. */
  #clients = new Uint32Array(0);

  private constructor(schema: Schema, id: bigint) {
    this.#schema = schema;
    this.#id = id;
  }

  /** The union as it is stored; undefined when its values cannot be compared or are too many. */
  static of(schema: Schema, id: bigint, stored: readonly Batch[]): DictionaryUnion | undefined {
    const union = new DictionaryUnion(schema, id);
    if (fieldsOfDictionary(schema, id).some(({ dictionary }) => dictionary?.ordered === true)) return undefined;
    for (const batch of stored) {
      const keys = keysOf(schema, id, batch);
      if (keys === undefined) return undefined;
      for (const key of keys) union.#add(key, union.#values);
    }
    union.#clients = Uint32Array.from({ length: union.#values }, (_none, place) => place);
    return union.#fits() ? union : undefined;
  }

  get places(): Uint32Array {
    return this.#clients;
  }

  /**
   * Takes in what the client sent: a replacement, or a delta to what it had.
   * @returns the message to be stored, "nothing" when all values were known; undefined when the union would not fit, and is
   *   of no use any more
   */
  take(batch: Batch, isDelta: boolean): Gathered | "nothing" | undefined {
    const keys = keysOf(this.#schema, this.#id, batch);
    if (keys === undefined) return undefined;
    const added: number[] = [];
    const places = keys.map((key, row) => {
      const known = this.#places.get(key);
      if (known !== undefined) return known;
      added.push(row);
      return this.#add(key, this.#values);
    });
    if (!this.#fits()) return undefined;
    this.#clients = Uint32Array.from(isDelta ? [...this.#clients, ...places] : places);
    return added.length === 0 ? "nothing" : makeDelta(this.#schema, this.#id, batch, added);
  }

  #add(key: string, place: number): number {
    // Of a value that is there twice the first place counts; the second one keeps its number.
    if (!this.#places.has(key)) this.#places.set(key, place);
    this.#values += 1;
    this.#bytes += key.length;
    return place;
  }

  #fits(): boolean {
    const indices = fieldsOfDictionary(this.#schema, this.#id).map(({ dictionary }) =>
      dictionary === undefined ? 0 : valuesMax(dictionary),
    );
    return this.#values <= Math.min(...indices, dictionaryUnionMax.values) && this.#bytes <= dictionaryUnionMax.bytes;
  }
}

function keysOf(schema: Schema, id: bigint, batch: Batch): string[] | undefined {
  if (batch.rows > dictionaryUnionMax.values || batch.body.byteLength > dictionaryUnionMax.bytes) return undefined;
  return dictionaryKeys(schema, id, batch);
}
