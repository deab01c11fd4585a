// What becomes of a query, for tables that say it: taken, or refused with a sentence of its kind that names the field.

import { expect } from "vitest";
import { Fault } from "../../src/model/fault.ts";

/** @param refused what a refusal has to say and where; undefined when the query is to be taken */
export function expectOutcome(
  parse: (text: string) => unknown,
  text: string,
  refused: { readonly sentence: RegExp; readonly path: string } | undefined,
): void {
  let fault: unknown;
  try {
    parse(text);
  } catch (error) {
    fault = error;
  }
  if (refused === undefined) {
    expect(fault, text).toBeUndefined();
    return;
  }
  expect(fault, text).toBeInstanceOf(Fault);
  const { code, message } = fault as Fault;
  expect(code).toBe("invalid");
  expect(message, text).toMatch(refused.sentence);
  expect(message, text).toMatch(/^Bad request: .*\.$/);
  expect(message, text).toContain(refused.path);
}
