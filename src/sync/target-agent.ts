/**
 * Brings finalized sessions to one target, one after the other, as long as there are any. What breaks off is tried again later, at the
 * cursor that the catalog has; what the remote refuses for good is parked, with the reason, until somebody says `retry`.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Space } from "../care/space.ts";
import { rowBytes } from "../catalog/row.ts";
import { isActive, isKnown, isUnchanged, isUnconfirmed } from "../catalog/target-rows.ts";
import { findClaim, findTransfer, putClaim, putLeftover, putTransfer } from "../catalog/transfer-rows.ts";
import type { Remote } from "../client/remote.ts";
import type { Clock } from "../host/clock.ts";
import { newJitter } from "../host/entropy.ts";
import type { Log } from "../host/log.ts";
import { Fault } from "../model/fault.ts";
import type { SessionLocator } from "../model/locator.ts";
import type { Session, Ulid } from "../model/resource.ts";
import { censusRest, closedLookMs, confirmEveryMs, syncRetry } from "../model/sync-limits.ts";
import type { SyncClass, Target } from "../model/target.ts";
import {
  type Cursor,
  firstCursor,
  isSynced,
  type ParkCause,
  parkedCursor,
  type TransferRow,
  unlessLeftOut,
} from "../model/transfer.ts";
import type { SearchParts } from "../query/search.ts";
import type { Poison } from "../store/poison.ts";
import { Admission, type AdmissionParts } from "./admission.ts";
import { type AgentState, type AgentUse, type Progress, sendingOf } from "./agent-use.ts";
import { BrokenOff } from "./broken-off.ts";
import { type Census, type Classify, type PendingSession, takeCensus, unclassed } from "./census.ts";
import { traitsOf } from "./central.ts";
import { breaksOff, isOfLink, type RemoteTraits } from "./command.ts";
import { connectTo } from "./connect.ts";
import { KnownDigests } from "./contents.ts";
import { Gate, GateClosed } from "./gate.ts";
import { Hands } from "./hands.ts";
import { Leftovers } from "./leftovers.ts";
import { slower } from "./rate.ts";
import { behindConfirmedNs, confirmStore, StoreWatch } from "./same-store.ts";
import { hindranceOf, type SentAs, SentFacts } from "./sent-facts.ts";
import { SessionClasses } from "./session-class.ts";
import { Setbacks } from "./setbacks.ts";
import { findShipment, type Shipment, type UuidThere } from "./shipment.ts";
import type { StreamParts } from "./topic-stream.ts";
import { step } from "./transfer.ts";
import { beginTransfer } from "./transfer-place.ts";
import { park, type Transfer, type TransferContext } from "./transfer-state.ts";

export interface AgentParts extends Omit<StreamParts, "admit">, AdmissionParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly poison: Poison;
  readonly search: SearchParts;
  readonly space: Pick<Space, "admitRow">;
  /** Where what is sent has not the UUIDs of the store that it comes from. */
  readonly uuidThere?: UuidThere;
  /** Where the target is not reached by its address. */
  readonly connect?: typeof connectTo;
}

type Settled =
  | { readonly kind: "left_out"; readonly class: string; readonly rules: number }
  | { readonly kind: "parked"; readonly cause: ParkCause; readonly reason: string };

/** There is something more urgent, and the transfer goes on at its cursor later; or the session is gone here. */
class GaveWay extends Error {}

export class TargetAgent {
  readonly #parts: AgentParts;
  readonly #target: Target;
  readonly #admission: Admission;
  readonly #gate: Gate;
  readonly #classes: SessionClasses;
  readonly #setbacks = new Setbacks();
  readonly #digests = new KnownDigests();
  readonly #leftovers: Leftovers;
  readonly #storeWatch: StoreWatch;
  readonly #sentFacts: SentFacts;
  #state: AgentState = "idle";
  #remote: string | undefined;
  #isEdge: boolean | undefined;
  #census: Census | undefined;
  #sending: Progress | undefined;
  #sentBytes = 0;
  #sentRows = 0;
  #readings = 0;
  #brokenOff = 0;
  #lastError: string | undefined;
  #told: string | undefined;
  #retryAtMs: number | undefined;
  /** In a row, without anything having come further. */
  #failures = 0;
  /** Whether the last of them was the link's: it is over when the remote is reached again. */
  #wasLink = false;
  /** Why nothing may go now. */
  #closed: string | undefined;
  #wake: (() => void) | undefined;
  #isStale = true;
  /** The sessions that are being brought are not the most urgent ones any more. */
  #hasNews = false;
  /** Before this there is no other census. */
  #censusAtMs = 0;

  constructor(parts: AgentParts, target: Target) {
    this.#parts = parts;
    this.#target = target;
    this.#admission = new Admission(parts);
    this.#gate = new Gate(parts.clock, target);
    this.#classes = new SessionClasses(parts.search, target);
    this.#leftovers = new Leftovers(parts, target);
    this.#storeWatch = new StoreWatch(parts.clock);
    this.#sentFacts = new SentFacts(parts);
  }

  /** A session was finalized, or somebody does not want to wait. */
  wake(): void {
    this.#isStale = true;
    this.#wake?.();
  }

  /** A deletion here may have left something there. */
  wakeForLeftovers(): void {
    if (this.#leftovers.areDue) this.wake();
  }

  use(): AgentUse {
    const nowMs = this.#parts.clock.monotonicMs();
    // One of them lets others go first.
    const whyHeld = this.#setbacks.whyWaits(this.#census?.next ?? [], nowMs) ?? this.#leftovers.whyWaits;
    return {
      target: this.#target.name,
      url: this.#target.url,
      state: this.#state,
      remote: this.#remote,
      isEdge: this.#isEdge,
      census: this.#census,
      sending: this.#sending === undefined ? undefined : sendingOf(this.#sending, nowMs),
      sentBytes: this.#sentBytes,
      sentRows: this.#sentRows,
      readings: this.#readings,
      brokenOff: this.#brokenOff,
      closed: this.#closed,
      lastError: this.#lastError ?? whyHeld,
      retryInMs: this.#retryAtMs === undefined ? undefined : Math.max(0, Math.round(this.#retryAtMs - nowMs)),
    };
  }

  /** Works until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#work(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof GateClosed)) await this.#rest(error, signal);
      }
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    let next = await this.#toSend(signal);
    if (await this.#isAtRest(next)) {
      // Nothing waits for it to be over.
      this.#lastError = undefined;
      return await this.#idle(signal);
    }
    if (await this.#isClosed(signal)) return;
    this.#state = "connecting";
    using remote = await this.#connect(signal);
    this.#state = "sending";
    for (; ; next = await this.#toSend(signal)) {
      await this.#leftovers.delete(remote, signal);
      if (next.length === 0) return this.#cameFurther();
      for (const pending of next) {
        await this.#gate.check();
        this.#hasNews = false;
        try {
          await this.#bring(remote, pending, signal);
        } catch (error) {
          if (!(error instanceof GaveWay)) throw error;
        } finally {
          this.#sending = undefined;
        }
        this.#cameFurther();
        // What was finalized or deleted meanwhile may be more urgent.
        if (this.#hasNews || this.#mayHaveNews()) break;
      }
    }
  }

  /** Whether nobody need be reached. */
  async #isAtRest(next: readonly PendingSession[]): Promise<boolean> {
    if (next.length > 0 || this.#leftovers.areDue || isUnconfirmed(this.#parts.catalog, this.#target)) return false;
    if (this.#storeWatch.restMs(this.#census) > 0) return true;
    if ((await this.#gate.whyClosed()) === undefined) return false;
    this.#storeWatch.rest();
    return true;
  }

  /** @throws GaveWay, BrokenOff */
  async #bring(remote: Remote, pending: PendingSession, signal: AbortSignal): Promise<void> {
    try {
      await this.#ship(remote, pending, signal);
    } catch (error) {
      const isExpected = [Fault, BrokenOff, GaveWay, GateClosed].some((known) => error instanceof known);
      if (isExpected || signal.aborted) throw error;
      // A fault of this program must not hold up all others for ever.
      this.#parts.log.error("sync_bug", { target: this.#target.name, session: pending.session, cause: error });
      await this.#settle(pending.session, { kind: "parked", cause: "failed", reason: String(error) });
    }
  }

  /** Sessions that are to be sent now, the most urgent first. What does not go is settled, for which nobody need be reached. */
  async #toSend(signal: AbortSignal): Promise<readonly PendingSession[]> {
    const found = await this.#look(signal);
    const next = found.filter(({ class: of, problem }) => problem === undefined && of.isSent);
    for (const { session, class: of, problem } of found) {
      if (problem !== undefined) await this.#settle(session, { kind: "parked", ...problem });
      else if (!of.isSent)
        await this.#settle(session, { kind: "left_out", class: of.name, rules: this.#target.rules ?? 0 });
    }
    // There may be more than were looked at, and whoever asks is told of those that were.
    if (next.length < found.length) this.#isStale = true;
    return next;
  }

  #mayHaveNews(): boolean {
    return this.#isStale && this.#parts.clock.monotonicMs() >= this.#censusAtMs;
  }

  /** Lets a session go first that is more urgent and was finalized since this one was begun. @throws GaveWay */
  async #giveWay(of: SyncClass, session: SessionLocator, signal: AbortSignal): Promise<void> {
    if (!this.#mayHaveNews()) return;
    const [first] = await this.#look(signal);
    this.#hasNews = true;
    if (first === undefined || first.class.priority <= of.priority) return;
    this.#parts.log.info("session_gave_way", { target: this.#target.name, session, to: first.class.name });
    throw new GaveWay();
  }

  #cameFurther(): void {
    this.#failures = 0;
    this.#lastError = undefined;
    this.#told = undefined;
  }

  /** Sessions that are to be sent now, the most urgent first. */
  async #look(signal: AbortSignal): Promise<readonly PendingSession[]> {
    const { catalog, clock } = this.#parts;
    await sleep(Math.max(0, this.#censusAtMs - clock.monotonicMs()), undefined, { signal });
    this.#isStale = false;
    const startedMs = clock.monotonicMs();
    const classify: Classify = async (sequence, session) => {
      try {
        return { class: await this.#classes.classOf(sequence, session, signal), problem: undefined };
      } catch (error) {
        if (!(error instanceof Fault) || error.code === "unavailable" || error.code === "cancelled") throw error;
        const cause = error.code === "corrupt" ? "damaged" : "refused";
        return { ...unclassed, problem: { cause, reason: `Its class cannot be found out: ${error.message}` } };
      }
    };
    this.#census = await takeCensus(catalog, this.#target, { classify, signal });
    const endedMs = clock.monotonicMs();
    this.#censusAtMs = endedMs + Math.max(censusRest.leastMs, censusRest.timesTaken * (endedMs - startedMs));
    return this.#census.next.filter(({ session }) => this.#setbacks.restMs(session, endedMs) === 0);
  }

  /** Whether nothing may go now; then it has waited a little. */
  async #isClosed(signal: AbortSignal): Promise<boolean> {
    const why = await this.#gate.whyClosed();
    if (why !== this.#closed) this.#parts.log.info("sync_gate", { target: this.#target.name, closed: why ?? null });
    this.#closed = why;
    if (why === undefined) return false;
    this.#state = "closed";
    await sleep(closedLookMs, undefined, { signal });
    return true;
  }

  /** Ends a session without the remote. */
  async #settle(ulid: Ulid, place: Settled): Promise<void> {
    const { catalog } = this.#parts;
    const shipment = findShipment(catalog, ulid, this.#target.id, this.#parts.uuidThere);
    if (shipment === undefined) return;
    const cursor = this.#cursorOf(shipment.session) ?? this.#firstCursorOf(shipment);
    const isStored = await this.#store(shipment, { ...cursor, place: { ...place, from: cursor.place } });
    if (isStored && place.kind === "parked") this.#tellParked(shipment, place);
  }

  #cursorOf({ ulid }: Session): Cursor | undefined {
    const row = findTransfer(this.#parts.catalog, ulid, this.#target.id);
    return row === undefined ? undefined : unlessLeftOut(row.cursor);
  }

  #firstCursorOf({ session }: Shipment): Cursor {
    return { ...firstCursor, sequence: findClaim(this.#parts.catalog, session.sequenceUlid, this.#target.id) };
  }

  #tellParked({ session }: Shipment, { cause, reason }: { cause: ParkCause; reason: string }): void {
    this.#parts.log.warning("session_parked", { target: this.#target.name, session: session.locator, cause, reason });
  }

  /** Until there is something new, or one of the sessions that let others go first is to be tried again. */
  async #idle(signal: AbortSignal): Promise<void> {
    if (this.#isStale || signal.aborted) return;
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const held = (this.#census?.next ?? []).map(({ session }) => this.#setbacks.restMs(session, nowMs));
    const restMs = held.length === 0 ? undefined : Math.min(...held);
    this.#state = restMs === undefined ? "idle" : "waiting";
    this.#retryAtMs = restMs === undefined ? undefined : nowMs + restMs;
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    const mostMs = Math.max(0, Math.min(restMs ?? confirmEveryMs, this.#storeWatch.restMs(this.#census)));
    const timer = setTimeout(woken.resolve, Math.ceil(mostMs));
    signal.addEventListener("abort", this.#wake);
    await woken.promise;
    clearTimeout(timer);
    signal.removeEventListener("abort", this.#wake);
    this.#wake = undefined;
    this.#retryAtMs = undefined;
  }

  async #connect(signal: AbortSignal): Promise<Remote> {
    const remote = await (this.#parts.connect ?? connectTo)(this.#target, signal);
    const { version } = remote;
    const name = version.edge === undefined ? `mosaicod ${version.text}` : `mosaico-edge ${version.edge.version}`;
    if (this.#remote !== name) this.#parts.log.info("sync_connected", { target: this.#target.name, remote: name });
    this.#remote = name;
    this.#isEdge = remote.isEdge;
    try {
      await confirmStore(this.#parts.catalog, this.#target, remote, this.#census?.lastSynced ?? []);
      this.#storeWatch.rest();
      if (this.#wasLink) this.#failures = 0;
      return remote;
    } catch (error) {
      remote[Symbol.dispose]();
      throw error;
    }
  }

  /** Waits before the next try: longer each time, and not as long as others who lost the same link. */
  async #rest(error: unknown, signal: AbortSignal): Promise<void> {
    const { log, clock } = this.#parts;
    const reason = error instanceof Error ? error.message : String(error);
    this.#brokenOff += 1;
    const code = error instanceof Fault || error instanceof BrokenOff ? error.code : "internal";
    const during = error instanceof BrokenOff ? error.command : "connect";
    this.#wasLink = isOfLink(code);
    // The same time after time is one line.
    const told = `${during}: ${reason}`;
    if (told !== this.#told) log.warning("sync_broken_off", { target: this.#target.name, during, code, reason });
    this.#told = told;
    this.#lastError = reason;
    // It rests by itself; whoever it held up goes now.
    if (error instanceof BrokenOff && error.isHeld) return;
    const mostMs = code === "unauthenticated" || code === "denied" ? syncRetry.refusedMs : syncRetry.mostMs;
    const fullMs = Math.min(mostMs, syncRetry.firstMs * 2 ** Math.min(this.#failures, 20));
    const restMs = fullMs * (0.5 + newJitter() / 2);
    this.#failures += 1;
    this.#state = "waiting";
    this.#retryAtMs = clock.monotonicMs() + restMs;
    await sleep(restMs, undefined, { signal }).catch(() => undefined);
    this.#retryAtMs = undefined;
  }

  /** Brings a session to its end there: synced, parked, or gone here. @throws GaveWay, BrokenOff */
  async #ship(remote: Remote, { session: ulid, class: of }: PendingSession, signal: AbortSignal): Promise<void> {
    const { catalog, log, clock } = this.#parts;
    const shipment = findShipment(catalog, ulid, this.#target.id, this.#parts.uuidThere);
    if (shipment === undefined || !isActive(catalog, this.#target)) return;
    const { session } = shipment;
    const traits = traitsOf(remote, this.#target);
    let stored = this.#cursorOf(session);
    const from = stored ?? this.#firstCursorOf(shipment);
    const { facts, hindrance } = await this.#factsOf(remote, shipment, traits, signal);
    const cursor = hindrance === undefined ? from : parkedCursor(from, hindrance.cause, hindrance.reason);
    const context = { facts, traits };
    let transfer = beginTransfer(cursor, context);
    if (stored !== undefined && hindrance === undefined && this.#setbacks.timesOf(ulid) < 2)
      log.info("session_goes_on", { target: this.#target.name, session: session.locator, at: stored.place.kind });
    const sending: Progress = {
      session: session.locator,
      bytes: shipment.bytes,
      sentBytes: 0,
      sinceMs: clock.monotonicMs(),
    };
    this.#sending = sending;
    const giveWay = (): Promise<void> => this.#giveWay(of, session.locator, signal);
    const meanwhile = async (): Promise<void> => {
      if (!catalog.sessionKeys.has(ulid)) {
        this.#hasNews = true;
        throw new GaveWay();
      }
      // Where an upload cannot be continued it is not interrupted.
      if (traits.kind === "edge") await giveWay();
    };
    using hands = new Hands({
      ...this.#parts,
      remote,
      shipment,
      signal,
      digests: this.#digests,
      rate: () => slower(this.#gate.rate(), of.bytesPerSecond),
      yield: () => this.#read(signal),
      admit: (bytes) => this.#admission.admit(bytes, { gate: this.#gate, of, meanwhile }, signal),
      sent: (bytes, rows) => {
        sending.sentBytes += bytes;
        this.#sentBytes += bytes;
        this.#sentRows += rows;
      },
    });
    while (transfer.command.kind !== "end") {
      if (transfer.cursor !== stored && !(await this.#store(shipment, transfer.cursor, stored))) return;
      stored = transfer.cursor;
      if (this.#setbacks.cameTo(ulid, transfer)) this.#cameFurther();
      if (transfer.command.kind === "create_topic") await giveWay();
      transfer = await this.#act(hands, transfer, context, { shipment, signal });
    }
    const { place } = transfer.cursor;
    if (!(await this.#store(shipment, transfer.cursor, stored))) return;
    if (place.kind === "synced" || place.kind === "parked") this.#setbacks.forget(ulid);
    if (place.kind === "parked") this.#tellParked(shipment, place);
    if (place.kind !== "synced") return;
    const ms = Math.round(clock.monotonicMs() - sending.sinceMs);
    log.info("session_synced", { target: this.#target.name, session: session.locator, bytes: sending.sentBytes, ms });
  }

  /** Called before something is read that does not go: lets uploads go first. */
  async #read(signal: AbortSignal): Promise<void> {
    this.#readings += 1;
    await this.#admission.yield(signal);
  }

  /** @throws GaveWay when the session is gone here */
  async #factsOf(remote: Remote, shipment: Shipment, traits: RemoteTraits, signal: AbortSignal): Promise<SentAs> {
    const admit = (): Promise<void> => this.#read(signal);
    try {
      return await this.#sentFacts.of(remote, shipment, { traits, admit, signal });
    } catch (error) {
      throw this.#parts.catalog.sessionKeys.has(shipment.session.ulid) ? error : new GaveWay();
    }
  }

  async #act(
    hands: Hands,
    transfer: Transfer,
    context: TransferContext,
    { shipment, signal }: { shipment: Shipment; signal: AbortSignal },
  ): Promise<Transfer> {
    try {
      const answer = await hands.carryOut(transfer.command);
      signal.throwIfAborted();
      if (answer.kind === "refused" && breaksOff(transfer.command, answer.code, context.traits)) {
        const { ulid, locator } = shipment.session;
        const { code, reason } = answer;
        const nowMs = this.#parts.clock.monotonicMs();
        const failures = this.#setbacks.brokeOff(ulid, { code, why: `${locator}: ${reason}`, nowMs });
        if (failures > syncRetry.troubleMax) return park(transfer, "refused", reason);
        const isHeld = this.#setbacks.restMs(ulid, nowMs) > 0;
        throw new BrokenOff(transfer.command.kind, code, reason, isHeld);
      }
      return step(transfer, answer, context);
    } catch (error) {
      // Something on this side.
      if (signal.aborted || !(error instanceof Fault)) throw error;
      if (error.code === "absent") return { ...transfer, command: { kind: "end" } };
      const hindrance = hindranceOf(error);
      if (hindrance === undefined) throw error;
      return park(transfer, hindrance.cause, hindrance.reason);
    }
  }

  /** False when the session was deleted here, the target is paused or forgotten, or was changed before the session is settled. */
  async #store({ session }: Shipment, cursor: Cursor, stored?: Cursor): Promise<boolean> {
    const { catalog, clock, poison, space } = this.#parts;
    poison.check();
    const row: TransferRow = { cursor, changedAtNs: clock.wallNs() };
    using _row = space.admitRow(rowBytes(row));
    return await catalog.transaction(() => {
      if (!catalog.sessionKeys.has(session.ulid)) {
        // Whoever deleted it knew only of what was stored.
        const isNews = stored?.session === undefined && isKnown(catalog, this.#target);
        if (isNews) putLeftover(catalog, this.#target.id, session, cursor);
        return false;
      }
      if (!isActive(catalog, this.#target)) return false;
      // By other words it may have to be compared again, or elsewhere, or may not be refused.
      const isSettled = isSynced(cursor) || cursor.place.kind === "parked";
      if (isSettled && !isUnchanged(catalog, this.#target)) return false;
      const changedAtNs = behindConfirmedNs(catalog, this.#target, row.changedAtNs);
      putTransfer(catalog, session.ulid, this.#target.id, { cursor, changedAtNs });
      putClaim(catalog, session.sequenceUlid, this.#target.id, cursor.sequence);
      return true;
    });
  }
}
