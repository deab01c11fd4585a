/** The one place where an errno of the operating system becomes a fault. */

import { Fault, type FaultCode } from "../model/fault.ts";

const codeOfErrno: Readonly<Record<string, FaultCode>> = {
  ENOSPC: "overloaded",
  EDQUOT: "overloaded",
  EMFILE: "overloaded",
  ENFILE: "overloaded",
  ENOMEM: "overloaded",
  EACCES: "unavailable",
  EPERM: "unavailable",
  EROFS: "unavailable",
  EIO: "unavailable",
  ENOENT: "absent",
  EADDRINUSE: "unavailable",
};

export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Says what could not be done, where, and why the system refused. */
export function toFault(error: unknown, what: string): Fault {
  if (error instanceof Fault) return error;
  const errno = errnoOf(error);
  const code = (errno === undefined ? undefined : codeOfErrno[errno]) ?? "internal";
  const reason = error instanceof Error ? error.message : String(error);
  return new Fault(code, `Cannot ${what}: ${reason}`, error);
}

/** A full disk or quota refuses one write; anything else that a write meets makes the store doubtful. */
export function isDiskFull(error: unknown): boolean {
  const errno = errnoOf(error instanceof Fault ? error.cause : error);
  return errno === "ENOSPC" || errno === "EDQUOT";
}
