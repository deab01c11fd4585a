/** The only place that knows exit codes, after sysexits.h where it has one. */

import { Fault, type FaultCode } from "../model/fault.ts";
import { hideTokens } from "../model/secret.ts";

const exitCodes = {
  invalid: 64,
  unauthenticated: 77,
  denied: 77,
  absent: 66,
  exists: 73,
  wrong_state: 75,
  overloaded: 74,
  unsupported: 69,
  // As of a command that a signal ends.
  cancelled: 130,
  expired: 1,
  unavailable: 69,
  corrupt: 65,
  internal: 70,
} as const satisfies Record<FaultCode, number>;

export function exitCodeOf(error: unknown): number {
  return error instanceof Fault ? exitCodes[error.code] : exitCodes.internal;
}

/** What is said on stderr: the sentence of a fault, everything that is known of a bug. */
export function describe(error: unknown): string {
  if (error instanceof Fault) return hideTokens(error.message);
  return hideTokens(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
