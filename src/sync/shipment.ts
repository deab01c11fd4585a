/** One session with all that is sent of it. What its UUIDs will be at an edge follows from its own: no second one is ever made. */

import type { Catalog } from "../catalog/catalog.ts";
import { findSequence, findSession, listTopicsOfSession } from "../catalog/resources.ts";
import { findPastSequence } from "../catalog/transfer-rows.ts";
import { derivedUuid } from "../host/entropy.ts";
import { bytesOfTopics } from "../model/extent.ts";
import { isFinalized, type Sequence, type Session, type Topic, type Ulid, type Uuid } from "../model/resource.ts";
import type { TransferFacts } from "./command.ts";

export interface Shipment {
  readonly sequence: Sequence;
  readonly session: Session;
  /** In the order of their numbers. */
  readonly topics: readonly Topic[];
  readonly facts: TransferFacts;
  /** Of the sequence at an edge. */
  readonly sequenceUuid: Uuid;
  /** Bytes of its chunk files. */
  readonly bytes: number;
}

/** Under which UUID something is to be there. */
export type UuidThere = (own: Uuid, purpose: "sequence" | "session" | "topic") => Uuid;

/** What goes to a target. Undefined when the session is gone, or not finalized. */
export function findShipment(
  catalog: Catalog,
  ulid: Ulid,
  target: Ulid,
  uuidThere: UuidThere = derivedUuid,
): Shipment | undefined {
  const session = findSession(catalog, ulid);
  const sequence = session === undefined ? undefined : findSequence(catalog, session.sequence);
  if (session === undefined || sequence === undefined || !isFinalized(session)) return undefined;
  // One of this name may be there that was ours before: with its UUID it is again, and nobody else's is.
  const past = findPastSequence(catalog, sequence.name, target);
  const topics = listTopicsOfSession(catalog, session).toSorted((a, b) => a.number - b.number);
  return {
    sequence,
    session,
    topics,
    facts: {
      session: uuidThere(session.uuid, "session"),
      topics: topics.map(({ locator, uuid, lostRows = 0, extent: { rows, range } }) => ({
        locator,
        uuid: uuidThere(uuid, "topic"),
        rows,
        range,
        lostRows,
        messages: 0,
      })),
    },
    sequenceUuid: uuidThere(past ?? sequence.uuid, "sequence"),
    bytes: bytesOfTopics(topics),
  };
}
