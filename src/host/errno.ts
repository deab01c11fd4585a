/** The one place where an errno of the operating system becomes a fault. */

import { constants } from "node:os";
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
  EEXIST: "exists",
  ENAMETOOLONG: "invalid",
  ELOOP: "invalid",
};

export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Says what could not be done, where, and why the system refused. Clients read it too: no path but those in `what`. */
export function toFault(error: unknown, what: string): Fault {
  if (error instanceof Fault) return error;
  const errno = errnoOf(error);
  const code = (errno === undefined ? undefined : codeOfErrno[errno]) ?? "internal";
  return new Fault(code, `Cannot ${what}: ${reasonOf(error)}`, error);
}

/** Node's words for an errno without the call and the absolute paths that it puts behind them. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const at = "syscall" in error ? error.message.indexOf(`, ${error.syscall}`) : -1;
  return at < 0 ? error.message : error.message.slice(0, at);
}

/** No descriptor was free to open a file with: nothing has happened to the file. */
export function isOutOfFiles(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (outOfFilesCodes.has(errnoOf(at) ?? "")) return true;
  return false;
}

const outOfFilesCodes: ReadonlySet<string> = new Set(["EMFILE", "ENFILE"]);

/** By name as Node has them, by number as LMDB does. */
const fullDiskCodes: ReadonlySet<unknown> = new Set([
  "ENOSPC",
  "EDQUOT",
  constants.errno.ENOSPC,
  constants.errno.EDQUOT,
]);

/** A full disk or quota refuses one write; anything else that a write meets makes the store doubtful. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if ("code" in at && fullDiskCodes.has(at.code)) return true;
  return false;
}
