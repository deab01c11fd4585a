/** The one place where an errno of the operating system becomes a fault. */

import { constants } from "node:os";
import { Fault, type FaultCode } from "../model/fault.ts";

const codeOfErrno: Readonly<Record<string, FaultCode>> = {
  ENOSPC: "overloaded",
  EDQUOT: "overloaded",
  EMFILE: "overloaded",
  ENFILE: "overloaded",
  ENOMEM: "overloaded",
  EFBIG: "overloaded",
  EACCES: "unavailable",
  EPERM: "unavailable",
  EROFS: "unavailable",
  EIO: "unavailable",
  ENOENT: "absent",
  EADDRINUSE: "unavailable",
  EEXIST: "exists",
  // Something that is no directory is where one belongs.
  ENOTDIR: "exists",
  ENAMETOOLONG: "invalid",
  ELOOP: "invalid",
};

const nameOfNumber = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** The name of the errno behind an error of Node, which knows no name for some (EDQUOT is one), or of LMDB. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  if (typeof error.code === "number") return nameOfNumber.get(error.code);
  const named = "errno" in error && typeof error.errno === "number" ? nameOfNumber.get(-error.errno) : undefined;
  return named ?? (typeof error.code === "string" ? error.code : undefined);
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
  return hasErrno(error, ["EMFILE", "ENFILE"]);
}

/** A full disk or quota refuses one write; anything else that a write meets makes the store doubtful. */
export function isDiskFull(error: unknown): boolean {
  return hasErrno(error, ["ENOSPC", "EDQUOT"]);
}

/** A file system takes no larger files. */
export function isFileTooLarge(error: unknown): boolean {
  return hasErrno(error, ["EFBIG"]);
}

/** Whether the error or what caused it is one of these. The code of a fault is none of the system. */
function hasErrno(error: unknown, errnos: readonly string[]): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const errno = at instanceof Fault ? undefined : errnoOf(at);
    if (errno !== undefined && errnos.includes(errno)) return true;
  }
  return false;
}
