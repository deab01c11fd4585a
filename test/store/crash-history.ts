// What a recorded server was asked and what it answered, with the place of each among the events of the trace, and from that
// the ledger as it stood at any of them.

import { Int64, makeData, makeVector } from "apache-arrow";
import type { Outgoing } from "../load/flight-client.ts";
import { toMessages } from "../load/messages.ts";
import { randomBytes, randomFrom } from "../load/random.ts";
import { blobs } from "../load/robot.ts";
import { type LedgerSequence, type LedgerSession, type LedgerTopic, rowsPerBatch, type Trust } from "./ledger.ts";
import type { TraceEvent } from "./trace.ts";

/** A call, as its client knows it. */
export interface Asked {
  /** Bytes of the trace when it was asked. */
  readonly at: number;
  /** Which of the processes was asked, and the number of the call's stream on its connection. */
  readonly life: number;
  readonly stream: number;
}

export interface TableSpec {
  readonly seed: number;
  readonly batches: number;
  /** Of each. */
  readonly bytes: number;
}

export interface AskedTopic {
  readonly locator: string;
  readonly uuid: string;
  readonly table: TableSpec;
  readonly create: Asked;
  /** Streams that uploaded to it. */
  readonly puts: Asked[];
  end?: Asked;
  delete?: Asked;
}

export interface AskedSession {
  readonly uuid: string;
  readonly create: Asked;
  readonly topics: AskedTopic[];
  finalize?: Asked;
  delete?: Asked;
}

export interface AskedSequence {
  readonly name: string;
  readonly create: Asked;
  readonly sessions: AskedSession[];
  readonly notifications: { readonly message: string; readonly create: Asked }[];
  delete?: Asked;
}

export interface AskedKey {
  readonly fingerprint: string;
  readonly create: Asked;
  revoke?: Asked;
}

export interface History {
  readonly sequences: AskedSequence[];
  readonly keys: AskedKey[];
  /** Bytes of the trace when each process began. */
  readonly lives: number[];
}

export interface KeyTrust {
  readonly fingerprint: string;
  readonly created: Trust;
  readonly revoked: Trust | undefined;
}

export interface Ledger {
  readonly sequences: LedgerSequence[];
  readonly keys: KeyTrust[];
}

/** What the trace tells of the answers: indices of events. */
interface Answers {
  readonly ended: ReadonlyMap<string, number>;
  readonly durable: ReadonlyMap<string, readonly { readonly event: number; readonly batches: number }[]>;
}

export class PlacedHistory {
  readonly #history: History;
  readonly #events: readonly TraceEvent[];
  readonly #answers: Answers;
  readonly #tables = new Map<AskedTopic, Outgoing[]>();
  /** Events with which answers leave. */
  readonly answerEvents: ReadonlySet<number>;
  readonly starts: ReadonlySet<number>;

  constructor(history: History, events: readonly TraceEvent[]) {
    this.#history = history;
    this.#events = events;
    const starts = history.lives.map((at) => this.#indexOf(at));
    this.starts = new Set(starts);
    this.#answers = readAnswers(events, starts);
    const acks = [...this.#answers.durable.values()].flat().map(({ event }) => event);
    this.answerEvents = new Set([...this.#answers.ended.values(), ...acks]);
  }

  #indexOf(at: number): number {
    const index = this.#events.findIndex((event) => event.at >= at);
    return index < 0 ? this.#events.length : index;
  }

  /** The ledger when the events before `cut` had happened. */
  at(cut: number): Ledger {
    return {
      sequences: this.#history.sequences.flatMap((sequence) => this.#sequence(sequence, cut)),
      keys: this.#history.keys.flatMap(({ fingerprint, create, revoke }) => {
        const created = this.#trust(create, cut);
        return created === undefined ? [] : [{ fingerprint, created, revoked: this.#trust(revoke, cut) }];
      }),
    };
  }

  #trust(asked: Asked | undefined, cut: number): Trust | undefined {
    if (asked === undefined || this.#indexOf(asked.at) >= cut) return undefined;
    const answered = this.#answers.ended.get(keyOf(asked));
    return answered !== undefined && answered < cut ? "acknowledged" : "asked";
  }

  #sequence(sequence: AskedSequence, cut: number): LedgerSequence[] {
    const created = this.#trust(sequence.create, cut);
    if (created === undefined) return [];
    return [
      {
        name: sequence.name,
        created,
        deleted: this.#trust(sequence.delete, cut),
        touched: true,
        sessions: sequence.sessions.flatMap((session) => this.#session(session, cut)),
        notifications: sequence.notifications.flatMap(({ message, create }) => {
          const trust = this.#trust(create, cut);
          return trust === undefined ? [] : [{ message, trust }];
        }),
      },
    ];
  }

  #session(session: AskedSession, cut: number): LedgerSession[] {
    const created = this.#trust(session.create, cut);
    if (created === undefined) return [];
    return [
      {
        uuid: created === "acknowledged" ? session.uuid : undefined,
        topics: session.topics.flatMap((topic) => this.#topic(topic, cut)),
        finalized: this.#trust(session.finalize, cut),
        deleted: this.#trust(session.delete, cut),
      },
    ];
  }

  #topic(topic: AskedTopic, cut: number): LedgerTopic[] {
    const created = this.#trust(topic.create, cut);
    if (created === undefined) return [];
    const messages = this.#tables.get(topic) ?? tableOf(topic.table);
    this.#tables.set(topic, messages);
    const acks = topic.puts.flatMap((put) => this.#answers.durable.get(keyOf(put)) ?? []);
    return [
      {
        locator: topic.locator,
        uuid: created === "acknowledged" ? topic.uuid : undefined,
        messages,
        completed: this.#trust(topic.end, cut),
        deleted: this.#trust(topic.delete, cut),
        batchesShown: acks.reduce((most, { event, batches }) => (event < cut ? Math.max(most, batches) : most), 0),
        bytesShown: undefined,
      },
    ];
  }
}

function keyOf({ life, stream }: Pick<Asked, "life" | "stream">): string {
  return `${life}/${stream}`;
}

const frameHeadBytes = 9;
const frameKind = { data: 0, headers: 1 } as const;
const endsStream = 1;
const ack = /\{"rows":\d+,"batches":(\d+)\}/g;

/** Of each HTTP/2 stream the frame of headers that ends it, and what it was told of durable batches. One connection per life. */
function readAnswers(events: readonly TraceEvent[], starts: readonly number[]): Answers {
  const ended = new Map<string, number>();
  const durable = new Map<string, { event: number; batches: number }[]>();
  const pending = new Map<string, { bytes: Buffer; event: number }>();
  let rest: Buffer = Buffer.alloc(0);
  let life = -1;
  for (const [index, event] of events.entries()) {
    if (starts.includes(index)) {
      rest = Buffer.alloc(0);
      life += 1;
    }
    if (event.kind === "sendBegin") pending.set(event.descriptor, { bytes: event.bytes, event: index });
    if (event.kind !== "sendEnd" || event.length <= 0) continue;
    const sent = pending.get(event.descriptor);
    if (sent === undefined) throw new Error("The trace has the end of a send without its begin.");
    rest = Buffer.concat([rest, sent.bytes.subarray(0, event.length)]);
    while (rest.byteLength >= frameHeadBytes) {
      const length = frameHeadBytes + rest.readUIntBE(0, 3);
      if (rest.byteLength < length) break;
      const key = keyOf({ life, stream: rest.readUInt32BE(5) & 0x7fffffff });
      const [kind, flags = 0] = rest.subarray(3, 5);
      if (kind === frameKind.headers && (flags & endsStream) !== 0) ended.set(key, sent.event);
      if (kind === frameKind.data) {
        for (const [, batches] of rest.toString("latin1", frameHeadBytes, length).matchAll(ack))
          durable.set(key, [...(durable.get(key) ?? []), { event: sent.event, batches: Number(batches) }]);
      }
      rest = rest.subarray(length);
    }
  }
  return { ended, durable };
}

/** The messages of a table: the same at each call. */
export function tableOf({ seed, batches, bytes }: TableSpec): Outgoing[] {
  const random = randomFrom(seed);
  return toMessages(
    Array.from({ length: batches }, (_none, batch) => {
      const stamps = BigInt64Array.from({ length: rowsPerBatch }, (_nothing, row) => BigInt(1_000 * batch + row));
      const rows = Array.from({ length: rowsPerBatch }, () => randomBytes(random, Math.ceil(bytes / rowsPerBatch)));
      return { timestamp_ns: makeVector(makeData({ type: new Int64(), data: stamps })), data: blobs(rows) };
    }),
  );
}
