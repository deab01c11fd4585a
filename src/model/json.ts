/** JSON with exact numbers: every number keeps its spelling, so int64 stays exact and 1.0 stays a float. */

import { Fault } from "./fault.ts";
import { integerCharactersMax, jsonDepthMax } from "./limits.ts";
import type { JsonText } from "./resource.ts";

/** A number of a JSON text in its own spelling. `JSON.stringify` writes it back unchanged. */
export interface JsonNumber {
  readonly rawJSON: string;
}

export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

// The two functions are in V8 since 2023 and in ES2026; TypeScript's library does not know them yet.
interface JsonWithSource {
  parse(
    text: string,
    reviver: (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): JsonNumber;
  isRawJSON(value: unknown): value is JsonNumber;
}
const json = JSON as unknown as JsonWithSource;

/** @throws Fault invalid when the text is not JSON (NaN and Infinity are not) or nested too deeply */
export function parseJson(text: string, what: string): JsonValue {
  const depth = depthOf(text);
  if (depth > jsonDepthMax) {
    throw new Fault(
      "invalid",
      `Bad request: ${what} is nested ${depth} levels deep, at most ${jsonDepthMax} are allowed.`,
    );
  }
  try {
    return json.parse(text, (_key, value, context) =>
      typeof value === "number" ? json.rawJSON(context.source ?? String(value)) : value,
    ) as JsonValue;
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    throw new Fault("invalid", `Bad request: ${what} is not JSON: ${reason}.`, error);
  }
}

/** How deep brackets are nested, outside of strings; of a text that is no JSON it says nothing. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === backslash) at += 1;
      else if (code === quote) inString = false;
    } else if (code === quote) inString = true;
    else if (code === openBracket || code === openBrace) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (code === closeBracket || code === closeBrace) depth -= 1;
  }
  return deepest;
}

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

export function writeJson(value: unknown): JsonText {
  return JSON.stringify(value) as JsonText;
}

export function isJsonNumber(value: unknown): value is JsonNumber {
  return json.isRawJSON(value);
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isJsonNumber(value);
}

/** An integer, exactly, to be written as a bare number. */
export function jsonInteger(value: bigint | number): JsonNumber {
  return json.rawJSON(value.toString());
}

const integerSpelling = /^-?(?:0|[1-9][0-9]*)$/;

/** The number as bigint when it is spelled as an integer of a length that any type has, else undefined. */
export function integerOf({ rawJSON }: JsonNumber): bigint | undefined {
  return rawJSON.length <= integerCharactersMax && integerSpelling.test(rawJSON) ? BigInt(rawJSON) : undefined;
}
