/** Ed25519 keys that bundles are signed with: the secret half in a file of its owner (PEM, PKCS #8), the public half as a short text. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { isPublicKeyText, type PublicKeyText } from "../model/bundle.ts";
import { Fault } from "../model/fault.ts";

export const signatureBytes = 64;

const keyPrefix = "ed25519:";

export interface SigningKey {
  readonly publicKey: PublicKeyText;
  /** The same bytes have the same signature. */
  sign(statement: Uint8Array): Uint8Array;
}

/** A new key, as its file has it. */
export function newSigningKeyPem(): string {
  return generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }) as string;
}

/** Nothing of what is no key is repeated: it may be another secret. @throws Fault invalid naming the file */
export function readSigningKey(pem: string, file: string): SigningKey {
  const wrong = new Fault("invalid", `${file} has no private Ed25519 key (PEM); mosaico-edge bundle keygen makes one.`);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw wrong;
  }
  if (key.asymmetricKeyType !== "ed25519") throw wrong;
  const { x } = createPublicKey(key).export({ format: "jwk" });
  return { publicKey: `${keyPrefix}${x}` as PublicKeyText, sign: (statement) => sign(null, statement, key) };
}

/** Whether the holder of the key has signed just these bytes. */
export function isSignedBy(publicKey: PublicKeyText, statement: Uint8Array, signature: Uint8Array): boolean {
  if (!isPublicKeyText(publicKey) || signature.byteLength !== signatureBytes) return false;
  try {
    const x = publicKey.slice(keyPrefix.length);
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    return verify(null, statement, key, signature);
  } catch {
    // 32 bytes that are no point of the curve.
    return false;
  }
}
