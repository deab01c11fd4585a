/**
 * What may go when room is needed, and in which order. Pure: sessions and a policy in, a plan out. A session goes as a whole,
 * only when it is finalized, and never while its class keeps it.
 */

import type { Ulid } from "./resource.ts";
import type { TimeNs } from "./time.ts";

/** What a policy says of the sessions of one class. */
export interface RetentionClass {
  readonly name: string;
  /** Of a higher one everything goes later. */
  readonly priority: number;
  /** Never evicted. */
  readonly keep: boolean;
  /** Evicted only when a central Mosaico has it. */
  readonly requireSynced: boolean;
  /** Not evicted before it is so old, counted from its end. */
  readonly minAgeNs: bigint;
}

/** A finalized session. */
export interface EvictionCandidate {
  readonly session: Ulid;
  readonly completedAtNs: TimeNs;
  readonly bytes: number;
  /** Whether a central Mosaico has it and that was checked. */
  readonly synced: boolean;
  readonly class: RetentionClass;
}

export interface EvictionNeed {
  /** Bytes that have to come free on the disk, and bytes that are stored beyond the quota. What goes serves both. */
  readonly floorBytes: number;
  readonly quotaBytes: number;
  /** Sessions that are older go in any case; undefined when no age is too old. */
  readonly maxAgeNs: bigint | undefined;
  readonly nowNs: TimeNs;
}

export type EvictionReason = "age" | "floor" | "quota";

export interface Eviction {
  readonly candidate: EvictionCandidate;
  readonly reason: EvictionReason;
}

export interface EvictionPlan {
  readonly evictions: readonly Eviction[];
  /** Bytes that are still lacking when all of these are gone. */
  readonly lackingBytes: number;
  /** Why the others stay, by number of sessions: what a refusal tells. */
  readonly kept: Readonly<Record<KeptReason, number>>;
}

export type KeptReason = "pinned" | "young" | "unsynced";

export function planEviction(candidates: readonly EvictionCandidate[], need: EvictionNeed): EvictionPlan {
  const kept: Record<KeptReason, number> = { pinned: 0, young: 0, unsynced: 0 };
  const free: EvictionCandidate[] = [];
  for (const candidate of candidates) {
    const reason = keptReason(candidate, need.nowNs);
    if (reason === undefined) free.push(candidate);
    else kept[reason] += 1;
  }
  free.sort(earlier);
  const evictions: Eviction[] = [];
  let { floorBytes, quotaBytes } = need;
  for (const candidate of free) {
    const tooOld = need.maxAgeNs !== undefined && need.nowNs - candidate.completedAtNs > need.maxAgeNs;
    if (!tooOld && floorBytes <= 0 && quotaBytes <= 0) continue;
    evictions.push({ candidate, reason: tooOld ? "age" : floorBytes > 0 ? "floor" : "quota" });
    floorBytes -= candidate.bytes;
    quotaBytes -= candidate.bytes;
  }
  return { evictions, lackingBytes: Math.max(0, floorBytes, quotaBytes), kept };
}

function keptReason(candidate: EvictionCandidate, nowNs: TimeNs): KeptReason | undefined {
  if (candidate.class.keep) return "pinned";
  if (candidate.class.requireSynced && !candidate.synced) return "unsynced";
  // A clock that went back makes everything young, never old.
  if (nowNs - candidate.completedAtNs < candidate.class.minAgeNs) return "young";
  return undefined;
}

/** Synced before unsynced, low priority before high, old before new. */
function earlier(a: EvictionCandidate, b: EvictionCandidate): number {
  if (a.synced !== b.synced) return a.synced ? -1 : 1;
  if (a.class.priority !== b.class.priority) return a.class.priority - b.class.priority;
  return a.completedAtNs < b.completedAtNs ? -1 : a.completedAtNs > b.completedAtNs ? 1 : 0;
}
