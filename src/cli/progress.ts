/** How far a command is, in one line of a terminal; where stderr is none, nothing. */

const intervalMs = 200;

export interface Progress {
  show(this: void, bytes: number, bytesTotal: number): void;
  /** Leaves the line empty. */
  end(this: void): void;
}

export function openProgress(what: string): Progress {
  if (!process.stderr.isTTY) return { show: () => undefined, end: () => undefined };
  let lastMs = 0;
  return {
    show(bytes, bytesTotal) {
      const nowMs = performance.now();
      if (nowMs - lastMs < intervalMs) return;
      lastMs = nowMs;
      const percent = bytesTotal === 0 ? 100 : Math.min(100, Math.floor((100 * bytes) / bytesTotal));
      process.stderr.write(`\r${what}: ${percent} % of ${Math.ceil(bytesTotal / 1e6)} MB`);
    },
    end: () => void process.stderr.write("\r\u001b[K"),
  };
}
