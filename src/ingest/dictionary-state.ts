/**
 * The dictionaries in force in an upload. An IPC file may add to a dictionary but not replace it, so a replacement begins a
 * new chunk, and every chunk begins with the dictionaries in force. Their bytes are read back from the chunk before, so that
 * they need no memory between batches.
 */

import { readMessage } from "../arrow/message.ts";
import { dictionaryIds, type Schema } from "../arrow/schema.ts";
import { crc32 } from "../host/checksum.ts";
import type { Disk } from "../host/disk.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { ChunkReader, type StoredMessage } from "../store/chunk-reader.ts";
import type { ChunkWriter } from "../store/chunk-writer.ts";

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
  readonly entries: number[];
  /** Over header and body of the dictionary as it came. */
  readonly checksum: number;
}

export class DictionaryState {
  readonly #disk: Disk;
  readonly #ids: ReadonlySet<bigint>;
  readonly #inForce = new Map<bigint, InForce>();

  constructor(disk: Disk, schema: Schema) {
    this.#disk = disk;
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

  /** Whether the message repeats the dictionary in force. Pending writes of the chunk must have ended. */
  async repeats(message: DictionaryMessage, chunk: PlacedChunk): Promise<boolean> {
    const known = this.#inForce.get(message.id);
    const [index, delta] = known?.entries ?? [];
    if (known === undefined || index === undefined || delta !== undefined) return false;
    if (known.checksum !== crc32([message.header, message.body])) return false;
    const entry = chunk.writer.entries[index];
    assert(entry !== undefined, "a dictionary in force lies in the growing chunk");
    await using reader = await ChunkReader.open(this.#disk, chunk.path);
    const stored = await reader.readMessage(entry);
    return startsWith(stored.header, message.header) && startsWith(stored.body, message.body);
  }

  /** Forgets a dictionary that is about to be replaced. */
  drop(id: bigint): void {
    this.#inForce.delete(id);
  }

  /** Notes that a dictionary message has become the entry `index` of the growing chunk. */
  appended(message: DictionaryMessage, index: number): void {
    const known = this.#inForce.get(message.id);
    if (message.isDelta && known !== undefined) known.entries.push(index);
    else this.#inForce.set(message.id, { entries: [index], checksum: crc32([message.header, message.body]) });
  }

  /** Takes the dictionaries in force out of a chunk, in their order; they are to be appended to the next one. */
  async carryOver(chunk: PlacedChunk): Promise<DictionaryMessage[]> {
    const indices = [...this.#inForce.values()].flatMap(({ entries }) => entries).sort((a, b) => a - b);
    this.#inForce.clear();
    if (indices.length === 0) return [];
    await using reader = await ChunkReader.open(this.#disk, chunk.path);
    const messages: DictionaryMessage[] = [];
    for (const index of indices) {
      const entry = chunk.writer.entries[index];
      assert(entry !== undefined, "a dictionary in force lies in the growing chunk");
      const stored = await reader.readMessage(entry);
      const read = readMessage(stored.header, stored.body.byteLength);
      assert(read.kind === "dictionary", "an entry of a dictionary is a dictionary");
      messages.push({ ...stored, id: read.id, isDelta: read.isDelta });
    }
    return messages;
  }
}

function startsWith(padded: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(padded.subarray(0, start.byteLength), start) === 0;
}
