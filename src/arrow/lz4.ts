/**
 * LZ4 frames (lz4_Frame_format.md), unfolded into exactly as many bytes as are expected. Our own because every length is checked
 * before it is followed: the packages for JavaScript trust them, and a few hostile bytes keep them busy for a minute. Checksums
 * inside the frame are not looked at; the whole message has one.
 */

const magic = 0x184d2204;
const flag = { versionMask: 0xc0, version: 0x40, blockChecksum: 0x10, contentSize: 0x08, dictionaryId: 0x01 } as const;
const storedBlock = 0x8000_0000;
/** Bytes of a block by its code in the frame's descriptor. */
const blockBytesOf: Readonly<Record<number, number>> = { 4: 1 << 16, 5: 1 << 18, 6: 1 << 20, 7: 1 << 22 };
const leastMatch = 4;

/** @throws Error when the frame is broken or does not unfold to exactly `bytes` */
export function decompressFrame(frame: Uint8Array, bytes: number): Uint8Array {
  const target = new Uint8Array(bytes);
  for (const _block of unfoldFrame(frame, target));
  return target;
}

/**
 * Fills `target`, a block of the frame at a time.
 * @throws Error when the frame is broken or does not unfold to exactly as many bytes
 */
export function* unfoldFrame(frame: Uint8Array, target: Uint8Array): Generator<void, void> {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(0, true) !== magic) throw new Error("it does not start with the magic number");
  const flags = view.getUint8(4);
  if ((flags & flag.versionMask) !== flag.version) throw new Error("its version is not 1");
  if ((flags & flag.dictionaryId) !== 0) throw new Error("it needs a dictionary");
  const blockBytesMax = blockBytesOf[(view.getUint8(5) >>> 4) & 7];
  if (blockBytesMax === undefined) throw new Error("its block size is none");
  const bytes = target.byteLength;
  let filled = 0;
  let at = 7 + ((flags & flag.contentSize) === 0 ? 0 : 8);
  for (;;) {
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const size = word & ~storedBlock;
    if (size > blockBytesMax) throw new Error(`a block has ${size} bytes, at most ${blockBytesMax} are allowed`);
    if (size > frame.byteLength - at) throw new Error(`it ends inside a block of ${size} bytes`);
    const block = frame.subarray(at, at + size);
    if ((word & storedBlock) === 0) filled = unfoldBlock(block, target, { start: filled, blockBytesMax });
    else {
      if (size > bytes - filled) throw tooLong(bytes);
      target.set(block, filled);
      filled += size;
    }
    at += size + ((flags & flag.blockChecksum) === 0 ? 0 : 4);
    yield;
  }
  if (filled < bytes) throw new Error(`it unfolds to ${filled} bytes, its prefix says ${bytes}`);
}

/** Sequences of literals and matches, which may reach back into the blocks before. Returns the new end of the target. */
function unfoldBlock(
  block: Uint8Array,
  target: Uint8Array,
  { start, blockBytesMax }: { start: number; blockBytesMax: number },
): number {
  let from = 0;
  let to = start;
  const end = Math.min(target.byteLength, start + blockBytesMax);
  const beyond = (): Error =>
    end === target.byteLength
      ? tooLong(end)
      : new Error(`a block unfolds to more than the ${blockBytesMax} bytes that are allowed`);
  /** A length that did not fit into its half of the token goes on in bytes of 255 and a last one. */
  const lengthOf = (nibble: number): number => {
    let length = nibble;
    for (let byte = nibble === 15 ? 255 : 0; byte === 255; from += 1) {
      byte = byteAt(block, from);
      length += byte;
    }
    return length;
  };
  while (from < block.byteLength) {
    const token = byteAt(block, from);
    from += 1;
    const literals = lengthOf(token >>> 4);
    if (literals > block.byteLength - from) throw new Error("a block ends inside its literals");
    if (literals > end - to) throw beyond();
    target.set(block.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    // The last sequence has no match.
    if (from === block.byteLength) break;
    const distance = byteAt(block, from) | (byteAt(block, from + 1) << 8);
    from += 2;
    const length = leastMatch + lengthOf(token & 15);
    if (distance === 0 || distance > to) throw new Error("a match lies before the first byte");
    if (length > end - to) throw beyond();
    // A match may overlap what it makes: then bytes repeat.
    if (distance >= length) target.copyWithin(to, to - distance, to - distance + length);
    else for (let index = to; index < to + length; index += 1) target[index] = target[index - distance] ?? 0;
    to += length;
  }
  return to;
}

function byteAt(block: Uint8Array, index: number): number {
  const byte = block[index];
  if (byte === undefined) throw new Error("a block ends inside a sequence");
  return byte;
}

function tooLong(bytes: number): Error {
  return new Error(`it unfolds to more than the bytes that its prefix says: its prefix says ${bytes}`);
}
