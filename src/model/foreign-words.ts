/** What others say, as it may be shown to people and kept: on a terminal, in a log, in the catalog. */

import { foreignWordsMax } from "./limits.ts";
import { hideTokens } from "./secret.ts";

/** Controls a terminal would obey, and marks that make text read another way than it is written. */
const controls = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** The UUID of what is not finalized lets whoever knows it write. */
const uuids = /\b([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\b/gi;

/** The text in one line of at most `foreignWordsMax` characters, without tokens and UUIDs. */
export function shownWords(text: string): string {
  // What is cut off need not be looked at; a little more, lest a token is cut before it is seen.
  const clean = hideTokens(text.slice(0, 2 * foreignWordsMax))
    .replaceAll(uuids, "$1-\u2026")
    .replaceAll(controls, " ")
    .trim();
  return text.length <= 2 * foreignWordsMax && clean.length <= foreignWordsMax
    ? clean
    : `${clean.slice(0, foreignWordsMax)}\u2026`;
}
