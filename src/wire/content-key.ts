/**
 * Keys of conditions on contents: `<tag>.<field>`, where the tag ends at the first dot. One step of the field may end in a list
 * specifier: `[i]`, `[?]` (one item at least) or `[!]` (all). So a tag with a dot and a column with a bracket have no key.
 */

import { metadataPathMax } from "../model/limits.ts";
import type { FieldPath, ItemChoice } from "../model/predicate.ts";
import { checkLimit, refusal } from "./refusal.ts";

export interface ContentKey {
  readonly tag: string;
  /** Undefined when the key is the tag alone. */
  readonly path: FieldPath | undefined;
}

/** @throws Fault invalid */
export function parseContentKey(key: string, at: string): ContentKey {
  checkLimit(at, { what: "characters in its path", found: key.length, max: metadataPathMax.characters });
  const steps = key.split(".");
  checkLimit(at, { what: "steps in its path", found: steps.length, max: metadataPathMax.steps });
  // Before a specifier a step has no other end than its name.
  if (steps.some((step, index) => step === "" || (index > 0 && step.startsWith("[")))) {
    throw refusal(at, "a path has no empty step");
  }
  const [tag = ""] = steps;
  return { tag, path: tag === key ? undefined : parseFieldPath(key.slice(tag.length + 1), at) };
}

function parseFieldPath(text: string, at: string): FieldPath {
  const [specifier, another] = text.matchAll(/\[[^[\]]*\]?|\]/g);
  if (specifier === undefined) return { field: text };
  if (another !== undefined) throw refusal(at, "a path has one list specifier at most");
  const items = parseItems(specifier[0], at);
  const field = text.slice(0, specifier.index);
  const behind = text.slice(specifier.index + specifier[0].length);
  if (behind === "") return { field, items };
  if (!behind.startsWith(".")) throw refusal(at, "a list specifier stands at the end of a step");
  return { field, items, itemField: behind.slice(1) };
}

/** The highest index that a list of Arrow with 32-bit offsets has; nobody asks for one beyond it. */
const itemIndexMax = 2 ** 31 - 1;

function parseItems(specifier: string, at: string): ItemChoice {
  if (specifier === "[?]") return { kind: "any" };
  if (specifier === "[!]") return { kind: "all" };
  const [, digits] = /^\[(0|[1-9][0-9]{0,9})\]$/.exec(specifier) ?? [];
  const index = Number(digits);
  if (digits === undefined || index > itemIndexMax) {
    throw refusal(at, `expected the list specifier [i], [?] or [!], found ${JSON.stringify(specifier.slice(0, 40))}`);
  }
  return { kind: "at", index };
}
