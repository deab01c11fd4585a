/**
 * One `do_put`: takes a stream of IPC messages into a topic. Nothing is trusted before it is checked against the schema;
 * whole batches that were appended stay, whatever happens to the rest of the stream.
 */

import { type Batch, checkBatch, readBatch } from "../arrow/batch.ts";
import { unfoldBatch, unfoldedBytes } from "../arrow/compression.ts";
import { readDictionary } from "../arrow/dictionary.ts";
import { gather } from "../arrow/gather.ts";
import type { Places } from "../arrow/indices.ts";
import { readMessage } from "../arrow/message.ts";
import type { Schema } from "../arrow/schema.ts";
import { type Times, timesOf, unfoldedTimeBytes } from "../arrow/timestamps.ts";
import type { Budget } from "../flow/budget.ts";
import type { Clock } from "../host/clock.ts";
import { isDiskFull, isOutOfFiles } from "../host/errno.ts";
import type { LoopUse } from "../host/loop-use.ts";
import { assert } from "../model/assert.ts";
import { messageBytesOf } from "../model/chunk.ts";
import { Fault } from "../model/fault.ts";
import { appendsInFlightMax, tailBatchBytes, tailTopicBytesMax } from "../model/limits.ts";
import type { TopicLocator } from "../model/locator.ts";
import type { Topic } from "../model/resource.ts";
import type { RowStatistics } from "../model/statistics.ts";
import { ChunkWriter, type MessageFacts } from "../store/chunk-writer.ts";
import type { Poison } from "../store/poison.ts";
import type { DictionaryMessage, DictionaryState, PlacedChunk } from "./dictionary-state.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { SpaceGate } from "./space-gate.ts";
import type { BatchFacts, Durable, TopicWriter } from "./topic-writer.ts";

/** One IPC message of the stream; `release` gives its memory back once the bytes are in a file. */
export interface IncomingMessage {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  release(): void;
}

export interface UploadParts {
  readonly space: SpaceGate;
  readonly topic: Topic;
  readonly schema: Schema;
  /** What is noted of a batch, so that queries need not read it; undefined for nothing. */
  readonly statisticsOf: ((batch: Batch) => RowStatistics) | undefined;
  readonly writer: TopicWriter;
  readonly commit: GroupCommit;
  readonly poison: Poison;
  readonly clock: Clock;
  readonly loop: LoopUse;
  readonly dictionaries: DictionaryState;
  /** What compressed bytes are unfolded in, where they have to be. */
  readonly unfoldBudget: Budget;
  memoryWaitMs(): number;
}

function raise(error: unknown): never {
  throw error;
}

interface Taken {
  readonly rows: number;
  readonly bytes: number;
  readonly batches: number;
}

/** One stream, for `status`. */
export interface UploadUse extends Taken {
  readonly topic: TopicLocator;
  /** Bytes in tail logs. */
  readonly tailBytes: number;
  /** Time that it has stood because the disk was slower than its client. */
  readonly diskWaitMs: number;
  /** Time that its messages have waited for memory. */
  readonly memoryWaitMs: number;
  /** Time since its last message. */
  readonly restMs: number;
}

export class Upload {
  readonly #parts: UploadParts;
  #batches = 0;
  readonly #taken = { rows: 0, bytes: 0, batches: 0 };
  readonly #inFlight = new Set<Promise<void>>();
  #diskWaitMs = 0;
  /** Monotonic time of the last message. */
  #lastAtMs: number;
  /** Monotonic time of the first batch that is in no sealed chunk. */
  #unsealedSinceMs: number | undefined;
  /** Ends when whoever writes now is done: the client's messages and the care of the store take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #failed: unknown;
  /** The stream has ended: the care of the store writes nothing more here, for the topic may be another upload's by then. */
  #over = false;
  /** Fires when the upload has to end though its client goes on. */
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #end: () => void = () => undefined;

  constructor(parts: UploadParts) {
    this.#parts = parts;
    this.#lastAtMs = parts.clock.monotonicMs();
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** What is durable of the topic, with what earlier uploads left. */
  get durable(): Durable {
    return this.#parts.writer.durable;
  }

  /** Calls `listener` after each commit that made more of the topic durable. */
  onDurable(listener: (durable: Durable) => void): void {
    this.#parts.writer.onDurable = listener;
  }

  /** What has been written of this stream: rows, batches with rows, and bytes of their bodies. */
  get taken(): Taken {
    return this.#taken;
  }

  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  /** Ends the upload from outside: its topic is deleted, or the server stops. Resolves when it wrote its last byte. */
  async stop(reason: Fault): Promise<void> {
    this.#stop.abort(reason);
    await this.#ended;
  }

  /** Runs `act` when nobody else writes. */
  #exclusively<T>(act: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(act);
    this.#turn = run.catch(() => undefined);
    return run;
  }

  /**
   * Checks one message and begins to append it. Returns before the bytes are in the file, but not before there is room for
   * another append in flight.
   * @throws Fault invalid, unsupported, overloaded; the stream is to be broken off then
   */
  async append(message: IncomingMessage): Promise<void> {
    await this.#exclusively(async () => {
      try {
        this.#check();
        await this.#appendChecked(message);
      } catch (error) {
        message.release();
        throw error;
      }
    });
    const { clock, loop } = this.#parts;
    this.#lastAtMs = clock.monotonicMs();
    while (this.#inFlight.size >= appendsInFlightMax) await loop.forDisk(Promise.race(this.#inFlight));
    this.#diskWaitMs += clock.monotonicMs() - this.#lastAtMs;
    this.#check();
  }

  use(): UploadUse {
    const { topic, writer, clock } = this.#parts;
    return {
      topic: topic.locator,
      ...this.#taken,
      tailBytes: writer.tailBytes,
      diskWaitMs: Math.round(this.#diskWaitMs),
      memoryWaitMs: Math.round(this.#parts.memoryWaitMs()),
      restMs: Math.round(clock.monotonicMs() - this.#lastAtMs),
    };
  }

  async #appendChecked(given: IncomingMessage): Promise<void> {
    const { schema, topic } = this.#parts;
    const { header } = given;
    const read = this.#named(() => readMessage(header, given.body.byteLength));
    // A file without a footer is read by the lengths in its headers: what a client sent beyond them would be in the way.
    const body = given.body.subarray(0, read.bodyBytes);
    const message = { header, body, release: () => given.release() };
    if (read.kind === "schema") {
      throw new Fault(
        "invalid",
        `Unsupported stream message, stream aborted: a second schema in the upload of \`${topic.locator}\`.`,
      );
    }
    if (read.kind === "dictionary") {
      this.#named(() => readDictionary(schema, read, body));
      return await this.#appendDictionary(message, { id: read.id, isDelta: read.isDelta });
    }
    const batch = this.#named(() => readBatch(schema, read, body));
    const times = await this.#timesOf(batch);
    this.#batches += 1;
    // A batch without rows says nothing, and answering with one would end the stream of every SDK.
    if (batch.rows === 0) return message.release();
    this.#parts.dictionaries.checkComplete();
    const { places } = this.#parts.dictionaries;
    const stored = places === undefined ? message : await this.#moved(message, batch, places);
    const range = { startNs: times.minNs, endNs: times.maxNs };
    const facts = {
      rows: batch.rows,
      sorted: times.sorted,
      range,
      statistics: this.#parts.statisticsOf?.(batch),
    };
    const bytes = ChunkWriter.messageBytes(stored.header, stored.body);
    if (this.#goesToTail(bytes)) return await this.#appendSmall(stored, facts, bytes);
    using room = new DisposableStack();
    room.use(await this.#parts.space.admit(stored.body.byteLength));
    await this.#moveTail();
    await this.#makeRoom(bytes);
    this.#unsealedSinceMs ??= this.#parts.clock.monotonicMs();
    this.#write(stored, { kind: "batch", ...facts }, room.move());
  }

  #goesToTail(bytes: number): boolean {
    const { dictionaries, writer } = this.#parts;
    return !dictionaries.needed && !writer.isChunkDirty && bytes < writer.tailBatchBytesMax;
  }

  async #appendSmall(message: IncomingMessage, facts: BatchFacts, bytes: number): Promise<void> {
    const { writer, commit, space } = this.#parts;
    using _admitted = await space.admit(bytes);
    await this.#onDisk(() => writer.appendSmall(message.header, message.body, facts));
    this.#unsealedSinceMs ??= this.#parts.clock.monotonicMs();
    this.#took(facts.rows, message.body.byteLength);
    commit.note(writer, bytes);
    if (writer.tailBytes >= tailTopicBytesMax - tailBatchBytes.most) await this.#moveTail();
    message.release();
  }

  /** @throws also what tells that rows of the tail were lost: nothing may come behind them, and the topic is not complete */
  async #moveTail(): Promise<void> {
    const { writer } = this.#parts;
    await this.#onDisk(() => writer.moveTail());
    writer.checkLost();
  }

  #took(rows: number, bytes: number): void {
    this.#taken.rows += rows;
    this.#taken.bytes += bytes;
    this.#taken.batches += 1;
  }

  /** Whether the care of the store may write; to be asked when nobody else does. */
  get #isCared(): boolean {
    return !this.#over && !this.#stop.signal.aborted;
  }

  /** Moves what the topic has in a tail log, if it has, to its chunk file: the log is to go. */
  async leaveTailLog(log: number): Promise<void> {
    const { writer, commit } = this.#parts;
    await this.#exclusively(async () => {
      if (!this.#isCared || !writer.usesTailLog(log)) return;
      await this.#moveTail();
      commit.note(writer, 0);
    });
  }

  /** Seals the chunk when it has been open since before `beforeMs`, so that what a slow topic has sent lies in a complete file. */
  async sealOlder(beforeMs: number): Promise<void> {
    const { writer, commit, dictionaries } = this.#parts;
    await this.#exclusively(async () => {
      if (!this.#isCared || this.#unsealedSinceMs === undefined || this.#unsealedSinceMs >= beforeMs) return;
      await this.#settle();
      await this.#moveTail();
      // Dictionaries in force have to be carried over while the chunk is there to read them from.
      if (dictionaries.needed) await this.#rotate().catch((error: unknown) => this.#tell(error));
      else await this.#onDisk(() => writer.seal());
      this.#unsealedSinceMs = undefined;
      commit.note(writer, 0);
    });
  }

  /** Ends the stream at once when it cannot go on after what the care of the store met, and rests at no message of its own. */
  #tell(error: unknown): never {
    if (this.#failed !== undefined) this.#stop.abort(error);
    throw error;
  }

  /** What the disk refuses while a stream is written ends it; what leaves files in doubt poisons the store too. */
  async #onDisk(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  /** What a compressed column of times unfolds to is taken first. */
  async #timesOf(batch: Batch): Promise<Times> {
    const { schema, unfoldBudget } = this.#parts;
    const bytes = this.#named(() => unfoldedTimeBytes(schema, batch, unfoldBudget.limitBytes));
    using _held = bytes === 0 ? undefined : await unfoldBudget.take(bytes, this.#stop.signal);
    return this.#named(() => timesOf(schema, batch));
  }

  /**
   * The batch with its dictionary indices where the union has the values. Its memory is charged as the message that it was, and
   * what it unfolds to besides.
   */
  async #moved(message: IncomingMessage, batch: Batch, places: Places): Promise<IncomingMessage> {
    const { schema, unfoldBudget } = this.#parts;
    const whole = [{ source: 0, start: 0, length: batch.rows }];
    if (batch.compression === "none") {
      const moved = this.#named(() => gather(schema, [batch], whole, { places }));
      return { ...moved, release: () => message.release() };
    }
    const { limitBytes } = unfoldBudget;
    const bytes = this.#named(() => unfoldedBytes(batch, limitBytes));
    // Once as it unfolds, once gathered; nobody who holds some of this waits for more, or for a client.
    const held = await unfoldBudget.take(Math.min(2 * bytes, limitBytes), this.#stop.signal);
    try {
      const plain = await unfoldBatch(batch, bytes).catch((error: unknown) => this.#named(() => raise(error)));
      const moved = this.#named(() =>
        gather(schema, [checkBatch(schema.fields, plain, plain.body)], whole, { places }),
      );
      const release = (): void => {
        held[Symbol.dispose]();
        message.release();
      };
      return { ...moved, release };
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
  }

  async #appendDictionary(message: IncomingMessage, facts: { id: bigint; isDelta: boolean }): Promise<void> {
    const { dictionaries } = this.#parts;
    const dictionary = { ...facts, header: message.header, body: message.body };
    if (facts.isDelta && !dictionaries.has(facts.id)) {
      throw new Fault("invalid", `A delta of dictionary ${facts.id} came before the dictionary itself.`);
    }
    let stored: DictionaryMessage = dictionary;
    if (dictionaries.has(facts.id)) {
      await this.#settle();
      const change = await dictionaries.change(dictionary, this.#placedChunk());
      if (change === "nothing") return message.release();
      if (change === "new chunk") {
        dictionaries.drop(facts.id);
        await this.#rotate();
      } else stored = change;
    }
    using room = new DisposableStack();
    room.use(await this.#parts.space.admit(stored.body.byteLength));
    await this.#makeRoom(ChunkWriter.messageBytes(stored.header, stored.body));
    dictionaries.appended(stored, this.#parts.writer.current?.entries.length ?? 0);
    const none = { kind: "dictionary", rows: 0, sorted: false } as const;
    this.#write({ ...stored, release: () => message.release() }, none, room.move());
  }

  /** Adds to a fault of the arrow floor which batch of which topic it met. */
  #named<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      throw new Fault(
        // What was not stored yet is not corrupt.
        error.code === "corrupt" ? "invalid" : error.code,
        `Batch ${this.#batches} of \`${this.#parts.topic.locator}\`: ${error.message}`,
        error,
      );
    }
  }

  async #makeRoom(messageBytes: number): Promise<void> {
    if (this.#parts.writer.mustRotate(messageBytes)) await this.#rotate();
  }

  /**
   * Begins a chunk with the dictionaries in force. What fails once the one before is sealed ends the stream: a chunk without them
   * would be of no use.
   */
  async #rotate(): Promise<void> {
    const { writer, dictionaries, space, commit } = this.#parts;
    await this.#settle();
    const entries = writer.current?.entries ?? [];
    const carried = dictionaries.indices.flatMap((index) => entries[index] ?? []);
    assert(carried.length === dictionaries.indices.length, "dictionaries in force lie in the growing chunk");
    using _admitted = await space.admit(carried.reduce((sum, entry) => sum + messageBytesOf(entry), 0));
    try {
      await writer.rotate(carried);
    } catch (error) {
      this.#failed ??= error;
      throw this.#refusal(error);
    }
    dictionaries.carriedOver();
    this.#unsealedSinceMs = undefined;
    // The chunk that was sealed is to be committed, also when nothing follows for long.
    commit.note(writer, 0);
  }

  #placedChunk(): PlacedChunk {
    const { writer } = this.#parts;
    const current = writer.current;
    assert(current !== undefined, "there is a growing chunk");
    return { writer: current, path: writer.pathOf(current) };
  }

  /** @param admitted the room for it, given back when it is in the file */
  #write(message: IncomingMessage, facts: MessageFacts, admitted: Disposable): void {
    const { writer, commit } = this.#parts;
    const bytes = message.body.byteLength;
    const append = writer
      .append(message.header, message.body, facts)
      .then(
        () => {
          commit.note(writer, bytes);
          if (facts.kind === "batch") this.#took(facts.rows, bytes);
        },
        (error: unknown) => {
          this.#failed ??= error;
        },
      )
      .finally(() => {
        admitted[Symbol.dispose]();
        message.release();
        this.#inFlight.delete(append);
      });
    this.#inFlight.add(append);
  }

  #check(): void {
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
    this.#parts.poison.check();
    this.#parts.writer.checkLost();
    if (this.#failed !== undefined) throw this.#refusal(this.#failed);
  }

  #refusal(error: unknown): unknown {
    if (isDiskFull(error)) {
      return new Fault(
        "overloaded",
        `The disk is full: the upload of \`${this.#parts.topic.locator}\` ends at its last whole batch. Free space, then continue it.`,
        error,
      );
    }
    // What is not there any more leaves nothing in doubt.
    if (error instanceof Fault && error.code === "absent" && this.#parts.writer.isDeleted)
      return this.#parts.writer.deleted();
    // Any other failed write leaves the state of the file in doubt; damage that was read says nothing about what is written.
    if (!(error instanceof Fault && (error.code === "corrupt" || error.code === "overloaded")))
      this.#parts.poison.poison(error);
    return error;
  }

  async #settle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
    this.#check();
  }

  /** The client closed its side: everything is made durable and the topic is complete. */
  async complete(): Promise<void> {
    const { writer, commit, clock } = this.#parts;
    await this.#exclusively(async () => {
      this.#over = true;
      await this.#settle();
      await this.#moveTail();
      await this.#onDisk(() => writer.complete(clock.wallNs()));
      commit.note(writer, 0);
    });
    // Without a descriptor nothing was committed, and the next commit tries again: the end of a stream is not taken back.
    await commit.commit().catch((error: unknown) => (isOutOfFiles(error) ? commit.commit() : raise(error)));
    writer.checkLost();
  }

  /** Whatever ended the stream: whole batches are committed, the rest is cut off, the topic stays open. */
  async breakOff(): Promise<void> {
    const { writer, commit, poison } = this.#parts;
    await this.#exclusively(async () => {
      this.#over = true;
      while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
      if (poison.poisoned) return;
      if (this.#failed !== undefined) await writer.cutBack();
      // Nobody may come back for long: what can move to the chunk file does. On a full disk it stays in the log.
      await writer.moveTail().catch(() => undefined);
      commit.note(writer, 0);
    });
    if (!poison.poisoned) await commit.commit();
  }

  /** To be called last, whatever happened. */
  async close(): Promise<void> {
    try {
      await this.#exclusively(async () => {
        this.#over = true;
        await this.#parts.writer.close();
      });
    } finally {
      this.#end();
    }
  }
}
