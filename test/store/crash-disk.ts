// What a power cut may leave of a directory, rebuilt from the trace of everything that was done below it. The disk keeps less
// than any file system in use: what was not synced may be there or not, each write, each part of a write and each name for
// itself, in any order. Only a rename is whole or not at all, and a sector of 512 bytes.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { randomFrom, randomInteger } from "../load/random.ts";
import { isRenamed, kindOf, type NameEvent, type SyncedKind, type TraceEvent } from "./trace.ts";

/**
 * `prefix`: all that has ended before the cut, as after the death of a process. `synced`: nothing but what was synced. `mixed`:
 * that, and by chance some of the rest.
 */
export const stateKinds = ["prefix", "synced", "mixed"] as const;
export type StateKind = (typeof stateKinds)[number];

export interface CrashState {
  readonly kind: StateKind;
  /** Events before this one have happened. */
  readonly cut: number;
  readonly seed: number;
}

/** Indices of the events with which something began and ended. */
interface Span {
  readonly begun: number;
  readonly ended: number;
}

/** A write, or a truncation when it has no bytes. */
interface Change extends Span {
  readonly offset: number;
  readonly bytes: Buffer | undefined;
  /** On disk when it has ended. */
  readonly sync: boolean;
}

interface RecordedFile {
  readonly kind: "file";
  readonly changes: Change[];
  readonly syncs: Span[];
}

interface RecordedDirectory {
  readonly kind: "directory";
  readonly syncs: Span[];
}

type RecordedNode = RecordedFile | RecordedDirectory;

/** Something that happens to names at once: two directories may have a part in a rename. */
interface NameChange {
  readonly at: number;
  readonly edits: readonly { directory: RecordedDirectory; name: string; node: RecordedNode | undefined }[];
}

const sectorBytes = [512, 4096];
/** In one state nearly everything is kept, in another one nearly nothing. */
const keepChances = [0.1, 0.5, 0.9];

export interface Recorded {
  readonly events: readonly TraceEvent[];
  /** Of all writes, one behind the other. */
  readonly bytes: Buffer;
  /** The data directory. */
  readonly root: string;
  /** Indices of the events with which processes begin: what was under way in the one before has come to nothing. */
  readonly starts: ReadonlySet<number>;
}

export class RecordedDisk {
  readonly #root: string;
  readonly #top: RecordedDirectory = { kind: "directory", syncs: [] };
  readonly #nodes = new Map<string, RecordedNode>();
  readonly #names: NameChange[] = [];
  readonly #begun = new Map<string, number[]>();
  #bytesUsed = 0;

  /** @param ignored ends of syncs that are taken as never made */
  constructor({ events, bytes, root, starts }: Recorded, ignored: ReadonlySet<number> = new Set()) {
    this.#root = root;
    for (const [index, event] of events.entries()) {
      if (starts.has(index)) this.#begun.clear();
      switch (event.kind) {
        case "writeBegin":
        case "syncBegin":
          this.#begin(event, index);
          break;
        case "writeEnd":
          this.#write(event, index, bytes);
          break;
        case "syncEnd":
          this.#sync(event, index, ignored);
          break;
        case "directoryMade":
        case "nameCame":
        case "nameWent":
          this.#changeNames(events, index, event);
      }
    }
    if (this.#bytesUsed !== bytes.byteLength)
      throw new Error(`The trace tells of ${this.#bytesUsed} written bytes, there are ${bytes.byteLength}.`);
  }

  #begin({ kind, inode }: { kind: string; inode: string }, index: number): void {
    const key = `${kind} ${inode}`;
    this.#begun.set(key, [...(this.#begun.get(key) ?? []), index]);
  }

  /** With several at once the first to end counts as the first that began: a sync covers less then. */
  #span(kind: "writeBegin" | "syncBegin", inode: string, ended: number): Span {
    return { begun: this.#begun.get(`${kind} ${inode}`)?.shift() ?? ended, ended };
  }

  #write(event: TraceEvent & { kind: "writeEnd" }, index: number, bytes: Buffer): void {
    const { inode, path: at, offset, length, sync } = event;
    const file = this.#nodes.get(inode);
    if (offset < 0) throw new Error(`${at} was changed in a way that the trace does not tell.`);
    if (file?.kind !== "file") throw new Error(`${at} is written to and never came into being.`);
    const written = length < 0 ? undefined : bytes.subarray(this.#bytesUsed, this.#bytesUsed + length);
    this.#bytesUsed += written?.byteLength ?? 0;
    file.changes.push({ ...this.#span("writeBegin", inode, index), offset, bytes: written, sync });
  }

  #sync(event: TraceEvent & { kind: "syncEnd" }, index: number, ignored: ReadonlySet<number>): void {
    const span = this.#span("syncBegin", event.inode, index);
    if (event.ok && !ignored.has(index)) this.#nodeOf(event.inode, event.path)?.syncs.push(span);
  }

  #changeNames(events: readonly TraceEvent[], at: number, event: NameEvent): void {
    if (event.kind === "nameWent") {
      if (isReplaced(events, at)) return;
      const target = events[at + 1];
      if (target?.kind !== "nameCame" || !isRenamed(events, at)) {
        this.#names.push({ at, edits: [this.#edit(event, undefined)] });
        return;
      }
      const moved = this.#edit(target, this.#nodes.get(event.inode));
      this.#names.push({ at: at + 1, edits: [this.#edit(event, undefined), moved] });
      return;
    }
    // A rename is told by the name that went.
    if (isRenamed(events, at - 1)) return;
    const node: RecordedNode =
      event.kind === "directoryMade" ? { kind: "directory", syncs: [] } : { kind: "file", changes: [], syncs: [] };
    this.#nodes.set(event.inode, node);
    this.#names.push({ at, edits: [this.#edit(event, node)] });
  }

  #edit({ directory, path: at }: NameEvent, node: RecordedNode | undefined): NameChange["edits"][number] {
    const parent = this.#nodeOf(directory, path.dirname(at));
    if (parent?.kind !== "directory") throw new Error(`${at} lies in a directory that never came into being.`);
    return { directory: parent, name: path.basename(at), node };
  }

  /** What lies above the data directory was there before. */
  #nodeOf(inode: string, at: string): RecordedNode | undefined {
    return at === path.dirname(this.#root) ? this.#top : this.#nodes.get(inode);
  }

  /** Makes the directory that the cut leaves of the one above the data directory. */
  rebuild(state: CrashState, target: string): void {
    const random = randomFrom(state.seed);
    const keep = keepChances[randomInteger(random, keepChances.length)] ?? 0;
    const names = new Map<RecordedDirectory, Map<string, RecordedNode>>();
    for (const change of this.#names) {
      if (change.at >= state.cut || !this.#staysName(change, state, () => random() < keep)) continue;
      for (const { directory, name, node } of change.edits) {
        const known = names.get(directory) ?? new Map<string, RecordedNode>();
        names.set(directory, known);
        if (node === undefined) known.delete(name);
        else known.set(name, node);
      }
    }
    const make = (directory: RecordedDirectory, at: string): void => {
      mkdirSync(at, { mode: 0o700 });
      for (const [name, node] of names.get(directory) ?? []) {
        if (node.kind === "directory") make(node, path.join(at, name));
        else writeFileSync(path.join(at, name), contentOf(node, state, random, keep), { mode: 0o600 });
      }
    };
    make(this.#top, target);
  }

  #staysName({ at, edits }: NameChange, { kind, cut }: CrashState, chance: () => boolean): boolean {
    const synced = edits.every(({ directory }) => isSynced(directory.syncs, at, cut));
    return kind === "prefix" || synced || (kind === "mixed" && chance());
  }
}

/** Whether a name went because a rename, which the next two events tell, gave it to another file: it is never nobody's then. */
function isReplaced(events: readonly TraceEvent[], at: number): boolean {
  const [event, came] = [events[at], events[at + 2]];
  if (event?.kind !== "nameWent" || event.renamed || came?.kind !== "nameCame") return false;
  return isRenamed(events, at + 1) && came.path === event.path;
}

function isSynced(syncs: readonly Span[], changed: number, cut: number): boolean {
  return syncs.some(({ begun, ended }) => begun > changed && ended < cut);
}

function contentOf({ changes, syncs }: RecordedFile, state: CrashState, random: () => number, keep: number): Buffer {
  const { kind, cut } = state;
  const lengthMax = changes.reduce((most, { offset, bytes }) => Math.max(most, offset + (bytes?.byteLength ?? 0)), 0);
  const content = Buffer.alloc(lengthMax);
  let length = 0;
  const put = (bytes: Buffer, offset: number): void => {
    bytes.copy(content, offset);
    length = Math.max(length, offset + bytes.byteLength);
  };
  for (const { begun, ended, offset, bytes, sync } of changes) {
    if (begun >= cut) continue;
    const hasEnded = ended < cut;
    const stays = hasEnded && (kind === "prefix" || sync || isSynced(syncs, ended, cut));
    if (!stays && kind !== "mixed") continue;
    if (stays || random() < keep) {
      if (bytes !== undefined) put(bytes, offset);
      else {
        content.fill(0, Math.min(offset, length), length);
        length = offset;
      }
    } else if (bytes !== undefined) {
      const fate = random();
      if (fate < 0.3) tear(bytes, offset, random, put);
      // The length came to the disk, the bytes did not.
      if (fate < 0.15 || fate > 0.9) length = Math.max(length, offset + bytes.byteLength);
    }
  }
  return content.subarray(0, length);
}

/** Keeps some sectors of a write. They lie where those of the file do. */
function tear(bytes: Buffer, offset: number, random: () => number, put: (bytes: Buffer, offset: number) => void): void {
  const size = sectorBytes[randomInteger(random, sectorBytes.length)] ?? 512;
  const end = offset + bytes.byteLength;
  for (let at = offset; at < end; ) {
    const next = Math.min(end, at - (at % size) + size);
    if (random() < 0.5) put(bytes.subarray(at - offset, next - offset), at);
    at = next;
  }
}

/** What happens at an event, for the table of what was cut where; undefined for what changes nothing on disk. */
export function actOf(events: readonly TraceEvent[], index: number, root: string): Act | undefined {
  const event = events[index];
  if (event === undefined || !("path" in event) || event.kind === "mapped") return undefined;
  const relative = path.relative(root, event.path);
  if (/^(LOCK|(control|flight)-.*|catalog\/lock\.mdb)$| \(deleted\)$/.test(relative)) return undefined;
  const kind = kindOf(relative);
  switch (event.kind) {
    case "writeBegin":
    case "writeEnd": {
      if (event.sync) return `commit ${kind}`;
      return event.kind === "writeEnd" && event.length < 0 ? `cut ${kind}` : `write ${kind}`;
    }
    case "syncBegin":
    case "syncEnd":
      return `sync ${kind}`;
    case "nameWent":
      return isRenamed(events, index) ? undefined : `remove ${kind}`;
    case "directoryMade":
    case "nameCame":
      return `${isRenamed(events, index - 1) ? "rename" : "create"} ${kind}`;
  }
}

export type Act = `${"write" | "cut" | "commit" | "sync" | "remove" | "create" | "rename"} ${SyncedKind}` | "answer";
