/** What is sent of a session to a remote of one kind, and why it cannot go there for what it is here. */

import type { Remote } from "../client/remote.ts";
import { Fault } from "../model/fault.ts";
import type { Ulid } from "../model/resource.ts";
import type { ParkCause } from "../model/transfer.ts";
import { limitsOf, whyTopicsUnsuitable } from "./central.ts";
import type { RemoteTraits, TopicFacts, TransferFacts } from "./command.ts";
import type { Shipment } from "./shipment.ts";
import { countMessages, type StreamParts } from "./topic-stream.ts";

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

export interface SentAs {
  readonly facts: TransferFacts;
  readonly hindrance?: Hindrance | undefined;
}

export class SentFacts {
  readonly #parts: Omit<StreamParts, "admit">;
  /** Of the session that was counted last. */
  #counted: { readonly session: Ulid; readonly facts: TransferFacts } | undefined;

  constructor(parts: Omit<StreamParts, "admit">) {
    this.#parts = parts;
  }

  /** @throws Fault absent when the session goes meanwhile; the signal's reason */
  async of(
    remote: Remote,
    shipment: Shipment,
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
    remote: Remote,
    { session, topics, facts }: Shipment,
    { admit, signal }: { admit: StreamParts["admit"]; signal: AbortSignal },
  ): Promise<TransferFacts> {
    if (this.#counted?.session === session.ulid) return this.#counted.facts;
    const options = { limits: limitsOf(remote), signal };
    const counted: TopicFacts[] = [];
    for (const [index, topic] of facts.topics.entries()) {
      const of = topics[index];
      const messages = of === undefined ? 0 : await countMessages({ ...this.#parts, admit }, of, options);
      counted.push({ ...topic, messages });
    }
    this.#counted = { session: session.ulid, facts: { ...facts, topics: counted } };
    return this.#counted.facts;
  }
}
