/** What a transfer asks of a remote, and what it may be answered: values, so that whoever carries them out decides nothing. */

import type { FaultCode } from "../model/fault.ts";
import type { TopicLocator } from "../model/locator.ts";
import type { Uuid } from "../model/resource.ts";
import type { TimeRange } from "../model/time.ts";
import type { RemoteSession } from "../model/transfer.ts";

/** What the remote can do. */
export interface RemoteTraits {
  readonly kind: "edge" | "central";
  /** Whether it tells the rows of a topic; one that does not tells the messages that it got. */
  readonly countsRows: boolean;
  /** What becomes of a sequence of this name that is not ours. */
  readonly onConflict: "refuse" | "extend";
  /** Whether contents are compared after rows and ranges, before a session counts as synced. */
  readonly comparesContents: boolean;
}

/** What is sent of a session: facts that change only when it is repaired. */
export interface TransferFacts {
  /** What its UUID will be at a remote that lets us choose. */
  readonly session: Uuid;
  readonly topics: readonly TopicFacts[];
}

export interface TopicFacts {
  readonly locator: TopicLocator;
  /** What its UUID will be at a remote that lets us choose. */
  readonly uuid: Uuid;
  readonly rows: number;
  readonly range: TimeRange | undefined;
  /** Rows that were damaged here, and are not sent. */
  readonly lostRows: number;
  /** Messages in which the rows are sent to a remote that counts these. */
  readonly messages: number;
}

export type Command =
  /** `wait` lets the remote come to an end with what it has. */
  | { readonly kind: "create_sequence" | "show_sequence" | "add_notes" | "wait" | "end" }
  | { readonly kind: "create_session"; readonly uuid: Uuid | undefined }
  | { readonly kind: "delete_session"; readonly session: RemoteSession }
  | { readonly kind: "finalize"; readonly session: Uuid }
  | { readonly kind: "create_topic"; readonly index: number; readonly session: Uuid; readonly uuid: Uuid | undefined }
  | { readonly kind: "topic_status"; readonly index: number; readonly uuid: Uuid }
  /** `of`: whether it belongs to this session is asked too. */
  | { readonly kind: "show_topic"; readonly index: number; readonly of?: RemoteSession }
  | { readonly kind: "delete_topic"; readonly index: number }
  /** Reads a complete topic back and compares its contents with those here. */
  | { readonly kind: "compare_topic"; readonly index: number }
  /** Sends the rows behind those that are there, up to the last one; `end_put` ends the stream. */
  | { readonly kind: "put"; readonly index: number; readonly uuid: Uuid; readonly fromRow: number }
  | { readonly kind: "end_put"; readonly index: number };

/** What the remote answered. That it could not be reached is none: then the transfer begins again at its cursor. */
export type Answer =
  | { readonly kind: "done" }
  | { readonly kind: "made"; readonly uuid: Uuid; readonly locator?: string | undefined }
  | { readonly kind: "status"; readonly status: TopicStatus }
  | { readonly kind: "sequence"; readonly found: ShownSequence | undefined }
  | { readonly kind: "topic"; readonly found: ShownTopic | undefined }
  /** In what the contents there are others; undefined when they are the same. */
  | { readonly kind: "compared"; readonly difference: string | undefined }
  | { readonly kind: "refused"; readonly code: FaultCode; readonly reason: string };

export interface TopicStatus {
  readonly rows: number;
  readonly state: "open" | "completed" | "finalized";
  /** Rows that were durable there once and are not any more. */
  readonly lostRows: number;
}

export interface ShownSequence {
  /** Whether its user metadata are those of ours. */
  readonly isAlike: boolean;
  /** Topics of all its sessions. */
  readonly topics: number;
}

export interface ShownTopic {
  /** Undefined where nobody asked, or it cannot be told. */
  readonly isOfSession?: boolean | undefined;
  readonly locked: boolean;
  /** Undefined where the remote does not say. */
  readonly rows: number | undefined;
  readonly messages: number | undefined;
  readonly range: TimeRange | undefined;
}

/** In what a complete topic there is another than the one here; undefined when it is the same as far as can be told. */
export function differenceOf(found: ShownTopic, { rows, range, messages }: TopicFacts): string | undefined {
  if (!found.locked) return "is not complete there";
  if (found.rows !== undefined && found.rows !== rows) return `has ${found.rows} rows there, here ${rows}`;
  if (found.rows === undefined && found.messages !== undefined && found.messages !== messages)
    return `has ${found.messages} messages there, sent were ${messages}`;
  const { startNs, endNs } = found.range ?? {};
  if (startNs !== range?.startNs || endNs !== range?.endNs)
    return `goes from ${startNs} to ${endNs} there, here from ${range?.startNs} to ${range?.endNs}`;
  return undefined;
}

/** Whether it may have been the link rather than the remote: that may be better any time. */
export function isOfLink(code: FaultCode): boolean {
  return code === "unavailable" || code === "expired" || code === "cancelled";
}

/** Calls after whose INTERNAL the central daemon is asked what there is. */
const internalMayBeAnAnswer: ReadonlySet<Command["kind"]> = new Set([
  "create_sequence",
  "create_topic",
  "delete_topic",
  "delete_session",
  "finalize",
]);

/**
 * Whether a refusal says nothing of what was asked for, so that the transfer breaks off and begins again at its cursor later: the
 * remote has no time or no room, is in trouble, or does not let us in.
 */
export function breaksOff(command: Command, code: FaultCode, { kind }: RemoteTraits): boolean {
  if (isOfLink(code)) return true;
  switch (code) {
    case "overloaded":
    case "unauthenticated":
      return true;
    case "denied":
      return command.kind !== "delete_session" && command.kind !== "delete_topic";
    case "internal":
      // The central daemon says so of names that are taken, and of what is gone.
      return kind === "edge" || !internalMayBeAnAnswer.has(command.kind);
    default:
      return false;
  }
}
