/** Whose bundles are taken: keys that somebody named, as text or in files. */

import { readOutsideText } from "../host/disk.ts";
import { isPublicKeyText, type PublicKeyText } from "../model/bundle.ts";
import { Fault } from "../model/fault.ts";
import { shown } from "./member-name.ts";

export interface Trust {
  readonly keys: ReadonlySet<PublicKeyText>;
  /** Whether it is enough that somebody has signed it. */
  readonly anyKey: boolean;
}

/**
 * @param given keys like `ed25519:...`, or files with one in each line; what follows a `#` is for people
 * @throws Fault invalid, absent (a file)
 */
export function readTrust(given: readonly string[], anyKey: boolean): Trust {
  const keys = new Set<PublicKeyText>();
  for (const one of given) {
    if (isPublicKeyText(one)) keys.add(one);
    else if (one.startsWith("ed25519:")) throw noKey("--trust", one);
    else for (const key of keysIn(one)) keys.add(key);
  }
  return { keys, anyKey };
}

function keysIn(file: string): PublicKeyText[] {
  return readOutsideText(file)
    .split("\n")
    .flatMap((line, index) => {
      const text = line.replace(/#.*$/, "").trim();
      if (text === "") return [];
      if (isPublicKeyText(text)) return [text];
      // It may be a private key, taken for the public one.
      throw noKey(`${file}, line ${index + 1}`, "another text");
    });
}

function noKey(where: string, found: string): Fault {
  return new Fault(
    "invalid",
    `${where}: expected public keys like ed25519: and 43 characters, as keygen prints them, found ${shown(found)}`,
  );
}

export function isTrusted({ keys, anyKey }: Trust, signer: PublicKeyText): boolean {
  return anyKey || keys.has(signer);
}

/** @throws Fault denied */
export function demandTrust(trust: Trust, signer: PublicKeyText): void {
  if (isTrusted(trust, signer)) return;
  throw new Fault(
    "denied",
    `The bundle is signed by ${signer}, ${trust.keys.size === 0 ? "and no key is trusted here" : `which is none of the ${trust.keys.size} trusted keys`}: --trust ${signer} or bundle_trust in the configuration file trusts it, --any-key whoever signed it.`,
  );
}
