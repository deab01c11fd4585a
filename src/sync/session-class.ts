/**
 * To which class of a target a session belongs: the first whose query finds it, by names, tags, metadata or contents. A finalized
 * session does not change, so it is asked once.
 */

import type { Catalog } from "../catalog/catalog.ts";
import { listTopicsOfSession } from "../catalog/resources.ts";
import { Fault } from "../model/fault.ts";
import { isJsonObject, parseJson } from "../model/json.ts";
import type { CatalogQuery } from "../model/predicate.ts";
import type { Sequence, Session, Ulid } from "../model/resource.ts";
import { classesRememberedMax } from "../model/sync-limits.ts";
import { restClass, type SyncClass, type Target } from "../model/target.ts";
import { findTopics } from "../query/find-topics.ts";
import { hasContents, noSearchCounts, type SearchParts, searchContents } from "../query/search.ts";
import { parseQuery } from "../wire/query.ts";

/** @throws Fault invalid naming what is wrong with the query of a class */
export function parseClassQuery(text: string): CatalogQuery {
  const body = parseJson(text, "the query");
  if (!isJsonObject(body)) throw new Fault("invalid", "The query is no JSON object as clients send it.");
  return parseQuery(body);
}

export class SessionClasses {
  readonly #search: SearchParts;
  readonly #classes: readonly { readonly of: SyncClass; readonly query: CatalogQuery }[];
  readonly #rest: SyncClass;
  readonly #known = new Map<Ulid, SyncClass>();

  constructor(search: SearchParts, { classes, restIsSent }: Pick<Target, "classes" | "restIsSent">) {
    this.#search = search;
    this.#classes = classes.map((of) => ({ of, query: parseClassQuery(of.query) }));
    this.#rest = restClass(restIsSent);
  }

  async classOf(sequence: Sequence, session: Session, signal: AbortSignal): Promise<SyncClass> {
    const known = this.#known.get(session.ulid);
    if (known !== undefined) return known;
    let found = this.#rest;
    for (const { of, query } of this.#classes) {
      if (!(await this.#finds(query, sequence, session, signal))) continue;
      found = of;
      break;
    }
    if (this.#known.size >= classesRememberedMax) this.#known.clear();
    this.#known.set(session.ulid, found);
    return found;
  }

  async #finds(query: CatalogQuery, sequence: Sequence, session: Session, signal: AbortSignal): Promise<boolean> {
    const { catalog } = this.#search;
    // By its time of creation it is looked up, and no other sequence is looked at.
    const createdAtNs = query.sequence.createdAtNs ?? { kind: "eq" as const, operand: sequence.createdAtNs };
    const narrowed: CatalogQuery = { ...query, sequence: { ...query.sequence, createdAtNs } };
    const found = hasContents(narrowed)
      ? await searchContents(this.#search, narrowed, signal, noSearchCounts())
      : await findTopics(catalog, narrowed, signal);
    const topics = found.find((one) => one.sequence === sequence.name)?.topics ?? [];
    const own = new Set<string>(ownTopics(catalog, session));
    return topics.some(({ locator }) => own.has(locator));
  }
}

function ownTopics(catalog: Catalog, session: Session): string[] {
  return listTopicsOfSession(catalog, session).map(({ locator }) => locator);
}
