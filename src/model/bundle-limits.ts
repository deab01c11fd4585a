/** The limits of bundles; those of sync are in sync-limits.ts, all others in limits.ts. */

import { messageBytes } from "./limits.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/**
 * What a reader takes: bytes of the manifest and of one document, which are read whole; members, of which a manifest of that size lists
 * no more; parts, whose number has three digits.
 */
export const bundleMax = {
  manifestBytes: 64 * MiB,
  documentBytes: 64 * MiB,
  members: 400_000,
  sessions: 100_000,
  parts: 999,
} as const;

/** The smallest part: what stands before the first session has to fit into it. */
export const bundlePartBytesLeast: number = 64 * KiB;

/** Bytes that are read and written at a time, and between two syncs of what is written: so much is written again after a power cut. */
export const bundlePieceBytes: number = MiB;
export const bundleSyncBytes: number = 64 * MiB;

/** Memory for messages on their way out of a bundle: one of the largest, as it is read and as it is sent. No more is held than it takes. */
export const bundleBudgetBytes: number = 2 * messageBytes.most + 64 * MiB;

/** How often an import looks anew for who serves the store, when that one has come or gone meanwhile: a few may begin at once. */
export const importOwnersMax = 5;

/** Time without any progress after which a push gives up, and between two looks at how far it is. */
export const bundleWaitMs = 60_000;
export const bundleLookMs = 50;
