/**
 * The commands `bundle push` and `import`: what is in a bundle goes to another Mosaico, or into the store of this machine, as sync would
 * bring it: by the same transfers, under the same UUIDs, session by session. All of the bundle is checked before any of it goes.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { bundleDisk } from "../bundle/bundle-disk.ts";
import { type Bundle, openBundle } from "../bundle/bundle-file.ts";
import type { OwnSession } from "../bundle/own-session.ts";
import { openScratch, putContent, type Scratch } from "../bundle/scratch.ts";
import { demandTrust, type Trust } from "../bundle/trust.ts";
import type { SessionRecord } from "../care/session-record.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { findSequence } from "../catalog/resources.ts";
import { findTarget, putTarget } from "../catalog/target-rows.ts";
import { findTransfer, putTransfer } from "../catalog/transfer-rows.ts";
import { Budget } from "../flow/budget.ts";
import { machineClock } from "../host/clock.ts";
import { type Disk, openDisk } from "../host/disk.ts";
import { newUlid } from "../host/entropy.ts";
import { type Log, openLog, printOut, remark } from "../host/log.ts";
import type { BundleManifest, BundleSession } from "../model/bundle.ts";
import { bundleBudgetBytes, bundleLookMs } from "../model/bundle-limits.ts";
import { Fault, type FaultCode } from "../model/fault.ts";
import { sequenceOfSession } from "../model/locator.ts";
import { parseRemoteUrl } from "../model/remote-url.ts";
import type { Sequence, Ulid } from "../model/resource.ts";
import { type ConflictPolicy, type Target, unsaid } from "../model/target.ts";
import { isSynced, leftoverOf, retriedCursor } from "../model/transfer.ts";
import { Poison } from "../store/poison.ts";
import type { AgentUse } from "../sync/agent-use.ts";
import { connectTo, whyExposed } from "../sync/connect.ts";
import { type AgentParts, TargetAgent } from "../sync/target-agent.ts";
import { checkBundle } from "./bundle.ts";
import { Patience } from "./patience.ts";
import { openProgress } from "./progress.ts";
import { searchPartsOf } from "./search-parts.ts";

export interface TransferRequest {
  readonly files: readonly string[];
  readonly trust: Trust;
  readonly onConflict: ConflictPolicy;
  /** Time without any progress after which it gives up. */
  readonly waitMs: number;
  readonly json: boolean;
  readonly signal: AbortSignal;
}

export interface PushRequest extends TransferRequest, Pick<Target, "caFile" | "keyFile"> {
  readonly url: string;
}

/** What became of a session. */
export interface CarriedView {
  readonly session: string;
  /**
   * `there` when it was there before, `refused` when it is not what it says, `parked` when the other side does not take it, or has
   * another one that it was exported from.
   */
  readonly state: "brought" | "there" | "refused" | "parked";
  readonly reason: string | null;
}

/** The exit code: 0 when all sessions are there. @throws Fault corrupt, denied, unavailable (it is not reached), wrong_state */
export async function pushBundle(dataDirectory: string, request: PushRequest): Promise<number> {
  const { text: url } = parseRemoteUrl(request.url);
  remark(whyExposed(request));
  await using bundle = await openTrusted(request);
  return await bringTo(await openDisk(dataDirectory), bundle, { ...request, url, what: "bundle push" });
}

/** @throws Fault corrupt, denied */
export async function openTrusted({ files, trust }: Pick<TransferRequest, "files" | "trust">): Promise<Bundle> {
  const bundle = await openBundle(files);
  try {
    demandTrust(trust, bundle.signer);
    return bundle;
  } catch (error) {
    await bundle[Symbol.asyncDispose]();
    throw error;
  }
}

export interface Destination extends TransferRequest, Pick<Target, "caFile" | "keyFile"> {
  readonly what: string;
  readonly url: string;
  /** The store that it is imported into, for people. */
  readonly into?: string;
  /** Where it is not reached by its address. */
  readonly connect?: typeof connectTo;
  /** A session that is there and was never sent: the one that was exported. It is left as it is. */
  readonly findOwn?: (record: SessionRecord) => OwnSession | undefined;
  /** Whether a sequence is there that this command has made for this one. */
  readonly hasSequence?: (sequence: Sequence) => boolean;
  /** Whether what it does not take goes again at once, and no cursor is kept: begun anew it costs nothing. */
  readonly isNear?: boolean;
}

/** The exit code. @param store where it is kept how far it is */
export async function bringTo(store: Disk, bundle: Bundle, destination: Destination): Promise<number> {
  await using scratch = await openScratch(store, bundle.manifest, destination.url);
  const isNear = destination.isNear === true;
  const { views, isEdge } = await carry(bundle, scratch, destination).catch(async (error: unknown) => {
    // Nothing has gone yet, or what has is known there by its UUIDs. Why it ended matters more than what it leaves.
    const hasBegun = !isNear && findTarget(scratch.catalog, "bundle") !== undefined;
    if (!hasBegun) await scratch.forget().catch(() => undefined);
    throw error;
  });
  tell(bundle, views, destination);
  const count = countsOf(views);
  // A central daemon does not tell whose a session is: only by what is kept here the next try knows it.
  if (isNear || (count.parked === 0 && isEdge)) await scratch.forget();
  return count.refused + count.parked === 0 ? 0 : 1;
}

/** What became of each session, and whether they went to an edge. @throws Fault as `checkBundle`, `run` */
async function carry(
  bundle: Bundle,
  scratch: Scratch,
  destination: Destination,
): Promise<{ views: readonly CarriedView[]; isEdge: boolean }> {
  const { manifest } = bundle;
  const { catalog } = scratch;
  const different = new Map<Ulid, string>();
  const refused = await checkBundle(bundle, async (content) => {
    const own = destination.findOwn?.(content.record);
    if (own === undefined) await putContent(catalog, content);
    else if (own.difference !== undefined) different.set(content.record.session.ulid, own.difference);
  });
  const target = await targetIn(catalog, manifest, destination);
  const { sent, isEdge } = await run(bundle, scratch, target, destination);
  if (destination.isNear === true) await removeParked(catalog, manifest, target, destination);
  const outcome: Outcome = { refused, different, sent };
  return { views: manifest.sessions.map((session) => viewOf(catalog, target, session, outcome)), isEdge };
}

/** One row for all tries; what was parked is tried again, for somebody wants it, and what arrived is looked for. */
async function targetIn(
  catalog: Catalog,
  { sessions }: BundleManifest,
  { url, caFile, keyFile, onConflict }: Destination,
): Promise<Target> {
  const addedAtNs = machineClock().wallNs();
  const known = findTarget(catalog, "bundle");
  const target: Target = {
    ...unsaid,
    id: known?.id ?? newUlid(Number(addedAtNs / 1_000_000n)),
    name: "bundle",
    url,
    caFile,
    keyFile,
    onConflict,
    paused: false,
    addedAtNs: known?.addedAtNs ?? addedAtNs,
  };
  await catalog.transaction(() => {
    putTarget(catalog, target);
    for (const { ulid } of sessions) {
      const row = findTransfer(catalog, ulid, target.id);
      if (row?.cursor.place.kind === "parked")
        putTransfer(catalog, ulid, target.id, { ...row, cursor: retriedCursor(row.cursor) });
      // Somebody may have deleted it there since.
      if (row !== undefined && isSynced(row.cursor))
        putTransfer(catalog, ulid, target.id, {
          ...row,
          cursor: { ...row.cursor, place: { kind: "check", index: 0 } },
        });
    }
  });
  return target;
}

/**
 * Bytes that went of each session that arrived, by locator, and whether they went to an edge.
 * @throws Fault unavailable when nothing comes further for too long, denied, unauthenticated
 */
async function run(
  bundle: Bundle,
  { disk, catalog }: Scratch,
  target: Target,
  { what, waitMs, connect, signal }: Destination,
): Promise<{ sent: ReadonlyMap<string, number>; isEdge: boolean }> {
  const heard: Heard = { sent: new Map(), refusal: undefined };
  const clock = machineClock();
  const budget = new Budget(bundleBudgetBytes);
  const parts: AgentParts = {
    disk: bundleDisk(bundle),
    catalog,
    clock,
    budget,
    log: noting(heard),
    poison: new Poison(() => undefined),
    search: searchPartsOf({ disk, catalog, mergeBudget: budget, sendBudget: budget, given: new Map() }),
    space: { admitRow: () => ({ [Symbol.dispose]: () => undefined }) },
    captureWaits: () => false,
    captureIsBusy: () => false,
    // They are those that a sync has made already.
    uuidThere: (own) => own,
    ...(connect === undefined ? {} : { connect }),
  };
  const agent = new TargetAgent(parts, target);
  const stop = new AbortController();
  const ended = agent.run(AbortSignal.any([stop.signal, signal]));
  const bytesTotal = bundle.manifest.sessions.reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = openProgress(what);
  try {
    const patience = new Patience(waitMs);
    for (let use = agent.use(); !isDone(use); use = agent.use()) {
      progress.show(use.sentBytes, bytesTotal);
      patience.check(use, clock.monotonicMs());
      if (heard.refusal !== undefined) throw heard.refusal;
      await sleep(bundleLookMs);
      if (signal.aborted) throw new Fault("cancelled", "Stopped; the same command goes on where this one ends.");
    }
  } finally {
    stop.abort();
    await ended;
    progress.end();
  }
  return { sent: heard.sent, isEdge: agent.use().isEdge !== false };
}

/** What was begun of sessions that are not taken is no session: it is all of one or nothing, and no sequence for nothing. */
async function removeParked(
  catalog: Catalog,
  { sessions }: BundleManifest,
  target: Target,
  { connect = connectTo, hasSequence = () => false, signal }: Destination,
): Promise<void> {
  const parked = sessions.flatMap(({ ulid, locator }) => {
    const cursor = findTransfer(catalog, ulid, target.id)?.cursor;
    return cursor?.place.kind === "parked" ? [{ ulid, locator, cursor }] : [];
  });
  const begun = parked.flatMap(({ locator, cursor }) => leftoverOf({ locator }, cursor) ?? []);
  const names = new Set(parked.map(({ locator }) => sequenceOfSession(locator)));
  const sequences = [...names].flatMap((name) => findSequence(catalog, name) ?? []).filter(hasSequence);
  if (begun.length === 0 && sequences.length === 0) return;
  using remote = await connect(target, signal);
  const unlessGone = async (deleting: Promise<void>): Promise<void> =>
    await deleting.catch((error: unknown) => {
      // It never came to be, or somebody else has brought it meanwhile.
      if (!(error instanceof Fault) || (error.code !== "absent" && error.code !== "wrong_state")) throw error;
    });
  for (const { locator, session } of begun)
    await unlessGone(remote.deleteOpenSession(sequenceOfSession(locator), session));
  for (const sequence of sequences) await unlessGone(remote.deleteEmptySequence(sequence));
}

function isDone({ state, census }: AgentUse): boolean {
  return state === "idle" && census !== undefined && census.pending.sessions === 0;
}

interface Heard {
  /** Bytes that went of each session that arrived, by locator. */
  readonly sent: Map<string, number>;
  /** What no time mends: a key that is not taken. */
  refusal: Fault | undefined;
}

/** A log that nobody reads but this command, which says itself what went wrong. */
function noting(heard: Heard): Log {
  const log = openLog("error");
  return {
    ...log,
    info(event, { session, bytes } = {}) {
      if (event === "session_synced") heard.sent.set(String(session), Number(bytes));
    },
    warning(event, { code, during, reason } = {}) {
      if (event === "sync_broken_off" && isRefusal(String(code), String(during)))
        heard.refusal = new Fault(code as FaultCode, String(reason));
    },
  };
}

/** Whether to try again is in vain until somebody does something: a key that is not taken, a file that is none, another store. */
function isRefusal(code: string, during: string): boolean {
  if (code === "denied" || code === "unauthenticated") return true;
  return during === "connect" && ["absent", "invalid", "wrong_state"].includes(code);
}

interface Outcome {
  /** Why the bundle's is not what it says. */
  readonly refused: ReadonlyMap<BundleSession, string>;
  /** In what the one that was exported is not whole there any more. */
  readonly different: ReadonlyMap<Ulid, string>;
  /** Bytes that went, by locator. */
  readonly sent: ReadonlyMap<string, number>;
}

function viewOf(
  catalog: Catalog,
  target: Target,
  session: BundleSession,
  { refused, different, sent }: Outcome,
): CarriedView {
  const { ulid, locator } = session;
  const problem = refused.get(session);
  if (problem !== undefined) return { session: locator, state: "refused", reason: problem };
  const difference = different.get(ulid);
  if (difference !== undefined)
    return { session: locator, state: "parked", reason: `different: ${difference}; what is here stays as it is` };
  const place = findTransfer(catalog, ulid, target.id)?.cursor.place;
  if (place?.kind === "parked") return { session: locator, state: "parked", reason: `${place.cause}: ${place.reason}` };
  return { session: locator, state: (sent.get(locator) ?? 0) > 0 ? "brought" : "there", reason: null };
}

const words: Readonly<Record<CarriedView["state"], string>> = {
  brought: "brought",
  there: "was there already",
  refused: "refused",
  parked: "not taken",
};

function tell({ manifest }: Bundle, views: readonly CarriedView[], { json, into }: Destination): void {
  if (json) {
    printOut(`${JSON.stringify({ bundle: manifest.id, into, sessions: views })}\n`);
    return;
  }
  for (const { session, state, reason } of views)
    printOut(`${session}: ${words[state]}${reason === null ? "" : `: ${reason}`}\n`);
  const { brought, there, refused, parked } = countsOf(views);
  const missing = refused + parked;
  printOut(
    `${brought} brought, ${there} were there already${missing === 0 ? "" : `, ${missing} are not there`}${into === undefined ? "" : `; into ${into}`}\n`,
  );
}

function countsOf(views: readonly CarriedView[]): Record<CarriedView["state"], number> {
  const counts = { brought: 0, there: 0, refused: 0, parked: 0 };
  for (const { state } of views) counts[state] += 1;
  return counts;
}
