/** The header `grpc-timeout`: up to 8 digits and a unit. */

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** A timer fires at once beyond this; a deadline 24 days away is none. */
export const timerMsMax = 2 ** 31 - 1;

/** Milliseconds, undefined when it is no timeout. */
export function parseTimeoutMs(text: string): number | undefined {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text);
  const unit = unitMs[match?.[2] ?? ""];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}
