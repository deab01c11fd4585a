/** Whether anything may go to a target now: by the time of day, by what this machine is connected to, and by what it reaches. */

import { isConnected, isReachable } from "../host/network.ts";
import { reachWaitMs } from "../model/sync-limits.ts";
import type { Target } from "../model/target.ts";
import { rateAt } from "../model/timetable.ts";

/** Bytes per second that may go now; undefined for as many as can. */
export function rateNow({ rates }: Pick<Target, "rates">, now: Date): number | undefined {
  return rateAt(rates, 60 * now.getHours() + now.getMinutes());
}

/** Why nothing may go now; undefined when it may. */
export async function whyClosed(target: Target, now: Date): Promise<string | undefined> {
  if (rateNow(target, now) === 0) return "the timetable lets nothing go at this time of day";
  const { interfaces, whenReachable } = target;
  if (interfaces.length > 0 && !interfaces.some(isConnected)) return `no connection over ${interfaces.join(" or ")}`;
  if (whenReachable !== undefined && !(await isReachable(whenReachable, reachWaitMs)))
    return `${whenReachable.host}:${whenReachable.port} is not reachable`;
  return undefined;
}
