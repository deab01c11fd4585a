/** Another Mosaico that finalized sessions go to: an edge, or a central daemon. */

import type { Ulid } from "./resource.ts";
import type { TimeNs } from "./time.ts";
import type { RateRule } from "./timetable.ts";

export const conflictPolicies = ["refuse", "extend"] as const;
/** What becomes of a session whose sequence has a name that the remote has already, from somebody else. */
export type ConflictPolicy = (typeof conflictPolicies)[number];

export const verifications = ["rows", "contents"] as const;
/** What is compared before a session counts as synced: rows and ranges of its topics, or what is in them too. */
export type Verification = (typeof verifications)[number];

/** Sessions that a query finds: by names, tags, user metadata or contents. */
export interface SyncClass {
  readonly name: string;
  /** JSON as clients send it. */
  readonly query: string;
  /** Of a higher one everything goes first. */
  readonly priority: number;
  /** Whether such sessions go there at all. */
  readonly isSent: boolean;
  /** So many may go at most, whatever the time of day allows. */
  readonly bytesPerSecond?: number | undefined;
}

/** Of sessions that no class finds. */
export function restClass(isSent: boolean): SyncClass {
  return { name: "rest", query: "{}", priority: 0, isSent };
}

export interface Target {
  readonly id: Ulid;
  readonly name: string;
  /** As `parseRemoteUrl` reads it. */
  readonly url: string;
  /** Files on this machine: certificates to trust in place of the system's, and the API key. They are read when a connection is made. */
  readonly caFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly onConflict: ConflictPolicy;
  /** `rows` where it says nothing. */
  readonly verify?: Verification | undefined;
  /** Globs for names of sequences: what goes there, all when there are none; and what of that does not. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** The first that finds a session counts. */
  readonly classes: readonly SyncClass[];
  /** Whether sessions go there that no class finds; they have priority 0. */
  readonly restIsSent: boolean;
  /** How often it was said anew what goes there, 0 where it says nothing: sessions that were left out before are looked at again. */
  readonly rules?: number | undefined;
  /** How many bytes may go per second, the first that holds. */
  readonly rates: readonly RateRule[];
  /** Only while one of these network interfaces is connected, and while this address takes connections. */
  readonly interfaces: readonly string[];
  readonly whenReachable?: { readonly host: string; readonly port: number } | undefined;
  /** The identity of the store there, where it tells: of the one that was reached first. */
  readonly store?: string | undefined;
  /** Whether it may be another store since, so that nothing counts as synced there. */
  readonly isUnconfirmed?: boolean | undefined;
  /** When the last session was synced of which somebody said that it does not matter whether it is there: it is the same store. */
  readonly acceptedAtNs?: TimeNs | undefined;
  readonly paused: boolean;
  /** What is known of it is being forgotten; nothing is added to that any more. */
  readonly leaving?: boolean | undefined;
  readonly addedAtNs: TimeNs;
  /** The last time that somebody changed it or wanted it to begin anew. */
  readonly changedAtNs?: TimeNs | undefined;
}

/** What is said of a target where nobody says anything. */
export const unsaid = {
  onConflict: "refuse",
  verify: "rows",
  include: [],
  exclude: [],
  classes: [],
  restIsSent: true,
  rates: [],
  interfaces: [],
} as const satisfies Partial<Target>;

/** Names people give: they stand in commands and logs. */
export const targetNamePattern: RegExp = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
