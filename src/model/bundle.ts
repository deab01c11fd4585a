/** What a bundle says of itself: sessions that go from one machine to another without a link, and the members of the file that has them. */

import type { SessionLocator } from "./locator.ts";
import type { Ulid } from "./resource.ts";
import type { TimeNs } from "./time.ts";

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
