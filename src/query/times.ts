/** Dates and times as columns have them. A text operand is a time in ISO 8601 or an integer; a number is one in the column's unit. */

import type { Scalar } from "../model/predicate.ts";
import { type Domain, type Fraction, numbers } from "./interval.ts";

const integers = numbers("integer");

const nsPerSecond = 1_000_000_000n;
export const nsPerDay = 86_400n * nsPerSecond;

/** Units of times by their number in Arrow: seconds, milliseconds, microseconds, nanoseconds. */
export const nsPerUnit = [nsPerSecond, 1_000_000n, 1_000n, 1n] as const;

/** Points in time since 1970, in units of so many nanoseconds. */
export function points(unitNs: bigint): Domain {
  return timesBy(unitNs, pointNs);
}

/** Times of day. */
export function timesOfDay(unitNs: bigint): Domain {
  return timesBy(unitNs, (text) => clockNs(text));
}

/** Spans of time: only numbers say how long. */
export function durations(unitNs: bigint): Domain {
  return timesBy(unitNs, () => undefined);
}

function timesBy(unitNs: bigint, readText: (text: string) => bigint | undefined): Domain {
  return {
    kind: "integer",
    read(operand: Scalar): Fraction | undefined {
      if (typeof operand !== "string") return integers.read(operand);
      if (/^-?[0-9]{1,19}$/.test(operand)) return { floor: BigInt(operand), whole: true };
      const ns = readText(operand);
      return ns === undefined ? undefined : divided(ns, unitNs);
    },
  };
}

function divided(ns: bigint, unitNs: bigint): Fraction {
  const rest = ((ns % unitNs) + unitNs) % unitNs;
  return { floor: (ns - rest) / unitNs, whole: rest === 0n };
}

const datePattern = /^([+-]?[0-9]{4,6})-([0-9]{2})-([0-9]{2})(?:[T ](.+))?$/;
const clockPattern = /^([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$/;

/** Nanoseconds since 1970 of a date, or a date and time; without a zone that of UTC. Undefined when the text is none. */
function pointNs(text: string): bigint | undefined {
  const [, year = "", month = "", day = "", clock] = datePattern.exec(text) ?? [];
  if (year === "") return undefined;
  const days = daysSince1970(Number(year), Number(month), Number(day));
  const inDay = clock === undefined ? 0n : clockNs(clock, true);
  return days === undefined || inDay === undefined ? undefined : BigInt(days) * nsPerDay + inDay;
}

function daysSince1970(year: number, month: number, day: number): number | undefined {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // The 30th of February is in March.
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() / 86_400_000 : undefined;
}

function clockNs(text: string, zoned = false): bigint | undefined {
  const [whole, hours = "", minutes = "", seconds = "0", fraction = "", zone] = clockPattern.exec(text) ?? [];
  if (whole === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  if (zone !== undefined && !zoned) return undefined;
  const inDay = (BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds);
  return (inDay - zoneSeconds(zone)) * nsPerSecond + BigInt(fraction.padEnd(9, "0"));
}

function zoneSeconds(zone: string | undefined): bigint {
  if (zone === undefined || zone === "Z") return 0n;
  const seconds = (BigInt(zone.slice(1, 3)) * 60n + BigInt(zone.slice(-2))) * 60n;
  return zone.startsWith("-") ? -seconds : seconds;
}
