/**
 * Whether a target is the store that it was. What was verified there counts for retention, so an address that leads to another store,
 * mistyped or set up anew, must not count as the one that has the sessions.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { findSession, listTopicsOfSession } from "../catalog/resources.ts";
import { readStoreFacts } from "../catalog/store-facts.ts";
import { findTarget, isKnown, putTarget } from "../catalog/target-rows.ts";
import { findTransfer, keysOfTarget } from "../catalog/transfer-rows.ts";
import type { Remote } from "../client/remote.ts";
import { Fault } from "../model/fault.ts";
import type { TopicLocator } from "../model/locator.ts";
import type { Ulid } from "../model/resource.ts";
import type { Target } from "../model/target.ts";
import { isSynced } from "../model/transfer.ts";

/** Sessions of which one is looked for at most: somebody may have deleted one or another there. */
const lookedForMax = 3;

/**
 * Why nothing may go to what answers, where sessions went to a store before; undefined when it may, and of a central daemon, which does
 * not tell.
 */
export function whyOther(
  catalog: Catalog,
  before: string | undefined,
  { version }: Pick<Remote, "version">,
): string | undefined {
  const store = version.edge?.store;
  if (store === undefined) return undefined;
  if (store === readStoreFacts(catalog)?.id) return "It is this store itself that answers there.";
  if (before === undefined || store === before) return undefined;
  return `Another store answers there, ${store} in place of ${before}: nothing goes, and nothing counts as synced. It is a target of its own, or this one is to be removed and added anew.`;
}

/** By what was synced there, for who does not tell which store it is. Undefined when any of that is there. */
async function whyLost(
  catalog: Catalog,
  { id }: Target,
  remote: Pick<Remote, "version" | "showTopic">,
): Promise<string | undefined> {
  if (remote.version.edge?.store !== undefined) return undefined;
  const lost: string[] = [];
  for (const locator of syncedTopics(catalog, id)) {
    if ((await remote.showTopic(locator)) !== undefined) return undefined;
    lost.push(locator);
    if (lost.length === lookedForMax) break;
  }
  return lost.length === 0
    ? undefined
    : `Topic \`${lost[0]}\` was synced and is not there, so another store seems to answer: nothing goes, and nothing counts as synced. It is a target of its own, or this one is to be removed and added anew.`;
}

/** One of each session that is synced and has any. */
function* syncedTopics(catalog: Catalog, target: Ulid): Generator<TopicLocator> {
  for (const keys of keysOfTarget(catalog.transfers, target)) {
    for (const [ulid] of keys) {
      const cursor = findTransfer(catalog, ulid, target)?.cursor;
      const session = cursor !== undefined && isSynced(cursor) ? findSession(catalog, ulid) : undefined;
      const [topic] = session === undefined ? [] : listTopicsOfSession(catalog, session);
      if (topic !== undefined) yield topic.locator;
    }
  }
}

/** Notes which store a target is when it is reached for the first time, and whether it still is. @throws Fault wrong_state */
export async function confirmStore(
  catalog: Catalog,
  target: Target,
  remote: Pick<Remote, "version" | "showTopic">,
): Promise<void> {
  catalog.refresh();
  const current = findTarget(catalog, target.name);
  if (current === undefined || !isKnown(catalog, target)) return;
  const problem =
    whyOther(catalog, current.store, remote) ??
    (current.isUnconfirmed === true ? await whyLost(catalog, target, remote) : undefined);
  const store = current.store ?? (problem === undefined ? remote.version.edge?.store : undefined);
  const isUnconfirmed = problem !== undefined;
  if (store !== current.store || isUnconfirmed !== (current.isUnconfirmed ?? false))
    await catalog.transaction(() => {
      const row = findTarget(catalog, target.name);
      // Whoever has changed the address meanwhile begins anew.
      if (row?.url === target.url && isKnown(catalog, target)) putTarget(catalog, { ...row, store, isUnconfirmed });
    });
  if (problem !== undefined) throw new Fault("wrong_state", problem);
}
