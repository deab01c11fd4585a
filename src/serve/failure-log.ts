/**
 * Failed calls in the log: equal ones at most once per interval, with the number of those that were left out, because a client
 * with a wrong key polls forty times a second. Each failure is a line of its own or counted in the `repeated` of one line.
 */

import { isDiskFull } from "../host/errno.ts";
import type { Log, LogFields } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import { refusalIntervalMs, refusalKindsMax } from "../model/limits.ts";
import { type Status, toStatus } from "../wire/grpc-status.ts";

export interface FailedCall {
  readonly call: string;
  /** `address:port`. */
  readonly peer: string;
}

type FailureLevel = "info" | "warning" | "error";

interface Kind {
  readonly level: FailureLevel;
  readonly writtenMs: number;
  /** Failures since the line was written, and the last of them. */
  leftOut: number;
  fields: LogFields;
}

export class FailureLog {
  readonly #log: Log;
  /** The one whose line is oldest first. */
  readonly #kinds = new Map<string, Kind>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Kinds of failures that are remembered now. */
  get kinds(): number {
    return this.#kinds.size;
  }

  /** Takes down a failed call; a client that went away is no failure. Returns the status for the client. */
  failed(where: FailedCall, error: unknown, nowMs: number): Status {
    const status = toStatus(error);
    const level = levelOf(error);
    if (level === undefined) return status;
    const isBug = !(error instanceof Fault) || error.code === "internal";
    const fields = { ...where, status: status.code, details: status.details, ...(isBug ? { cause: error } : {}) };
    const key = keyOf(where, status, level === "error" ? String(error) : "");
    const known = this.#kinds.get(key);
    if (known !== undefined && nowMs - known.writtenMs < refusalIntervalMs) {
      known.leftOut += 1;
      known.fields = fields;
      return status;
    }
    this.#kinds.delete(key);
    this.#writeExpired(nowMs);
    this.#write(level, fields, known?.leftOut ?? 0);
    this.#kinds.set(key, { level, writtenMs: nowMs, leftOut: 0, fields });
    return status;
  }

  /** Writes what was left out so far. */
  close(): void {
    for (const kind of this.#kinds.values()) this.#writeLeftOut(kind);
    this.#kinds.clear();
  }

  /** Also the oldest one when there are too many, however young it is. */
  #writeExpired(nowMs: number): void {
    for (const [key, kind] of this.#kinds) {
      if (nowMs - kind.writtenMs < refusalIntervalMs && this.#kinds.size < refusalKindsMax) return;
      this.#kinds.delete(key);
      this.#writeLeftOut(kind);
    }
  }

  #writeLeftOut({ level, leftOut, fields }: Kind): void {
    if (leftOut > 0) this.#write(level, fields, leftOut - 1);
  }

  #write(level: FailureLevel, fields: LogFields, repeated: number): void {
    const event = level === "error" ? "call_failed" : "call_refused";
    this.#log[level](event, repeated === 0 ? fields : { ...fields, repeated });
  }
}

/** Bugs and broken data are for somebody to look at, a full disk for somebody to clear; the rest the client has to see to. */
function levelOf(error: unknown): FailureLevel | undefined {
  if (!(error instanceof Fault) || error.code === "internal" || error.code === "corrupt") return "error";
  if (error.code === "cancelled") return undefined;
  return error.code === "overloaded" && isDiskFull(error) ? "warning" : "info";
}

/** Ports are left out: a client that is refused often connects anew. Words count only where they are ours, as in errors. */
function keyOf({ call, peer }: FailedCall, { code }: Status, words: string): string {
  return JSON.stringify([call, peer.slice(0, peer.lastIndexOf(":")), code, words.slice(0, 200)]);
}
