/** Creates sequences, sessions and topics. A name is taken when the transaction that resolved says so; files come later. */

import { isDeepStrictEqual } from "node:util";
import type { Catalog } from "../catalog/catalog.ts";
import {
  findSequence,
  findSession,
  findTopic,
  findTopicByUuid,
  putSequence,
  putSession,
  putTopic,
} from "../catalog/resources.ts";
import { rowBytes } from "../catalog/row.ts";
import { searchKeyBytesMax } from "../catalog/search-keys.ts";
import type { Clock } from "../host/clock.ts";
import { newUlid, newUuid } from "../host/entropy.ts";
import { failPoint } from "../host/fail-point.ts";
import { Fault } from "../model/fault.ts";
import { parseJson } from "../model/json.ts";
import { topicsPerSessionMax } from "../model/limits.ts";
import { type SequenceName, type SessionLocator, sequenceOfTopic, type TopicLocator } from "../model/locator.ts";
import {
  emptyExtent,
  isFinalized,
  type JsonText,
  type Sequence,
  type SerializationFormat,
  type Session,
  type Topic,
  type Ulid,
  type Uuid,
} from "../model/resource.ts";
import type { Poison } from "../store/poison.ts";
import type { SpaceGate } from "./space-gate.ts";

export interface CreateParts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly poison: Poison;
  readonly space: Pick<SpaceGate, "admitRow">;
}

/**
 * @param request with a UUID that the client chose, repeating it answers the same
 * @throws Fault exists, wrong_state (that UUID, with other metadata), unavailable
 */
export async function createSequence(
  { catalog, clock, poison, space }: CreateParts,
  request: { name: SequenceName; userMetadata: JsonText; uuid?: Uuid | undefined },
): Promise<Sequence> {
  poison.check();
  const createdAtNs = clock.wallNs();
  const uuid = request.uuid ?? newUuid();
  const sequence: Sequence = { ...request, ulid: ulidAt(createdAtNs), uuid, createdAtNs };
  using _row = space.admitRow(rowBytes(sequence) + searchKeyBytesMax(request.name));
  return await catalog.transaction(() => {
    const known = findSequence(catalog, request.name);
    if (known !== undefined && known.uuid === request.uuid) return repeatedSequence(known, request);
    if (known !== undefined) throw new Fault("exists", `Already exists: sequence \`${request.name}\`.`);
    putSequence(catalog, sequence);
    failPoint("create: row");
    return sequence;
  });
}

/**
 * @param request with a UUID that the client chose, repeating it answers the same
 * @throws Fault absent, exists (the UUID, elsewhere), wrong_state (that session is finalized), unavailable
 */
export async function createSession(
  { catalog, clock, poison, space }: CreateParts,
  request: { sequence: SequenceName; creator: string | undefined; uuid?: Uuid | undefined },
): Promise<Session> {
  poison.check();
  using _row = space.admitRow(rowBytes(request));
  const createdAtNs = clock.wallNs();
  const ulid = ulidAt(createdAtNs);
  return await catalog.transaction(() => {
    const sequence = findSequence(catalog, request.sequence);
    if (sequence === undefined) throw new Fault("absent", `Not found: sequence \`${request.sequence}\`.`);
    const known = request.uuid === undefined ? undefined : findSession(catalog, request.uuid);
    if (known !== undefined) return repeatedSession(known, request);
    const session: Session = {
      ulid,
      uuid: request.uuid ?? newUuid(),
      alias: newUuid(),
      locator: `${sequence.name}:${ulid}` as SessionLocator,
      sequence: sequence.name,
      sequenceUlid: sequence.ulid,
      createdAtNs,
      topicNumberNext: 0,
      creator: request.creator,
    };
    putSession(catalog, session);
    failPoint("create: row");
    return session;
  });
}

function repeatedSession(known: Session, request: { sequence: SequenceName; uuid?: Uuid | undefined }): Session {
  if (known.uuid !== request.uuid || known.sequence !== request.sequence) throw takenUuid();
  if (isFinalized(known)) throw new Fault("wrong_state", `Session \`${known.locator}\` is locked.`);
  return known;
}

function repeatedSequence(known: Sequence, request: { userMetadata: JsonText }): Sequence {
  if (isAlike(known.userMetadata, request.userMetadata)) return known;
  throw new Fault("wrong_state", `Sequence \`${known.name}\` has this UUID, with another user_metadata.`);
}

/** Repeating a request answers the same; another one under the same UUID would be dropped in silence. */
function repeatedTopic(known: Topic, request: TopicRequest): Topic {
  const others = [
    known.ontologyTag === request.ontologyTag ? "" : "ontology_tag",
    known.serializationFormat === request.serializationFormat ? "" : "serialization_format",
    isAlike(known.userMetadata, request.userMetadata) ? "" : "user_metadata",
  ].filter((name) => name !== "");
  if (others.length === 0) return known;
  throw new Fault("exists", `Already exists: topic \`${known.locator}\`, with another ${others.join(" and ")}.`);
}

function isAlike(a: JsonText, b: JsonText): boolean {
  return isDeepStrictEqual(parseJson(a, "user metadata"), parseJson(b, "user metadata"));
}

/** Does not say what has it: a UUID is a token of authority. */
function takenUuid(): Fault {
  return new Fault("exists", "Already exists: the UUID belongs to something else; choose another one.");
}

export interface TopicRequest {
  readonly locator: TopicLocator;
  /** The session's UUID: whoever knows it may add topics. */
  readonly session: Uuid;
  readonly ontologyTag: string;
  readonly serializationFormat: SerializationFormat;
  readonly userMetadata: JsonText;
  /** Chosen by the client: repeating the request answers the same. */
  readonly uuid?: Uuid | undefined;
}

/** @throws Fault absent, exists, wrong_state (finalized session), denied (other sequence), overloaded, unavailable */
export async function createTopic(
  { catalog, clock, poison, space }: CreateParts,
  request: TopicRequest,
): Promise<Topic> {
  poison.check();
  using _row = space.admitRow(rowBytes(request) + searchKeyBytesMax(request.locator));
  const createdAtNs = clock.wallNs();
  return await catalog.transaction(() => {
    const session = findSession(catalog, request.session);
    if (session?.uuid !== request.session) throw new Fault("absent", "Not found: there is no session with this UUID.");
    const known = findTopic(catalog, request.locator);
    if (known !== undefined && known.uuid === request.uuid && known.session === session.ulid)
      return repeatedTopic(known, request);
    if (request.uuid !== undefined && findTopicByUuid(catalog, request.uuid) !== undefined) throw takenUuid();
    if (known !== undefined) {
      throw new Fault("exists", `Already exists: topic \`${request.locator}\`.`);
    }
    if (isFinalized(session)) throw new Fault("wrong_state", `Session \`${session.locator}\` is locked.`);
    if (sequenceOfTopic(request.locator) !== session.sequence) {
      throw new Fault(
        "denied",
        `Unauthorized: topic \`${request.locator}\` is not below sequence \`${session.sequence}\` of the session.`,
      );
    }
    if (session.topicNumberNext >= topicsPerSessionMax) {
      throw new Fault(
        "overloaded",
        `Session \`${session.locator}\` has had ${topicsPerSessionMax} topics, more are not allowed.`,
      );
    }
    const topic: Topic = {
      uuid: request.uuid ?? newUuid(),
      locator: request.locator,
      session: session.ulid,
      number: session.topicNumberNext,
      ontologyTag: request.ontologyTag,
      serializationFormat: request.serializationFormat,
      userMetadata: request.userMetadata,
      createdAtNs,
      extent: emptyExtent,
    };
    putSession(catalog, { ...session, topicNumberNext: session.topicNumberNext + 1 });
    putTopic(catalog, topic);
    failPoint("create: row");
    return topic;
  });
}

function ulidAt(timeNs: bigint): Ulid {
  return newUlid(Number(timeNs / 1_000_000n));
}
