/**
 * Looks at every page of an LMDB file that nobody has open: what LMDB trusts without looking, and what `checkLmdbFile` leaves out
 * since it changes beside a server. Metas follow each other, counts are right, keys are in order, no page has two uses.
 *
 * The tree of free pages has u64 transactions as keys; a value is u64 count, then so many i64: a page, or 0 for nothing, or the
 * length of a run, negative, in front of its first page.
 */

import type { Disk, ReadableFile } from "../host/disk.ts";
import type { Fault } from "../model/fault.ts";
import { catalogMapBytes } from "../model/limits.ts";
import {
  LmdbPage,
  lmdbDamage,
  lmdbFile,
  lmdbHeaderBytes,
  type Meta,
  metaBytes,
  noPage,
  pageFlag,
  readMeta,
  type Tree,
} from "./lmdb-page.ts";

const use = { none: 0, tree: 1, free: 2 } as const;

/** Flags of the tree of free pages: its keys are integers. */
const integerKeys = 8;

/** @throws Fault corrupt naming what is wrong first; a file that is not there or empty passes */
export async function auditLmdbFile(disk: Disk, directory: string): Promise<void> {
  const path = `${directory}/${lmdbFile}`;
  if (!(await disk.exists(path))) return;
  const file = await disk.openReadable(path);
  try {
    const bytes = await file.size();
    if (bytes > 0) await new Audit(file, bytes).run();
  } finally {
    await file.close();
  }
}

class Audit {
  readonly #file: ReadableFile;
  readonly #fileBytes: number;
  #meta: Meta | undefined;
  /** What each page is used for. */
  #uses = new Uint8Array(0);

  constructor(file: ReadableFile, fileBytes: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
  }

  async run(): Promise<void> {
    const meta = await this.#checkMetas();
    this.#meta = meta;
    this.#uses = new Uint8Array(Number(meta.lastPage) + 1);
    const free: Buffer[] = [];
    await this.#checkTree(meta.free, (value) => free.push(value));
    const named: Tree[] = [];
    await this.#checkTree(meta.main, undefined, (tree) => named.push(tree));
    for (const tree of named) {
      if (tree.flags !== 0 || tree.pad !== 0)
        throw this.#damage(`"${tree.name}" has flags ${tree.flags}, pad ${tree.pad}`);
      await this.#checkTree(tree);
    }
    for (const value of free) this.#checkFree(value);
  }

  async #checkMetas(): Promise<Meta> {
    const first = await this.#readMeta(0, 0);
    const second = await this.#readMeta(1, first.pageBytes);
    const [newer, older] = first.transaction > second.transaction ? [first, second] : [second, first];
    // A commit goes over the older one, so they follow each other; those of a new file are both 0.
    const follows = newer.transaction === older.transaction + 1n && newer.transaction % 2n === newer.number;
    if (!follows && newer.transaction !== 0n)
      throw this.#damage(`its metas are of transactions ${first.transaction} and ${second.transaction}`);
    for (const meta of [newer, older]) {
      if (meta.pageBytes !== newer.pageBytes || meta.address !== 0n || meta.mapBytes !== BigInt(catalogMapBytes))
        throw this.#damage(`meta ${meta.number} has another geometry than expected`);
      if (meta.pageFlags !== pageFlag.meta || meta.version >>> 16 !== 0)
        throw this.#damage(`meta ${meta.number} has flags ${meta.pageFlags}, version ${meta.version}`);
      if (meta.free.flags !== integerKeys || meta.main.flags !== 0 || meta.main.pad !== 0)
        throw this.#damage(`meta ${meta.number} has trees with flags ${meta.free.flags} and ${meta.main.flags}`);
      if (meta.lastPage < 1n || meta.lastPage > newer.lastPage)
        throw this.#damage(`meta ${meta.number} has the last page ${meta.lastPage}`);
    }
    // The file may be shorter where its last pages are free, but not much longer: it grows by what a commit writes.
    if (newer.lastPage > BigInt(this.#fileBytes)) throw this.#damage(`its last page is ${newer.lastPage}`);
    return newer;
  }

  async #readMeta(number: number, position: number): Promise<Meta> {
    const bytes = Buffer.alloc(metaBytes);
    await this.#file.read(bytes, position);
    const meta = readMeta(bytes);
    if (meta?.number !== BigInt(number)) throw this.#damage(`page ${number} is no meta page`);
    return meta;
  }

  /** @param useValue gets a copy of each value */
  async #checkTree(tree: Tree, useValue?: (value: Buffer) => void, useTree?: (tree: Tree) => void): Promise<void> {
    const found = { branchPages: 0n, leafPages: 0n, overflowPages: 0n, entries: 0n };
    let lastKey: Buffer | undefined;
    const visit = async (number: bigint, depth: number): Promise<void> => {
      this.#take(number, 1n, use.tree, tree.name);
      const page = new LmdbPage(await this.#read(number, 1n), number, tree.name);
      this.#checkTransaction(page.transaction, number);
      if (depth > 1) found.branchPages += 1n;
      else found.leafPages += 1n;
      for (const node of page.nodes(depth)) {
        if (node.kind === "page") {
          await visit(node.number, depth - 1);
          continue;
        }
        found.entries += 1n;
        if (lastKey !== undefined && !this.#inOrder(tree, lastKey, node.key))
          throw this.#damage(`keys of "${tree.name}" are out of order on page ${number}`);
        lastKey = node.key;
        if (node.kind === "tree") useTree?.(node.tree);
        else if (node.kind === "value") useValue?.(Buffer.from(node.value));
        else {
          found.overflowPages += node.pages;
          const run = await this.#readRun(node.number, node.pages, tree.name);
          useValue?.(Buffer.from(run.subarray(lmdbHeaderBytes, lmdbHeaderBytes + node.bytes)));
        }
      }
    };
    if (tree.root !== noPage) await visit(tree.root, tree.depth);
    for (const [what, count] of Object.entries(found) as [keyof typeof found, bigint][]) {
      if (tree[what] !== count) throw this.#damage(`"${tree.name}" says ${tree[what]} ${what}, it has ${count}`);
    }
  }

  #inOrder(tree: Tree, a: Buffer, b: Buffer): boolean {
    if (tree.flags !== integerKeys) return Buffer.compare(a, b) < 0;
    return a.byteLength === 8 && b.byteLength === 8 && a.readBigUInt64LE() < b.readBigUInt64LE();
  }

  async #readRun(number: bigint, pages: bigint, tree: string): Promise<Buffer> {
    this.#take(number, pages, use.tree, tree);
    const run = await this.#read(number, pages);
    this.#checkTransaction(run.readBigUInt64LE(8), number);
    if (
      run.readBigUInt64LE(0) !== number ||
      run.readUInt16LE(18) !== pageFlag.overflow ||
      BigInt(run.readUInt32LE(20)) !== pages
    )
      throw this.#damage(`page ${number} of "${tree}" does not begin a run of ${pages} pages`);
    return run;
  }

  #checkFree(value: Buffer): void {
    const count = value.byteLength < 8 ? 0 : Number(value.readBigUInt64LE(0));
    if (value.byteLength < 8 || 8 * (count + 1) > value.byteLength)
      throw this.#damage(`a list of ${count} free pages has ${value.byteLength} bytes`);
    for (let index = 1; index <= count; index += 1) {
      const entry = value.readBigInt64LE(8 * index);
      if (entry === 0n) continue;
      if (entry > 0n) this.#take(entry, 1n, use.free, "free pages");
      else {
        index += 1;
        if (index > count) throw this.#damage("a list of free pages ends with the length of a run");
        this.#take(value.readBigInt64LE(8 * index), -entry, use.free, "free pages");
      }
    }
  }

  #take(number: bigint, pages: bigint, as: number, tree: string): void {
    const last = this.#meta?.lastPage ?? 0n;
    if (number < 2n || pages < 1n || number + pages - 1n > last)
      throw this.#damage(`"${tree}" refers to ${pages} pages from ${number} on, the last one is ${last}`);
    for (let page = number; page < number + pages; page += 1n) {
      if (this.#uses[Number(page)] !== use.none) throw this.#damage(`page ${page} of "${tree}" is used twice`);
      this.#uses[Number(page)] = as;
    }
  }

  #checkTransaction(transaction: bigint, number: bigint): void {
    const newest = this.#meta?.transaction ?? 0n;
    if (transaction > newest)
      throw this.#damage(`page ${number} is of transaction ${transaction}, the last is ${newest}`);
  }

  async #read(number: bigint, pages: bigint): Promise<Buffer> {
    const pageBytes = this.#meta?.pageBytes ?? 0;
    const bytes = Buffer.allocUnsafe(Number(pages) * pageBytes);
    const position = Number(number) * pageBytes;
    if (position + bytes.byteLength > this.#fileBytes) throw this.#damage(`page ${number} is behind its end`);
    await this.#file.read(bytes, position);
    return bytes;
  }

  #damage(what: string): Fault {
    return lmdbDamage(this.#file.path, what);
  }
}
