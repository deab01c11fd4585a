// Reads what test/shim/trace.c wrote, and judges it: when the first byte of an answer left the socket, what below the data
// directory was changed and not synced? Everything that is judged comes from the trace itself.

import path from "node:path";

export type TraceEvent = {
  /** Byte in the trace file at which its line starts: places of calls are noted by the file's length. */
  readonly at: number;
} & (
  | { readonly kind: "writeBegin" | "syncBegin"; readonly inode: string; readonly path: string; readonly sync: boolean }
  | ({ readonly kind: "writeEnd"; readonly inode: string; readonly path: string; readonly sync: boolean } & Extent)
  | { readonly kind: "syncEnd"; readonly inode: string; readonly path: string; readonly ok: boolean }
  | {
      readonly kind: "directoryMade" | "nameCame" | "nameWent";
      readonly inode: string;
      readonly directory: string;
      readonly path: string;
      /** Whether a name that went comes back under another one, which the next event tells. */
      readonly renamed: boolean;
    }
  | { readonly kind: "mapped"; readonly path: string }
  | { readonly kind: "rawCall"; readonly number: number }
  | { readonly kind: "sendBegin"; readonly descriptor: string; readonly bytes: Buffer }
  | { readonly kind: "sendEnd"; readonly descriptor: string; readonly length: number }
);

/** A name that a directory gained or lost. */
export type NameEvent = TraceEvent & { readonly kind: "directoryMade" | "nameCame" | "nameWent" };

interface Extent {
  /** Where a write began, or what a truncation cut to; -1 when the trace does not say. */
  readonly offset: number;
  /** -1 for a truncation. */
  readonly length: number;
}

/** The events of a trace that has no line cut short. */
export function readTrace(text: string): TraceEvent[] {
  const events: TraceEvent[] = [];
  let at = 0;
  for (const line of text.split("\n")) {
    if (line !== "") events.push(readLine(line, at));
    at += line.length + 1;
  }
  return events;
}

function readLine(line: string, at: number): TraceEvent {
  const [kind, first = "", second = "", third = "", fourth = "", fifth = ""] = line.split("\t");
  switch (kind) {
    case "w":
      return { at, kind: "writeBegin", inode: first, sync: second === "1", path: third };
    case "W": {
      const extent = { offset: Number(third), length: Number(fourth) };
      return { at, kind: "writeEnd", inode: first, sync: second === "1", path: fifth, ...extent };
    }
    case "s":
      return { at, kind: "syncBegin", inode: first, sync: false, path: second };
    case "S":
      return { at, kind: "syncEnd", inode: first, ok: second === "0", path: third };
    case "D":
      return { at, kind: "directoryMade", directory: first, inode: second, path: third, renamed: false };
    case "N":
      return { at, kind: "nameCame", directory: first, inode: second, path: third, renamed: false };
    case "R":
    case "M":
      return { at, kind: "nameWent", directory: first, inode: second, path: third, renamed: kind === "M" };
    case "m":
      return { at, kind: "mapped", path: second };
    case "x":
      return { at, kind: "rawCall", number: Number(first) };
    case ">":
      return { at, kind: "sendBegin", descriptor: first, bytes: Buffer.from(second, "hex") };
    case ".":
      return { at, kind: "sendEnd", descriptor: first, length: Number(second) };
    default:
      throw new Error(`No line of a trace: ${line.slice(0, 200)}`);
  }
}

/** What need not be synced, by its path below the data directory, and why. */
export const exempt: readonly { readonly pattern: RegExp; readonly reason: string }[] = [
  { pattern: /^catalog\/lock\.mdb$/, reason: "LMDB's table of living readers; made anew by whoever opens first" },
  { pattern: /^LOCK$/, reason: "for people to read; the owner row in the catalog guards the data" },
  { pattern: /^(control|flight)-\w+\.sock$/, reason: "a socket lives as long as its process" },
  { pattern: / \(deleted\)$/, reason: "the file has lost its name, so nothing of it has to be on disk" },
  { pattern: /^trash\/.+/, reason: "what lies in the trash is removed again at each start, by its row in the catalog" },
];

// A tail log loses its name when no row names it any more; one that came back would be removed at the next start.
function isExempt(relative: string): boolean {
  return exempt.some(({ pattern }) => pattern.test(relative));
}

export const syncedKinds = ["chunk", "tail", "document", "directory", "catalog"] as const;
export type SyncedKind = (typeof syncedKinds)[number];

/** Of what kind a path is, by its name: in a data directory only files have an extension. */
export function kindOf(relative: string): SyncedKind {
  if (relative === "catalog/data.mdb") return "catalog";
  if (relative.endsWith(".arrow")) return "chunk";
  if (relative.endsWith(".log")) return "tail";
  return /\.json(\.new)?$/.test(relative) ? "document" : "directory";
}

interface Answer {
  readonly stream: number;
  /** Index of the event with which its first byte is about to leave. */
  readonly event: number;
}

const headersFrame = 1;
const frameHeadBytes = 9;

/** The first frame of headers of each HTTP/2 stream that the server sends. Streams are those of one connection. */
export function firstAnswers(events: readonly TraceEvent[]): Answer[] {
  const answers = new Map<number, Answer>();
  const pending = new Map<string, { bytes: Buffer; event: number }>();
  let rest: Buffer = Buffer.alloc(0);
  let descriptor: string | undefined;
  events.forEach((event, index) => {
    if (event.kind === "sendBegin") pending.set(event.descriptor, { bytes: event.bytes, event: index });
    if (event.kind !== "sendEnd" || event.length <= 0) return;
    descriptor ??= event.descriptor;
    if (event.descriptor !== descriptor) throw new Error("The trace is of more than one connection.");
    const sent = pending.get(event.descriptor);
    if (sent === undefined) throw new Error("The trace has the end of a send without its begin.");
    rest = Buffer.concat([rest, sent.bytes.subarray(0, event.length)]);
    while (rest.byteLength >= frameHeadBytes) {
      const length = frameHeadBytes + rest.readUIntBE(0, 3);
      const stream = rest.readUInt32BE(5) & 0x7fffffff;
      // The head of a frame is never cut in two by a server that writes it at once; if it were, the later event would count.
      if (rest[3] === headersFrame && !answers.has(stream)) answers.set(stream, { stream, event: sent.event });
      if (rest.byteLength < length) break;
      rest = rest.subarray(length);
    }
  });
  return [...answers.values()];
}

/** Something that was changed and not synced when an answer left. */
export interface Unsynced {
  readonly path: string;
  readonly kind: SyncedKind;
  readonly change: "content" | "names";
}

interface Inode {
  path: string;
  contentChangedAt: number;
  namesChangedAt: number;
  /** What happened before this event is on disk. */
  syncedUpTo: number;
  syncBegunAt: number;
}

export interface Judgement {
  /** By index of the event at which it was asked. */
  readonly unsynced: ReadonlyMap<number, readonly Unsynced[]>;
  /** Paths that were written to, created or lost names, each kind: what the judgement is about. */
  readonly touched: ReadonlyMap<SyncedKind, ReadonlySet<string>>;
}

export interface JudgeOptions {
  readonly root: string;
  /** Indices of events before which everything has to be synced. */
  readonly moments: ReadonlySet<number>;
  /** Changes before this event are not looked at. */
  readonly from?: number;
  /** Ends of syncs that are taken as never made. */
  readonly ignored?: ReadonlySet<number>;
}

/** Goes through the trace and asks at each moment what is not synced. */
export function judge(events: readonly TraceEvent[], { root, moments, from = 0, ignored }: JudgeOptions): Judgement {
  const inodes = new Map<string, Inode>();
  const touched = new Map<SyncedKind, Set<string>>(syncedKinds.map((kind) => [kind, new Set()]));
  const unsynced = new Map<number, Unsynced[]>();
  const know = (inode: string, at: string): Inode => {
    const known = inodes.get(inode);
    if (known !== undefined) return known;
    const fresh = { path: at, contentChangedAt: -1, namesChangedAt: -1, syncedUpTo: -1, syncBegunAt: -1 };
    inodes.set(inode, fresh);
    return fresh;
  };
  const touch = (at: string, index: number, note: () => void): void => {
    const relative = path.relative(root, at);
    if (index < from || isExempt(relative)) return;
    touched.get(kindOf(relative))?.add(relative);
    note();
  };
  const changeNames = (event: NameEvent, index: number): void => {
    if (isExempt(path.relative(root, event.path)) && !isMovedToTrash(root, event)) return;
    if (event.kind === "nameWent" && kindOf(path.relative(root, event.path)) === "tail") return;
    const directory = know(event.directory, path.dirname(event.path));
    touch(directory.path, index, () => {
      directory.namesChangedAt = index;
    });
  };
  events.forEach((event, index) => {
    if (moments.has(index)) unsynced.set(index, listUnsynced(inodes.values(), root));
    switch (event.kind) {
      case "writeBegin":
      case "writeEnd": {
        // A write through a descriptor that syncs is on disk when it has ended, and says nothing of those before it.
        if (event.sync) return;
        const file = know(event.inode, event.path);
        touch(event.path, index, () => {
          file.contentChangedAt = index;
        });
        return;
      }
      case "syncBegin":
        know(event.inode, event.path).syncBegunAt = index;
        return;
      case "syncEnd": {
        if (!event.ok || ignored?.has(index)) return;
        const file = know(event.inode, event.path);
        file.syncedUpTo = file.syncBegunAt;
        return;
      }
      case "directoryMade":
      case "nameCame": {
        changeNames(event, index);
        const known = know(event.inode, event.path);
        for (const inode of inodes.values()) {
          if (inode.path.startsWith(`${known.path}/`)) inode.path = event.path + inode.path.slice(known.path.length);
        }
        known.path = event.path;
        return;
      }
      case "nameWent":
        changeNames(event, index);
        // Renamed: the event that follows brings it back under its new name. Removed: nothing of it has to be on disk.
        if (!isRenamed(events, index)) inodes.delete(event.inode);
        return;
      default:
        return;
    }
  });
  return { unsynced, touched };
}

/** Whether a name that went comes back under another one below the root. The number of a file that was removed goes to the next one. */
export function isRenamed(events: readonly TraceEvent[], index: number): boolean {
  const event = events[index];
  const next = events[index + 1];
  return event?.kind === "nameWent" && event.renamed && next?.kind === "nameCame" && next.inode === event.inode;
}

/** What goes into the trash comes from a directory that loses a name, and both have to be synced. */
function isMovedToTrash(root: string, event: NameEvent): boolean {
  return event.kind === "nameCame" && /^trash\/[^/]+$/.test(path.relative(root, event.path));
}

function listUnsynced(inodes: Iterable<Inode>, root: string): Unsynced[] {
  const list: Unsynced[] = [];
  for (const { path: at, contentChangedAt, namesChangedAt, syncedUpTo } of inodes) {
    if (contentChangedAt <= syncedUpTo && namesChangedAt <= syncedUpTo) continue;
    const relative = path.relative(root, at);
    // The trash itself is a directory like others; what is in it is not.
    if (isExempt(relative)) continue;
    const kind = kindOf(relative);
    if (contentChangedAt > syncedUpTo) list.push({ path: relative, kind, change: "content" });
    if (namesChangedAt > syncedUpTo) list.push({ path: relative, kind, change: "names" });
  }
  return list;
}

/** For each file the byte behind the last one that the trace saw written; only files written by position. */
export function writtenBytes(events: readonly TraceEvent[]): Map<string, number> {
  const ends = new Map<string, number>();
  for (const [index, event] of events.entries()) {
    // The number of a file that was removed is given to another one.
    if (event.kind === "nameCame" && !isRenamed(events, index - 1)) ends.delete(event.inode);
    if (event.kind !== "writeEnd" || event.length < 0 || event.offset < 0) continue;
    ends.set(event.inode, Math.max(ends.get(event.inode) ?? 0, event.offset + event.length));
  }
  return ends;
}
