/** Answers of actions and listings as JSON: one superset that SDK 0.4 to 0.7 read, and the few answers that are strict. */

import { jsonInteger, writeJson } from "../model/json.ts";
import { composeJson, EmbeddedJson } from "../model/json-text.ts";
import type { SequenceName, SessionLocator, TopicLocator } from "../model/locator.ts";
import {
  type Extent,
  isCompleted,
  isFinalized,
  type JsonText,
  type Sequence,
  type Session,
  type Topic,
  type Uuid,
} from "../model/resource.ts";
import type { TimeNs, TimeRange } from "../model/time.ts";
import type { Generation } from "./dialect.ts";
import { readsSessionLocator } from "./dialect.ts";

/** The protocol that this server speaks; SDKs show it and compare it with nothing. */
export const protocolVersion = { major: 0, minor: 7, patch: 0 } as const;

/** The envelope of an action's answer. */
export function writeAnswer(action: string, response: object | null): Uint8Array {
  return encode(writeJson({ action, response }));
}

/** One item of an action that answers with a stream: an envelope of its own, and the only one in its Result. */
export function writeStreamedAnswer(action: string, response: object): Uint8Array {
  return encode(`${writeJson({ action, response })}\n` as JsonText);
}

/** The envelope of an action that never had a response. */
export function writeEmptyAnswer(): Uint8Array {
  return encode(writeJson({ action: "empty" }));
}

export function versionAnswer(): object {
  const { major, minor, patch } = protocolVersion;
  return { version: `${major}.${minor}.${patch}`, semver: { major, minor, patch, pre: "" } };
}

/** What a client may rely on beyond the protocol of the central daemon. */
const edgeCapabilities = ["acks", "resume", "topic_status", "client_uuid", "sequence_uuid"];

export function infoAnswer(
  limits: { decodeBytes: number; encodeBytes: number; targetBytes: number },
  { edgeVersion, storeId }: { edgeVersion: string; storeId: string | undefined },
): object {
  return {
    ...versionAnswer(),
    config: {
      grpc_max_decode_message_size: limits.decodeBytes,
      grpc_max_encode_message_size: limits.encodeBytes,
      grpc_target_encode_message_size: limits.targetBytes,
    },
    edge: { version: edgeVersion, capabilities: edgeCapabilities, store: storeId },
  };
}

/** Exactly the keys that a client of this generation takes; one more is an error in all of them. */
export function sessionCreateAnswer(session: Session, generation: Generation): object {
  return readsSessionLocator(generation) ? { uuid: session.uuid, locator: session.locator } : { uuid: session.uuid };
}

/** Exactly one key: with a second one clients silently get no writer. */
export function topicCreateAnswer(topic: Topic): object {
  return { uuid: topic.uuid };
}

export type TopicState = "open" | "completed" | "finalized";

/** For clients that know us: what of a topic survives a power cut now. */
export function topicStatusAnswer(topic: Topic, { batches, state }: { batches: number; state: TopicState }): object {
  const { locator, extent, lostRows } = topic;
  return { locator, rows: extent.rows, batches, state, ...(lostRows === undefined ? {} : { lost_rows: lostRows }) };
}

export interface NotificationView {
  readonly type: string;
  readonly message: string;
  readonly createdAtNs: TimeNs;
}

export function notificationsAnswer(
  name: SequenceName | TopicLocator,
  notifications: readonly NotificationView[],
): object {
  return {
    notifications: notifications.map(({ type, message, createdAtNs }) => ({
      name,
      notification_type: type,
      msg: message,
      created_datetime: writeDatetime(createdAtNs),
    })),
  };
}

/** `YYYY-MM-DD HH:MM:SS UTC`; all SDKs read seconds, and Python 3.10 no other form of a fraction. */
function writeDatetime(timeNs: TimeNs): string {
  return `${new Date(Number(timeNs / 1_000_000n)).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

export interface QueryItem {
  readonly sequence: SequenceName;
  readonly topics: readonly (Pick<Topic, "locator" | "ontologyTag"> & {
    /** Of the matching rows; undefined when it was not asked for. */
    readonly range?: TimeRange | undefined;
    /** Of matching rows that lie close together, in the order of time; undefined when they were not asked for. */
    readonly ranges?: readonly TimeRange[] | undefined;
    /** Whether there are more than these. */
    readonly hasMoreRanges?: boolean | undefined;
  })[];
}

/** How often each answer was given: no row matches, some may, all do. */
type VerdictCounts = Readonly<Record<"no" | "maybe" | "all", number>>;

/** What a query on contents looked at. */
export interface ExplainView {
  /** Of sequences and topics: names that were looked at, and rows behind them. */
  readonly catalog: Readonly<Record<"names" | "rows", number>>;
  /** What the index said; zones are parts of chunks, of some batches each. */
  readonly skips: Readonly<Record<"topics" | "chunks" | "zones", VerdictCounts>>;
  /** What was read. */
  readonly scan: Readonly<Record<"batches" | "bytes" | "rowsTested" | "rowsMatched", number>>;
  /** Of all topics that were asked. */
  readonly storedBytes: number;
}

/** @param explain undefined when it was not asked for */
export function queryAnswer(items: readonly QueryItem[], explain?: ExplainView): object {
  return {
    ...(explain === undefined ? {} : { explain: explainAnswer(explain) }),
    items: items.map(({ sequence, topics }) => ({
      sequence,
      topics: topics.map(({ locator, ontologyTag, range, ranges, hasMoreRanges }) => ({
        locator,
        ontology_tag: ontologyTag,
        ...(range === undefined ? {} : { timestamp_range: pair(range) }),
        ...(ranges === undefined ? {} : { time_ranges: ranges.map(pair) }),
        ...(hasMoreRanges === true ? { has_more_time_ranges: true } : {}),
      })),
    })),
  };
}

function explainAnswer({ catalog, skips, scan, storedBytes }: ExplainView): object {
  const { batches, bytes, rowsTested, rowsMatched } = scan;
  return {
    catalog,
    ...skips,
    batches_read: batches,
    bytes_read: bytes,
    bytes_stored: storedBytes,
    rows_tested: rowsTested,
    rows_matched: rowsMatched,
  };
}

function pair({ startNs, endNs }: TimeRange): object {
  return [jsonInteger(startNs), jsonInteger(endNs)];
}

/** A cluster of rows, or a window that clusters have in common. @param id counts them from 0 */
export function clusterAnswer(range: TimeRange, id: number): object {
  return { ts: interval(range), id };
}

export interface ApiKeyView {
  readonly fingerprint: string;
  readonly description: string;
  readonly createdAtNs: TimeNs;
  readonly expiresAtNs?: TimeNs | undefined;
}

export function apiKeyAnswer(key: ApiKeyView): object {
  return {
    api_key_fingerprint: key.fingerprint,
    description: key.description,
    created_at_ns: jsonInteger(key.createdAtNs),
    expires_at_ns: integerOrNull(key.expiresAtNs),
  };
}

export interface SessionView {
  readonly session: Session;
  /** The session's UUID for its creator and managers, its alias for everybody else. */
  readonly shownUuid: Uuid;
  readonly topics: readonly Topic[];
}

/** app_metadata of a sequence's FlightInfo: keys of all generations. */
export function sequenceAppMetadata(sequence: Sequence, sessions: readonly SessionView[]): Uint8Array {
  return encode(
    composeJson({
      created_at_ns: jsonInteger(sequence.createdAtNs),
      resource_locator: sequence.name,
      user_metadata: new EmbeddedJson(metadataObject(sequence.userMetadata)),
      sessions: sessions.map(({ session, shownUuid, topics }) => ({
        uuid: shownUuid,
        locator: session.locator satisfies SessionLocator,
        created_at_ns: jsonInteger(session.createdAtNs),
        completed_at_ns: integerOrNull(session.completedAtNs),
        topics: topics.map((topic) => topic.locator),
        locked: isFinalized(session),
      })),
    }),
  );
}

/** What of a topic lies in a window. */
export interface WindowView {
  readonly rows: number;
  readonly range: TimeRange | undefined;
}

/**
 * app_metadata of a topic's endpoint: `info` for 0.4 to 0.6, `data_info` and the rest for 0.7. `info` is never null, though
 * upstream sends null while a topic is open: it makes SDKs leave the topic out, and ours can be read while it is written.
 * @param window only when one was asked for: SDK 0.7 takes its numbers before all others
 */
export function topicAppMetadata(topic: Topic, window: WindowView | undefined): Uint8Array {
  const { extent } = topic;
  return encode(
    composeJson({
      created_at_ns: jsonInteger(topic.createdAtNs),
      completed_at_ns: integerOrNull(topic.completedAtNs),
      locked: isCompleted(topic),
      resource_locator: topic.locator,
      info: { chunks_number: extent.chunks, total_bytes: extent.bytes, timestamp: interval(extent.range) },
      ontology_tag: topic.ontologyTag,
      serialization_format: topic.serializationFormat,
      user_metadata: new EmbeddedJson(metadataObject(topic.userMetadata)),
      data_info: {
        interval: interval(extent.range),
        total_row_count: extent.rows,
        total_bytes: extent.bytes,
        total_chunks_count: extent.chunks,
      },
      ...(window === undefined
        ? {}
        : { time_window_info: { interval: interval(window.range), row_count: window.rows } }),
    }),
  );
}

/** The `mosaico:*` keys of a sequence's (empty) schema. */
export function sequenceSchemaMetadata(sequence: Sequence): Map<string, string> {
  return new Map([
    ["mosaico:context", "sequence"],
    ["mosaico:user_metadata", metadataObject(sequence.userMetadata)],
  ]);
}

/** The `mosaico:*` keys of a topic's schema; 0.6 shows counts and bounds as they are, so they are those of the window. */
export function topicSchemaMetadata(topic: Topic, content: Pick<Extent, "rows" | "range">): Map<string, string> {
  const bounds =
    content.range === undefined
      ? {}
      : {
          message_count: content.rows,
          timestamp_ns_min: jsonInteger(content.range.startNs),
          timestamp_ns_max: jsonInteger(content.range.endNs),
        };
  const properties = { serialization_format: topic.serializationFormat, ontology_tag: topic.ontologyTag, ...bounds };
  return new Map([
    ["mosaico:context", "topic"],
    ["mosaico:properties", writeJson(properties)],
    ["mosaico:user_metadata", metadataObject(topic.userMetadata)],
  ]);
}

/** SDKs fail on null where they expect an object. */
function metadataObject(text: JsonText): JsonText {
  return text === "null" ? ("{}" as JsonText) : text;
}

function interval(range: TimeRange | undefined): object | null {
  return range === undefined ? null : { start_ns: jsonInteger(range.startNs), end_ns: jsonInteger(range.endNs) };
}

function integerOrNull(value: bigint | undefined): object | null {
  return value === undefined ? null : jsonInteger(value);
}

function encode(text: JsonText): Uint8Array {
  return new TextEncoder().encode(text);
}
