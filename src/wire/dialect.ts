/**
 * Which shape of `session_create` a client can read: 0.4 takes exactly `{uuid}`, 0.5 to 0.7 exactly `{uuid, locator}`, and any
 * other key is an error in all of them. Pure; the rules in the order of what can be known for certain.
 */

import type { DialectProof } from "./action.ts";

/** 0.5 differs from 0.4 in this answer and in what it deletes by; 0.6 and 0.7 are alike in all that is decided here. */
export type Generation = "0.4" | "0.5" | "0.6";

/** What is known of one connection. */
export interface ConnectionMarks {
  /** The first call: `ListFlights` for 0.4 and 0.5, `version` for 0.6, `info` for 0.7; other for one that has reconnected. */
  readonly firstCall: "list" | "version" | "info" | "other" | undefined;
  readonly proof: "new" | "old" | "0.4" | undefined;
}

export const freshConnection: ConnectionMarks = { firstCall: undefined, proof: undefined };

/** What clients with one API key, or from one address, have proved to be: the last one, and the last of 0.4 and 0.5. */
export interface Memory {
  readonly generation: Generation;
  readonly legacy?: "0.4" | "0.5" | undefined;
}

/** What is known beside the connection. */
export interface DialectHints {
  /** Said by the API key when it was created. */
  readonly key?: "0.4" | "0.5" | undefined;
  readonly keyMemory?: Memory | undefined;
  readonly peerMemory?: Memory | undefined;
  /** `--legacy-sdk`, when it was said. */
  readonly legacySdk?: "0.4" | "0.5" | undefined;
}

const legacyNormal = "0.4";

export function noteCall(
  marks: ConnectionMarks,
  call: "list" | "version" | "info" | "other",
  proof: DialectProof,
): ConnectionMarks {
  return { ...noteProof(marks, proof), firstCall: marks.firstCall ?? call };
}

/** A proof of 0.4 says more than "old"; "new" (no 0.4) together with "old" is 0.5. */
export function noteProof(marks: ConnectionMarks, proof: DialectProof): ConnectionMarks {
  if (proof === undefined || (proof === "old" && marks.proof !== undefined)) return marks;
  return { ...marks, proof };
}

/** What the connection alone shows; undefined for a client that has reconnected and for 0.4 against 0.5. */
export function provenGeneration(marks: ConnectionMarks): Generation | undefined {
  if (marks.proof === "0.4") return "0.4";
  if (marks.firstCall === "info" || marks.firstCall === "version") return "0.6";
  if (marks.proof === "new") return marks.firstCall === "list" ? "0.5" : "0.6";
  return undefined;
}

/** Whether the connection itself shows that it is one of 0.4 or 0.5: what others at its address were proves nothing. */
export function isLegacy(marks: ConnectionMarks): boolean {
  if (provenGeneration(marks) === "0.6") return false;
  return marks.firstCall === "list" || marks.proof === "old" || marks.proof === "0.4";
}

/** The generation for which `session_create` is answered. */
export function decideGeneration(marks: ConnectionMarks, hints: DialectHints): Generation {
  const proven = provenGeneration(marks);
  if (proven !== undefined) return proven;
  if (hints.key !== undefined) return hints.key;
  const { keyMemory, peerMemory, legacySdk } = hints;
  const isOld = marks.proof === "old";
  if (!isOld && marks.firstCall !== "list") return keyMemory?.generation ?? peerMemory?.generation ?? "0.6";
  if (keyMemory?.legacy !== undefined) return keyMemory.legacy;
  // Nobody but 0.6 and 0.7 has used this key: one of them that has reconnected and lists before it writes. A 0.6 at the same
  // address says nothing, for it is likelier a second program.
  if (!isOld && keyMemory !== undefined) return keyMemory.generation;
  return legacySdk ?? peerMemory?.legacy ?? legacyNormal;
}

/** Whether a client of this generation reads `{uuid, locator}` and not `{uuid}`. */
export function readsSessionLocator(generation: Generation): boolean {
  return generation !== "0.4";
}

/** What a client is taken for after it could not read its answer. */
export function otherGeneration(generation: Generation): Generation {
  return generation === "0.4" ? "0.5" : "0.4";
}
