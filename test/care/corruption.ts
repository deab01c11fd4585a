// Damage of every kind to every kind of file, from a seed. Each is undone by putting back what was there before.

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { LmdbPage, noPage, readMeta } from "../../src/catalog/lmdb-page.ts";
import { tailHeaderBytes } from "../../src/store/tail-frame.ts";
import { randomInteger } from "../load/random.ts";

export const damageKinds = [
  "bit flip",
  "zeroed range",
  "truncation",
  "extension",
  "missing",
  "extra",
  "swapped with another",
  "replaced by a directory",
] as const;
export type DamageKind = (typeof damageKinds)[number];

export const fileKinds = [
  "data.mdb",
  "data.mdb, in use",
  "store.json",
  "sequence document",
  "open session.json",
  "manifest",
  "topic.json",
  "sealed chunk head",
  "sealed chunk body",
  "sealed chunk footer",
  "open chunk",
  "tail frame header",
  "tail frame body",
] as const;
export type FileKind = (typeof fileKinds)[number];

/** A file of the kind and the bytes of it that are meant. */
interface Target {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** The targets of each kind in a data directory that was killed. */
export function targetsIn(dataDir: string): Record<FileKind, Target[]> {
  const whole = (file: string): Target => ({ path: file, from: 0, to: statSync(path.join(dataDir, file)).size });
  const names = readdirSync(dataDir, { recursive: true, encoding: "utf8" }).sort();
  const matching = (pattern: RegExp): Target[] => names.filter((name) => pattern.test(name)).map(whole);
  const documents = matching(/^sessions\/[^/]+\/session\.json$/);
  const isManifest = ({ path: file }: Target): boolean =>
    readFileSync(path.join(dataDir, file), "utf8").includes('"completed_at_ns"');
  const chunks = matching(/\.arrow$/).map((target) => ({ target, ...partsOf(path.join(dataDir, target.path)) }));
  const sealed = chunks.filter(({ footerAt }) => footerAt !== undefined);
  const part = (name: "head" | "body" | "footer"): Target[] =>
    sealed.flatMap(({ target, headEnd, footerAt = 0 }) => {
      const from = { head: 0, body: headEnd, footer: footerAt }[name];
      const to = { head: headEnd, body: footerAt, footer: target.to }[name];
      return from < to ? [{ ...target, from, to }] : [];
    });
  const frames = framesIn(dataDir, names);
  return {
    "data.mdb": matching(/^catalog\/data\.mdb$/),
    "data.mdb, in use": pagesInUse(dataDir),
    "store.json": matching(/^store\.json$/),
    "sequence document": matching(/^sequences\//),
    "open session.json": documents.filter((target) => !isManifest(target)),
    manifest: documents.filter(isManifest),
    "topic.json": matching(/\/topic\.json$/),
    "sealed chunk head": part("head"),
    "sealed chunk body": part("body"),
    "sealed chunk footer": part("footer"),
    "open chunk": chunks.filter(({ footerAt }) => footerAt === undefined).map(({ target }) => target),
    "tail frame header": frames.map(({ path: file, from }) => ({ path: file, from, to: from + tailHeaderBytes })),
    "tail frame body": frames.map((frame) => ({ ...frame, from: frame.from + tailHeaderBytes })),
  };
}

/** Headers and nodes of the pages that are reached from the newest meta, and that meta. */
function pagesInUse(dataDir: string): Target[] {
  const file = "catalog/data.mdb";
  const bytes = readFileSync(path.join(dataDir, file));
  const metas = [bytes, bytes.subarray(4096)].map((page) => readMeta(page));
  const newest = metas.toSorted((a, b) => Number((b?.transaction ?? 0n) - (a?.transaction ?? 0n)))[0];
  if (newest === undefined) throw new Error("the corpus has no catalog");
  const targets: Target[] = [
    { path: file, from: 4096 * Number(newest.number) + 24, to: 4096 * Number(newest.number) + 184 },
  ];
  const visit = (number: bigint, depth: number, name: string): void => {
    const from = 4096 * Number(number);
    const page = bytes.subarray(from, from + 4096);
    targets.push({ path: file, from: from + 8, to: from + 24 + page.readUInt16LE(20) });
    targets.push({ path: file, from: from + 24 + page.readUInt16LE(22), to: from + 4096 });
    for (const node of new LmdbPage(page, number, name).nodes(depth)) {
      if (node.kind === "page") visit(node.number, depth - 1, name);
      else if (node.kind === "tree" && node.tree.root !== noPage)
        visit(node.tree.root, node.tree.depth, node.tree.name);
      else if (node.kind === "overflow") {
        const at = 4096 * Number(node.number);
        targets.push({ path: file, from: at, to: at + 24 + node.bytes });
      }
    }
  };
  for (const tree of [newest.free, newest.main]) if (tree.root !== noPage) visit(tree.root, tree.depth, tree.name);
  return targets;
}

function partsOf(file: string): { headEnd: number; footerAt: number | undefined } {
  const bytes = readFileSync(file);
  const headEnd = 16 + bytes.readInt32LE(12);
  if (bytes.toString("latin1", bytes.byteLength - 6) !== "ARROW1") return { headEnd, footerAt: undefined };
  return { headEnd, footerAt: bytes.byteLength - 10 - bytes.readInt32LE(bytes.byteLength - 10) - 8 };
}

function framesIn(dataDir: string, names: readonly string[]): Target[] {
  return names
    .filter((name) => /^tail\/.*\.log$/.test(name))
    .flatMap((name) => {
      const bytes = readFileSync(path.join(dataDir, name));
      const frames: Target[] = [];
      for (let at = 0; at < bytes.byteLength; ) {
        const end = at + tailHeaderBytes + bytes.readUInt32LE(at + 8) + bytes.readUInt32LE(at + 12);
        frames.push({ path: name, from: at, to: end });
        at = end;
      }
      return frames;
    });
}

export interface Damage {
  readonly kind: DamageKind;
  readonly file: FileKind;
  /** In words, for whoever has to do it again. */
  readonly what: string;
  undo(): void;
}

/** Does the damage; undefined when by chance nothing has changed. */
export function damageFile(
  dataDir: string,
  {
    file,
    kind,
    targets,
    random,
  }: { file: FileKind; kind: DamageKind; targets: readonly Target[]; random: () => number },
): Damage | undefined {
  const target = targets[randomInteger(random, targets.length)];
  if (target === undefined) throw new Error(`the corpus has no ${file}`);
  const full = path.join(dataDir, target.path);
  const before = readFileSync(full);
  const inside = (): number => target.from + randomInteger(random, target.to - target.from);
  const put = (bytes: Uint8Array, what: string): Damage | undefined => {
    if (Buffer.compare(before, bytes) === 0) return undefined;
    writeFileSync(full, bytes);
    return { file, kind, what: `${target.path}: ${what}`, undo: () => writeFileSync(full, before) };
  };
  const putBack = (): void => {
    rmSync(full, { recursive: true, force: true });
    writeFileSync(full, before);
  };
  switch (kind) {
    case "bit flip": {
      const bytes = Buffer.from(before);
      const at = inside();
      const bit = randomInteger(random, 8);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      return put(bytes, `bit ${bit} of byte ${at}`);
    }
    case "zeroed range": {
      const at = inside();
      const length = Math.min(1 + randomInteger(random, 600), target.to - at);
      return put(Buffer.from(before).fill(0, at, at + length), `${length} bytes from ${at}`);
    }
    case "truncation": {
      const at = inside();
      return put(before.subarray(0, at), `to ${at} bytes`);
    }
    case "extension": {
      const extra = Buffer.alloc(1 + randomInteger(random, 300), randomInteger(random, 256));
      return put(Buffer.concat([before, extra]), `by ${extra.byteLength} bytes`);
    }
    case "missing":
      rmSync(full);
      return { file, kind, what: `${target.path}: missing`, undo: putBack };
    case "extra": {
      const extra = extraName(target.path);
      cpSync(full, path.join(dataDir, extra));
      return { file, kind, what: `${extra}: extra`, undo: () => rmSync(path.join(dataDir, extra)) };
    }
    case "swapped with another":
      return swap(dataDir, { file, target, targets, random, put });
    case "replaced by a directory":
      rmSync(full);
      mkdirSync(full);
      return { file, kind, what: `${target.path}: a directory`, undo: putBack };
  }
}

/** A file of the kind that is not there, by its name. */
function extraName(file: string): string {
  if (file.startsWith("sequences/")) return "sequences/01ARZ3NDEKTSV4RRFFQ69G5FAV.json";
  if (file.endsWith(".arrow")) return path.join(path.dirname(file), "00077.arrow");
  if (file.startsWith("tail/")) return "tail/00000077.log";
  return `${file}.copy`;
}

/** The bytes that are meant become those of another of the kind, or of any other file where there is but one. */
function swap(
  dataDir: string,
  options: {
    file: FileKind;
    target: Target;
    targets: readonly Target[];
    random: () => number;
    put(bytes: Uint8Array, what: string): Damage | undefined;
  },
): Damage | undefined {
  const { file, target, targets, random, put } = options;
  const others = targets.filter((other) => other !== target);
  const lone = file === "store.json" ? "LOCK" : file === "open session.json" ? "store.json" : "catalog/lock.mdb";
  const picked = others[randomInteger(random, others.length)] ?? {
    path: lone,
    from: 0,
    to: statSync(path.join(dataDir, lone)).size,
  };
  if (!existsSync(path.join(dataDir, picked.path))) return undefined;
  const own = readFileSync(path.join(dataDir, target.path));
  const other = readFileSync(path.join(dataDir, picked.path)).subarray(picked.from, picked.to);
  const bytes = Buffer.concat([own.subarray(0, target.from), other, own.subarray(target.to)]);
  return put(bytes, `bytes ${target.from} to ${target.to} are those of ${picked.path} from ${picked.from}`);
}
