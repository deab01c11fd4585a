/** What other Mosaicos answer, in the dialects of mosaicod 0.4 to 0.7 and of other edges. */

import { fromBinary } from "@bufbuild/protobuf";
import { z } from "zod";
import { splitFrame } from "../arrow/frame.ts";
import { schemaMetadata } from "../arrow/metadata.ts";
import { Fault } from "../model/fault.ts";
import { shownWords } from "../model/foreign-words.ts";
import { type JsonValue, parseJson } from "../model/json.ts";
import { locatorCharactersMax } from "../model/limits.ts";
import type { Uuid } from "../model/resource.ts";
import {
  centralMessageBytes,
  remoteCapabilitiesMax,
  remoteMessageBytesMin,
  remoteNameMax,
} from "../model/sync-limits.ts";
import type { TimeRange } from "../model/time.ts";
import { FlightInfoSchema, ResultSchema } from "./flight_pb.js";
import { int64, integerWithin, parseUuid, parseWith } from "./shape.ts";

const userMetadataKey = "mosaico:user_metadata";

const envelope = z.object({ response: z.custom<JsonValue>().optional() });

/** What an action responds; undefined when it has nothing to say. @throws Fault invalid */
export function readResponse(action: string, results: readonly Uint8Array[]): JsonValue | undefined {
  const [result] = results;
  if (result === undefined) return undefined;
  const text = Buffer.from(fromBinary(ResultSchema, result).body).toString("utf8");
  return text === ""
    ? undefined
    : parseWith(envelope, parseJson(text, `the answer of ${action}`), `the answer of ${action}`).response;
}

export interface EdgeVersion {
  readonly version: string;
  readonly capabilities: readonly string[];
  /** Its identity; the first versions do not tell. */
  readonly store?: string | undefined;
}

export interface RemoteVersion {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  /** Undefined for a central daemon. */
  readonly edge: EdgeVersion | undefined;
  readonly messageBytesMax: number;
}

const count = integerWithin("a count", { least: 0n, most: BigInt(Number.MAX_SAFE_INTEGER) }).transform(Number);
const messageBytes = integerWithin(`at least ${remoteMessageBytesMin} bytes`, {
  least: BigInt(remoteMessageBytesMin),
  most: BigInt(Number.MAX_SAFE_INTEGER),
}).transform(Number);
/** Words that are shown. */
const name = z.string().max(remoteNameMax).transform(shownWords);
/** Compared, so it is as it was said. */
const storeId = z.string().regex(/^[0-9A-Za-z-]{1,64}$/);
const versionShape = z.object({
  version: name,
  semver: z.object({ major: count, minor: count }),
  config: z.object({ grpc_max_decode_message_size: messageBytes }).optional(),
  edge: z
    .object({ version: name, capabilities: z.array(name).max(remoteCapabilitiesMax), store: storeId.optional() })
    .optional(),
});

/** Of `info` or `version`. @throws Fault invalid */
export function readVersion(response: JsonValue | undefined): RemoteVersion {
  const { version, semver, config, edge } = parseWith(versionShape, response, "the remote's version");
  const { major, minor } = semver;
  const untold = major === 0 && minor < 5 ? centralMessageBytes.first : centralMessageBytes.later;
  return { text: version, major, minor, edge, messageBytesMax: config?.grpc_max_decode_message_size ?? untold };
}

const createdShape = z.object({ uuid: z.string(), locator: z.string().max(locatorCharactersMax.session).optional() });

/** Of `session_create` and `topic_create`. @throws Fault invalid */
export function readCreated(response: JsonValue | undefined): { uuid: Uuid; locator: string | undefined } {
  const { uuid, locator } = parseWith(createdShape, response, "the remote's answer");
  return { uuid: parseUuid(uuid), locator };
}

const statusShape = z.object({
  rows: count,
  state: z.enum(["open", "completed", "finalized"]),
  lost_rows: count.optional(),
});

/** Of `edge_topic_status`. @throws Fault invalid */
export function readTopicStatus(response: JsonValue | undefined): {
  rows: number;
  state: "open" | "completed" | "finalized";
  lostRows: number;
} {
  const { rows, state, lost_rows: lostRows } = parseWith(statusShape, response, "the remote's topic status");
  return { rows, state, lostRows: lostRows ?? 0 };
}

const notificationsShape = z.object({ notifications: z.array(z.object({ msg: z.string() })) });

/** Messages of a list of notifications. @throws Fault invalid */
export function readNotifications(response: JsonValue | undefined): string[] {
  const { notifications } = parseWith(notificationsShape, response, "the remote's notifications");
  return notifications.map(({ msg }) => msg);
}

export interface RemoteSequenceView {
  readonly userMetadata: JsonValue | undefined;
  /** Locators of the topics of all its sessions. */
  readonly topics: readonly string[];
  readonly sessions: readonly RemoteSessionView[];
}

/** Before 0.5 a session is told by its UUID, since then by its locator. */
export interface RemoteSessionView {
  readonly topics: readonly string[];
  readonly uuid?: string | undefined;
  readonly locator?: string | undefined;
  readonly locked?: boolean | undefined;
}

const sequenceShape = z.object({
  user_metadata: z.custom<JsonValue>().optional(),
  sessions: z.array(
    z.object({
      topics: z.array(z.string()),
      uuid: z.string().optional(),
      locator: z.string().optional(),
      locked: z.boolean().optional(),
    }),
  ),
});

/** Of a sequence's FlightInfo. @throws Fault invalid */
export function readSequenceInfo(answer: Uint8Array): RemoteSequenceView {
  const info = fromBinary(FlightInfoSchema, answer);
  const found = parseWith(sequenceShape, readMetadata(info.appMetadata), "what the remote tells of a sequence");
  // Before 0.7 it stands in the schema.
  const text = found.user_metadata === undefined ? schemaMetadata(splitFrame(info.schema), userMetadataKey) : undefined;
  return {
    userMetadata: text === undefined ? found.user_metadata : parseJson(text, "user metadata"),
    topics: found.sessions.flatMap(({ topics }) => topics),
    sessions: found.sessions,
  };
}

/** The name of a sequence in a list of flights; undefined when it is something else. */
export function readSequenceName(answer: Uint8Array): string | undefined {
  return fromBinary(FlightInfoSchema, answer).flightDescriptor?.path[0];
}

const interval = z.object({ start_ns: int64, end_ns: int64 }).nullish();
const topicShape = z.object({
  locked: z.boolean(),
  info: z.object({ chunks_number: count, timestamp: interval }).nullish(),
  data_info: z.object({ interval, total_row_count: count }).nullish(),
});

export interface RemoteTopicView {
  readonly locked: boolean;
  /** Undefined where only messages are told. */
  readonly rows: number | undefined;
  readonly messages: number | undefined;
  readonly range: TimeRange | undefined;
}

/** Of a topic's FlightInfo. @throws Fault invalid */
export function readTopicInfo(answer: Uint8Array): RemoteTopicView {
  const info = fromBinary(FlightInfoSchema, answer);
  const bytes = info.endpoint[0]?.appMetadata ?? new Uint8Array(0);
  const found = parseWith(topicShape, readMetadata(bytes), "what the remote tells of a topic");
  const range = found.data_info?.interval ?? found.info?.timestamp;
  return {
    locked: found.locked,
    rows: found.data_info?.total_row_count,
    messages: found.info?.chunks_number,
    range: range === undefined || range === null ? undefined : { startNs: range.start_ns, endNs: range.end_ns },
  };
}

/** What a topic's FlightInfo says that is to be shown to have its rows. @throws Fault invalid */
export function readTopicTicket(answer: Uint8Array): Uint8Array {
  const [endpoint, more] = fromBinary(FlightInfoSchema, answer).endpoint;
  if (endpoint?.ticket === undefined || more !== undefined)
    throw new Fault("invalid", "The remote does not give one ticket for a topic.");
  return endpoint.ticket.ticket;
}

function readMetadata(bytes: Uint8Array): JsonValue {
  if (bytes.byteLength === 0) throw new Fault("invalid", "The remote tells nothing of what was asked for.");
  return parseJson(Buffer.from(bytes).toString("utf8"), "what the remote tells");
}
