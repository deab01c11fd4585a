/**
 * Reads a bundle and trusts nothing in it: lengths are compared before anything is allocated, the manifest is read when its signature is
 * right, and whatever is not as it was written is a Fault `corrupt` that names the file, the member, what was expected and what was found.
 */

import { Sha256 } from "../host/checksum.ts";
import type { ReadableFile } from "../host/disk.ts";
import type { BundleManifest, BundleMember, PublicKeyText } from "../model/bundle.ts";
import { bundleMax, bundlePieceBytes } from "../model/bundle-limits.ts";
import { Fault } from "../model/fault.ts";
import { readManifest } from "./manifest.ts";
import { isDocument, manifestName, printable, shown, signatureName } from "./member-name.ts";
import { Parts } from "./parts.ts";
import { readSignature, signatureMemberBytes } from "./signature.ts";
import { sizeInTarHeader, tarBlockBytes, tarEndBytes, tarHeader, tarPadding } from "./tar-header.ts";

export interface BundleHead {
  readonly manifest: BundleManifest;
  readonly manifestBytes: Buffer;
  /** Who has signed it: right, but whether that is anybody is for others to know. */
  readonly signer: PublicKeyText;
  /** Bytes of the archive up to the first session. */
  readonly bytes: number;
}

/** Where a member lies. */
export interface PlacedMember extends BundleMember {
  /** Of its header; its bytes come a block later. */
  readonly headerAt: number;
}

export interface Bundle extends BundleHead, AsyncDisposable {
  readonly parts: Parts;
  /** By name. */
  readonly members: ReadonlyMap<string, PlacedMember>;
}

/** What the bytes of an archive are called in errors that are none of a member. */
const endName = "the end of the archive";

/**
 * Reads what stands before the sessions, and looks whether everything that the manifest lists is where it should be.
 * @param files the bundle, its first part, or all parts in their order
 * @throws Fault corrupt, absent, unsupported (a newer format)
 */
export async function openBundle(files: readonly string[]): Promise<Bundle> {
  const parts = await Parts.open(files);
  try {
    const head = await readHead(parts);
    const members = placeMembers(head);
    const total = bytesOfBundle(head.manifest, head.bytes);
    checkParts(parts, head.manifest, total);
    for (const member of members.values()) await checkPlace(parts, member);
    checkLength(parts, total);
    return { ...head, parts, members, [Symbol.asyncDispose]: () => parts.close() };
  } catch (error) {
    await parts.close();
    throw error;
  }
}

/** @throws Fault corrupt, unsupported (a newer format) */
export async function readHead(file: ReadableFile & { readonly path: string }): Promise<BundleHead> {
  const bytes = await file.size();
  const read = async (name: string, at: number, length: number): Promise<Buffer> => {
    if (at + length > bytes) throw wrong(file.path, name, `${length} bytes at ${at}`, `${bytes} bytes in all`);
    const target = Buffer.alloc(length);
    await file.read(target, at);
    return target;
  };
  const block = await read(manifestName, 0, tarBlockBytes);
  const size = sizeInTarHeader(block) ?? 0;
  if (size < 1 || size > bundleMax.manifestBytes)
    throw wrong(
      file.path,
      manifestName,
      `a header with 1 to ${bundleMax.manifestBytes} bytes`,
      "another one: it is no bundle, or not the first part of one",
    );
  const readMember = async (name: string, at: number, length: number): Promise<Buffer> => {
    const header = await read(name, at, tarBlockBytes);
    if (Buffer.compare(header, tarHeader(name, length)) !== 0)
      throw wrong(file.path, name, `its header at ${at}`, foundHeader(header));
    const content = await read(name, at + tarBlockBytes, length);
    if (!isZero(await read(name, at + tarBlockBytes + length, tarPadding(length))))
      throw wrong(file.path, name, "zeros behind it", "others");
    return content;
  };
  const manifestBytes = await readMember(manifestName, 0, size);
  const signatureAt = tarBlockBytes + size + tarPadding(size);
  const signature = await readMember(signatureName, signatureAt, signatureMemberBytes);
  const end = signatureAt + tarBlockBytes + signatureMemberBytes + tarPadding(signatureMemberBytes);
  try {
    const signer = readSignature(signature, manifestBytes);
    return { manifest: readManifest(manifestBytes), manifestBytes, signer, bytes: end };
  } catch (error) {
    if (error instanceof Fault) throw new Fault(error.code, `${file.path}: ${printable(error.message)}`, error);
    throw error;
  }
}

function placeMembers({ manifest, bytes }: BundleHead): Map<string, PlacedMember> {
  let headerAt = bytes;
  const placed = new Map<string, PlacedMember>();
  for (const member of manifest.members) {
    if (isDocument(member.name) && member.bytes > bundleMax.documentBytes)
      throw wrong(manifestName, member.name, `at most ${bundleMax.documentBytes} bytes`, `${member.bytes}`);
    placed.set(member.name, { ...member, headerAt });
    headerAt += tarBlockBytes + member.bytes + tarPadding(member.bytes);
    if (!Number.isSafeInteger(headerAt)) throw wrong(manifestName, member.name, "bytes of a disk", `${member.bytes}`);
  }
  return placed;
}

/** Bytes of the whole archive. @param headBytes up to the first session */
export function bytesOfBundle({ members }: Pick<BundleManifest, "members">, headBytes: number): number {
  const bytes = members.reduce((sum, { bytes: own }) => sum + tarBlockBytes + own + tarPadding(own), headBytes);
  return bytes + tarEndBytes;
}

function checkParts(parts: Parts, { partBytes }: BundleManifest, total: number): void {
  // A bundle that was cut may have been put together again.
  if (parts.count === 1 && (partBytes === undefined || parts.bytes > partBytes)) return;
  const size = partBytes ?? total;
  const count = Math.ceil(total / size);
  for (let index = 0; index < Math.max(count, parts.count); index += 1) {
    const { name, bytes } = parts.part(index);
    const expected = Math.min(size, total - index * size);
    if (index >= count) throw new Fault("corrupt", `${name}: expected ${count} parts, this is one more`);
    if (index >= parts.count)
      throw new Fault("corrupt", `${name}: expected ${count} parts, found ${parts.count}: this one is missing`);
    if (bytes !== expected)
      throw new Fault("corrupt", `${name}: expected a part of ${expected} bytes, found ${bytes} bytes`);
  }
}

/** That a member is where it should be, and that the archive does not end in it. */
async function checkPlace(parts: Parts, { name, bytes, headerAt }: PlacedMember): Promise<void> {
  if (headerAt + tarBlockBytes > parts.bytes)
    throw wrong(parts.nameAt(headerAt), name, `its header at ${headerAt}`, `the end of the file at ${parts.bytes}`);
  const header = Buffer.alloc(tarBlockBytes);
  await parts.read(header, headerAt);
  if (Buffer.compare(header, tarHeader(name, bytes)) !== 0)
    throw wrong(parts.nameAt(headerAt), name, `its header at ${headerAt}`, foundHeader(header));
  const end = headerAt + tarBlockBytes + bytes + tarPadding(bytes);
  if (end > parts.bytes)
    throw wrong(parts.nameAt(end), name, `its end at ${end}`, `the end of the file at ${parts.bytes}`);
}

function checkLength(parts: Parts, total: number): void {
  if (parts.bytes === total) return;
  throw wrong(parts.nameAt(parts.bytes), endName, `${total} bytes in all`, `${parts.bytes}`);
}

/** Reads every byte of every member. @param onBytes hears how many bytes have been read @throws Fault corrupt */
export async function checkMembers(
  { parts, members, manifest, bytes }: Bundle,
  onBytes: (bytes: number, bytesTotal: number) => void,
): Promise<void> {
  const piece = Buffer.allocUnsafe(bundlePieceBytes);
  const read = async (at: number, length: number): Promise<Buffer> => {
    const target = piece.subarray(0, length);
    await parts.read(target, at);
    onBytes(at + length, parts.bytes);
    return target;
  };
  for (const member of members.values()) {
    const start = member.headerAt + tarBlockBytes;
    const hash = new Sha256();
    for (let done = 0; done < member.bytes; done += piece.byteLength)
      hash.update(await read(start + done, Math.min(piece.byteLength, member.bytes - done)));
    const found = hash.end();
    if (found !== member.sha256) throw wrong(placeOf(parts, member), member.name, `SHA-256 ${member.sha256}`, found);
    const end = start + member.bytes;
    if (!isZero(await read(end, tarPadding(member.bytes))))
      throw wrong(parts.nameAt(end), member.name, "zeros behind it", "others");
  }
  const end = bytesOfBundle(manifest, bytes) - tarEndBytes;
  if (!isZero(await read(end, tarEndBytes))) throw wrong(parts.nameAt(end), endName, "zeros", "others");
}

/** The files that a member lies in. */
function placeOf(parts: Parts, { headerAt, bytes }: PlacedMember): string {
  const first = parts.nameAt(headerAt + tarBlockBytes);
  const last = parts.nameAt(headerAt + tarBlockBytes + Math.max(0, bytes - 1));
  return first === last ? first : `${first} to ${last}`;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** What a header says that it is of, if it is one. */
function foundHeader(header: Buffer): string {
  const name = header.subarray(0, 100).toString("latin1").replace(/\0.*$/s, "");
  return `${name === "" ? "none" : `one of ${shown(name)}`} with ${sizeInTarHeader(header) ?? "no"} bytes`;
}

function wrong(file: string, member: string, expected: string, found: string): Fault {
  return new Fault("corrupt", `${file}: ${member}: expected ${expected}, found ${found}`);
}
