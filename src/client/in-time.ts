/** Waits for a remote, and not for ever. */

import { Fault } from "../model/fault.ts";
import { remoteCallMs } from "../model/sync-limits.ts";

/**
 * @param did what the remote did all the time, as "sent nothing"
 * @throws Fault unavailable when it takes too long
 */
export async function inTime<T>(what: Promise<T>, did: string, waitMs: number = remoteCallMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const seconds = Math.round(waitMs / 1000);
    timer = setTimeout(() => reject(new Fault("unavailable", `The remote ${did} for ${seconds} s.`)), waitMs);
  });
  try {
    return await Promise.race([what, late]);
  } finally {
    clearTimeout(timer);
  }
}
