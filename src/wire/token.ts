/** API tokens: `msco_<32 of [0-9a-z]>_<CRC-32 of the payload, 8 hex digits>`. The checksum finds typing errors, nothing else. */

import { crc32 } from "../host/checksum.ts";
import { newAlphanumeric } from "../host/entropy.ts";
import { Fault } from "../model/fault.ts";

/** The header of each call that has it. */
export const tokenHeader = "mosaico-api-key-token";

export interface ApiToken {
  /** The whole token, a secret. */
  readonly text: string;
  readonly fingerprint: string;
}

const prefix = "msco";
const payloadCharacters = 32;

export function newApiToken(): ApiToken {
  const payload = newAlphanumeric(payloadCharacters);
  const fingerprint = fingerprintOf(payload);
  return { text: `${prefix}_${payload}_${fingerprint}`, fingerprint };
}

/** @throws Fault invalid, with the texts of the protocol; the token itself is never part of them */
export function parseApiToken(text: string): ApiToken {
  const parts = text.split("_");
  const [head, payload, fingerprint] = parts;
  if (parts.length !== 3 || payload === undefined || fingerprint === undefined) {
    throw new Fault("invalid", "Bad request: the token is incomplete.");
  }
  if (head !== prefix) throw new Fault("invalid", "Bad request: bad header.");
  if (!/^[0-9a-z]{32}$/.test(payload)) throw new Fault("invalid", "Bad request: bad payload.");
  if (!/^[0-9a-z]{8}$/.test(fingerprint)) throw new Fault("invalid", "Bad request: bad fingerprint.");
  if (fingerprintOf(payload) !== fingerprint) throw new Fault("invalid", "Bad request: fingerprint mismatch.");
  return { text, fingerprint };
}

function fingerprintOf(payload: string): string {
  return crc32([Buffer.from(payload, "latin1")])
    .toString(16)
    .padStart(8, "0");
}
