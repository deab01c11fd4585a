/** Time of this machine. Wall time is data and may jump; waiting and measuring go by the monotonic clock. */

import type { TimeNs } from "../model/time.ts";

export interface Clock {
  /** Nanoseconds since 1970 by the wall clock; never the same twice, so that creation times order what was created. */
  wallNs(): TimeNs;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number;
}

export function machineClock(): Clock {
  const anchorWallNs = BigInt(Date.now()) * 1_000_000n;
  const anchorMonotonicNs = process.hrtime.bigint();
  let last = 0n;
  return {
    wallNs() {
      // Date.now has milliseconds; the monotonic clock fills in the rest while both agree to a second.
      const coarse = BigInt(Date.now()) * 1_000_000n;
      const fine = anchorWallNs + (process.hrtime.bigint() - anchorMonotonicNs);
      const difference = fine > coarse ? fine - coarse : coarse - fine;
      const now = difference < 1_000_000_000n ? fine : coarse;
      last = now === last ? last + 1n : now;
      return last;
    },
    monotonicMs: () => performance.now(),
  };
}
