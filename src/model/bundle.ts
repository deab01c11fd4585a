/** What a bundle says of itself: sessions that go from one machine to another without a link, and the members of the file that has them. */

import type { SessionLocator } from "./locator.ts";
import type { Ulid } from "./resource.ts";
import type { TimeNs } from "./time.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

export interface BundleMember {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of its bytes, 64 hexadecimal digits. */
  readonly sha256: string;
}

export interface BundleSession {
  readonly ulid: Ulid;
  readonly locator: SessionLocator;
  readonly sequenceUlid: Ulid;
  readonly topics: number;
  readonly rows: number;
  /** Of its chunk files. */
  readonly bytes: number;
}

export interface BundleManifest {
  readonly id: Ulid;
  readonly createdAtNs: TimeNs;
  /** Of the program that made it. */
  readonly version: string;
  /** Id of the store that it was made of. */
  readonly store: string;
  /** Bytes of each part but the last, where it is cut into several files. */
  readonly partBytes: number | undefined;
  readonly sessions: readonly BundleSession[];
  /** All but the manifest and its signature, in their order. */
  readonly members: readonly BundleMember[];
}

/** The public half of a signing key as people hand it on: `ed25519:` and 32 bytes in base64url. */
export type PublicKeyText = string & { readonly __brand: "PublicKeyText" };

const publicKeyPattern = /^ed25519:[A-Za-z0-9_-]{43}$/;

export function isPublicKeyText(text: string): text is PublicKeyText {
  return publicKeyPattern.test(text);
}

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

/** Memory for messages on their way out of a bundle. */
export const bundleBudgetBytes: number = 256 * MiB;

/** Time without any progress after which a push gives up, and between two looks at how far it is. */
export const bundleWaitMs = 60_000;
export const bundleLookMs = 50;
