/**
 * The friendly form of a query: `--where 'imu.acceleration.x > 20'` into the JSON of the protocol. A value is JSON, or else a text
 * as it stands; what fields and values mean is said once, by the parser of queries.
 */

import { Fault } from "../model/fault.ts";
import { isJsonNumber, type JsonObject, type JsonValue, parseJson } from "../model/json.ts";

const symbols = {
  "==": "$eq",
  "=": "$eq",
  "!=": "$neq",
  "<=": "$leq",
  "<": "$lt",
  ">=": "$geq",
  ">": "$gt",
  "~": "$match",
} as const satisfies Record<string, string>;

const forms =
  "TAG.FIELD = != < <= > >= ~ VALUE, between A and B, outside A and B, in [A, B], exists, missing, TAG.FIELD norm > VALUE, or TAG within box S W N E or circle LAT LON RADIUS_M";

/** A path, which may have `[!]` in it, then a symbol or a word, then what it is compared with, itself or its length. */
const clause =
  /^\s*(?<path>(?:\[[^\]]*\]|[^\s=!<>~[])+)(?=[\s=!<>~])\s*(?<norm>norm(?=[\s=!<>]))?\s*(?<operator>==?|!=|<=?|>=?|~|(?:between|outside|in|exists|missing|within)(?=\s|\[|$))\s*(?<operand>.*?)\s*$/s;

/** One condition, the key of which is a tag or a tag with a field. @throws Fault invalid */
export function parseWhere(text: string): JsonObject {
  const { path, norm, operator, operand = "" } = clause.exec(text)?.groups ?? {};
  if (path === undefined || operator === undefined) throw unreadable(text);
  const condition = conditionOf(operator, operand, text);
  return { [path]: norm === undefined ? condition : { $norm: condition } };
}

function conditionOf(operator: string, operand: string, text: string): JsonValue {
  switch (operator) {
    case "exists":
    case "missing":
      if (operand !== "") throw unreadable(text);
      return { [operator === "exists" ? "$ex" : "$nex"]: null };
    case "between":
    case "outside": {
      const [, from, to] = /^(.+?)\s+and\s+(.+)$/s.exec(operand) ?? [];
      if (from === undefined || to === undefined) throw unreadable(text);
      return { [`$${operator}`]: [readValue(from), readValue(to)] };
    }
    case "in": {
      const list = readValue(operand);
      if (!Array.isArray(list)) throw unreadable(text);
      return { $in: list };
    }
    case "within":
      return { $within: areaOf(operand, text) };
  }
  if (operand === "") throw unreadable(text);
  const name = symbols[operator as keyof typeof symbols];
  // A pattern is a text, whatever it looks like.
  return { [name]: name === "$match" ? operand : readValue(operand) };
}

function areaOf(operand: string, text: string): JsonObject {
  const [kind, ...words] = operand.split(/[\s,]+/);
  const numbers = words.map(readValue);
  if ((kind !== "box" && kind !== "circle") || !numbers.every(isJsonNumber)) throw unreadable(text);
  return { [kind]: numbers };
}

/** JSON where it is some, so that integers stay exact and quotes make a text of digits; else the text itself. */
function readValue(text: string): JsonValue {
  try {
    return parseJson(text, "a value");
  } catch (error) {
    if (!(error instanceof Fault) || /^["[{]/.test(text)) throw error;
    // What goes on behind a number is a mistake sooner than a text.
    if (/^[-+.0-9]\S*\s/.test(text))
      throw new Fault("invalid", `--where: expected a number or a text, found ${text}; such texts need quotes: "..."`);
    return text;
  }
}

function unreadable(text: string): Fault {
  return new Fault("invalid", `--where: expected ${forms}; found ${JSON.stringify(text)}`);
}
