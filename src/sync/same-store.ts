/**
 * Whether a target is the store that it was. What was verified there counts for retention, so an address that leads to another store,
 * mistyped or set up anew, must not count as the one that has the sessions.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { findSession, listTopicsOfSession } from "../catalog/resources.ts";
import { readStoreFacts } from "../catalog/store-facts.ts";
import { findTarget, isKnown, listTargets, putTarget } from "../catalog/target-rows.ts";
import type { Remote } from "../client/remote.ts";
import type { Clock } from "../host/clock.ts";
import { Fault } from "../model/fault.ts";
import type { Topic } from "../model/resource.ts";
import { confirmEveryMs } from "../model/sync-limits.ts";
import type { Target } from "../model/target.ts";
import type { TimeNs } from "../model/time.ts";
import type { Census, SyncedSession } from "./census.ts";
import { differenceOf } from "./command.ts";

type Answering = Pick<Remote, "version" | "showTopic">;

const nothingCounts = "nothing goes, and nothing counts as synced";
const whatToDo = "It is a target of its own, or this one is to be removed and added anew.";

/**
 * Why nothing may go to what answers; undefined when it may. Who tells which store it is is known by that. Of others, as of a central
 * daemon, one of the sessions that were synced last is looked for.
 */
export async function whyOther(
  catalog: Catalog,
  target: Target,
  remote: Answering,
  lastSynced: readonly SyncedSession[],
): Promise<string | undefined> {
  const { store: before } = target;
  const store = remote.version.edge?.store;
  if (store !== undefined && store === readStoreFacts(catalog)?.id)
    return "It is this store itself that answers there.";
  if (before === undefined)
    return whyTwice(catalog, target, store) ?? (await whyLost(catalog, target, remote, lastSynced));
  if (store === before) return undefined;
  const found =
    store === undefined ? "What answers there does not say which store it is" : `Another store answers there, ${store}`;
  return `${found} in place of ${before}: ${nothingCounts}. ${whatToDo}`;
}

/** Two targets that are one store would count as two copies, and break each other's uploads off. */
function whyTwice(catalog: Catalog, target: Target, store: string | undefined): string | undefined {
  if (store === undefined || !isKnown(catalog, target)) return undefined;
  const other = listTargets(catalog).find((one) => one.id !== target.id && one.store === store);
  return other === undefined
    ? undefined
    : `It is the store of target ${other.name}, which gets all of it already: change that one by sync set, or remove it.`;
}

/** Undefined when any of the last ones is there, or none is known. */
async function whyLost(
  catalog: Catalog,
  { acceptedAtNs }: Target,
  remote: Answering,
  lastSynced: readonly SyncedSession[],
): Promise<string | undefined> {
  let lost: Topic | undefined;
  for (const { session: ulid, syncedAtNs } of lastSynced) {
    if (acceptedAtNs !== undefined && syncedAtNs <= acceptedAtNs) continue;
    const session = findSession(catalog, ulid);
    const [topic] = session === undefined ? [] : listTopicsOfSession(catalog, session);
    if (topic === undefined) continue;
    if (await isThere(remote, topic)) return undefined;
    lost ??= topic;
  }
  return lost === undefined
    ? undefined
    : `Topic \`${lost.locator}\` was synced and is not there, so another store seems to answer: ${nothingCounts}. ${whatToDo} Where it was only deleted there, sync confirm says so.`;
}

async function isThere(
  remote: Answering,
  { locator, uuid, lostRows, extent: { rows, range } }: Topic,
): Promise<boolean> {
  try {
    const found = await remote.showTopic(locator);
    if (found === undefined) return false;
    // What was lost here since is there.
    if (lostRows !== undefined) return found.locked;
    // In how many messages it went there nobody knows any more.
    const counted = { ...found, messages: undefined };
    return differenceOf(counted, { locator, uuid, rows, range, lostRows: 0, messages: 0 }) === undefined;
  } catch (error) {
    // It is listed, and cannot be shown.
    if (error instanceof Fault && error.code === "internal") return true;
    throw error;
  }
}

/** Notes which store a target is when it is reached for the first time, and whether it still is. @throws Fault wrong_state */
export async function confirmStore(
  catalog: Catalog,
  target: Target,
  remote: Answering,
  lastSynced: readonly SyncedSession[],
): Promise<void> {
  catalog.refresh();
  const current = findTarget(catalog, target.name);
  if (current === undefined || !isKnown(catalog, target)) return;
  let problem = await whyOther(catalog, current, remote, lastSynced);
  const told = remote.version.edge?.store;
  const isNews = current.store === undefined && told !== undefined;
  if (isNews || (problem !== undefined) !== (current.isUnconfirmed ?? false))
    await catalog.transaction(() => {
      const row = findTarget(catalog, target.name);
      // Whoever has changed the address meanwhile begins anew.
      if (row?.url !== target.url || !isKnown(catalog, target)) return;
      // Another one may have come to the same store meanwhile.
      if (row.store === undefined) problem ??= whyTwice(catalog, row, told);
      const store = row.store ?? (problem === undefined ? told : undefined);
      putTarget(catalog, { ...row, store, isUnconfirmed: problem !== undefined });
    });
  if (problem !== undefined) throw new Fault("wrong_state", problem);
}

/** The time of what is noted of a target: behind all that somebody confirmed, wherever the clock has gone since, so that it counts. */
export function behindConfirmedNs(catalog: Catalog, { name }: Target, nowNs: TimeNs): TimeNs {
  const { acceptedAtNs = -1n } = findTarget(catalog, name) ?? {};
  return nowNs > acceptedAtNs ? nowNs : acceptedAtNs + 1n;
}

/** When a target is looked at that has nothing to get: what counts as synced there may be deleted here meanwhile. */
export class StoreWatch {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #nextAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Time until then; never while nothing counts as synced. */
  restMs(census: Pick<Census, "synced"> | undefined): number {
    return (census?.synced ?? 0) > 0 ? this.#nextAtMs - this.#clock.monotonicMs() : Number.POSITIVE_INFINITY;
  }

  /** It was looked at, or may not be now. */
  rest(): void {
    this.#nextAtMs = this.#clock.monotonicMs() + confirmEveryMs;
  }
}
