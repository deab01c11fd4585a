/** Names of resources: `sequence`, `sequence/topic/path`, `sequence:session`. Sanitised as upstream 0.4 does, then checked. */

import { Fault } from "./fault.ts";
import { locatorCharactersMax } from "./limits.ts";

export type SequenceName = string & { readonly __brand: "SequenceName" };
export type TopicLocator = string & { readonly __brand: "TopicLocator" };
export type SessionLocator = string & { readonly __brand: "SessionLocator" };

export type Locator =
  | { readonly kind: "sequence"; readonly text: SequenceName }
  | { readonly kind: "topic"; readonly text: TopicLocator }
  | { readonly kind: "session"; readonly text: SessionLocator };

const forbidden = new Set(["!", '"', "'", "*", "$", "%", "&", ".", " "]);

/**
 * Parses a locator: white space at both ends and all leading slashes go away, the rest must be ASCII without control
 * characters and without any of `! " ' * $ % & . space`, and not end in a slash or hold an empty path segment.
 * @throws Fault invalid
 */
export function parseLocator(given: string): Locator {
  const text = given.trim().replace(/^\/+/, "");
  const colons = text.split(":").length - 1;
  const slash = text.includes("/");
  const kind = slash ? "topic" : colons === 0 ? "sequence" : "session";
  const problem = locatorProblem(text, locatorCharactersMax[kind]);
  if (problem !== undefined) {
    throw new Fault(
      "invalid",
      `Locator contains unsupported characters: ${JSON.stringify(given.slice(0, 200))} ${problem}.`,
    );
  }
  if (colons === 0 && !slash) return { kind: "sequence", text: text as SequenceName };
  if (colons === 0) return { kind: "topic", text: text as TopicLocator };
  if (colons === 1 && !slash) return { kind: "session", text: text as SessionLocator };
  throw new Fault(
    "invalid",
    `Locator contains unsupported characters: ${JSON.stringify(text.slice(0, 200))} is neither sequence, sequence/topic nor sequence:session.`,
  );
}

function locatorProblem(text: string, charactersMax: number): string | undefined {
  if (text === "") return "is empty";
  if (text.length > charactersMax) return `has ${text.length} characters, at most ${charactersMax} are allowed`;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code > 126) return `has the character U+${code.toString(16).padStart(4, "0")}, only ASCII is allowed`;
    if (code < 32) return "has a control character";
    if (forbidden.has(character)) return `has the character ${JSON.stringify(character)}`;
  }
  if (text.endsWith("/")) return "ends with a slash";
  if (text.includes("//")) return "has an empty path segment";
  return undefined;
}

/** @throws Fault invalid when the text is no locator or one of another kind */
export function parseSequenceName(given: string): SequenceName {
  const locator = parseLocator(given);
  if (locator.kind !== "sequence") throw wrongKind(given, "a sequence", locator.kind);
  return locator.text;
}

/** @throws Fault invalid when the text is no locator or one of another kind */
export function parseTopicLocator(given: string): TopicLocator {
  const locator = parseLocator(given);
  if (locator.kind !== "topic") throw wrongKind(given, "a topic (sequence/path)", locator.kind);
  return locator.text;
}

/** @throws Fault invalid when the text is no locator or one of another kind */
export function parseSessionLocator(given: string): SessionLocator {
  const locator = parseLocator(given);
  if (locator.kind !== "session") throw wrongKind(given, "a session (sequence:id)", locator.kind);
  return locator.text;
}

function wrongKind(given: string, expected: string, found: string): Fault {
  return new Fault(
    "invalid",
    `Locator contains unsupported characters: ${JSON.stringify(given.slice(0, 200))} names a ${found}, expected ${expected}.`,
  );
}

/** The sequence of a session: what stands in front of its colon. */
export function sequenceOfSession(locator: SessionLocator): SequenceName {
  return locator.slice(0, locator.indexOf(":")) as SequenceName;
}

export function sequenceOfTopic(locator: TopicLocator): SequenceName {
  return locator.slice(0, locator.indexOf("/")) as SequenceName;
}

/** The topic's name inside its sequence, with a leading slash: `/front/imu`. Queries compare this. */
export function pathOfTopic(locator: TopicLocator): string {
  return locator.slice(locator.indexOf("/"));
}
