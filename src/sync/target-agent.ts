/**
 * Brings finalized sessions to one target, one after the other, as long as there are any. What breaks off is tried again later, at the
 * cursor that the catalog has; what the remote refuses for good is parked, with the reason, until somebody says `retry`.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Space } from "../care/space.ts";
import { rowBytes } from "../catalog/row.ts";
import { isActive } from "../catalog/target-rows.ts";
import { findClaim, findTransfer, putClaim, putTransfer } from "../catalog/transfer-rows.ts";
import type { Remote } from "../client/remote.ts";
import type { Clock } from "../host/clock.ts";
import { newJitter } from "../host/entropy.ts";
import type { Log } from "../host/log.ts";
import { Fault, type FaultCode } from "../model/fault.ts";
import type { SessionLocator } from "../model/locator.ts";
import type { Ulid } from "../model/resource.ts";
import { censusRest, closedLookMs, syncRetry } from "../model/sync-limits.ts";
import type { SyncClass, Target } from "../model/target.ts";
import { type Cursor, firstCursor, type TransferRow } from "../model/transfer.ts";
import type { SearchParts } from "../query/search.ts";
import type { Poison } from "../store/poison.ts";
import { Admission, type AdmissionParts } from "./admission.ts";
import { type Census, type Classify, type PendingSession, takeCensus } from "./census.ts";
import { limitsOf, whyTopicsUnsuitable } from "./central.ts";
import { breaksOff, type Command, type RemoteTraits, type TopicFacts, type TransferFacts } from "./command.ts";
import { connectTo } from "./connect.ts";
import { rateNow, whyClosed } from "./gate.ts";
import { Hands } from "./hands.ts";
import { SessionClasses } from "./session-class.ts";
import { findShipment, type Shipment, type UuidThere } from "./shipment.ts";
import { countMessages, type StreamParts } from "./topic-stream.ts";
import { beginTransfer, park, parkedCursor, step, type Transfer, type TransferContext } from "./transfer.ts";

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

export type AgentState = "idle" | "closed" | "connecting" | "sending" | "waiting";

export interface AgentUse {
  readonly target: string;
  readonly url: string;
  readonly state: AgentState;
  /** What the other one says that it is; undefined before it was reached. */
  readonly remote: string | undefined;
  readonly census: Census | undefined;
  readonly sending: Sending | undefined;
  readonly sentBytes: number;
  readonly sentRows: number;
  readonly brokenOff: number;
  /** Why nothing may go now; undefined when it may. */
  readonly closed: string | undefined;
  /** Why it waits, and for how many milliseconds more. */
  readonly lastError: string | undefined;
  readonly retryInMs: number | undefined;
}

export interface Sending {
  readonly session: SessionLocator;
  readonly bytes: number;
  /** Since it was begun or went on; what had been sent before does not count. */
  readonly sentBytes: number;
  readonly seconds: number;
}

interface Progress {
  readonly session: SessionLocator;
  readonly bytes: number;
  sentBytes: number;
  readonly sinceMs: number;
}

/** A transfer that broke off: at which command, with what the remote or the link said. */
class BrokenOff extends Error {
  readonly code: FaultCode;
  readonly command: Command["kind"];

  constructor(command: Command["kind"], code: FaultCode, reason: string) {
    super(reason);
    this.command = command;
    this.code = code;
  }
}

export class TargetAgent {
  readonly #parts: AgentParts;
  readonly #target: Target;
  readonly #admission: Admission;
  readonly #classes: SessionClasses;
  #state: AgentState = "idle";
  #remote: string | undefined;
  #census: Census | undefined;
  #sending: Progress | undefined;
  #sentBytes = 0;
  #sentRows = 0;
  #brokenOff = 0;
  #lastError: string | undefined;
  #told: string | undefined;
  #retryAtMs: number | undefined;
  /** In a row, without anything having come further. */
  #failures = 0;
  /** The session at which the remote itself failed, and how often in a row. */
  #trouble: { session: Ulid; times: number } | undefined;
  /** Why nothing may go now. */
  #closed: string | undefined;
  #wake: (() => void) | undefined;
  #isStale = true;
  /** Before this there is no other census. */
  #censusAtMs = 0;
  /** Of the session that was last sent to a remote that tells messages. */
  #counted: { readonly session: Ulid; readonly facts: TransferFacts } | undefined;

  constructor(parts: AgentParts, target: Target) {
    this.#parts = parts;
    this.#target = target;
    this.#admission = new Admission(parts);
    this.#classes = new SessionClasses(parts.search, target);
  }

  /** A session was finalized, or somebody does not want to wait. */
  wake(): void {
    this.#isStale = true;
    this.#wake?.();
  }

  use(): AgentUse {
    const nowMs = this.#parts.clock.monotonicMs();
    return {
      target: this.#target.name,
      url: this.#target.url,
      state: this.#state,
      remote: this.#remote,
      census: this.#census,
      sending: this.#sending === undefined ? undefined : sendingOf(this.#sending, nowMs),
      sentBytes: this.#sentBytes,
      sentRows: this.#sentRows,
      brokenOff: this.#brokenOff,
      closed: this.#closed,
      lastError: this.#lastError,
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
        await this.#rest(error, signal);
      }
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    let next = await this.#look(signal);
    if (next.length === 0) {
      this.#state = "idle";
      if (!this.#isStale) await this.#idle(signal);
      return;
    }
    if (await this.#isClosed(signal)) return;
    this.#state = "connecting";
    using remote = await this.#connect(signal);
    this.#state = "sending";
    for (; next.length > 0; next = await this.#look(signal)) {
      for (const { session, class: of } of next) {
        if (of.isSent) await this.#ship(remote, session, signal).finally(() => (this.#sending = undefined));
        else await this.#leaveOut(session, of);
        this.#failures = 0;
        this.#lastError = undefined;
        this.#told = undefined;
        // What was finalized meanwhile may be more urgent.
        if (this.#isStale && this.#parts.clock.monotonicMs() >= this.#censusAtMs) break;
      }
    }
  }

  /** Sessions that are to be sent, the most urgent first. */
  async #look(signal: AbortSignal): Promise<readonly PendingSession[]> {
    const { catalog, clock } = this.#parts;
    await sleep(Math.max(0, this.#censusAtMs - clock.monotonicMs()), undefined, { signal });
    this.#isStale = false;
    const startedMs = clock.monotonicMs();
    const classify: Classify = (sequence, session) => this.#classes.classOf(sequence, session, signal);
    this.#census = await takeCensus(catalog, this.#target, { classify, signal });
    const endedMs = clock.monotonicMs();
    this.#censusAtMs = endedMs + Math.max(censusRest.leastMs, censusRest.timesTaken * (endedMs - startedMs));
    return this.#census.next;
  }

  /** Whether nothing may go now; then it has waited a little. */
  async #isClosed(signal: AbortSignal): Promise<boolean> {
    const why = await whyClosed(this.#target, this.#now());
    if (why !== this.#closed) this.#parts.log.info("sync_gate", { target: this.#target.name, closed: why ?? null });
    this.#closed = why;
    if (why === undefined) return false;
    this.#state = "closed";
    await sleep(closedLookMs, undefined, { signal });
    return true;
  }

  /** By the wall clock, as people and timetables have it. */
  #now(): Date {
    return new Date(Number(this.#parts.clock.wallNs() / 1_000_000n));
  }

  async #leaveOut(ulid: Ulid, of: SyncClass): Promise<void> {
    const shipment = findShipment(this.#parts.catalog, ulid, this.#parts.uuidThere);
    if (shipment === undefined) return;
    const sequence = findClaim(this.#parts.catalog, shipment.sequence.ulid, this.#target.id);
    await this.#store(shipment, { ...firstCursor, sequence, place: { kind: "left_out", class: of.name } });
  }

  async #idle(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.#wake = undefined;
  }

  async #connect(signal: AbortSignal): Promise<Remote> {
    const remote = await (this.#parts.connect ?? connectTo)(this.#target, signal);
    const { version } = remote;
    const name = version.edge === undefined ? `mosaicod ${version.text}` : `mosaico-edge ${version.edge.version}`;
    if (this.#remote !== name) this.#parts.log.info("sync_connected", { target: this.#target.name, remote: name });
    this.#remote = name;
    return remote;
  }

  /** Waits before the next try: longer each time, and not as long as others who lost the same link. */
  async #rest(error: unknown, signal: AbortSignal): Promise<void> {
    const { log, clock } = this.#parts;
    const reason = error instanceof Error ? error.message : String(error);
    this.#brokenOff += 1;
    const code = error instanceof Fault || error instanceof BrokenOff ? error.code : "internal";
    const during = error instanceof BrokenOff ? error.command : "connect";
    // The same time after time is one line.
    const told = `${during}: ${reason}`;
    if (told !== this.#told) log.warning("sync_broken_off", { target: this.#target.name, during, code, reason });
    this.#told = told;
    this.#lastError = reason;
    const mostMs = code === "unauthenticated" || code === "denied" ? syncRetry.refusedMs : syncRetry.mostMs;
    const fullMs = Math.min(mostMs, syncRetry.firstMs * 2 ** Math.min(this.#failures, 20));
    const restMs = fullMs * (0.5 + newJitter() / 2);
    this.#failures += 1;
    this.#state = "waiting";
    this.#retryAtMs = clock.monotonicMs() + restMs;
    await sleep(restMs, undefined, { signal }).catch(() => undefined);
    this.#retryAtMs = undefined;
  }

  /** Brings a session to its end there: synced, parked, or gone here. @throws BrokenOff */
  async #ship(remote: Remote, ulid: Ulid, signal: AbortSignal): Promise<void> {
    const { catalog, log, clock } = this.#parts;
    const shipment = findShipment(catalog, ulid, this.#parts.uuidThere);
    if (shipment === undefined || !isActive(catalog, this.#target)) return;
    const { session } = shipment;
    const traits: RemoteTraits = {
      kind: remote.isEdge ? "edge" : "central",
      countsRows: remote.version.major > 0 || remote.version.minor >= 7,
      onConflict: this.#target.onConflict,
    };
    let stored = findTransfer(catalog, ulid, this.#target.id)?.cursor;
    const first: Cursor = { ...firstCursor, sequence: findClaim(catalog, session.sequenceUlid, this.#target.id) };
    const unsuitable = traits.kind === "edge" ? undefined : whyTopicsUnsuitable(catalog, shipment);
    const from = stored ?? first;
    const cursor = unsuitable === undefined ? from : parkedCursor(from, "refused", unsuitable);
    const isCounted = !traits.countsRows && unsuitable === undefined;
    const facts = isCounted ? await this.#countedFacts(remote, shipment, signal) : shipment.facts;
    const context = { facts, traits };
    let transfer = beginTransfer(cursor, context);
    if (stored !== undefined && unsuitable === undefined)
      log.info("session_goes_on", { target: this.#target.name, session: session.locator, at: stored.place.kind });
    const sending: Progress = {
      session: session.locator,
      bytes: shipment.bytes,
      sentBytes: 0,
      sinceMs: clock.monotonicMs(),
    };
    this.#sending = sending;
    using hands = new Hands({
      ...this.#parts,
      remote,
      shipment,
      signal,
      admit: (bytes) => this.#admission.admit(bytes, rateNow(this.#target, this.#now()), signal),
      sent: (bytes, rows) => {
        sending.sentBytes += bytes;
        this.#sentBytes += bytes;
        this.#sentRows += rows;
        this.#failures = 0;
      },
    });
    while (transfer.command.kind !== "end") {
      if (transfer.cursor !== stored && !(await this.#store(shipment, transfer.cursor))) {
        await this.#leave(hands, shipment, stored);
        return;
      }
      stored = transfer.cursor;
      transfer = await this.#act(hands, transfer, context, { shipment, signal });
    }
    const { place } = transfer.cursor;
    const isStored = await this.#store(shipment, transfer.cursor);
    const isOver = isStored && (place.kind === "synced" || place.kind === "parked");
    if (!isOver) return await this.#leave(hands, shipment, transfer.cursor);
    this.#trouble = undefined;
    const fields = { target: this.#target.name, session: session.locator };
    if (place.kind === "parked") {
      log.warning("session_parked", { ...fields, cause: place.cause, reason: place.reason });
      return;
    }
    const ms = Math.round(clock.monotonicMs() - sending.sinceMs);
    log.info("session_synced", { ...fields, bytes: sending.sentBytes, ms });
  }

  /** For a remote that tells messages in place of rows: how many there will be. */
  async #countedFacts(
    remote: Remote,
    { session, topics, facts }: Shipment,
    signal: AbortSignal,
  ): Promise<TransferFacts> {
    if (this.#counted?.session === session.ulid) return this.#counted.facts;
    const options = { limits: limitsOf(remote), signal };
    const admit = (): Promise<void> => this.#admission.yield(signal);
    const counted: TopicFacts[] = [];
    for (const [index, topic] of facts.topics.entries()) {
      const of = topics[index];
      const messages = of === undefined ? 0 : await countMessages({ ...this.#parts, admit }, of, options);
      counted.push({ ...topic, messages });
    }
    this.#counted = { session: session.ulid, facts: { ...facts, topics: counted } };
    return this.#counted.facts;
  }

  /** What was begun of a session that was deleted here goes there too, where that is allowed. */
  async #leave(hands: Hands, { session }: Shipment, cursor: Cursor | undefined): Promise<void> {
    const { catalog, log } = this.#parts;
    if (cursor?.session === undefined || catalog.sessionKeys.has(session.ulid)) return;
    const answer = await hands.carryOut({ kind: "delete_session", session: cursor.session });
    const there = answer.kind === "refused" ? answer.reason : "deleted";
    log.warning("session_deleted_while_sent", { target: this.#target.name, session: session.locator, there });
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
        if (answer.code !== "internal" || !this.#isTooMuch(shipment))
          throw new BrokenOff(transfer.command.kind, answer.code, answer.reason);
        return park(transfer, "refused", answer.reason);
      }
      return step(transfer, answer, context);
    } catch (error) {
      // Something on this side: what cannot be read here is not there either, and no time mends it.
      if (signal.aborted || !(error instanceof Fault)) throw error;
      if (error.code === "absent") return { ...transfer, command: { kind: "end" } };
      if (error.code !== "corrupt" && error.code !== "unsupported") throw error;
      return park(transfer, error.code === "corrupt" ? "damaged" : "refused", error.message);
    }
  }

  /** Whether the remote fails at this session again and again, while it answers all else. */
  #isTooMuch({ session }: Shipment): boolean {
    const times = this.#trouble?.session === session.ulid ? this.#trouble.times + 1 : 1;
    this.#trouble = { session: session.ulid, times };
    return times > syncRetry.troubleMax;
  }

  /** False when the session was deleted here, or the target is paused or forgotten. */
  async #store({ session }: Shipment, cursor: Cursor): Promise<boolean> {
    const { catalog, clock, poison, space } = this.#parts;
    poison.check();
    const row: TransferRow = { cursor, changedAtNs: clock.wallNs() };
    using _row = space.admitRow(rowBytes(row));
    return await catalog.transaction(() => {
      if (!catalog.sessionKeys.has(session.ulid) || !isActive(catalog, this.#target)) return false;
      putTransfer(catalog, session.ulid, this.#target.id, row);
      putClaim(catalog, session.sequenceUlid, this.#target.id, cursor.sequence);
      return true;
    });
  }
}

function sendingOf({ session, bytes, sentBytes, sinceMs }: Progress, nowMs: number): Sending {
  return { session, bytes, sentBytes, seconds: Math.round(nowMs - sinceMs) / 1000 };
}
