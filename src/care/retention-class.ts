/** Which class of retention a session belongs to: the first whose conditions all hold, else the one that is meant for the rest. */

import { matchesGlob } from "node:path";
import { isJsonObject, type JsonValue, parseJson, writeJson } from "../model/json.ts";
import type { Sequence, Topic } from "../model/resource.ts";
import type { RetentionClass } from "../model/retention.ts";

export interface ClassRule {
  /** Glob for the name of the sequence. */
  readonly sequence?: string | undefined;
  /** Glob for ontology tags; one topic of the session with such a tag is enough. */
  readonly tag?: string | undefined;
  /** Dotted paths into the sequence's user metadata and what must be there. */
  readonly metadata?: Readonly<Record<string, string | number | boolean>> | undefined;
  readonly class: RetentionClass;
}

export interface ClassedSession {
  readonly sequence: Sequence;
  readonly topics: readonly Topic[];
}

export function classOf(session: ClassedSession, rules: readonly ClassRule[], rest: RetentionClass): RetentionClass {
  return rules.find((rule) => holds(rule, session))?.class ?? rest;
}

function holds({ sequence, tag, metadata }: ClassRule, session: ClassedSession): boolean {
  if (sequence !== undefined && !matchesGlob(session.sequence.name, sequence)) return false;
  if (tag !== undefined && !session.topics.some(({ ontologyTag }) => matchesGlob(ontologyTag, tag))) return false;
  if (metadata === undefined) return true;
  const root = parseJson(session.sequence.userMetadata, "user metadata");
  return Object.entries(metadata).every(([path, wanted]) => {
    const found = valueAt(root, path.split("."));
    return found !== undefined && writeJson(found) === JSON.stringify(wanted);
  });
}

function valueAt(root: JsonValue, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = root;
  for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}
