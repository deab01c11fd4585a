/** One JSON line per outcome on stderr: event, time, fields with units. Secrets and UUIDs of authority never come here. */

import fs from "node:fs";
import { hideTokens } from "../model/secret.ts";
import { errnoOf } from "./errno.ts";

export type LogLevel = "debug" | "info" | "warning" | "error";
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warning(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export const logLevels: readonly LogLevel[] = ["debug", "info", "warning", "error"];

export function openLog(least: LogLevel): Log {
  const write = (level: LogLevel, event: string, fields: LogFields = {}): void => {
    if (logLevels.indexOf(level) < logLevels.indexOf(least)) return;
    const line = JSON.stringify({ time: new Date().toISOString(), level, event, ...fields }, writable);
    try {
      fs.writeSync(2, `${hideTokens(line)}\n`);
    } catch {
      // A closed or full stderr must not stop a recording.
    }
  };
  return {
    debug: (event, fields) => write("debug", event, fields),
    info: (event, fields) => write("info", event, fields),
    warning: (event, fields) => write("warning", event, fields),
    error: (event, fields) => write("error", event, fields),
  };
}

function writable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return value.stack ?? value.message;
  return value;
}

/** Says something of what a command does that is not its answer; nothing when there is nothing to say. */
export function remark(text: string | undefined): void {
  if (text !== undefined) process.stderr.write(`${hideTokens(text)}\n`);
}

/** Writes text to stdout, whole, before the program goes on. Whoever reads may have had enough, as `head` has: whether it reads. */
export function printOut(text: string): boolean {
  try {
    fs.writeSync(1, text);
    return true;
  } catch (error) {
    if (errnoOf(error) !== "EPIPE") throw error;
    return false;
  }
}
