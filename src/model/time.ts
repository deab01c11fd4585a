/** Time as Mosaico has it: int64 nanoseconds, beyond 2^53 and therefore bigint. Windows are half-open. */

import { Fault } from "./fault.ts";

/** Nanoseconds since 1970-01-01T00:00:00Z, or whatever clock a producer uses. */
export type TimeNs = bigint;

export const timeNsMin: TimeNs = -(2n ** 63n);
export const timeNsMax: TimeNs = 2n ** 63n - 1n;

/** A closed range of times, both ends included; the range of existing rows. */
export interface TimeRange {
  readonly startNs: TimeNs;
  readonly endNs: TimeNs;
}

/** A half-open window [startNs, endNs). An end of `timeNsMax` means no end, as upstream has it; so the last row is in. */
export interface TimeWindow {
  readonly startNs: TimeNs;
  readonly endNs: TimeNs;
}

export const everything: TimeWindow = { startNs: timeNsMin, endNs: timeNsMax };

export function isEmptyWindow(window: TimeWindow): boolean {
  return window.startNs >= window.endNs && window.endNs !== timeNsMax;
}

export function includesTime(window: TimeWindow, timeNs: TimeNs): boolean {
  return timeNs >= window.startNs && (timeNs < window.endNs || window.endNs === timeNsMax);
}

export function windowOverlaps(window: TimeWindow, range: TimeRange): boolean {
  if (isEmptyWindow(window)) return false;
  return range.endNs >= window.startNs && (range.startNs < window.endNs || window.endNs === timeNsMax);
}

export function windowCovers(window: TimeWindow, range: TimeRange): boolean {
  return includesTime(window, range.startNs) && includesTime(window, range.endNs);
}

export function unionRange(a: TimeRange | undefined, b: TimeRange | undefined): TimeRange | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return { startNs: a.startNs < b.startNs ? a.startNs : b.startNs, endNs: a.endNs > b.endNs ? a.endNs : b.endNs };
}

/** Checks that a bigint fits int64. @throws Fault invalid */
export function checkTimeNs(value: bigint, what: string): TimeNs {
  if (value < timeNsMin || value > timeNsMax) {
    throw new Fault("invalid", `Bad request: ${what} is ${value}, expected an int64 number of nanoseconds.`);
  }
  return value;
}
