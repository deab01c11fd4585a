/** Gives a catalog of an earlier program the index over its sequences and topics. */

import type { Catalog, Key } from "../catalog/catalog.ts";
import { findSequence, findTopic, sequenceNamePages, topicLocatorPages } from "../catalog/resources.ts";
import { keysOfSequence, keysOfTopic, replaceSearchKeys } from "../catalog/search-keys.ts";
import { Fault } from "../model/fault.ts";

/**
 * Puts the keys of all rows; one that was broken off is begun again. Nobody else may write sequences and topics meanwhile, and that
 * it is whole is for the caller to say.
 * @throws Fault unavailable
 */
export async function fillSearchKeys(catalog: Catalog): Promise<void> {
  for (const names of sequenceNamePages(catalog)) await put(catalog, keysOfAll(names, findSequence, keysOfSequence));
  for (const locators of topicLocatorPages(catalog)) await put(catalog, keysOfAll(locators, findTopic, keysOfTopic));

  function keysOfAll<Name, Row>(
    names: readonly Name[],
    find: (catalog: Catalog, name: Name) => Row | undefined,
    keysOf: (row: Row) => Key[],
  ): Key[] {
    return names.flatMap((name) => {
      try {
        const row = find(catalog, name);
        return row === undefined ? [] : keysOf(row);
      } catch (error) {
        // Nobody can read that row anyway: verify tells of it.
        if (error instanceof Fault && error.code === "corrupt") return [];
        throw error;
      }
    });
  }
}

async function put(catalog: Catalog, keys: readonly Key[]): Promise<void> {
  await catalog.transaction(() => replaceSearchKeys(catalog, [], keys));
}
