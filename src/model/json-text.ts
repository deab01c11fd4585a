/**
 * JSON text that is kept as its author wrote it, but for white space: parsed and written again, a value would lose the order of
 * keys that look like integers and all but the last of equal keys. Whoever calls has had the text checked by `parseJson`.
 */

import { assert } from "./assert.ts";
import { isJsonNumber, writeJson } from "./json.ts";
import type { JsonText } from "./resource.ts";

/** The value of a member of the object that `text` is; of several with one name the last, as `parseJson` has it. */
export function memberText(text: string, name: string): JsonText | undefined {
  let found: { start: number; end: number } | undefined;
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  while (text.charCodeAt(at) !== closeBrace) {
    assert(text.charCodeAt(at) === quote, "a member of an object begins with its name");
    const nameEnd = endOfString(text, at);
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, start);
    if (JSON.parse(text.slice(at, nameEnd)) === name) found = { start, end };
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  return found === undefined ? undefined : withoutSpace(text.slice(found.start, found.end));
}

/** The values of the array that `text` is, without white space. */
export function elementTexts(text: JsonText): JsonText[] {
  const found: JsonText[] = [];
  let at = 1;
  while (text.charCodeAt(at) !== closeBracket) {
    const end = endOfValue(text, at);
    found.push(text.slice(at, end) as JsonText);
    at = text.charCodeAt(end) === comma ? end + 1 : end;
  }
  return found;
}

/** A value that is written as the text that it has. */
export class EmbeddedJson {
  readonly text: JsonText;

  constructor(text: JsonText) {
    this.text = text;
  }
}

/** `writeJson` of a value that may have embedded texts among its members. */
export function composeJson(value: unknown): JsonText {
  if (value instanceof EmbeddedJson) return value.text;
  if (Array.isArray(value)) return `[${value.map(composeJson).join(",")}]` as JsonText;
  if (typeof value !== "object" || value === null || isJsonNumber(value)) return writeJson(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${writeJson(name)}:${composeJson(member)}`).join(",")}}` as JsonText;
}

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

/** Index behind the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let code = text.charCodeAt(at); code !== quote; code = text.charCodeAt(at)) {
    assert(at < text.length, "a string has an end");
    at += code === backslash ? 2 : 1;
  }
  return at + 1;
}

/** Index behind the value that begins at `start`. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; ; ) {
    assert(at < text.length, "a value has an end");
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
      if (depth === 0) return at;
      continue;
    }
    if (code === openBracket || code === openBrace) depth += 1;
    else if (code === closeBracket || code === closeBrace) {
      // The bracket of the object around it: the value was a number or a word.
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (code === comma || isSpace(code))) return at;
    at += 1;
  }
}

function withoutSpace(text: string): JsonText {
  const pieces: string[] = [];
  let kept = 0;
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
      continue;
    }
    if (isSpace(code)) {
      if (at > kept) pieces.push(text.slice(kept, at));
      kept = at + 1;
    }
    at += 1;
  }
  pieces.push(text.slice(kept));
  return pieces.join("") as JsonText;
}
