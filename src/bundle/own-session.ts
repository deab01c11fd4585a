/**
 * A session of a bundle in the store that it was exported from, or in one that a backup of that was restored to: it is there under its
 * own UUIDs. A bundle is for the day when it is not whole there any more, so that it has the name is not enough.
 */

import type { SessionRecord } from "../care/session-record.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { findSession, listTopicsOfSession } from "../catalog/resources.ts";
import { derivedUuid } from "../host/entropy.ts";
import { isFinalized, type Topic } from "../model/resource.ts";

export interface OwnSession {
  /** In what it is not the one of the bundle, as far as the catalog tells; undefined when it is. */
  readonly difference: string | undefined;
}

/** Undefined when the store never had it. */
export function findOwnSession(
  catalog: Catalog,
  { session, topics }: Pick<SessionRecord, "session" | "topics">,
): OwnSession | undefined {
  const known = findSession(catalog, session.ulid);
  if (known === undefined || derivedUuid(known.uuid, "session") !== session.uuid) return undefined;
  const here = listTopicsOfSession(catalog, known);
  const carried = topics.map(({ topic }) => topic);
  const differences = [
    isFinalized(known) ? undefined : "it is not finalized here",
    differenceOfTopics(here, carried),
  ].filter((difference) => difference !== undefined);
  return { difference: differences.length === 0 ? undefined : differences.join("; ") };
}

/** The first one. */
function differenceOfTopics(here: readonly Topic[], carried: readonly Topic[]): string | undefined {
  const rest = new Map(here.map((topic) => [topic.locator, topic]));
  for (const topic of carried) {
    const own = rest.get(topic.locator);
    const difference = own === undefined ? "is not here" : differenceOfTopic(own, topic);
    if (difference !== undefined) return `\`${topic.locator}\` ${difference}`;
    rest.delete(topic.locator);
  }
  const [more] = rest.keys();
  return more === undefined ? undefined : `\`${more}\` is here, and not in the bundle`;
}

function differenceOfTopic(own: Topic, carried: Topic): string | undefined {
  const { rows, range } = own.extent;
  const { rows: wanted, range: wantedRange } = carried.extent;
  const lostRows = own.lostRows ?? 0;
  // Those that were lost before it was exported are not in the bundle either.
  if (lostRows > (carried.lostRows ?? 0))
    return `has lost ${lostRows} rows here: it has ${rows}, in the bundle ${wanted}`;
  if (rows !== wanted) return `has ${rows} rows here, in the bundle ${wanted}`;
  if (range?.startNs !== wantedRange?.startNs || range?.endNs !== wantedRange?.endNs)
    return `goes from ${range?.startNs} to ${range?.endNs} here, in the bundle from ${wantedRange?.startNs} to ${wantedRange?.endNs}`;
  return undefined;
}
