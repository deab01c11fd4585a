/** Sentences of what is refused in queries: each names the path, what was expected and what was found. */

import { Fault } from "../model/fault.ts";
import type { JsonValue } from "../model/json.ts";
import { kindOf } from "./shape.ts";

/** @throws Fault invalid when there is more than is allowed */
export function checkLimit(at: string, { what, found, max }: { what: string; found: number; max: number }): void {
  if (found <= max) return;
  throw new Fault("invalid", `Bad request: ${at} has ${found} ${what}, at most ${max} are allowed.`);
}

export function malformed(at: string, expected: string, found: JsonValue): Fault {
  return refusal(at, `${expected}, found ${kindOf(found)}`);
}

export function refusal(at: string, reason: string): Fault {
  return new Fault("invalid", `Bad request: ${at}: ${reason}.`);
}

export function unknownOperator(at: string, operator: string): Fault {
  return refusal(at, `there is no operator ${JSON.stringify(operator.slice(0, 40))}`);
}

export function unsupportedOperation(at: string, operator: string): Fault {
  return operationError(at, `unsupported operation ${operator}`);
}

export function wrongType(at: string, expected: string, found: JsonValue): Fault {
  return operationError(at, `wrong type: expected ${expected}, found ${kindOf(found)}`);
}

export function emptyRange(at: string, { least, most }: { least: unknown; most: unknown }): Fault {
  return operationError(at, `empty range: ${least} is above ${most}`);
}

/** The words of upstream, which says no more than the first two of `problem`. */
function operationError(at: string, problem: string): Fault {
  return new Fault("invalid", `Bad request: operation error :: field \`${at}\` has ${problem}.`);
}
