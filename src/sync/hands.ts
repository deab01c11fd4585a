/** Carries out the commands of a transfer: each is a call to the remote, whose refusals are answers. */

import { setTimeout as sleep } from "node:timers/promises";
import { digestDifference } from "../arrow/row-digest.ts";
import { listNotifications } from "../catalog/notifications.ts";
import type { PutStream } from "../client/flight-connection.ts";
import type { Remote } from "../client/remote.ts";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import type { SequenceName, TopicLocator } from "../model/locator.ts";
import type { Topic, Uuid } from "../model/resource.ts";
import { remoteSettleMs } from "../model/sync-limits.ts";
import { limitsOf } from "./central.ts";
import type { Answer, Command } from "./command.ts";
import { type ContentsParts, digestHere, digestThere, type KnownDigests } from "./contents.ts";
import type { Shipment } from "./shipment.ts";
import { topicStream } from "./topic-stream.ts";

export interface HandsParts extends ContentsParts {
  readonly remote: Remote;
  readonly shipment: Shipment;
  readonly signal: AbortSignal;
  readonly digests: KnownDigests;
  /** Bytes per second that may go now; undefined for as many as can. */
  rate(): number | undefined;
  /** Called when they were sent. */
  sent(bytes: number, rows: number): void;
}

export class Hands implements Disposable {
  readonly #parts: HandsParts;
  /** The upload between its rows and its end. */
  #put: PutStream | undefined;

  constructor(parts: HandsParts) {
    this.#parts = parts;
  }

  /** Breaks an upload off that was not ended. */
  [Symbol.dispose](): void {
    this.#put?.[Symbol.dispose]();
    this.#put = undefined;
  }

  /** @throws Fault what is wrong on this side: corrupt, absent, unsupported; the signal's reason */
  async carryOut(command: Command): Promise<Answer> {
    const { remote, shipment, signal } = this.#parts;
    const { sequence } = shipment;
    switch (command.kind) {
      case "create_sequence": {
        const uuid = remote.isEdge ? shipment.sequenceUuid : undefined;
        return await done(remote.createSequence(sequence.name, sequence.userMetadata, uuid));
      }
      case "show_sequence":
        return await answered(remote.showSequence(sequence.name, sequence.userMetadata), (found) => ({
          kind: "sequence",
          found,
        }));
      case "create_session":
        return await answered(remote.createSession(sequence.name, command.uuid), (made) => ({ kind: "made", ...made }));
      case "delete_session":
        return await done(remote.deleteSession(command.session));
      case "finalize":
        return await done(remote.finalizeSession(command.session));
      case "create_topic": {
        const { locator, ontologyTag, serializationFormat, userMetadata } = this.#topic(command.index);
        const { session, uuid } = command;
        const topic = { locator, session, uuid, ontologyTag, serializationFormat, userMetadata };
        return await answered(remote.createTopic(topic), (made) => ({ kind: "made", uuid: made }));
      }
      case "topic_status":
        return await answered(remote.topicStatus(command.uuid), (status) => ({ kind: "status", status }));
      case "show_topic":
        return await answered(remote.showTopic(this.#topic(command.index).locator, command.of), (found) => ({
          kind: "topic",
          found,
        }));
      case "compare_topic":
        return await this.#compare(this.#topic(command.index));
      case "delete_topic":
        return await done(remote.deleteTopic(this.#topic(command.index).locator));
      case "put":
        return await this.#send(this.#topic(command.index), command);
      case "end_put": {
        const put = this.#put;
        assert(put !== undefined, "an upload is ended after its rows");
        const answer = await done(put.end());
        this[Symbol.dispose]();
        return answer;
      }
      case "add_notes":
        return await done(this.#addNotes());
      case "wait":
        await sleep(remoteSettleMs, undefined, { signal });
        return { kind: "done" };
      case "end":
        return { kind: "done" };
    }
  }

  async #send(topic: Topic, { uuid, fromRow }: { uuid: Uuid; fromRow: number }): Promise<Answer> {
    const { remote, signal, sent } = this.#parts;
    this[Symbol.dispose]();
    const put = remote.openPut(topic.locator, uuid, fromRow);
    this.#put = put;
    const limits = limitsOf(remote, this.#parts.rate());
    for await (const { flightData, rows } of topicStream(this.#parts, topic, { fromRow, limits, signal })) {
      const answer = await done(put.send(flightData));
      if (answer.kind === "refused") {
        this[Symbol.dispose]();
        return answer;
      }
      sent(flightData.byteLength, rows);
    }
    return { kind: "done" };
  }

  /** What is wrong here is thrown; what is wrong there is answered. */
  async #compare(topic: Topic): Promise<Answer> {
    // The central daemon gives nothing back of a topic without rows.
    if (topic.extent.rows === 0) return { kind: "compared", difference: undefined };
    const { remote, signal, digests } = this.#parts;
    const { digest, messageBytes } = await digests.of(topic.uuid, () => digestHere(this.#parts, topic, signal));
    const answer = await answered(digestThere(this.#parts, { remote, topic, messageBytes, signal }), (there) => ({
      kind: "compared",
      difference: digestDifference(digest, there),
    }));
    return answer.kind === "refused" && answer.code === "corrupt"
      ? { kind: "compared", difference: `cannot be read there: ${answer.reason}` }
      : answer;
  }

  /** Adds those that are not there: to do it again adds nothing. */
  async #addNotes(): Promise<void> {
    const { catalog, shipment } = this.#parts;
    const { sequence, topics } = shipment;
    await this.#addNotesOf("sequence", sequence.name, messagesOf(catalog, sequence.uuid));
    for (const { locator, uuid } of topics) await this.#addNotesOf("topic", locator, messagesOf(catalog, uuid));
  }

  async #addNotesOf(
    of: "sequence" | "topic",
    locator: SequenceName | TopicLocator,
    messages: readonly string[],
  ): Promise<void> {
    if (messages.length === 0) return;
    const { remote } = this.#parts;
    const known = new Set(await remote.listNotifications(of, locator));
    for (const message of messages) if (!known.has(message)) await remote.addNotification(of, locator, message);
  }

  #topic(index: number): Topic {
    const topic = this.#parts.shipment.topics[index];
    assert(topic !== undefined, "a session has the topic");
    return topic;
  }
}

function messagesOf(catalog: HandsParts["catalog"], uuid: Uuid): string[] {
  return listNotifications(catalog, uuid).map(({ message }) => message);
}

async function done(call: Promise<void>): Promise<Answer> {
  return await answered(call, () => ({ kind: "done" }));
}

async function answered<T>(call: Promise<T>, answer: (value: T) => Answer): Promise<Answer> {
  try {
    return answer(await call);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { kind: "refused", code: error.code, reason: error.message };
  }
}
