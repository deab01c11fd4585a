/**
 * Values of user metadata as conditions read them. The operand's type says how, as upstream does it: beside a text operand a value is
 * its text, beside a number a number, beside a boolean a boolean. What cannot be read so does not match.
 */

import { integerOf, isJsonNumber, isJsonObject, type JsonValue, writeJson } from "./json.ts";
import { integerCharactersMax } from "./limits.ts";

export function textIn(value: JsonValue): string {
  return typeof value === "string" ? value : writeJson(value);
}

export function booleanIn(value: JsonValue): boolean | undefined {
  if (value === true || value === "true") return true;
  return value === false || value === "false" ? false : undefined;
}

/** A number, or a text that spells one. A bigint when it is an integer. */
export function numberIn(value: JsonValue): bigint | number | undefined {
  if (isJsonNumber(value)) return integerOf(value) ?? Number(value.rawJSON);
  if (typeof value !== "string") return undefined;
  if (!/^\s*-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\s*$/.test(value)) return undefined;
  const isInteger = value.length <= integerCharactersMax && /^\s*-?[0-9]+\s*$/.test(value);
  return isInteger ? BigInt(value.trim()) : Number(value);
}

/** A value that has none below it, and the steps that lead to it: keys, and indices into arrays. */
export interface MetadataLeaf {
  readonly path: readonly string[];
  readonly value: JsonValue;
}

/** All leaves but nulls, which are as good as missing. */
export function* metadataLeaves(value: JsonValue, path: readonly string[] = []): Generator<MetadataLeaf> {
  if (Array.isArray(value) || isJsonObject(value)) {
    for (const [step, child] of Object.entries(value as Record<string, JsonValue>))
      yield* metadataLeaves(child, [...path, step]);
  } else if (value !== null) yield { path, value };
}
