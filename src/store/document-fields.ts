/** Members of a JSON document by name and type. Whoever reads says what is expected; anything else is a Fault `corrupt`. */

import { assert } from "../model/assert.ts";
import { Fault } from "../model/fault.ts";
import { integerOf, isJsonNumber, isJsonObject, type JsonObject, type JsonValue, parseJson } from "../model/json.ts";
import { elementTexts, memberText } from "../model/json-text.ts";
import type { JsonText } from "../model/resource.ts";
import { timeNsMax, timeNsMin } from "../model/time.ts";
import { checkDocument } from "./document-seal.ts";

export interface DocumentFields {
  /** Any value, but present: as it is written. */
  json(name: string): JsonText;
  /** Undefined when the member is null or not there. */
  optional(name: string): JsonValue | undefined;
  text(name: string): string;
  /** An int64. */
  integer(name: string): bigint;
  /** From 0 to 2^53 - 1. */
  count(name: string): number;
  object(name: string): DocumentFields;
  list(name: string): DocumentFields[];
}

/** @throws Fault corrupt when the text has changed since it was written, or is no object */
export function readDocument(text: string, path: string): DocumentFields {
  checkDocument(text, path);
  let value: JsonValue;
  try {
    value = parseJson(text, path);
  } catch (error) {
    throw new Fault("corrupt", `${path} is no JSON`, error);
  }
  return fieldsOf(value, { path, source: () => text });
}

interface Origin {
  readonly path: string;
  /** The text that was parsed. */
  source(): string;
}

function fieldsOf(given: JsonValue, { path, source }: Origin): DocumentFields {
  if (!isJsonObject(given)) throw new Fault("corrupt", `${path}: expected an object`);
  const object: JsonObject = given;
  const wrong = (name: string, expected: string): Fault =>
    new Fault("corrupt", `${path}: expected ${expected} as "${name}", found ${shown(object[name])}`);
  const sourceOf = (name: string): JsonText => {
    const text = memberText(source(), name);
    assert(text !== undefined, "what was parsed is in the text");
    return text;
  };
  const optional = (name: string): JsonValue | undefined => object[name] ?? undefined;
  const integer = (name: string): bigint => {
    const found = object[name];
    const number = isJsonNumber(found) ? integerOf(found) : undefined;
    if (number === undefined || number < timeNsMin || number > timeNsMax) throw wrong(name, "an integer of 64 bits");
    return number;
  };
  return {
    optional,
    integer,
    json(name) {
      if (object[name] === undefined) throw wrong(name, "a value");
      return sourceOf(name);
    },
    text(name) {
      const found = object[name];
      if (typeof found !== "string") throw wrong(name, "a text");
      return found;
    },
    count(name) {
      const number = Number(integer(name));
      if (number < 0 || !Number.isSafeInteger(number)) throw wrong(name, "a count");
      return number;
    },
    object: (name) => fieldsOf(object[name] ?? null, { path: `${path}: ${name}`, source: () => sourceOf(name) }),
    list(name) {
      const found = object[name];
      if (!Array.isArray(found)) throw wrong(name, "a list");
      const texts = elementTexts(sourceOf(name));
      return found.map((one: JsonValue, index) =>
        fieldsOf(one, { path: `${path}: ${name}[${index}]`, source: () => texts[index] ?? "" }),
      );
    },
  };
}

function shown(value: JsonValue | undefined): string {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 100);
}
