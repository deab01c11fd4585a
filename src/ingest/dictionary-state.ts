/**
 * The dictionaries in force in an upload. An IPC file may add to a dictionary but not replace it, so a replacement is united with
 * what is there, or begins a new chunk where that cannot be; and every chunk begins with the dictionaries in force. Their bytes
 * are copied from the chunk before, so that they need no memory between batches.
 */

import type { Batch } from "../arrow/batch.ts";
import { decompressBatch, unfoldedBytes } from "../arrow/compression.ts";
import { readDictionary } from "../arrow/dictionary.ts";
import type { Places } from "../arrow/indices.ts";
import { readMessage } from "../arrow/message.ts";
import { dictionaryIds, type Schema } from "../arrow/schema.ts";
import { crc32 } from "../host/checksum.ts";
import type { Disk } from "../host/disk.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { dictionaryUnionMax } from "../model/limits.ts";
import { ChunkReader, type StoredMessage } from "../store/chunk-reader.ts";
import type { ChunkWriter } from "../store/chunk-writer.ts";
import { DictionaryUnion } from "./dictionary-union.ts";

export interface DictionaryMessage extends StoredMessage {
  readonly id: bigint;
  readonly isDelta: boolean;
}

/** A growing chunk and where it lies. */
export interface PlacedChunk {
  readonly writer: ChunkWriter;
  readonly path: string;
}

interface InForce {
  /** Indices among the entries of the growing chunk: the dictionary, then its deltas. */
  entries: number[];
  /** Over header and body of the dictionary as it came. */
  readonly checksum: number;
  /** Since the client replaced its dictionary. */
  union?: DictionaryUnion | undefined;
}

export class DictionaryState {
  readonly #disk: Disk;
  readonly #schema: Schema;
  readonly #ids: ReadonlySet<bigint>;
  readonly #inForce = new Map<bigint, InForce>();

  constructor(disk: Disk, schema: Schema) {
    this.#disk = disk;
    this.#schema = schema;
    this.#ids = new Set(dictionaryIds(schema));
  }

  /** Whether the schema has dictionaries at all. */
  get needed(): boolean {
    return this.#ids.size > 0;
  }

  has(id: bigint): boolean {
    return this.#inForce.has(id);
  }

  /** @throws Fault invalid when a batch comes before all its dictionaries */
  checkComplete(): void {
    for (const id of this.#ids) {
      if (!this.#inForce.has(id))
        throw new Fault("invalid", `A batch came before dictionary ${id}, to which its schema refers.`);
    }
  }

  /** Where the indices of the client's batches have to be moved; undefined as long as they are right as they come. */
  get places(): Places | undefined {
    const united = [...this.#inForce].flatMap(([id, { union }]) =>
      union === undefined ? [] : [[id, union.places] as const],
    );
    return united.length === 0 ? undefined : new Map(united);
  }

  /**
   * What is to be stored of a message for a dictionary that is in force: the message itself, what it adds to the union, nothing,
   * or the message in a new chunk, when it cannot be united with what is there. Pending writes of the chunk must have ended.
   */
  async change(message: DictionaryMessage, chunk: PlacedChunk): Promise<DictionaryMessage | "nothing" | "new chunk"> {
    const known = this.#inForce.get(message.id);
    assert(known !== undefined, "the dictionary is in force");
    if (known.union === undefined) {
      if (message.isDelta) return message;
      const stored = await this.#stored(known.entries, chunk);
      if (repeats(message, known, stored)) return "nothing";
      const batches = stored.map(({ header, body }) => this.#read(header, body));
      const readable = batches.filter((batch) => batch !== undefined);
      if (readable.length === batches.length) {
        known.union = DictionaryUnion.of(this.#schema, message.id, readable);
      }
    }
    const batch = known.union === undefined ? undefined : this.#read(message.header, message.body);
    const added = batch === undefined ? undefined : known.union?.take(batch, message.isDelta);
    if (added === undefined) return message.isDelta ? wholeAgain(message.id) : "new chunk";
    return added === "nothing" ? added : { ...added, id: message.id, isDelta: true };
  }

  /** Undefined for one that is too large to be united with another, which compressed bytes show before they are unfolded. */
  #read(header: Uint8Array, body: Uint8Array): Batch | undefined {
    const message = readMessage(header, body.byteLength);
    assert(message.kind === "dictionary", "an entry of a dictionary is a dictionary");
    const batch = readDictionary(this.#schema, message, body);
    try {
      if (batch.compression !== "none") unfoldedBytes(batch, dictionaryUnionMax.bytes);
    } catch (error) {
      if (error instanceof Fault && error.code === "overloaded") return undefined;
      throw error;
    }
    return decompressBatch(batch, dictionaryUnionMax.bytes);
  }

  /** Forgets a dictionary that is about to be replaced. */
  drop(id: bigint): void {
    this.#inForce.delete(id);
  }

  /** Notes that a dictionary message has become the entry `index` of the growing chunk. */
  appended(message: DictionaryMessage, index: number): void {
    const known = this.#inForce.get(message.id);
    if (known !== undefined) known.entries.push(index);
    else this.#inForce.set(message.id, { entries: [index], checksum: crc32([message.header, message.body]) });
  }

  /** Indices of the dictionaries in force among the entries of the growing chunk, in their order. */
  get indices(): number[] {
    return [...this.#inForce.values()].flatMap(({ entries }) => entries).sort((a, b) => a - b);
  }

  /** Notes that the dictionaries in force have become the first entries of the chunk that grows now, in the same order. */
  carriedOver(): void {
    const places = new Map(this.indices.map((index, place) => [index, place]));
    for (const known of this.#inForce.values())
      known.entries = known.entries.flatMap((index) => places.get(index) ?? []);
  }

  async #stored(indices: readonly number[], chunk: PlacedChunk): Promise<StoredMessage[]> {
    if (indices.length === 0) return [];
    await using reader = await ChunkReader.open(this.#disk, chunk.path);
    const messages: StoredMessage[] = [];
    for (const index of indices) {
      const entry = chunk.writer.entries[index];
      assert(entry !== undefined, "a dictionary in force lies in the growing chunk");
      messages.push(await reader.readMessage(entry));
    }
    return messages;
  }
}

/** Whether a message is the dictionary in force, to the byte. */
function repeats(message: DictionaryMessage, { checksum }: InForce, stored: readonly StoredMessage[]): boolean {
  const [only, delta] = stored;
  if (only === undefined || delta !== undefined || checksum !== crc32([message.header, message.body])) return false;
  return startsWith(only.header, message.header) && startsWith(only.body, message.body);
}

function startsWith(padded: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(padded.subarray(0, start.byteLength), start) === 0;
}

/** A delta says only what is new; without the union nobody knows to what. */
function wholeAgain(id: bigint): never {
  throw new Fault(
    "overloaded",
    `Dictionary ${id} has grown beyond what its index type or ${dictionaryUnionMax.values} values hold after it was replaced; send it whole.`,
  );
}
