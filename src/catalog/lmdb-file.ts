/**
 * Checks the LMDB file before LMDB maps it: LMDB follows whatever page numbers and offsets it finds, and a damaged file ends
 * the process by a signal, without a word. Only what holds the tree together is looked at, not what the rows say.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Disk, ReadableFile } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import {
  describeVersion,
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

/**
 * A server beside us reuses the pages of a state two commits later, also while they are looked at. Each page tells its number and the
 * transaction that wrote it; one that tells others than expected may be of a later state, and then the newest state is looked at. One
 * that commits all the time may overtake every look; damage stays, so what most of them find is none.
 */
const looks = { most: 20, pauseMs: 5 } as const;

/** A page is not the one that was expected, or there is none: something is damaged, or there has been a commit since. */
class OtherPage extends Error {
  readonly damage: Fault;

  constructor(damage: Fault) {
    super(damage.message);
    this.damage = damage;
  }
}

/**
 * Looks at up to `pagesMax` pages from the roots down. A file that is not there passes; one that is empty does not: LMDB would not
 * notice when it reads it.
 * @throws Fault corrupt naming page, expected and found
 */
export async function checkLmdbFile(disk: Disk, directory: string, pagesMax: number): Promise<void> {
  const path = `${directory}/${lmdbFile}`;
  if (!(await disk.exists(path))) return;
  const file = await disk.openReadable(path);
  try {
    const overtaken = new Map<string, number>();
    for (let look = 0; look < looks.most; look += 1) {
      const walk = new Walk(file, pagesMax);
      try {
        return await walk.run();
      } catch (error) {
        if (!(error instanceof OtherPage)) throw error;
        const times = (overtaken.get(error.message) ?? 0) + 1;
        if (times > looks.most / 2 || !(await walk.isOvertaken())) throw error.damage;
        overtaken.set(error.message, times);
      }
      await sleep(looks.pauseMs);
    }
  } finally {
    await file.close();
  }
}

interface Place {
  readonly tree: Pick<Tree, "name">;
  readonly number: bigint;
  /** Levels from there down. */
  readonly depth: number;
}

class Walk {
  readonly #file: ReadableFile;
  #fileBytes = 0;
  #pagesLeft: number;
  /** What it looks at; undefined before that is known. */
  #seen: Meta | undefined;

  constructor(file: ReadableFile, pagesMax: number) {
    this.#file = file;
    this.#pagesLeft = pagesMax;
  }

  async run(): Promise<void> {
    this.#fileBytes = await this.#file.size();
    this.#seen = await this.#newestMeta();
    // Whoever committed that state had made the file as long as it says.
    this.#fileBytes = await this.#file.size();
    const { pageBytes, free, main } = this.#seen;
    const trees = [free, main];
    // Breadth first: what is nearest to the roots is needed by every read.
    let level: Place[] = trees.flatMap((tree) =>
      tree.root === noPage ? [] : [{ tree, number: tree.root, depth: tree.depth }],
    );
    let other: OtherPage | undefined;
    while (level.length > 0 && this.#pagesLeft > 0) {
      const below: typeof level = [];
      for (const place of level) {
        if (this.#pagesLeft === 0) break;
        this.#pagesLeft -= 1;
        try {
          below.push(...(await this.#below(place, pageBytes)));
        } catch (error) {
          if (!(error instanceof OtherPage)) throw error;
          // The others are looked at nevertheless.
          other ??= error;
        }
      }
      level = below;
    }
    if (other !== undefined) throw other;
  }

  /** What a page refers to. @throws OtherPage */
  async #below({ tree, number, depth }: Place, pageBytes: number): Promise<Place[]> {
    const bytes = await this.#page(number, pageBytes);
    this.#checkIdentity(bytes, number, tree.name);
    const below: Place[] = [];
    try {
      for (const child of new LmdbPage(bytes, number, tree.name).nodes(depth)) {
        if (child.kind === "page") below.push({ tree, number: child.number, depth: depth - 1 });
        else if (child.kind === "tree") {
          if (child.tree.root !== noPage)
            below.push({ tree: child.tree, number: child.tree.root, depth: child.tree.depth });
        } else if (child.kind === "overflow") await this.#overflow(child, pageBytes, tree.name);
      }
    } catch (error) {
      // It may have been written while it was read: half of it was of a later state.
      if (error instanceof Fault && Buffer.compare(bytes, await this.#page(number, pageBytes)) !== 0)
        throw new OtherPage(error);
      throw error;
    }
    return below;
  }

  /** Whether there has been a commit since it began, so that what it has found may be of another state. */
  async isOvertaken(): Promise<boolean> {
    if (this.#seen === undefined) return false;
    return (await this.#newestMeta()).transaction !== this.#seen.transaction;
  }

  async #newestMeta(): Promise<Meta> {
    const least = 2 * 4096;
    if (this.#fileBytes < least) {
      throw this.#damage(`it has ${this.#fileBytes} bytes, expected at least ${least}`);
    }
    const first = await this.#meta(0);
    const second = first === undefined ? undefined : await this.#meta(first.pageBytes);
    if (first === undefined || second === undefined) {
      throw this.#damage(`page ${first === undefined ? 0 : 1} does not begin as a page of ${describeVersion()} does`);
    }
    return first.transaction > second.transaction ? first : second;
  }

  async #meta(position: number): Promise<Meta | undefined> {
    const bytes = Buffer.alloc(metaBytes);
    await this.#file.read(bytes, position);
    return readMeta(bytes);
  }

  async #page(number: bigint, pageBytes: number): Promise<Buffer> {
    this.#checkInFile(number, 1n, pageBytes);
    const bytes = Buffer.allocUnsafe(pageBytes);
    await this.#file.read(bytes, Number(number) * pageBytes);
    return bytes;
  }

  /** @throws OtherPage */
  #checkIdentity(bytes: Buffer, number: bigint, tree: string): void {
    const [own, transaction] = [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)];
    const newest = this.#seen?.transaction ?? 0n;
    if (own !== number) throw new OtherPage(lmdbDamage(lmdbFile, `page ${number} of "${tree}" says it is page ${own}`));
    if (transaction > newest)
      throw new OtherPage(
        lmdbDamage(lmdbFile, `page ${number} of "${tree}" is of transaction ${transaction}, the last is ${newest}`),
      );
  }

  async #overflow(
    { number, pages }: { number: bigint; pages: bigint },
    pageBytes: number,
    tree: string,
  ): Promise<void> {
    this.#checkInFile(number, pages, pageBytes);
    const header = Buffer.alloc(lmdbHeaderBytes);
    await this.#file.read(header, Number(number) * pageBytes);
    this.#checkIdentity(header, number, tree);
    if ((header.readUInt16LE(18) & pageFlag.overflow) === 0) {
      throw this.#damage(`page ${number} of "${tree}" does not begin a run of ${pages} pages`);
    }
  }

  #checkInFile(number: bigint, pages: bigint, pageBytes: number): void {
    if (number >= 2n && (number + pages) * BigInt(pageBytes) <= BigInt(this.#fileBytes)) return;
    throw new OtherPage(
      this.#damage(`it refers to page ${number}, and has ${Math.floor(this.#fileBytes / pageBytes)} pages`),
    );
  }

  #damage(what: string): Fault {
    return lmdbDamage(this.#file.path, what);
  }
}
