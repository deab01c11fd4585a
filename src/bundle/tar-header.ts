/**
 * Headers of a tar archive (POSIX ustar), as bundles have them: every byte follows from name and size, so that a header is checked by
 * making it again.
 *
 *   0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12 | 148 checksum 8 | 156 type 1 | 257 magic 8
 *
 * Numbers are octal, but for sizes from 8 GiB on, which are big-endian behind the byte 0x80, as GNU tar and all others read them.
 */

import { assert } from "../model/assert.ts";

export const tarBlockBytes = 512;
/** Behind the last member: two blocks of zeros. */
export const tarEndBytes: number = 2 * tarBlockBytes;

const nameBytesMax = 100;
const octalSizeMax = 8 ** 11;

/** @param name at most 100 ASCII characters */
export function tarHeader(name: string, bytes: number): Buffer {
  assert(name.length <= nameBytesMax, "names in bundles are made of ULIDs and numbers");
  const header = Buffer.alloc(tarBlockBytes);
  header.write(name, 0, "latin1");
  header.write("0000644\0", 100, "latin1");
  header.write("0000000\0", 108, "latin1");
  header.write("0000000\0", 116, "latin1");
  if (bytes < octalSizeMax) header.write(`${bytes.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(bytes), 128);
  }
  header.write("00000000000\0", 136, "latin1");
  header.write("0", 156, "latin1");
  header.write("ustar\0" + "00", 257, "latin1");
  header.write("        ", 148, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** The size in a header whose other bytes are still to be checked; undefined when there is none. */
export function sizeInTarHeader(header: Uint8Array): number | undefined {
  const field = Buffer.from(header.buffer, header.byteOffset + 124, 12);
  if (field[0] === 0x80) {
    const bytes = field.readBigUInt64BE(4);
    return bytes <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(bytes) : undefined;
  }
  const text = field.toString("latin1");
  return /^[0-7]{11}\0$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/** Bytes behind a member, up to the next block. */
export function tarPadding(bytes: number): number {
  return (tarBlockBytes - (bytes % tarBlockBytes)) % tarBlockBytes;
}
