/** What can go wrong outside the program, once. A `Fault` reaches the caller with its message; anything else is a bug. */

export const faultCodes = [
  "invalid",
  "unauthenticated",
  "denied",
  "absent",
  "exists",
  "wrong_state",
  "overloaded",
  "unsupported",
  "cancelled",
  "expired",
  "unavailable",
  "corrupt",
  "internal",
] as const;

export type FaultCode = (typeof faultCodes)[number];

/** An error of the world: its message names what, where, expected and found, and may be shown to whoever caused it. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: FaultCode;

  constructor(code: FaultCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
