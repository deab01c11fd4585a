// What a process uses, from /proc: read from outside, as an operator would.

import { readFileSync } from "node:fs";

/** Ticks per second of /proc/PID/stat; 100 on every Linux that Node runs on. */
export const ticksPerSecond = 100;

export interface Memory {
  readonly anonymousBytes: number;
  readonly peakResidentBytes: number;
}

/** Seconds of CPU, user and system, since it started. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything; the fields behind it are numbers.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return { anonymousBytes: kilobytes("RssAnon") * 1024, peakResidentBytes: kilobytes("VmHWM") * 1024 };
}

/** The most anonymous memory that a process has while `act` runs, sampled every 20 ms. */
export async function withPeak<T>(
  pid: number,
  act: () => Promise<T>,
): Promise<{ result: T; peakAnonymousBytes: number }> {
  let peakAnonymousBytes = 0;
  const sample = (): void => {
    peakAnonymousBytes = Math.max(peakAnonymousBytes, memoryOf(pid).anonymousBytes);
  };
  const timer = setInterval(sample, 20);
  try {
    const result = await act();
    sample();
    return { result, peakAnonymousBytes };
  } finally {
    clearInterval(timer);
  }
}
