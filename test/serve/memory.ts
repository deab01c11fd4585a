// The memory of a server, read from outside of it.

import { readFileSync } from "node:fs";

export const MiB = 2 ** 20;

/** Resident anonymous memory of a process, sampled until it is asked for the most. */
export class Memory implements Disposable {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  #most = 0;
  #samples = 0;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#sample(), 10);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  /** Bytes since the last time it was asked for, and how often that was looked. */
  most(): { bytes: number; samples: number } {
    this.#sample();
    const { bytes, samples } = { bytes: this.#most, samples: this.#samples };
    this.#most = 0;
    this.#samples = 0;
    return { bytes, samples };
  }

  /** The most that was ever resident, files included, as the kernel counts it. */
  high(): number {
    return readStatus(this.#pid, "VmHWM");
  }

  #sample(): void {
    this.#most = Math.max(this.#most, readStatus(this.#pid, "RssAnon"));
    this.#samples += 1;
  }
}

function readStatus(pid: number, key: string): number {
  const match = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (match === null) throw new Error(`the process ${pid} has no ${key}`);
  return Number(match[1]) * 1024;
}

export function inMiB(bytes: number): string {
  return `${(bytes / MiB).toFixed(0)} MiB`;
}
