/**
 * Writes sessions of the store as a bundle. They are read twice: to hash what the manifest is to say, then to write it, and what is
 * then not the same is not written under that signature. An export that was broken off is gone on with under the manifest that it has.
 */

import { findSession, listTopicsOfSession } from "../catalog/resources.ts";
import { Sha256 } from "../host/checksum.ts";
import { claimOutside, openOutside, outsideState } from "../host/outside-file.ts";
import type { SigningKey } from "../host/signing-key.ts";
import type { BundleManifest, BundleMember, BundleSession } from "../model/bundle.ts";
import { bundleMax } from "../model/bundle-limits.ts";
import { bytesOfTopics } from "../model/extent.ts";
import { Fault } from "../model/fault.ts";
import type { SessionLocator } from "../model/locator.ts";
import type { Ulid } from "../model/resource.ts";
import { type BundleHead, bytesOfBundle, readHead } from "./bundle-file.ts";
import { BundleWriter, firstName, unfinishedName } from "./bundle-writer.ts";
import { writeManifest } from "./manifest.ts";
import { manifestName, signatureName } from "./member-name.ts";
import { partName } from "./parts.ts";
import { type MemberSource, type StoreParts, sessionMembers } from "./session-members.ts";
import { writeSignature } from "./signature.ts";
import { tarEndBytes, tarHeader, tarPadding } from "./tar-header.ts";

export interface ExportRequest extends Pick<BundleManifest, "id" | "createdAtNs" | "version" | "store" | "partBytes"> {
  readonly file: string;
  readonly sessions: readonly Ulid[];
  readonly key: SigningKey;
  /** Asked before so many bytes are written. @throws Fault when there is no room for them */
  admit(bytes: number): Promise<void>;
  /** Of the archive, and of what is hashed before: twice as many as there are. */
  onBytes(bytes: number, bytesTotal: number): void;
}

export interface Exported {
  readonly manifest: BundleManifest;
  readonly bytes: number;
  /** Sessions that are damaged, and so not in it, and why. */
  readonly damaged: readonly { readonly session: SessionLocator; readonly reason: string }[];
  /** Sessions that are wanted and that the bundle was not begun with that this call has gone on with. */
  readonly later: number;
  /** Fewer than it has, where an earlier try is gone on with. */
  readonly writtenBytes: number;
}

/**
 * @throws Fault exists (another file is there), wrong_state (another process writes it), absent (a session is gone, or the
 *   directory), corrupt (a session is damaged),
 *   overloaded (the disk is full: the same call goes on later), invalid
 */
export async function exportBundle(parts: StoreParts, request: ExportRequest): Promise<Exported> {
  const { file, key, partBytes, onBytes } = request;
  await using _claim = await claimOutside(file);
  const left = await readLeft(request);
  const goesOn = left?.isFinished === false && isPartOf(left.manifest, request.sessions);
  const ulids = goesOn ? left.manifest.sessions.map(({ ulid }) => ulid) : request.sessions;
  const { sessions, members, damaged } = await hashSessions(parts, request, ulids);
  if (members.length > bundleMax.members || sessions.length > bundleMax.sessions)
    throw new Fault(
      "invalid",
      `A bundle has at most ${bundleMax.sessions} sessions and ${bundleMax.members} files: export fewer at a time.`,
    );
  const { id, createdAtNs, version } = left?.manifest ?? request;
  const manifest: BundleManifest = { id, createdAtNs, version, store: request.store, partBytes, sessions, members };
  const manifestBytes = writeManifest(manifest);
  if (left !== undefined) checkLeft(request, left, manifest);
  if (manifestBytes.byteLength > bundleMax.manifestBytes)
    throw new Fault("invalid", "The manifest of the bundle would be too large: export fewer sessions at a time.");
  const head = Buffer.concat([
    ...wholeMember(manifestName, manifestBytes),
    ...wholeMember(signatureName, writeSignature(manifestBytes, key)),
  ]);
  const bytes = bytesOfBundle(manifest, head.byteLength);
  checkPartBytes(partBytes, head.byteLength, bytes);
  await request.admit(Math.max(0, bytes - (await leftBytes(request, bytes))));
  await using writer = new BundleWriter({ file, bytes, partBytes, head });
  await writer.write(head);
  let written = head.byteLength;
  const put = async (piece: Uint8Array): Promise<void> => {
    await writer.write(piece);
    written += piece.byteLength;
    onBytes(bytes + written, 2 * bytes);
  };
  await stayingThere(writer, writeSessions(parts, manifest, put));
  await put(Buffer.alloc(tarEndBytes));
  await writer.finish();
  const later = request.sessions.length - damaged.length - sessions.length;
  return { manifest, bytes, damaged, later, writtenBytes: writer.writtenBytes };
}

/** Whether an earlier try was of some of these sessions: those that were finalized since are for the next bundle. */
function isPartOf({ sessions }: BundleManifest, ulids: readonly Ulid[]): boolean {
  const wanted = new Set(ulids);
  return sessions.length > 0 && sessions.every(({ ulid }) => wanted.has(ulid));
}

function wholeMember(name: string, bytes: Uint8Array): Uint8Array[] {
  return [tarHeader(name, bytes.byteLength), bytes, Buffer.alloc(tarPadding(bytes.byteLength))];
}

/** What cannot come to an end is not left behind. */
async function stayingThere(writer: BundleWriter, writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (error instanceof SourceFault) await writer.remove();
    throw error;
  }
}

/** The store has not any more what was hashed. */
class SourceFault extends Fault {}

interface Left extends BundleHead {
  /** Whether it has its last name. */
  readonly isFinished: boolean;
}

/** The head of a file that an earlier try has left. @throws Fault exists when it is none of ours */
async function readLeft({ file, partBytes, key }: ExportRequest): Promise<Left | undefined> {
  const name = firstName(file, partBytes);
  for (const place of [name, unfinishedName(name)]) {
    if ((await outsideState(place)) === undefined) continue;
    const source = await openOutside(place);
    try {
      const head = await readHead(source);
      if (head.signer === key.publicKey) return { ...head, isFinished: place === name };
      throw new Fault(
        "exists",
        `${place} is there and is a bundle that ${head.signer} has signed. Nothing was touched.`,
      );
    } catch (error) {
      if (!(error instanceof Fault) || (error.code !== "corrupt" && error.code !== "unsupported")) throw error;
      throw new Fault(
        "exists",
        `${place} is there and is no export of ours: ${error.message}. Nothing was touched.`,
        error,
      );
    } finally {
      await source.close();
    }
  }
  return undefined;
}

/** Of files that an earlier try has left. */
async function leftBytes({ file, partBytes }: ExportRequest, bytes: number): Promise<number> {
  const count = partBytes === undefined ? 1 : Math.ceil(bytes / partBytes);
  let left = 0;
  for (let index = 0; index < count; index += 1) {
    const name = partBytes === undefined ? file : partName(file, index);
    for (const place of [name, unfinishedName(name)]) left += (await outsideState(place))?.bytes ?? 0;
  }
  return left;
}

/** @throws Fault exists when the earlier try was of something else */
function checkLeft({ file }: ExportRequest, left: BundleHead, manifest: BundleManifest): void {
  if (Buffer.compare(left.manifestBytes, writeManifest(manifest)) === 0) return;
  const { sessions, members, partBytes } = left.manifest;
  const known = new Map(members.map(({ name, sha256 }) => [name, sha256]));
  const other = manifest.members.find(({ name, sha256 }) => known.get(name) !== sha256);
  const difference =
    partBytes !== manifest.partBytes
      ? `in parts of ${partBytes ?? "any"} bytes`
      : sessions.length !== manifest.sessions.length
        ? `of ${sessions.length} sessions, not ${manifest.sessions.length}`
        : `of other contents, as in ${other?.name ?? manifestName}`;
  throw new Fault(
    "exists",
    `${file} is there already, whole or begun, as an export ${difference}: remove it, or choose another name. Nothing was touched.`,
  );
}

function checkPartBytes(partBytes: number | undefined, headBytes: number, bytes: number): void {
  if (partBytes === undefined) return;
  const least = Math.max(headBytes, Math.ceil(bytes / bundleMax.parts));
  if (partBytes < least)
    throw new Fault("invalid", `--split: expected at least ${least} bytes for this bundle, found ${partBytes}`);
}

async function hashSessions(
  parts: StoreParts,
  { onBytes }: ExportRequest,
  ulids: readonly Ulid[],
): Promise<Pick<BundleManifest, "sessions" | "members"> & Pick<Exported, "damaged">> {
  const sessions: BundleSession[] = [];
  const members: BundleMember[] = [];
  const damaged: { session: SessionLocator; reason: string }[] = [];
  const bytesTotal = 2 * ulids.reduce((sum, ulid) => sum + bytesOfSession(parts, ulid), 0);
  const sequences = new Set<Ulid>();
  let bytes = 0;
  const onRead = (read: number): void => {
    bytes += read;
    onBytes(bytes, bytesTotal);
  };
  for (const ulid of ulids) {
    const before = new Set(sequences);
    try {
      const { session, members: own } = await hashSession(
        sessionMembers(parts, ulid, { sequences: before }),
        ulid,
        onRead,
      );
      sessions.push(session);
      members.push(...own);
      for (const sequence of before) sequences.add(sequence);
    } catch (error) {
      const session = findSession(parts.catalog, ulid);
      if (!(error instanceof Fault && error.code === "corrupt") || session === undefined) throw error;
      damaged.push({ session: session.locator, reason: error.message });
    }
  }
  const [first] = damaged;
  if (sessions.length === 0 && first !== undefined) throw new Fault("corrupt", `${first.session}: ${first.reason}`);
  return { sessions, members, damaged };
}

async function hashSession(
  sources: ReturnType<typeof sessionMembers>,
  ulid: Ulid,
  onRead: (bytes: number) => void,
): Promise<{ session: BundleSession; members: BundleMember[] }> {
  const members: BundleMember[] = [];
  let step = sources.next();
  for (; step.done !== true; step = sources.next()) {
    await step.value.check();
    members.push(await hashMember(step.value, onRead));
  }
  const { session, topics } = step.value.books;
  const chunkBytes = topics.flatMap(({ chunks }) => chunks).reduce((sum, chunk) => sum + chunk.bytes, 0);
  const rows = topics.reduce((sum, { topic }) => sum + topic.extent.rows, 0);
  const { locator, sequenceUlid } = session;
  return { session: { ulid, locator, sequenceUlid, topics: topics.length, rows, bytes: chunkBytes }, members };
}

function bytesOfSession({ catalog }: StoreParts, ulid: Ulid): number {
  const session = findSession(catalog, ulid);
  return session === undefined ? 0 : bytesOfTopics(listTopicsOfSession(catalog, session));
}

async function hashMember(source: MemberSource, onRead: (bytes: number) => void): Promise<BundleMember> {
  const hash = new Sha256();
  for await (const piece of source.pieces()) {
    hash.update(piece);
    onRead(piece.byteLength);
  }
  return { name: source.name, bytes: source.bytes, sha256: hash.end() };
}

/** @throws SourceFault when something is not any more what was hashed */
async function writeSessions(
  parts: StoreParts,
  { sessions, members }: BundleManifest,
  put: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  let index = 0;
  const sequences = new Set<Ulid>();
  for (const { ulid, locator } of sessions) {
    for (const source of stillThere(locator, sessionMembers(parts, ulid, { sequences }))) {
      await writeMember(locator, source, members[index], put);
      index += 1;
    }
  }
}

async function writeMember(
  locator: SessionLocator,
  source: MemberSource,
  expected: BundleMember | undefined,
  put: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const { name, bytes } = source;
  const changed = new SourceFault("absent", `Session \`${locator}\` has changed while it was exported: ${name}`);
  if (expected?.name !== name || expected.bytes !== bytes) throw changed;
  await put(tarHeader(name, bytes));
  const hash = new Sha256();
  for await (const piece of readable(locator, source)) {
    hash.update(piece);
    await put(piece);
  }
  if (hash.end() !== expected.sha256) throw changed;
  await put(Buffer.alloc(tarPadding(bytes)));
}

function* stillThere(locator: SessionLocator, sources: Iterable<MemberSource>): Generator<MemberSource> {
  try {
    yield* sources;
  } catch (error) {
    throw sourceFault(locator, error);
  }
}

async function* readable(locator: SessionLocator, source: MemberSource): AsyncGenerator<Uint8Array> {
  try {
    yield* source.pieces();
  } catch (error) {
    throw sourceFault(locator, error);
  }
}

function sourceFault(locator: SessionLocator, error: unknown): unknown {
  if (!(error instanceof Fault) || (error.code !== "absent" && error.code !== "corrupt")) return error;
  return new SourceFault(error.code, `Session \`${locator}\` went while it was exported: ${error.message}`, error);
}
