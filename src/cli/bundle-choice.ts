/** Which sessions a bundle gets: those that fit everything that was said; all that are finalized when nothing was. */

import { isIncluded } from "../care/synced.ts";
import type { Catalog } from "../catalog/catalog.ts";
import { findSession, listSequences, listSessions } from "../catalog/resources.ts";
import { Fault } from "../model/fault.ts";
import { isFinalized, type Ulid } from "../model/resource.ts";
import type { SearchParts } from "../query/search.ts";
import { SessionClasses } from "../sync/session-class.ts";

export interface BundleChoice {
  /** Locators or ULIDs: any of them. */
  readonly sessions: readonly string[];
  /** Globs for names of sequences: any of them. */
  readonly sequences: readonly string[];
  /** JSON as clients send it: it has to find a topic of the session. */
  readonly query: string | undefined;
}

/** In the order of their sequences' names and of their creation. @throws Fault absent, wrong_state, invalid */
export async function chooseSessions(
  search: SearchParts,
  choice: BundleChoice,
  signal: AbortSignal,
): Promise<readonly Ulid[]> {
  const { catalog } = search;
  const named = new Set(choice.sessions.map((id) => namedSession(catalog, id)));
  const classes = choice.query === undefined ? undefined : classesOf(search, choice.query);
  const chosen: Ulid[] = [];
  const patterns = new Set(choice.sequences);
  for (const sequence of listSequences(catalog)) {
    if (!isIncluded({ include: choice.sequences, exclude: [] }, sequence.name)) continue;
    for (const one of patterns) if (isIncluded({ include: [one], exclude: [] }, sequence.name)) patterns.delete(one);
    for (const session of listSessions(catalog, sequence.ulid)) {
      if (!isFinalized(session) || (named.size > 0 && !named.has(session.ulid))) continue;
      const isFound = classes === undefined || (await classes.classOf(sequence, session, signal)).isSent;
      if (isFound) chosen.push(session.ulid);
    }
  }
  const [unknown] = patterns;
  if (unknown !== undefined)
    throw new Fault("absent", `--sequence: there is no sequence with a name like ${JSON.stringify(unknown)}`);
  if (chosen.length === 0) throw new Fault("absent", "There is no finalized session that fits: nothing to export.");
  return chosen;
}

function namedSession(catalog: Catalog, id: string): Ulid {
  const session = findSession(catalog, id);
  if (session === undefined || (session.locator !== id && session.ulid !== id))
    throw new Fault(
      "absent",
      `There is no session ${JSON.stringify(id.slice(0, 200))}, of which the locator or the ULID is wanted; --sequence names sequences`,
    );
  if (!isFinalized(session))
    throw new Fault("wrong_state", `Session ${session.locator} is open: what is finalized can be exported.`);
  return session.ulid;
}

/** A query asks here what it asks as a class of a target. @throws Fault invalid */
function classesOf(search: SearchParts, query: string): SessionClasses {
  try {
    return new SessionClasses(search, {
      classes: [{ name: "chosen", query, priority: 0, isSent: true }],
      restIsSent: false,
    });
  } catch (error) {
    throw new Fault("invalid", `--query: ${error instanceof Error ? error.message : error}`, error);
  }
}
