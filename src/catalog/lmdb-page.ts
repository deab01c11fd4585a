/**
 * Pages of the LMDB file, read by nobody but ourselves.
 *
 * A page (little-endian): u64 number, u64 transaction, u16 pad, u16 flags (1 branch, 2 leaf, 4 overflow, 8 meta),
 *   u16 lower, u16 upper (or u32 pages of an overflow run), then u16 offsets of nodes, counted from behind these 24 bytes.
 * A node: u16, u16 low and high half of the data's length, u16 flags (1 in an overflow run, 2 a tree of its own), u16 bytes of
 *   the key, key, data. In a branch the first three are the 48 bits of a page number.
 * Pages 0 and 1 are metas behind their headers: u32 magic, u32 version, u64 address, u64 map size, two trees (free pages, main),
 *   u64 last page, u64 transaction. A tree (48 bytes): u32 page size or pad, u16 flags, u16 depth, u64 each of branch, leaf and
 *   overflow pages and of entries, u64 root.
 */

import { Fault } from "../model/fault.ts";

/** What helps against a damaged catalog, for whoever reads that it is. */
export const catalogRemedy =
  "Stop the server; `mosaico-edge verify` tells more, `mosaico-edge rebuild` makes another catalog of the directories.";

export const lmdbFile = "data.mdb";
export const lmdbHeaderBytes = 24;
const treeBytes = 48;
export const metaBytes = lmdbHeaderBytes + 24 + 2 * treeBytes + 16;
const magic = 0xbeefc0de;
const dataVersion = 2;
export const pageFlag = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;
const nodeFlag = { overflow: 1, tree: 2 } as const;
const nodeHeaderBytes = 8;
export const noPage = 2n ** 64n - 1n;
const depthMax = 32;

/** A tree by its record in a meta page or in the main tree. */
export interface Tree {
  readonly name: string;
  readonly pad: number;
  readonly flags: number;
  readonly depth: number;
  readonly branchPages: bigint;
  readonly leafPages: bigint;
  readonly overflowPages: bigint;
  readonly entries: bigint;
  readonly root: bigint;
}

export interface Meta {
  readonly number: bigint;
  readonly pageFlags: number;
  readonly version: number;
  readonly pageBytes: number;
  readonly address: bigint;
  readonly mapBytes: bigint;
  readonly free: Tree;
  readonly main: Tree;
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

/** @returns undefined when these bytes do not begin as a meta page does */
export function readMeta(bytes: Buffer): Meta | undefined {
  if (bytes.readUInt32LE(lmdbHeaderBytes) !== magic) return undefined;
  const version = bytes.readUInt32LE(lmdbHeaderBytes + 4);
  if ((version & 0xffff) !== dataVersion) return undefined;
  const treesAt = lmdbHeaderBytes + 24;
  const pageBytes = bytes.readUInt32LE(treesAt);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) return undefined;
  return {
    number: bytes.readBigUInt64LE(0),
    pageFlags: bytes.readUInt16LE(18),
    version,
    pageBytes,
    address: bytes.readBigUInt64LE(lmdbHeaderBytes + 8),
    mapBytes: bytes.readBigUInt64LE(lmdbHeaderBytes + 16),
    free: readTree(bytes, treesAt, "free pages"),
    main: readTree(bytes, treesAt + treeBytes, "main"),
    lastPage: bytes.readBigUInt64LE(treesAt + 2 * treeBytes),
    transaction: bytes.readBigUInt64LE(treesAt + 2 * treeBytes + 8),
  };
}

export function describeVersion(): string {
  return `LMDB ${dataVersion}`;
}

function readTree(bytes: Buffer, at: number, name: string): Tree {
  return {
    name,
    pad: bytes.readUInt32LE(at),
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    branchPages: bytes.readBigUInt64LE(at + 8),
    leafPages: bytes.readBigUInt64LE(at + 16),
    overflowPages: bytes.readBigUInt64LE(at + 24),
    entries: bytes.readBigUInt64LE(at + 32),
    root: bytes.readBigUInt64LE(at + 40),
  };
}

/** What a node refers to, or holds. */
export type LmdbNode =
  | { readonly kind: "page"; readonly number: bigint }
  | { readonly kind: "tree"; readonly key: Buffer; readonly tree: Tree }
  | {
      readonly kind: "overflow";
      readonly key: Buffer;
      readonly number: bigint;
      readonly pages: bigint;
      readonly bytes: number;
    }
  | { readonly kind: "value"; readonly key: Buffer; readonly value: Buffer };

export class LmdbPage {
  readonly #bytes: Buffer;
  readonly #number: bigint;
  readonly #tree: string;

  /** @param tree its name, for messages */
  constructor(bytes: Buffer, number: bigint, tree: string) {
    this.#bytes = bytes;
    this.#number = number;
    this.#tree = tree;
  }

  /** The transaction that wrote it. */
  get transaction(): bigint {
    return this.#bytes.readBigUInt64LE(8);
  }

  /**
   * Its nodes in the order of their keys. Borrows from the page.
   * @param depth levels from here down, leaves included
   * @throws Fault corrupt
   */
  *nodes(depth: number): Generator<LmdbNode> {
    const bytes = this.#bytes;
    if (bytes.readBigUInt64LE(0) !== this.#number) throw this.#damage(`says it is page ${bytes.readBigUInt64LE(0)}`);
    const flags = bytes.readUInt16LE(18);
    const expected = depth > 1 ? pageFlag.branch : pageFlag.leaf;
    if ((flags & 7) !== expected) throw this.#damage(`has flags ${flags}, expected ${expected} at depth ${depth}`);
    const lower = bytes.readUInt16LE(20);
    const upper = bytes.readUInt16LE(22);
    if (lower > upper || lmdbHeaderBytes + upper > bytes.byteLength || lower % 2 !== 0 || lower === 0) {
      throw this.#damage(`has nodes from ${upper} and offsets to ${lower} in ${bytes.byteLength} bytes`);
    }
    for (let index = 0; index < lower / 2; index += 1) {
      const at = lmdbHeaderBytes + bytes.readUInt16LE(lmdbHeaderBytes + 2 * index);
      if (at < lmdbHeaderBytes + upper || at + nodeHeaderBytes > bytes.byteLength) throw this.#nodeDamage(index);
      const dataAt = at + nodeHeaderBytes + bytes.readUInt16LE(at + 6);
      if (dataAt > bytes.byteLength) throw this.#nodeDamage(index);
      if (expected === pageFlag.branch) yield { kind: "page", number: BigInt(bytes.readUIntLE(at, 6)) };
      else yield this.#leafNode(index, at, dataAt);
    }
  }

  #leafNode(index: number, at: number, dataAt: number): LmdbNode {
    const bytes = this.#bytes;
    const dataBytes = bytes.readUInt32LE(at);
    const flags = bytes.readUInt16LE(at + 4);
    const key = bytes.subarray(at + nodeHeaderBytes, dataAt);
    const inPage = (flags & nodeFlag.overflow) !== 0 ? lmdbHeaderBytes : dataBytes;
    if (dataAt + inPage > bytes.byteLength) throw this.#nodeDamage(index);
    if ((flags & nodeFlag.overflow) !== 0) {
      const pages = BigInt(Math.ceil((lmdbHeaderBytes + dataBytes) / bytes.byteLength));
      return { kind: "overflow", key, number: bytes.readBigUInt64LE(dataAt), pages, bytes: dataBytes };
    }
    if ((flags & nodeFlag.tree) === 0) return { kind: "value", key, value: bytes.subarray(dataAt, dataAt + dataBytes) };
    if (dataBytes !== treeBytes) throw this.#nodeDamage(index);
    const tree = readTree(bytes, dataAt, key.toString("latin1").replace(/\0$/, ""));
    if (tree.depth > depthMax) throw this.#nodeDamage(index);
    return { kind: "tree", key, tree };
  }

  #nodeDamage(index: number): Fault {
    return this.#damage(`has a node ${index} that does not lie in it`);
  }

  #damage(what: string): Fault {
    return lmdbDamage(lmdbFile, `page ${this.#number} of "${this.#tree}" ${what}`);
  }
}

export function lmdbDamage(path: string, what: string): Fault {
  return new Fault("corrupt", `The catalog is damaged: ${path}: ${what}. Nothing was touched. ${catalogRemedy}`);
}

/** What is wrong, without what is said around it to whoever wanted to open the catalog. */
export function lmdbDamageIn({ message }: Fault): string {
  return message.replace(/^The catalog is damaged: /, "").replace(/\. Nothing was touched\. .*$/, "");
}
