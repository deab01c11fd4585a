/** What is sent of a session to a remote of one kind, and why it cannot go there for what it is here. */

import type { Remote } from "../client/remote.ts";
import { Fault } from "../model/fault.ts";
import type { Topic } from "../model/resource.ts";
import { pendingHeldMax } from "../model/sync-limits.ts";
import type { ParkCause } from "../model/transfer.ts";
import { limitsOf, whyTopicsUnsuitable } from "./central.ts";
import type { RemoteTraits, TransferFacts } from "./command.ts";
import type { Shipment } from "./shipment.ts";
import { countMessages, type StreamLimits, type StreamParts } from "./topic-stream.ts";

export interface Hindrance {
  readonly cause: ParkCause;
  readonly reason: string;
}

/** What cannot be read here is not there either, and no time mends it; undefined for what time may mend. */
export function hindranceOf(error: unknown): Hindrance | undefined {
  if (!(error instanceof Fault)) return undefined;
  if (error.code === "corrupt") return { cause: "damaged", reason: error.message };
  return error.code === "unsupported" ? { cause: "refused", reason: error.message } : undefined;
}

/** By which it is known what a remote takes. */
type Told = Pick<Remote, "version" | "isEdge">;
type Sent = Pick<Shipment, "session" | "topics" | "facts">;

export interface SentAs {
  readonly facts: TransferFacts;
  readonly hindrance?: Hindrance | undefined;
}

export class SentFacts {
  readonly #parts: Omit<StreamParts, "admit">;
  /** Messages of each topic, by session and what a message may have; the longest known first. */
  readonly #counted = new Map<string, readonly number[]>();

  constructor(parts: Omit<StreamParts, "admit">) {
    this.#parts = parts;
  }

  /** @throws Fault absent when the session goes meanwhile; the signal's reason */
  async of(
    remote: Told,
    shipment: Sent,
    { traits, admit, signal }: { traits: RemoteTraits; admit: StreamParts["admit"]; signal: AbortSignal },
  ): Promise<SentAs> {
    const { facts } = shipment;
    if (traits.kind === "edge") return { facts };
    try {
      const unsuitable = whyTopicsUnsuitable(this.#parts.catalog, shipment);
      if (unsuitable !== undefined) return { facts, hindrance: { cause: "refused", reason: unsuitable } };
      return { facts: traits.countsRows ? facts : await this.#withMessages(remote, shipment, { admit, signal }) };
    } catch (error) {
      const hindrance = hindranceOf(error);
      if (hindrance === undefined) throw error;
      return { facts, hindrance };
    }
  }

  /** For a remote that tells messages in place of rows: how many there will be. */
  async #withMessages(
    remote: Told,
    { session, topics, facts }: Sent,
    { admit, signal }: { admit: StreamParts["admit"]; signal: AbortSignal },
  ): Promise<TransferFacts> {
    const limits = limitsOf(remote);
    const key = `${session.ulid} ${limits.messageBytesMax}`;
    const known = this.#counted.get(key);
    const messages = known ?? (await this.#count(topics, { limits, admit, signal }));
    if (known === undefined) this.#remember(key, messages);
    return { ...facts, topics: facts.topics.map((topic, index) => ({ ...topic, messages: messages[index] ?? 0 })) };
  }

  async #count(
    topics: readonly Topic[],
    { limits, admit, signal }: { limits: StreamLimits; admit: StreamParts["admit"]; signal: AbortSignal },
  ): Promise<number[]> {
    const messages: number[] = [];
    for (const topic of topics)
      messages.push(await countMessages({ ...this.#parts, admit }, topic, { limits, signal }));
    return messages;
  }

  /** For as many as may be tried in turns. */
  #remember(key: string, messages: readonly number[]): void {
    const [oldest] = this.#counted.keys();
    if (this.#counted.size >= pendingHeldMax && oldest !== undefined) this.#counted.delete(oldest);
    this.#counted.set(key, messages);
  }
}
