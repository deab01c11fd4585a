/** What an agent tells of itself, to whoever looks at it while it works. */

import type { SessionLocator } from "../model/locator.ts";
import type { Census } from "./census.ts";

export type AgentState = "idle" | "closed" | "connecting" | "sending" | "waiting";

export interface AgentUse {
  readonly target: string;
  readonly url: string;
  readonly state: AgentState;
  /** What the other one says that it is; undefined before it was reached. */
  readonly remote: string | undefined;
  /** Whether that is an edge: it takes UUIDs of our choice, and so knows by itself what is ours. */
  readonly isEdge: boolean | undefined;
  readonly census: Census | undefined;
  readonly sending: Sending | undefined;
  readonly sentBytes: number;
  readonly sentRows: number;
  /** How often something was read here or there that does not go, to be counted or compared: it comes further by that too. */
  readonly readings: number;
  readonly brokenOff: number;
  /** Why nothing may go now; undefined when it may. */
  readonly closed: string | undefined;
  /** Why it waits, and for how many milliseconds more. */
  readonly lastError: string | undefined;
  readonly retryInMs: number | undefined;
}

export interface Sending {
  readonly session: SessionLocator;
  readonly bytes: number;
  /** Since it was begun or went on; what had been sent before does not count. */
  readonly sentBytes: number;
  readonly seconds: number;
}

export interface Progress {
  readonly session: SessionLocator;
  readonly bytes: number;
  sentBytes: number;
  readonly sinceMs: number;
}

export function sendingOf({ session, bytes, sentBytes, sinceMs }: Progress, nowMs: number): Sending {
  return { session, bytes, sentBytes, seconds: Math.round(nowMs - sinceMs) / 1000 };
}
