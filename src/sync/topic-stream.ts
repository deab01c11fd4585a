/**
 * A topic as an upload: its messages in the order in which they came in, from a row on. What the remote can take passes as the bytes
 * that lie on disk; what is larger than it takes is cut, and small neighbours go together, for each message costs the remote.
 */

import type { Batch } from "../arrow/batch.ts";
import { gather } from "../arrow/gather.ts";
import type { RowRun } from "../arrow/gather-job.ts";
import { readSchema } from "../arrow/schema.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { listChunks, readChunk } from "../catalog/chunk-rows.ts";
import type { Budget } from "../flow/budget.ts";
import { crc32 } from "../host/checksum.ts";
import type { ReadDisk } from "../host/disk.ts";
import { leaveGarbage } from "../host/young-garbage.ts";
import { type BatchEntry, messageBytesOf } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import type { Topic } from "../model/resource.ts";
import { messageFrameBytes } from "../model/sync-limits.ts";
import { SentDictionaries } from "../query/dictionaries.ts";
import { readStoredMessage } from "../query/stored-batch.ts";
import { bareFlightDataHead } from "../wire/flight-data.ts";
import { type ChunkPlace, ChunkSource, deletedMeanwhile } from "./chunk-source.ts";

export interface StreamParts {
  readonly disk: Pick<ReadDisk, "openReadable">;
  readonly catalog: Catalog;
  /** Where the memory for messages comes from. */
  readonly budget: Budget;
  /** Called before bytes are read to be sent: waits until they may be, while nothing is held. */
  admit(bytes: number): Promise<void>;
}

export interface StreamLimits {
  /** Bytes of a message that the remote takes. */
  readonly messageBytesMax: number;
  /** Bytes that small batches are gathered to. */
  readonly targetBytes: number;
  /** Bytes of a row, on average, from which on each goes alone. */
  readonly wideRowBytes: number;
  /** Whether compressed batches go and stay as they are; they are not gathered then. Otherwise they are unfolded. */
  readonly keepsCompression: boolean;
  /** Bytes that go at once, about, where a rate lets no more go in a moment: larger batches are sent in pieces. */
  readonly pacedBytes: number;
}

/** A message of an upload. It may be used until the next one is asked for. */
export interface StreamMessage {
  readonly flightData: Buffer;
  /** None for a schema or a dictionary. */
  readonly rows: number;
}

/**
 * @param fromRow so many rows in the order of the topic's batches are left out
 * @throws Fault corrupt when bytes on disk are not those that were written, absent when the topic is deleted meanwhile, unsupported
 *   when one row is larger than the remote takes
 */
export async function* topicStream(
  parts: StreamParts,
  topic: Topic,
  { fromRow, limits, signal }: { fromRow: number; limits: StreamLimits; signal: AbortSignal },
): AsyncGenerator<StreamMessage> {
  const { catalog } = parts;
  const schemaHeader = catalog.schemas.get(topic.uuid);
  // Nothing was ever uploaded to it, which the remote cannot be told by an upload.
  if (schemaHeader === undefined) throw deletedMeanwhile(topic);
  const schema = readSchema(schemaHeader);
  yield { flightData: Buffer.from(bareFlightDataHead(schemaHeader, 0)), rows: 0 };
  const room = new Room();
  const dictionaries = new SentDictionaries();
  let skip = fromRow;
  for (const summary of [...listChunks(catalog, topic.uuid)]) {
    if (summary.rows <= skip) {
      skip -= summary.rows;
      continue;
    }
    const chunk = readChunk(catalog, topic.uuid, summary.number);
    if (chunk === undefined) throw deletedMeanwhile(topic);
    const stream = new ChunkStream(parts, { topic, schema, chunk, limits, signal, room });
    yield* stream.messages(dictionaries, skip);
    skip = 0;
  }
}

interface StreamPlace extends ChunkPlace {
  readonly limits: StreamLimits;
  readonly signal: AbortSignal;
  readonly room: Room;
}

/** Memory for one message after the other: what is made anew for each costs more than to fill it. */
class Room {
  #buffer: Buffer = Buffer.alloc(0);

  take(bytes: number): Buffer {
    if (this.#buffer.byteLength < bytes) this.#buffer = Buffer.allocUnsafeSlow(Math.ceil(bytes * 1.25));
    return this.#buffer.subarray(0, bytes);
  }
}

/** Rows of a batch that lies on disk. */
interface Piece {
  readonly entry: BatchEntry;
  readonly start: number;
  readonly length: number;
}

class ChunkStream {
  readonly #parts: StreamParts;
  readonly #place: StreamPlace;

  constructor(parts: StreamParts, place: StreamPlace) {
    this.#parts = parts;
    this.#place = place;
  }

  async *messages(dictionaries: SentDictionaries, fromRow: number): AsyncGenerator<StreamMessage> {
    const { topic, chunk, limits } = this.#place;
    await using source = await ChunkSource.open(this.#parts, this.#place);
    for (const entry of dictionaries.switchTo(chunk)) {
      const bytes = messageBytesOf(entry);
      if (bytes + messageFrameBytes > limits.messageBytesMax)
        throw new Fault(
          "unsupported",
          `A dictionary of \`${topic.locator}\` has ${bytes} bytes, the remote takes messages of ${limits.messageBytesMax}.`,
        );
      using _held = await this.#hold(bytes, bytes);
      const { flightData } = await this.#read(source, entry);
      yield { flightData, rows: 0 };
    }
    for (const group of groupsOf(chunk.batches, fromRow, limits)) yield* this.#group(source, group);
  }

  /** Neighbours that go together, or one batch alone. */
  async *#group(source: ChunkSource, pieces: readonly Piece[]): AsyncGenerator<StreamMessage> {
    const [first] = pieces;
    if (pieces.length === 1 && first !== undefined) return yield* this.#alone(source, first);
    {
      const bytes = pieces.reduce((sum, { entry }) => sum + messageBytesOf(entry), 0);
      // As it was read, and as it is sent.
      using _held = await this.#hold(bytes, 2 * bytes);
      const batches: Batch[] = [];
      for (const { entry } of pieces) batches.push(await source.stored(entry));
      if (batches.every(({ compression }) => compression === "none")) return yield* this.#cut(batches, runsOf(pieces));
    }
    for (const piece of pieces) yield* this.#alone(source, piece);
  }

  async *#alone(source: ChunkSource, piece: Piece): AsyncGenerator<StreamMessage> {
    const { limits } = this.#place;
    const { entry } = piece;
    const bytes = messageBytesOf(entry);
    const sentBytes = Math.ceil((bytes * piece.length) / entry.rows);
    const isWide = isWideRow(entry.bodyBytes, entry.rows, limits);
    const isWhole = piece.length === entry.rows && !(isWide && entry.rows > 1);
    let plainBytes: number;
    {
      using _held = await this.#hold(sentBytes, 2 * bytes);
      if (isWhole && bytes + messageFrameBytes <= limits.messageBytesMax) {
        const { flightData, isCompressed } = await this.#read(source, entry);
        if (limits.keepsCompression || !isCompressed) return yield { flightData, rows: entry.rows };
      }
      const batch = await source.stored(entry);
      if (batch.compression === "none") return yield* this.#rows([batch], piece, isWide);
      plainBytes = source.plainBytes(entry, batch, this.#parts.budget.limitBytes);
    }
    // What was held was given back first: who waits for more while it holds some waits for whoever does the same.
    const plainSentBytes = Math.ceil((plainBytes * piece.length) / entry.rows);
    using _held = await this.#hold(Math.max(0, plainSentBytes - sentBytes), bytes + 2 * plainBytes);
    const batch = await source.plain(entry, await source.stored(entry), this.#parts.budget.limitBytes);
    yield* this.#rows([batch], piece, isWideRow(batch.body.byteLength, batch.rows, limits));
  }

  *#rows(batches: readonly [Batch], piece: Piece, isWide: boolean): Generator<StreamMessage> {
    if (!isWide) return yield* this.#cut(batches, runsOf([piece]));
    const { start, length } = piece;
    for (let row = start; row < start + length; row += 1)
      yield* this.#cut(batches, [{ source: 0, start: row, length: 1 }]);
  }

  /** Rows as one message, or halved as often as it takes. */
  *#cut(batches: readonly Batch[], runs: readonly RowRun[]): Generator<StreamMessage> {
    const { schema, limits, topic } = this.#place;
    const rows = runs.reduce((sum, { length }) => sum + length, 0);
    // To gather what is clearly too large would be in vain.
    if (rows === 1 || bytesOfRuns(batches, runs) <= 2 * limits.messageBytesMax) {
      const { header, body } = gather(schema, batches, runs);
      leaveGarbage(body.byteLength);
      if (header.byteLength + body.byteLength + messageFrameBytes <= limits.messageBytesMax) {
        const head = bareFlightDataHead(header, body.byteLength);
        const flightData = this.#place.room.take(head.byteLength + body.byteLength);
        flightData.set(head);
        flightData.set(body, head.byteLength);
        yield { flightData, rows };
        return;
      }
    }
    if (rows === 1) {
      throw new Fault(
        "unsupported",
        `A row of \`${topic.locator}\` is larger than ${limits.messageBytesMax} bytes, which is all that the remote takes at once.`,
      );
    }
    const [before, behind] = halved(runs, Math.ceil(rows / 2));
    yield* this.#cut(batches, before);
    yield* this.#cut(batches, behind);
  }

  /** A whole message as it lies on disk, its checksum checked. */
  async #read(
    source: ChunkSource,
    entry: BatchEntry,
  ): Promise<{ readonly flightData: Buffer; readonly isCompressed: boolean }> {
    const { reader } = source;
    const { header, bytes } = await reader.readMetadata(entry);
    const message = readStoredMessage(source.placeOf(entry), header);
    const { bodyBytes } = message;
    const head = bareFlightDataHead(header, bodyBytes);
    // On disk there is padding behind the body, which is not sent.
    const whole = this.#place.room.take(head.byteLength + entry.bodyBytes);
    whole.set(head);
    const body = whole.subarray(head.byteLength);
    await reader.readBody(entry, 0, body);
    const checksum = crc32([bytes, body]);
    if (checksum !== entry.crc32) throw reader.wrongChecksum(entry, checksum);
    const isCompressed = message.kind === "batch" && message.lists.compression !== "none";
    return { flightData: whole.subarray(0, head.byteLength + bodyBytes), isCompressed };
  }

  /** @param sentBytes what is to be sent; @param heldBytes what is in memory for that */
  async #hold(sentBytes: number, heldBytes: number): Promise<Disposable> {
    const { budget, admit } = this.#parts;
    await admit(sentBytes);
    return await budget.take(Math.min(heldBytes, budget.limitBytes), this.#place.signal);
  }
}

function isWideRow(bytes: number, rows: number, { wideRowBytes }: StreamLimits): boolean {
  return bytes / rows >= wideRowBytes;
}

function runsOf(pieces: readonly Piece[]): RowRun[] {
  return pieces.map(({ start, length }, source) => ({ source, start, length }));
}

/** In how many messages the rows of a topic are sent: all of it is read for that, where cutting depends on what is in it. */
export async function countMessages(
  parts: StreamParts,
  topic: Topic,
  options: { limits: StreamLimits; signal: AbortSignal },
): Promise<number> {
  let messages = 0;
  for await (const { rows } of topicStream(parts, topic, { ...options, fromRow: 0 })) if (rows > 0) messages += 1;
  return messages;
}

/** Batches behind so many rows, small neighbours together. */
function groupsOf(entries: readonly BatchEntry[], fromRow: number, limits: StreamLimits): Piece[][] {
  const groups: Piece[][] = [];
  let skip = fromRow;
  let open: { pieces: Piece[]; bytes: number } | undefined;
  for (const entry of entries) {
    if (entry.kind === "dictionary" || entry.rows === 0) continue;
    if (entry.rows <= skip) {
      skip -= entry.rows;
      continue;
    }
    const bytes = messageBytesOf(entry);
    const piece: Piece = { entry, start: skip, length: entry.rows - skip };
    skip = 0;
    if (bytes > limits.pacedBytes && piece.length > 1) {
      groups.push(...pacedPieces(piece, limits).map((one) => [one]));
      open = undefined;
      continue;
    }
    const isWide = isWideRow(entry.bodyBytes, entry.rows, limits);
    if (open !== undefined && !isWide && open.bytes + bytes <= limits.targetBytes) {
      open.pieces.push(piece);
      open.bytes += bytes;
      continue;
    }
    const group = { pieces: [piece], bytes };
    groups.push(group.pieces);
    open = isWide ? undefined : group;
  }
  return groups;
}

/** Each is read by itself, so that nothing is held while it has to wait. */
function pacedPieces({ entry, start, length }: Piece, { pacedBytes }: StreamLimits): Piece[] {
  const rows = Math.max(1, Math.floor((pacedBytes * entry.rows) / messageBytesOf(entry)));
  return Array.from({ length: Math.ceil(length / rows) }, (_none, index) => ({
    entry,
    start: start + index * rows,
    length: Math.min(rows, length - index * rows),
  }));
}

/** About: as if all rows of a batch were of one size. */
function bytesOfRuns(batches: readonly Batch[], runs: readonly RowRun[]): number {
  return runs.reduce((sum, { source, length }) => {
    const batch = batches[source];
    return sum + (batch === undefined ? 0 : (batch.body.byteLength * length) / batch.rows);
  }, 0);
}

function halved(runs: readonly RowRun[], rows: number): [RowRun[], RowRun[]] {
  const before: RowRun[] = [];
  const behind: RowRun[] = [];
  let left = rows;
  for (const { source, start, length } of runs) {
    const taken = Math.min(left, length);
    left -= taken;
    if (taken > 0) before.push({ source, start, length: taken });
    if (taken < length) behind.push({ source, start: start + taken, length: length - taken });
  }
  return [before, behind];
}
