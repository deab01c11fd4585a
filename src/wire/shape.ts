/** Shapes of JSON that several requests share, and the one translation of a shape error into a fault. */

import { z } from "zod";
import { Fault } from "../model/fault.ts";
import { integerOf, isJsonNumber, type JsonValue } from "../model/json.ts";
import { serializationFormats, type Uuid } from "../model/resource.ts";
import { timeNsMax, timeNsMin } from "../model/time.ts";

/** An integer within bounds, exactly, as bigint. */
export function integerWithin(what: string, { least, most }: { least: bigint; most: bigint }) {
  return z
    .custom<JsonValue>((value) => isJsonNumber(value), `expected ${what}`)
    .transform((value, context) => {
      const integer = isJsonNumber(value) ? integerOf(value) : undefined;
      if (integer === undefined || integer < least || integer > most) {
        context.addIssue({ code: "custom", input: value, message: `expected ${what}` });
        return z.NEVER;
      }
      return integer;
    });
}

export const int64 = integerWithin("an int64", { least: timeNsMin, most: timeNsMax });
export const uint64 = integerWithin("a uint64", { least: 0n, most: 2n ** 64n - 1n });

/** Any JSON value, null included, but present. */
export const anyJson = z.custom<JsonValue>((value) => value !== undefined, "is missing");

export const serializationFormat = z.enum(serializationFormats);

const uuidForms = [
  /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i,
  /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/i,
  /^\{([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\}$/i,
  /^urn:uuid:([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i,
];

/** Parses the hyphenated, plain, braced and URN form. @throws Fault invalid */
export function parseUuid(text: string): Uuid {
  for (const form of uuidForms) {
    const match = form.exec(text);
    if (match !== null) return match.slice(1).join("-").toLowerCase() as Uuid;
  }
  throw new Fault("invalid", `Bad request: invalid uuid ${JSON.stringify(text.slice(0, 100))}.`);
}

/** Reads `value` by `shape`. @throws Fault invalid naming the path, what was expected and what was found */
export function parseWith<Shape extends z.ZodType>(shape: Shape, value: unknown, what: string): z.output<Shape> {
  const result = shape.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const problems = result.error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.length === 0 ? "" : `${issue.path.join(".")}: `}${problemOf(issue)}`);
  throw new Fault("invalid", `Bad request: ${what}: ${problems.join("; ")}.`);
}

/** What was expected and what was found, of an issue that has its input. */
export function problemOf(issue: z.core.$ZodIssue): string {
  const found = issue.input === undefined ? "nothing" : kindOf(issue.input as JsonValue);
  switch (issue.code) {
    case "invalid_type":
      return `expected ${issue.expected}, found ${found}`;
    case "invalid_value":
      return `expected one of ${issue.values.map(String).join(", ")}, found ${found}`;
    default:
      return issue.message.includes("expected") ? `${issue.message}, found ${found}` : issue.message;
  }
}

/** What a value is, in the words of an error. */
export function kindOf(value: JsonValue): string {
  if (value === null) return "null";
  if (isJsonNumber(value)) return `the number ${value.rawJSON.slice(0, 40)}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, 40))}`;
  return typeof value === "object" ? "an object" : `the ${typeof value} ${value}`;
}
