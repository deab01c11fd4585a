/**
 * The second member of a bundle: who says that the manifest is theirs, and with it, by the hashes in it, all other members. Three lines
 * of ASCII, each with a line feed:
 *
 *   mosaico-edge bundle signature 1
 *   ed25519:<the public key, 32 bytes in base64url>
 *   <the signature, 64 bytes in base64url>
 *
 * What is signed (Ed25519, RFC 8032) is the text `mosaico-edge bundle manifest 1`, a line feed, and the 32 bytes of the SHA-256 of the
 * manifest: no signature that the key makes for something else can be taken for one of a bundle.
 */

import { Sha256 } from "../host/checksum.ts";
import { isSignedBy, type SigningKey, signatureBytes } from "../host/signing-key.ts";
import { isPublicKeyText, type PublicKeyText } from "../model/bundle.ts";
import { Fault } from "../model/fault.ts";
import { manifestName, signatureName } from "./member-name.ts";

const title = "mosaico-edge bundle signature 1";
const domain = "mosaico-edge bundle manifest 1\n";

export function writeSignature(manifest: Uint8Array, key: SigningKey): Buffer {
  return layOut(key.publicKey, key.sign(statementOf(manifest)));
}

function layOut(publicKey: string, signature: Uint8Array): Buffer {
  return Buffer.from(`${title}\n${publicKey}\n${Buffer.from(signature).toString("base64url")}\n`);
}

/** Of every signature. */
export const signatureMemberBytes: number = layOut(
  `ed25519:${"A".repeat(43)}`,
  new Uint8Array(signatureBytes),
).byteLength;

/** Who has signed the manifest. @throws Fault corrupt when nobody has, or it is not just what `writeSignature` writes */
export function readSignature(bytes: Uint8Array, manifest: Uint8Array): PublicKeyText {
  const [, key = "", text = ""] = Buffer.from(bytes).toString("latin1").split("\n");
  const signature = Buffer.from(text, "base64url");
  if (!isPublicKeyText(key) || Buffer.compare(layOut(key, signature), bytes) !== 0)
    throw new Fault("corrupt", `${signatureName}: expected a signature in its three lines, found other text`);
  if (!isSignedBy(key, statementOf(manifest), signature))
    throw new Fault(
      "corrupt",
      `${signatureName}: expected the signature of ${manifestName} by ${key}, found another one: one of the two has been changed`,
    );
  return key;
}

function statementOf(manifest: Uint8Array): Uint8Array {
  const hash = new Sha256();
  hash.update(manifest);
  return Buffer.concat([Buffer.from(domain), Buffer.from(hash.end(), "hex")]);
}
