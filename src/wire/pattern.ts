/** The two pattern languages of `$match` on names: SQL LIKE inside the text (key `locator`), glob over the whole (key `name`). */

import { Fault } from "../model/fault.ts";
import type { Pattern, PatternElement } from "../model/predicate.ts";

const run: PatternElement = { kind: "run" };
const one: PatternElement = { kind: "one" };
const digit: PatternElement = { kind: "set", ranges: [[48, 57]], negated: false };

/** `%` any run, `_` any character, `\` escapes; `%` is put before and behind, as 0.4 does, so it means "contains". */
export function likePattern(text: string): Pattern {
  const elements: PatternElement[] = [run];
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    const escaped = characters[at + 1];
    if (character === "\\" && escaped !== undefined) {
      elements.push({ kind: "literal", character: escaped });
      at += 1;
    } else if (character === "%") elements.push(run);
    else if (character === "_") elements.push(one);
    else elements.push({ kind: "literal", character });
  }
  elements.push(run);
  return elements;
}

/**
 * `*` any run, `?` any character, `#` a digit, `[abc]` `[a-z]` `[!a-z]` a set, `\` escapes.
 * @throws Fault invalid when a set is not closed
 */
export function globPattern(text: string, path: string): Pattern {
  const elements: PatternElement[] = [];
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "\\" && at + 1 < characters.length) {
      at += 1;
      elements.push({ kind: "literal", character: characters[at] ?? "" });
    } else if (character === "*") elements.push(run);
    else if (character === "?") elements.push(one);
    else if (character === "#") elements.push(digit);
    else if (character === "[") {
      const end = characters.indexOf("]", at + 2);
      if (end < 0) {
        throw new Fault(
          "invalid",
          `Bad request: ${path}: the set that starts at character ${at} of ${JSON.stringify(text.slice(0, 100))} has no end.`,
        );
      }
      elements.push(readSet(characters.slice(at + 1, end)));
      at = end;
    } else elements.push({ kind: "literal", character });
  }
  return elements;
}

function readSet(characters: readonly string[]): PatternElement {
  const negated = characters[0] === "!" || characters[0] === "^";
  const members = negated ? characters.slice(1) : characters;
  const ranges: [number, number][] = [];
  for (let at = 0; at < members.length; at += 1) {
    const first = members[at]?.codePointAt(0) ?? 0;
    const last = members[at + 1] === "-" ? members[at + 2]?.codePointAt(0) : undefined;
    ranges.push([first, last ?? first]);
    if (last !== undefined) at += 2;
  }
  return { kind: "set", ranges: joinRanges(ranges), negated };
}

/** The same characters in ranges that are disjoint and in order, so that one can be found among many. */
function joinRanges(ranges: readonly (readonly [number, number])[]): [number, number][] {
  const joined: [number, number][] = [];
  const inOrder = ranges.filter(([first, last]) => first <= last).sort((a, b) => a[0] - b[0]);
  for (const [first, last] of inOrder) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else joined.push([first, last]);
  }
  return joined;
}
