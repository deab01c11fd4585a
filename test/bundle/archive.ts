// A bundle taken apart and put together again, as somebody who wants to deceive would.

import { readFileSync } from "node:fs";
import { readManifest, writeManifest } from "../../src/bundle/manifest.ts";
import { writeSignature } from "../../src/bundle/signature.ts";
import { sizeInTarHeader, tarHeader, tarPadding } from "../../src/bundle/tar-header.ts";
import { Sha256 } from "../../src/host/checksum.ts";
import type { SigningKey } from "../../src/host/signing-key.ts";
import type { BundleManifest } from "../../src/model/bundle.ts";

export interface Member {
  readonly name: string;
  readonly content: Buffer;
  /** Another one than belongs to name and content. */
  readonly header?: Buffer;
}

/** Members of an archive, and where each has its header. */
export function takeApart(bytes: Buffer): (Member & { readonly headerAt: number })[] {
  const members: (Member & { headerAt: number })[] = [];
  for (let at = 0; bytes[at] !== 0; ) {
    const header = bytes.subarray(at, at + 512);
    const name = header.subarray(0, 100).toString("latin1").replace(/\0.*$/s, "");
    const size = sizeInTarHeader(header) ?? 0;
    members.push({ name, content: Buffer.from(bytes.subarray(at + 512, at + 512 + size)), headerAt: at });
    at += 512 + size + tarPadding(size);
  }
  return members;
}

export function putTogether(members: readonly Member[]): Buffer {
  const pieces = members.flatMap(({ name, content, header }) => [
    header ?? tarHeader(name, content.byteLength),
    content,
    Buffer.alloc(tarPadding(content.byteLength)),
  ]);
  return Buffer.concat([...pieces, Buffer.alloc(1024)]);
}

/** With a manifest that fits the members. @param change what it lies about */
export function withManifest(
  members: readonly Member[],
  key: SigningKey | undefined,
  change: (manifest: BundleManifest) => BundleManifest = (manifest) => manifest,
): Member[] {
  const [own, signature, ...rest] = members;
  if (own === undefined || signature === undefined) throw new RangeError("a bundle has a head");
  const listed = rest.map(({ name, content }) => ({ name, bytes: content.byteLength, sha256: sha256(content) }));
  const content = writeManifest(change({ ...readManifest(own.content), members: listed }));
  const signed = key === undefined ? signature.content : writeSignature(content, key);
  return [{ name: own.name, content }, { name: signature.name, content: signed }, ...rest];
}

export function sha256(content: Uint8Array): string {
  const hash = new Sha256();
  hash.update(content);
  return hash.end();
}

export function readArchive(file: string): Member[] {
  return takeApart(readFileSync(file)).map(({ name, content }) => ({ name, content }));
}

/** A header with other fields, and the right checksum. */
export function changedHeader(header: Buffer, change: (header: Buffer) => void): Buffer {
  const changed = Buffer.from(header);
  change(changed);
  changed.write("        ", 148, "latin1");
  const sum = changed.reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return changed;
}
