/**
 * Certificate and private key of the server, checked before anything listens: OpenSSL's own words name neither a setting nor
 * a file, and a key that does not belong to the certificate would show only to the first client.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { Fault } from "../model/fault.ts";
import { readOutsideText } from "./disk.ts";

/** A file and the setting that names it. */
export interface NamedFile {
  readonly setting: string;
  readonly file: string;
}

export interface Certificate {
  /** PEM, as it is in the file. */
  readonly chain: Buffer;
  readonly key: Buffer;
}

/** @throws Fault invalid naming setting, file, expected and found */
export function readCertificate({ chain, key }: { chain: NamedFile; key: NamedFile }): Certificate {
  const chainText = readNamed(chain);
  const keyText = readNamed(key);
  const [certificate] = parseNamed(chain, "a certificate chain in PEM", () => certificatesOf(chainText));
  const privateKey = parseNamed(key, "a private key in PEM without a passphrase", () => createPrivateKey(keyText));
  if (certificate?.checkPrivateKey(privateKey) !== true) {
    throw new Fault(
      "invalid",
      `${key.setting}: ${key.file} is not the key of the certificate in ${chain.file} (${chain.setting})`,
    );
  }
  // What else OpenSSL does not like, such as a key that is too short, it says here as it would when it listens.
  parseNamed(chain, `a certificate that TLS takes, with its key ${key.file}`, () =>
    createSecureContext({ cert: chainText, key: keyText }),
  );
  return { chain: Buffer.from(chainText), key: Buffer.from(keyText) };
}

/** Certificates of others that are to be trusted (PEM). @throws Fault as `readCertificate` */
export function readTrusted(trusted: NamedFile): Buffer {
  const text = readNamed(trusted);
  parseNamed(trusted, "certificates to trust in PEM", () => certificatesOf(text));
  return Buffer.from(text);
}

function readNamed({ setting, file }: NamedFile): string {
  try {
    return readOutsideText(file);
  } catch (error) {
    throw new Fault("invalid", `${setting}: ${error instanceof Fault ? error.message : String(error)}`, error);
  }
}

function parseNamed<T>({ setting, file }: NamedFile, expected: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw new Fault("invalid", `${setting}: ${file}: expected ${expected}, found something else (${found})`, error);
  }
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** All of the chain, the server's own first; `X509Certificate` alone would look at the first one only, and take DER too. */
function certificatesOf(text: string): X509Certificate[] {
  const blocks = text.match(certificateBlock);
  if (blocks === null) throw new Error("there is no block BEGIN CERTIFICATE in it");
  return blocks.map((block) => new X509Certificate(block));
}
