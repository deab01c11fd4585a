/** Carries out actions: one internal request in, one answer in the caller's dialect out. */

import { createApiKey } from "../care/keys.ts";
import { type ApiKey, findApiKey, removeApiKey } from "../catalog/api-keys.ts";
import type { Catalog } from "../catalog/catalog.ts";
import {
  listNotifications,
  putNotification,
  removeNotifications,
  sizeOfNotifications,
} from "../catalog/notifications.ts";
import {
  findSequence,
  findSession,
  findTopic,
  findTopicByUuid,
  listSessions,
  listTopicsOfSession,
} from "../catalog/resources.ts";
import { rowBytes } from "../catalog/row.ts";
import { readStoreFacts } from "../catalog/store-facts.ts";
import { countBatches } from "../catalog/topic-batches.ts";
import { type CreateParts, createSequence, createSession, createTopic } from "../ingest/create.ts";
import { type FinalizeParts, finalizeSession } from "../ingest/finalize.ts";
import {
  deleteEmptySequence,
  deleteOpenSession,
  deleteSequence,
  deleteSession,
  deleteTopic,
  type RemoveParts,
} from "../ingest/remove.ts";
import { Fault } from "../model/fault.ts";
import { freeMessageBytes } from "../model/limits.ts";
import type { SequenceName, TopicLocator } from "../model/locator.ts";
import type { CatalogQuery } from "../model/predicate.ts";
import { isCompleted, isFinalized, type Session, type Uuid } from "../model/resource.ts";
import type { TimeRange } from "../model/time.ts";
import { clusterTopic, intersectTopics } from "../query/cluster-topics.ts";
import { type FoundSequence, findTopics } from "../query/find-topics.ts";
import { type ContentQuery, hasContents, noSearchCounts, type SearchParts, searchContents } from "../query/search.ts";
import type { ActionRequest, NotificationTarget } from "../wire/action.ts";
import {
  apiKeyAnswer,
  clusterAnswer,
  infoAnswer,
  notificationsAnswer,
  queryAnswer,
  sessionCreateAnswer,
  topicCreateAnswer,
  topicStatusAnswer,
  versionAnswer,
} from "../wire/answer.ts";
import { parseApiToken } from "../wire/token.ts";
import type { Dialects } from "./dialects.ts";
import type { Identity } from "./identify.ts";

export interface ActionParts extends CreateParts, FinalizeParts, RemoveParts {
  readonly dialects: Dialects;
  readonly messageBytesMax: number;
  readonly edgeVersion: string;
  readonly search: SearchParts;
}

/** The `response` of an action; `"empty"` for the three that never had one. */
export type ActionResponse = object | null | "empty" | LargeResponse | StreamedResponse;

/** A response of any number of items, each found when the one before has been sent. */
export class StreamedResponse {
  readonly items: AsyncIterable<object>;

  constructor(items: AsyncIterable<object>) {
    this.items = items;
  }
}

/** A response that may be large: memory is asked for before it is built. */
export class LargeResponse {
  readonly estimateBytes: number;
  readonly build: () => object | Promise<object>;

  constructor(estimateBytes: number, build: () => object | Promise<object>) {
    this.estimateBytes = estimateBytes;
    this.build = build;
  }
}

/** Messages of `do_get` that this server aims at, as told to SDK 0.7, which shows it. */
const targetMessageBytes = 25 * 1024 * 1024;

/**
 * @param signal fires when nobody waits for the answer any more: what only reads ends then
 * @throws Fault as the single actions do
 */
export async function runAction(
  parts: ActionParts,
  identity: Identity,
  request: ActionRequest,
  signal: AbortSignal,
): Promise<ActionResponse> {
  const { catalog, log } = parts;
  const who = { peer: identity.connection.peer, key: identity.caller.key?.fingerprint };
  switch (request.kind) {
    case "version":
      return versionAnswer();
    case "info": {
      const limits = {
        decodeBytes: parts.messageBytesMax,
        encodeBytes: 512 * 1024 * 1024,
        targetBytes: targetMessageBytes,
      };
      return infoAnswer(limits, { edgeVersion: parts.edgeVersion, storeId: readStoreFacts(catalog)?.id });
    }
    case "sequence_create": {
      const { name, userMetadata, uuid } = request;
      // Who was not sure of the answer asks again.
      const isRepeated = uuid !== undefined && findSequence(catalog, name)?.uuid === uuid;
      if (!isRepeated) await giveBackAbandoned(parts, identity, name);
      const sequence = await createSequence(parts, { name, userMetadata, uuid });
      parts.dialects.created(identity.connection, sequence.ulid);
      if (!isRepeated) log.info("sequence_created", { sequence: name, ...who });
      return null;
    }
    case "sequence_delete":
      await deleteSequence(parts, request.name);
      log.info("sequence_deleted", { sequence: request.name, ...who });
      return null;
    case "edge_sequence_delete_empty":
      await deleteEmptySequence(parts, request.name, request.uuid);
      log.info("sequence_deleted", { sequence: request.name, ...who });
      return null;
    case "session_create": {
      // Who was not sure of the answer asks again.
      const isRepeated = request.uuid !== undefined && findSession(catalog, request.uuid) !== undefined;
      const { session, answer } = await openSession(parts, identity, request);
      if (!isRepeated) log.info("session_created", { session: session.locator, ...who });
      return answer;
    }
    case "session_finalize": {
      parts.dialects.mentioned(request.session);
      const before = findSession(catalog, request.session);
      const session = await finalizeSession(parts, request.session);
      // Who was not sure of the answer asks again.
      if (before === undefined || !isFinalized(before))
        log.info("session_finalized", { session: session.locator, ...sizeOf(catalog, session), ...who });
      return null;
    }
    case "session_delete": {
      const session = findSession(catalog, request.session);
      if (session !== undefined) parts.dialects.mentioned(session.uuid);
      await deleteSession(parts, request.session);
      log.info("session_deleted", { session: session?.locator, ...who });
      return null;
    }
    case "edge_session_delete_open": {
      const session = findSession(catalog, request.session);
      if (session !== undefined) parts.dialects.mentioned(session.uuid);
      await deleteOpenSession(parts, request.session);
      log.info("session_deleted", { session: session?.locator, ...who });
      return null;
    }
    case "topic_create": {
      parts.dialects.mentioned(request.session);
      const { locator, uuid } = request;
      const isRepeated = uuid !== undefined && findTopicByUuid(catalog, uuid) !== undefined;
      const topic = await createTopic(parts, request);
      if (!isRepeated) log.info("topic_created", { topic: locator, ...who });
      return topicCreateAnswer(topic);
    }
    case "topic_delete":
      await deleteTopic(parts, request.locator);
      log.info("topic_deleted", { topic: request.locator, ...who });
      return "empty";
    case "edge_topic_status":
      return await topicStatus(parts, request.topic);
    case "notification_create":
      return await notify(parts, request.target, request);
    case "notification_list":
      return listOf(catalog, request.target);
    case "notification_purge":
      await catalog.transaction(() => removeNotifications(catalog, uuidOf(catalog, request.target)));
      return request.target.kind === "topic" ? "empty" : null;
    case "query":
      return hasContents(request.query)
        ? await matchedBy(parts, request.query, signal)
        : await foundBy(catalog, request.query, signal);
    case "topic_filter_clusterize":
      return new StreamedResponse(clusterItems(clusterTopic(parts.search, request.cluster, signal)));
    case "topic_filter_intersect":
      return new StreamedResponse(clusterItems(intersectTopics(parts.search, request, signal)));
    case "api_key_create": {
      const { permissions, description, expiresAtNs } = request;
      const token = await createApiKey(parts, { permissions, description, expiresAtNs });
      log.info("api_key_created", { fingerprint: parseApiToken(token).fingerprint, ...who });
      return { api_key_token: token };
    }
    case "api_key_status":
      return apiKeyAnswer(keyOf(catalog, request.fingerprint));
    case "api_key_revoke":
      await catalog.transaction(() => {
        keyOf(catalog, request.fingerprint);
        removeApiKey(catalog, request.fingerprint);
      });
      log.info("api_key_revoked", { fingerprint: request.fingerprint, ...who });
      return null;
  }
}

function listOf(catalog: Catalog, target: NotificationTarget): LargeResponse {
  const { count, bytes } = sizeOfNotifications(catalog, uuidOf(catalog, target));
  const name = nameOf(target);
  return new LargeResponse(bytes + count * (name.length + 100), () =>
    notificationsAnswer(name, listNotifications(catalog, uuidOf(catalog, target))),
  );
}

/** What is large is counted, let go and found again: whoever waits for memory holds none. */
async function foundBy(catalog: Catalog, query: CatalogQuery, signal: AbortSignal): Promise<ActionResponse> {
  const answer = async (): Promise<object> => queryAnswer(await findTopics(catalog, query, signal));
  const found = await findTopics(catalog, query, signal);
  const bytes = answerBytes(found);
  return bytes <= freeMessageBytes ? queryAnswer(found) : new LargeResponse(bytes, answer);
}

async function* clusterItems(clusters: AsyncIterable<TimeRange>): AsyncGenerator<object> {
  let id = 0;
  for await (const cluster of clusters) {
    yield clusterAnswer(cluster, id);
    id += 1;
  }
}

/** What was read is not read again for an answer that has to wait. */
async function matchedBy(parts: ActionParts, query: ContentQuery, signal: AbortSignal): Promise<ActionResponse> {
  const counts = noSearchCounts();
  const matched = await searchContents(parts.search, query, signal, counts);
  const ranges = matched.flatMap(({ topics }) => topics.map((topic) => topic.ranges?.length ?? 0));
  const bytes = answerBytes(matched) + 45 * ranges.reduce((sum, count) => sum + count, 0);
  const build = (): object => queryAnswer(matched, query.explain ? counts : undefined);
  return bytes <= freeMessageBytes ? build() : new LargeResponse(bytes, build);
}

/** Bytes of an answer, about. */
function answerBytes(found: readonly FoundSequence[]): number {
  let bytes = 0;
  for (const { sequence, topics } of found) {
    bytes += sequence.length + 50;
    for (const { locator, ontologyTag } of topics) bytes += locator.length + ontologyTag.length + 150;
  }
  return bytes;
}

async function openSession(
  parts: ActionParts,
  { connection, caller }: Identity,
  { sequence, uuid }: { sequence: SequenceName; uuid: Uuid | undefined },
): Promise<{ session: Session; answer: object }> {
  const session = await createSession(parts, { sequence, uuid, creator: caller.key?.fingerprint });
  const generation = parts.dialects.decide(connection, caller);
  parts.dialects.watch(session, connection, caller, generation);
  return { session, answer: sessionCreateAnswer(session, generation) };
}

/** What a session holds, for the log. */
function sizeOf(catalog: Catalog, session: Session): { topics: number; rows: number; bytes: number } {
  const topics = listTopicsOfSession(catalog, session);
  const sum = (of: "rows" | "bytes") => topics.reduce((total, { extent }) => total + extent[of], 0);
  return { topics: topics.length, rows: sum("rows"), bytes: sum("bytes") };
}

/**
 * A client that could not read the answer of `session_create` leaves an empty sequence and an open session behind, and its next
 * try would meet "already exists". Nothing was uploaded to it, so the name is given back when it is asked for again.
 * @throws Fault exists when the session is used at this very moment
 */
async function giveBackAbandoned(parts: ActionParts, asking: Identity, name: SequenceName): Promise<void> {
  const { dialects, log } = parts;
  const sessions = abandonedSessions(parts, asking, name);
  if (sessions === undefined) return;
  await deleteSequence(parts, name, () => {
    if (abandonedSessions(parts, asking, name) === undefined) {
      throw new Fault("exists", `Already exists: sequence \`${name}\`.`);
    }
  });
  log.info("abandoned_sequence_given_back", { sequence: name });
  for (const session of sessions) dialects.givenBack(session.uuid);
}

/** The sessions of a sequence that was left behind with nothing in it; undefined for one that is anybody's. */
function abandonedSessions(
  { catalog, dialects }: ActionParts,
  asking: Identity,
  name: SequenceName,
): Session[] | undefined {
  const sequence = findSequence(catalog, name);
  if (sequence === undefined || sizeOfNotifications(catalog, sequence.uuid).count > 0) return undefined;
  const sessions = [...listSessions(catalog, sequence.ulid)];
  const isUnused = (session: Session) => !isFinalized(session) && session.topicNumberNext === 0;
  const isAbandoned = (session: Session) => isUnused(session) && dialects.isAbandoned(session, asking);
  return sessions.length > 0 && sessions.every(isAbandoned) ? sessions : undefined;
}

/** Whoever holds the UUID may ask, and ends the stream by that: what is told does not change until somebody continues. */
async function topicStatus({ catalog, uploads }: ActionParts, uuid: Uuid): Promise<object> {
  const find = () => {
    const topic = findTopicByUuid(catalog, uuid);
    if (topic === undefined) throw new Fault("absent", "Not found: there is no topic with this UUID.");
    return topic;
  };
  const { locator } = find();
  await uploads.endIntake(
    uuid,
    new Fault("cancelled", `The status of topic \`${locator}\` was asked for; continue it.`),
  );
  const topic = find();
  const session = findSession(catalog, topic.session);
  const ended = session !== undefined && isFinalized(session) ? "finalized" : "completed";
  return topicStatusAnswer(topic, {
    batches: countBatches(catalog, uuid),
    state: isCompleted(topic) ? ended : "open",
  });
}

async function notify(
  { catalog, clock, space }: Pick<ActionParts, "catalog" | "clock" | "space">,
  target: NotificationTarget,
  { type, message }: { type: string; message: string },
): Promise<ActionResponse> {
  uuidOf(catalog, target);
  if (type !== "error") {
    throw new Fault("invalid", `Bad request: invalid notification type \`${type.slice(0, 100)}\`, expected \`error\`.`);
  }
  const notification = { type, message, createdAtNs: clock.wallNs() } as const;
  using _row = space.admitRow(rowBytes(notification));
  await catalog.transaction(() => putNotification(catalog, uuidOf(catalog, target), notification));
  return target.kind === "topic" ? "empty" : null;
}

function nameOf(target: NotificationTarget): SequenceName | TopicLocator {
  return target.kind === "topic" ? target.locator : target.name;
}

function uuidOf(catalog: Catalog, target: NotificationTarget): Uuid {
  const resource = target.kind === "topic" ? findTopic(catalog, target.locator) : findSequence(catalog, target.name);
  if (resource === undefined) throw new Fault("absent", `Not found: ${target.kind} \`${nameOf(target)}\`.`);
  return resource.uuid;
}

function keyOf(catalog: Catalog, fingerprint: string): ApiKey {
  const key = findApiKey(catalog, fingerprint);
  if (key === undefined) throw new Fault("absent", `Not found: API key ${JSON.stringify(fingerprint.slice(0, 40))}.`);
  return key;
}
