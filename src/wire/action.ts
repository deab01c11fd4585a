/** Action bodies of all JSON dialects into one internal request. Unknown keys are ignored, as the protocol asks. */

import { z } from "zod";
import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { isJsonObject, type JsonObject, parseJson } from "../model/json.ts";
import { memberText } from "../model/json-text.ts";
import { actionBytesMax, notificationBytesMax, ontologyTagCharactersMax, relayedBytes } from "../model/limits.ts";
import {
  parseSequenceName,
  parseSessionLocator,
  parseTopicLocator,
  type SequenceName,
  type SessionLocator,
  type TopicLocator,
} from "../model/locator.ts";
import { type Permission, type PermissionBits, parsePermissions } from "../model/permission.ts";
import type { CatalogQuery, ClusterRequest } from "../model/predicate.ts";
import type { JsonText, SerializationFormat, Uuid } from "../model/resource.ts";
import type { TimeNs } from "../model/time.ts";
import { parseCluster, parseIntersection } from "./cluster.ts";
import type { MatchStyle } from "./condition.ts";
import { parseQuery, queryProof } from "./query.ts";
import { anyJson, int64, parseUuid, parseWith, serializationFormat } from "./shape.ts";

/** What a client asks for, whatever dialect it asked in. */
export type ActionRequest =
  | { readonly kind: "version" }
  | { readonly kind: "info" }
  | {
      readonly kind: "sequence_create";
      readonly name: SequenceName;
      readonly userMetadata: JsonText;
      readonly uuid: Uuid | undefined;
    }
  | { readonly kind: "sequence_delete"; readonly name: SequenceName }
  | { readonly kind: "edge_sequence_delete_empty"; readonly name: SequenceName; readonly uuid: Uuid }
  | { readonly kind: "session_create"; readonly sequence: SequenceName; readonly uuid: Uuid | undefined }
  | { readonly kind: "session_finalize"; readonly session: Uuid }
  | { readonly kind: "session_delete"; readonly session: Uuid | SessionLocator }
  | { readonly kind: "edge_session_delete_open"; readonly session: Uuid }
  | {
      readonly kind: "topic_create";
      readonly uuid: Uuid | undefined;
      readonly locator: TopicLocator;
      readonly session: Uuid;
      readonly ontologyTag: string;
      readonly serializationFormat: SerializationFormat;
      readonly userMetadata: JsonText;
    }
  | { readonly kind: "topic_delete"; readonly locator: TopicLocator }
  | { readonly kind: "edge_topic_status"; readonly topic: Uuid }
  | {
      readonly kind: "notification_create";
      readonly target: NotificationTarget;
      readonly type: string;
      readonly message: string;
    }
  | { readonly kind: "notification_list"; readonly target: NotificationTarget }
  | { readonly kind: "notification_purge"; readonly target: NotificationTarget }
  | { readonly kind: "query"; readonly query: CatalogQuery }
  | { readonly kind: "topic_filter_clusterize"; readonly cluster: ClusterRequest }
  | {
      readonly kind: "topic_filter_intersect";
      readonly clusters: readonly ClusterRequest[];
      /** Clusters that are not farther apart than this count as overlapping. */
      readonly toleranceNs: bigint;
    }
  | {
      readonly kind: "api_key_create";
      readonly permissions: PermissionBits;
      readonly description: string;
      readonly expiresAtNs: TimeNs | undefined;
    }
  | { readonly kind: "api_key_status" | "api_key_revoke"; readonly fingerprint: string };

export type NotificationTarget =
  | { readonly kind: "sequence"; readonly name: SequenceName }
  | { readonly kind: "topic"; readonly locator: TopicLocator };

/** What a call proves about its client, beyond the first call of its connection. */
export type DialectProof = "old" | "new" | "0.4" | undefined;

/** What an action is read by, beside its body as JSON. */
interface ActionCall {
  readonly name: string;
  /** The body as it came. */
  readonly text: string;
  /** What `$match` on contents means. */
  readonly style: MatchStyle;
}

interface ActionKind {
  /** Undefined: any valid key may. */
  readonly permission: Permission | undefined;
  readonly description: string;
  /** Whether an empty body stands for `{}`. */
  readonly bodiless?: boolean;
  /** @param text of the body, for what is kept as it was written */
  read(body: JsonObject, call: ActionCall): ActionRequest;
  proof?(body: JsonObject): DialectProof;
}

const locator = z.object({ locator: z.string() });
const sessionUuid = z.object({ session_uuid: z.string() });
const userMetadata = { user_metadata: anyJson };

/** An addition of ours: a client that chooses the UUID may repeat a call whose answer was lost. */
const chosenUuid = { uuid: z.string().optional() };

const uuidV4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Only random ones: whoever guesses a UUID may write what it names. */
function parseChosen(text: string | undefined): Uuid | undefined {
  if (text === undefined) return undefined;
  const uuid = parseUuid(text);
  if (!uuidV4.test(uuid)) throw new Fault("invalid", "Bad request: uuid: expected a random UUID (version 4).");
  return uuid;
}

const targetOf = {
  sequence: (text: string): NotificationTarget => ({ kind: "sequence", name: parseSequenceName(text) }),
  topic: (text: string): NotificationTarget => ({ kind: "topic", locator: parseTopicLocator(text) }),
};

/** A text beyond the limit is cut between two characters, not refused: it reports an error that somebody has to see. */
function cutText(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const mark = "…";
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax - Buffer.byteLength(mark)));
  return `${text.slice(0, read)}${mark}`;
}

function notificationKinds(resource: "sequence" | "topic"): Record<string, ActionKind> {
  const created = z.object({ locator: z.string(), notification_type: z.string(), msg: z.string() });
  const target = targetOf[resource];
  return {
    [`${resource}_notification_create`]: {
      permission: "write",
      description: `Leave a notification on a ${resource}: {locator, notification_type, msg}`,
      read(body, { name }) {
        const fields = parseWith(created, body, `the body of ${name}`);
        const message = cutText(fields.msg, notificationBytesMax);
        return { kind: "notification_create", target: target(fields.locator), type: fields.notification_type, message };
      },
    },
    [`${resource}_notification_list`]: {
      permission: "read",
      description: `List the notifications of a ${resource}: {locator}`,
      read: (body, { name }) => ({
        kind: "notification_list",
        target: target(parseWith(locator, body, `the body of ${name}`).locator),
      }),
    },
    [`${resource}_notification_purge`]: {
      permission: "delete",
      description: `Remove the notifications of a ${resource}: {locator}`,
      read: (body, { name }) => ({
        kind: "notification_purge",
        target: target(parseWith(locator, body, `the body of ${name}`).locator),
      }),
    },
  };
}

function fingerprintKind(kind: "api_key_status" | "api_key_revoke", description: string): ActionKind {
  const shape = z.object({ api_key_fingerprint: z.string() });
  return {
    permission: "manage",
    description,
    read: (body, { name }) => ({
      kind,
      fingerprint: parseWith(shape, body, `the body of ${name}`).api_key_fingerprint,
    }),
    proof: () => "old",
  };
}

const actionKinds: Readonly<Record<string, ActionKind>> = {
  version: {
    permission: undefined,
    description: "Version of the protocol: {}",
    bodiless: true,
    read: () => ({ kind: "version" }),
  },
  info: {
    permission: undefined,
    description: "Version, limits and capabilities: {}",
    bodiless: true,
    read: () => ({ kind: "info" }),
    proof: () => "new",
  },
  sequence_create: {
    permission: "write",
    description: "Create a sequence: {locator, user_metadata}",
    read(body, { name, text }) {
      const fields = parseWith(locator.extend({ ...userMetadata, ...chosenUuid }), body, `the body of ${name}`);
      return {
        kind: "sequence_create",
        name: parseSequenceName(fields.locator),
        userMetadata: metadataText(text),
        uuid: parseChosen(fields.uuid),
      };
    },
  },
  sequence_delete: {
    permission: "delete",
    description: "Delete a sequence with all its sessions: {locator}",
    read: (body, { name }) => ({
      kind: "sequence_delete",
      name: parseSequenceName(parseWith(locator, body, `the body of ${name}`).locator),
    }),
  },
  session_create: {
    permission: "write",
    description: "Open a session of a sequence: {locator}",
    read(body, { name }) {
      const fields = parseWith(locator.extend(chosenUuid), body, `the body of ${name}`);
      return { kind: "session_create", sequence: parseSequenceName(fields.locator), uuid: parseChosen(fields.uuid) };
    },
  },
  session_finalize: {
    permission: "write",
    description: "Make a session immutable: {session_uuid}",
    read: (body, { name }) => ({
      kind: "session_finalize",
      session: parseUuid(parseWith(sessionUuid, body, `the body of ${name}`).session_uuid),
    }),
  },
  session_delete: {
    permission: "delete",
    description: "Delete a session with its topics: {session_uuid} or {locator}",
    read(body, { name }) {
      const shape = z.object({ session_uuid: z.string().optional(), locator: z.string().optional() });
      const { session_uuid: uuid, locator: named } = parseWith(shape, body, `the body of ${name}`);
      if (uuid !== undefined) return { kind: "session_delete", session: parseUuid(uuid) };
      if (named !== undefined) return { kind: "session_delete", session: parseSessionLocator(named) };
      throw new Fault("invalid", `Bad request: the body of ${name}: expected session_uuid or locator, found neither.`);
    },
    proof: (body) => (body["session_uuid"] !== undefined ? "0.4" : body["locator"] !== undefined ? "new" : undefined),
  },
  topic_create: {
    permission: "write",
    description: "Create a topic: {locator, session_uuid, serialization_format, ontology_tag, user_metadata}",
    read(body, { name, text }) {
      const shape = locator
        .extend({ session_uuid: z.string(), serialization_format: serializationFormat, ontology_tag: z.string() })
        .extend({ ...userMetadata, ...chosenUuid });
      const fields = parseWith(shape, body, `the body of ${name}`);
      const tagCharacters = fields.ontology_tag.length;
      if (tagCharacters > ontologyTagCharactersMax) {
        throw new Fault(
          "invalid",
          `Bad request: ontology_tag has ${tagCharacters} characters, at most ${ontologyTagCharactersMax} are allowed.`,
        );
      }
      return {
        kind: "topic_create",
        uuid: parseChosen(fields.uuid),
        session: parseUuid(fields.session_uuid),
        locator: parseTopicLocator(fields.locator),
        ontologyTag: fields.ontology_tag,
        serializationFormat: fields.serialization_format,
        userMetadata: metadataText(text),
      };
    },
  },
  topic_delete: {
    permission: "delete",
    description: "Delete a topic of an open session: {locator}",
    read: (body, { name }) => ({
      kind: "topic_delete",
      locator: parseTopicLocator(parseWith(locator, body, `the body of ${name}`).locator),
    }),
  },
  // Actions of their own, which a server that does not know them refuses: one that left out a condition would delete too much.
  edge_sequence_delete_empty: {
    permission: "delete",
    description: "Delete a sequence unless it has sessions, or is another one of that name: {locator, uuid}",
    read(body, { name }) {
      const fields = parseWith(locator.extend({ uuid: z.string() }), body, `the body of ${name}`);
      return {
        kind: "edge_sequence_delete_empty",
        name: parseSequenceName(fields.locator),
        uuid: parseUuid(fields.uuid),
      };
    },
  },
  edge_session_delete_open: {
    permission: "delete",
    description: "Delete a session with its topics unless it is finalized: {session_uuid}",
    read: (body, { name }) => ({
      kind: "edge_session_delete_open",
      session: parseUuid(parseWith(sessionUuid, body, `the body of ${name}`).session_uuid),
    }),
  },
  edge_topic_status: {
    permission: "write",
    description: "Ends the upload of a topic, if there is one, and tells what is durable: {topic_uuid}",
    read: (body, { name }) => ({
      kind: "edge_topic_status",
      topic: parseUuid(parseWith(z.object({ topic_uuid: z.string() }), body, `the body of ${name}`).topic_uuid),
    }),
  },
  ...notificationKinds("sequence"),
  ...notificationKinds("topic"),
  query: {
    permission: "read",
    description: "Find topics: {sequence, topic, ontology}",
    read: (body, { style }) => ({ kind: "query", query: parseQuery(body, style) }),
    proof: queryProof,
  },
  topic_filter_clusterize: {
    permission: "read",
    description: "Time clusters of the rows that match: {locator, clustering_dt_ns, ontology, timestamp_range}",
    read: (body, { name }) => ({ kind: "topic_filter_clusterize", cluster: parseCluster(body, `the body of ${name}`) }),
    proof: () => "new",
  },
  topic_filter_intersect: {
    permission: "read",
    description: "Common time windows of the clusters of several topics: {topics, intersect_dt_ns}",
    read: (body, { name }) => ({ kind: "topic_filter_intersect", ...parseIntersection(body, `the body of ${name}`) }),
    proof: () => "new",
  },
  api_key_create: {
    permission: "manage",
    description: "Create an API key: {permissions, description, expires_at_ns}",
    read(body, { name }) {
      const shape = z.object({ permissions: z.string(), description: z.string(), expires_at_ns: int64.nullish() });
      const fields = parseWith(shape, body, `the body of ${name}`);
      return {
        kind: "api_key_create",
        permissions: parsePermissions(fields.permissions),
        description: fields.description.slice(0, 1000),
        expiresAtNs: fields.expires_at_ns ?? undefined,
      };
    },
    proof: () => "old",
  },
  api_key_status: fingerprintKind("api_key_status", "State of an API key: {api_key_fingerprint}"),
  api_key_revoke: fingerprintKind("api_key_revoke", "Revoke an API key: {api_key_fingerprint}"),
};

export interface ParsedAction {
  readonly request: ActionRequest;
  readonly permission: Permission | undefined;
  readonly proof: DialectProof;
}

/**
 * Reads an action. The order of the checks is the protocol's: name, body, then (by the caller) permission.
 * @param style of `$match` on contents
 * @throws Fault invalid, unsupported
 */
export function parseAction(name: string, body: Uint8Array, style: MatchStyle = "glob"): ParsedAction {
  const kind = Object.hasOwn(actionKinds, name) ? actionKinds[name] : undefined;
  if (kind === undefined) {
    throw new Fault("invalid", `Bad request: no available action for string \`${name.slice(0, 100)}\`.`);
  }
  const { json, text } = readBody(name, body, kind);
  return { request: kind.read(json, { name, text, style }), permission: kind.permission, proof: kind.proof?.(json) };
}

export function listActions(): { name: string; description: string }[] {
  return Object.entries(actionKinds).map(([name, { description }]) => ({ name, description }));
}

function readBody(name: string, body: Uint8Array, kind: ActionKind): { json: JsonObject; text: string } {
  const tooLarge = (): Fault =>
    new Fault("overloaded", `The body of ${name} has ${body.byteLength} bytes, at most ${actionBytesMax} are allowed.`);
  if (body.byteLength > actionBytesMax + relayedBytes) throw tooLarge();
  if (body.byteLength === 0 && kind.bodiless === true) return { json: {}, text: "{}" };
  const text = readText(body, `the body of ${name}`);
  const json = parseJson(text, `the body of ${name}`);
  if (!isJsonObject(json)) throw new Fault("invalid", `Bad request: the body of ${name} is no JSON object.`);
  if (body.byteLength > actionBytesMax && json["uuid"] === undefined) throw tooLarge();
  return { json, text };
}

function readText(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Fault("invalid", `Bad request: ${what} is not UTF-8.`, error);
  }
}

function metadataText(body: string): JsonText {
  const text = memberText(body, "user_metadata");
  assert(text !== undefined, "the body's shape has been checked");
  return text;
}

/** A descriptor's command. */
export interface ResourceCommand {
  readonly locator: string;
  readonly startNs: TimeNs | undefined;
  readonly endNs: TimeNs | undefined;
}

const resourceCommand = z.object({
  resource_locator: z.string(),
  timestamp_ns_start: int64.nullish(),
  timestamp_ns_end: int64.nullish(),
});
const putCommand = z.object({ resource_locator: z.string(), topic_uuid: z.string() });

/** Command of GetFlightInfo and GetSchema. @throws Fault invalid */
export function parseResourceCommand(bytes: Uint8Array): ResourceCommand {
  const fields = parseWith(resourceCommand, parseJson(readText(bytes, "the command"), "the command"), "the command");
  return {
    locator: fields.resource_locator,
    startNs: fields.timestamp_ns_start ?? undefined,
    endNs: fields.timestamp_ns_end ?? undefined,
  };
}

/** Command of DoPut. @throws Fault invalid */
export function parsePutCommand(bytes: Uint8Array): { topic: TopicLocator; uuid: Uuid } {
  if (bytes.byteLength > actionBytesMax)
    throw new Fault("overloaded", `The command has ${bytes.byteLength} bytes, at most ${actionBytesMax} are allowed.`);
  const fields = parseWith(putCommand, parseJson(readText(bytes, "the command"), "the command"), "the command");
  return { topic: parseTopicLocator(fields.resource_locator), uuid: parseUuid(fields.topic_uuid) };
}
