/**
 * Checks the LMDB file before LMDB maps it: LMDB follows whatever page numbers and offsets it finds, and a damaged file ends
 * the process by a signal, without a word. Only what holds the tree together is looked at, not what the rows say.
 *
 * A page (little-endian): u64 number, u64 transaction, u16 pad, u16 flags (1 branch, 2 leaf, 4 overflow, 8 meta),
 *   u16 lower, u16 upper (or u32 pages of an overflow run), then u16 offsets of nodes, counted from behind these 24 bytes.
 * A node: u16, u16 low and high half of the data's length, u16 flags (1 in an overflow run, 2 a tree of its own), u16 bytes of
 *   the key, key, data. In a branch the first three are the 48 bits of a page number.
 * Pages 0 and 1 are metas behind their headers: u32 magic, u32 version, u64 address, u64 map size, two trees (free pages, main),
 *   u64 last page, u64 transaction. A tree (48 bytes): u32 page size or pad, u16 flags, u16 depth, 4 x u64 counts, u64 root.
 */

import type { Disk, ReadableFile } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";

export const lmdbFile = "data.mdb";

const headerBytes = 24;
const treeBytes = 48;
const magic = 0xbeefc0de;
const dataVersion = 2;
const pageFlag = { branch: 1, leaf: 2, overflow: 4 } as const;
const nodeFlag = { overflow: 1, tree: 2 } as const;
const nodeHeaderBytes = 8;
const noPage = 2n ** 64n - 1n;
const depthMax = 32;
/** A server beside us may reuse pages while they are looked at; damage stays. */
const triesMax = 3;

interface Tree {
  readonly name: string;
  readonly depth: number;
  readonly root: bigint;
}

interface Meta {
  readonly pageBytes: number;
  readonly transaction: bigint;
  readonly trees: readonly Tree[];
}

/**
 * Looks at up to `pagesMax` pages from the roots down. A file that is not there or still empty passes: LMDB makes it.
 * @throws Fault corrupt naming page, expected and found
 */
export async function checkLmdbFile(disk: Disk, directory: string, pagesMax: number): Promise<void> {
  const path = `${directory}/${lmdbFile}`;
  if (!(await disk.exists(path))) return;
  const file = await disk.openReadable(path);
  try {
    const bytes = await file.size();
    if (bytes === 0) return;
    for (let tries = 1; ; tries += 1) {
      try {
        await new Walk(file, bytes, pagesMax).run();
        return;
      } catch (error) {
        if (tries === triesMax || !(error instanceof Fault)) throw error;
      }
    }
  } finally {
    await file.close();
  }
}

class Walk {
  readonly #file: ReadableFile;
  readonly #fileBytes: number;
  #pagesLeft: number;

  constructor(file: ReadableFile, fileBytes: number, pagesMax: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
    this.#pagesLeft = pagesMax;
  }

  async run(): Promise<void> {
    const { pageBytes, trees } = await this.#newestMeta();
    // Breadth first: what is nearest to the roots is needed by every read.
    let level = trees.flatMap((tree) => (tree.root === noPage ? [] : [{ tree, number: tree.root, depth: tree.depth }]));
    while (level.length > 0 && this.#pagesLeft > 0) {
      const below: typeof level = [];
      for (const { tree, number, depth } of level) {
        if (this.#pagesLeft === 0) return;
        this.#pagesLeft -= 1;
        const page = new Page(await this.#page(number, pageBytes), number, tree.name);
        for (const child of page.children(depth)) {
          if (child.kind === "page") below.push({ tree, number: child.number, depth: depth - 1 });
          else if (child.kind === "tree")
            below.push({ tree: child.tree, number: child.tree.root, depth: child.tree.depth });
          else await this.#overflow(child, pageBytes, tree.name);
        }
      }
      level = below;
    }
  }

  async #newestMeta(): Promise<Meta> {
    const least = 2 * 4096;
    if (this.#fileBytes < least) {
      throw this.#damage(`it has ${this.#fileBytes} bytes, expected at least ${least}`);
    }
    const first = await this.#meta(0);
    const second = first === undefined ? undefined : await this.#meta(first.pageBytes);
    if (first === undefined || second === undefined) {
      throw this.#damage(`page ${first === undefined ? 0 : 1} does not begin as a page of LMDB ${dataVersion} does`);
    }
    return first.transaction > second.transaction ? first : second;
  }

  async #meta(position: number): Promise<Meta | undefined> {
    const bytes = Buffer.alloc(headerBytes + 24 + 2 * treeBytes + 16);
    await this.#file.read(bytes, position);
    if (bytes.readUInt32LE(headerBytes) !== magic) return undefined;
    if ((bytes.readUInt32LE(headerBytes + 4) & 0xffff) !== dataVersion) return undefined;
    const treesAt = headerBytes + 24;
    const pageBytes = bytes.readUInt32LE(treesAt);
    if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) return undefined;
    return {
      pageBytes,
      transaction: bytes.readBigUInt64LE(treesAt + 2 * treeBytes + 8),
      trees: [readTree(bytes, treesAt, "free pages"), readTree(bytes, treesAt + treeBytes, "main")],
    };
  }

  async #page(number: bigint, pageBytes: number): Promise<Buffer> {
    this.#checkInFile(number, 1n, pageBytes);
    const bytes = Buffer.allocUnsafe(pageBytes);
    await this.#file.read(bytes, Number(number) * pageBytes);
    return bytes;
  }

  async #overflow(
    { number, pages }: { number: bigint; pages: bigint },
    pageBytes: number,
    tree: string,
  ): Promise<void> {
    this.#checkInFile(number, pages, pageBytes);
    const header = Buffer.alloc(headerBytes);
    await this.#file.read(header, Number(number) * pageBytes);
    if (header.readBigUInt64LE(0) !== number || (header.readUInt16LE(18) & pageFlag.overflow) === 0) {
      throw this.#damage(`page ${number} of "${tree}" does not begin a run of ${pages} pages`);
    }
  }

  #checkInFile(number: bigint, pages: bigint, pageBytes: number): void {
    if (number >= 2n && (number + pages) * BigInt(pageBytes) <= BigInt(this.#fileBytes)) return;
    throw this.#damage(`it refers to page ${number}, and has ${Math.floor(this.#fileBytes / pageBytes)} pages`);
  }

  #damage(what: string): Fault {
    return damage(this.#file.path, what);
  }
}

type Child =
  | { readonly kind: "page"; readonly number: bigint }
  | { readonly kind: "tree"; readonly tree: Tree }
  | { readonly kind: "overflow"; readonly number: bigint; readonly pages: bigint };

class Page {
  readonly #bytes: Buffer;
  readonly #number: bigint;
  readonly #tree: string;

  constructor(bytes: Buffer, number: bigint, tree: string) {
    this.#bytes = bytes;
    this.#number = number;
    this.#tree = tree;
  }

  /** What the page refers to. @param depth levels from here down, leaves included */
  *children(depth: number): Generator<Child> {
    const bytes = this.#bytes;
    if (bytes.readBigUInt64LE(0) !== this.#number) throw this.#damage(`says it is page ${bytes.readBigUInt64LE(0)}`);
    const flags = bytes.readUInt16LE(18);
    const expected = depth > 1 ? pageFlag.branch : pageFlag.leaf;
    if ((flags & 7) !== expected) throw this.#damage(`has flags ${flags}, expected ${expected} at depth ${depth}`);
    const lower = bytes.readUInt16LE(20);
    const upper = bytes.readUInt16LE(22);
    if (lower > upper || headerBytes + upper > bytes.byteLength || lower % 2 !== 0 || lower === 0) {
      throw this.#damage(`has nodes from ${upper} and offsets to ${lower} in ${bytes.byteLength} bytes`);
    }
    for (let index = 0; index < lower / 2; index += 1) {
      const at = headerBytes + bytes.readUInt16LE(headerBytes + 2 * index);
      if (at < headerBytes + upper || at + nodeHeaderBytes > bytes.byteLength) throw this.#nodeDamage(index);
      const dataAt = at + nodeHeaderBytes + bytes.readUInt16LE(at + 6);
      if (dataAt > bytes.byteLength) throw this.#nodeDamage(index);
      if (expected === pageFlag.branch) {
        yield { kind: "page", number: BigInt(bytes.readUIntLE(at, 6)) };
      } else yield* this.#leafNode(index, at, dataAt);
    }
  }

  *#leafNode(index: number, at: number, dataAt: number): Generator<Child> {
    const bytes = this.#bytes;
    const dataBytes = bytes.readUInt32LE(at);
    const flags = bytes.readUInt16LE(at + 4);
    const inPage = (flags & nodeFlag.overflow) !== 0 ? headerBytes : dataBytes;
    if (dataAt + inPage > bytes.byteLength) throw this.#nodeDamage(index);
    if ((flags & nodeFlag.overflow) !== 0) {
      const pages = BigInt(Math.ceil((headerBytes + dataBytes) / bytes.byteLength));
      yield { kind: "overflow", number: bytes.readBigUInt64LE(dataAt), pages };
    } else if ((flags & nodeFlag.tree) !== 0) {
      if (dataBytes !== treeBytes) throw this.#nodeDamage(index);
      const tree = readTree(bytes, dataAt, bytes.toString("latin1", at + nodeHeaderBytes, dataAt));
      if (tree.depth > depthMax) throw this.#nodeDamage(index);
      if (tree.root !== noPage) yield { kind: "tree", tree };
    }
  }

  #nodeDamage(index: number): Fault {
    return this.#damage(`has a node ${index} that does not lie in it`);
  }

  #damage(what: string): Fault {
    return damage(lmdbFile, `page ${this.#number} of "${this.#tree}" ${what}`);
  }
}

function readTree(bytes: Buffer, at: number, name: string): Tree {
  return { name, depth: bytes.readUInt16LE(at + 6), root: bytes.readBigUInt64LE(at + 40) };
}

function damage(path: string, what: string): Fault {
  return new Fault("corrupt", `The catalog is damaged: ${path}: ${what}. Nothing was touched.`);
}
