/** How many bytes per second may go at which time of day, in local time: `08:00-18:00=200kB`, or `2MiB` for all other times. */

export interface RateRule {
  /** Minutes of the day, from the first to before the second; over midnight when that is earlier. Undefined for any time. */
  readonly between?: { readonly fromMinute: number; readonly toMinute: number } | undefined;
  /** 0 for nothing at all. */
  readonly bytesPerSecond: number;
}

const minutesOfDay = 24 * 60;

/** The first rule that holds at a minute of the day; undefined when there is none, so that as much goes as can. */
export function rateAt(rules: readonly RateRule[], minute: number): number | undefined {
  return rules.find(({ between }) => between === undefined || isWithin(between, minute))?.bytesPerSecond;
}

function isWithin({ fromMinute, toMinute }: { fromMinute: number; toMinute: number }, minute: number): boolean {
  return fromMinute <= toMinute ? minute >= fromMinute && minute < toMinute : minute >= fromMinute || minute < toMinute;
}

/** `HH:MM-HH:MM`; undefined when it is none. */
export function parseDayTimes(text: string): RateRule["between"] {
  const [, ...parts] = /^([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})$/.exec(text) ?? [];
  const [fromHour = -1, fromMinute = -1, toHour = -1, toMinute = -1] = parts.map(Number);
  const [from, to] = [60 * fromHour + fromMinute, 60 * toHour + toMinute];
  const isTime = (minutes: number, minute: number): boolean => minutes >= 0 && minutes <= minutesOfDay && minute < 60;
  return isTime(from, fromMinute) && isTime(to, toMinute) ? { fromMinute: from, toMinute: to } : undefined;
}
