/** What queries on contents need, put together from what a process has. */

import { positionOf, vectorsOf } from "../arrow/schema-types.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Budget } from "../flow/budget.ts";
import type { Disk } from "../host/disk.ts";
import { modelsOfTag, type OntologyParts } from "../ingest/ontology-gate.ts";
import { loanLeastMs } from "../model/limits.ts";
import { findRoles } from "../query/roles.ts";
import type { SearchParts } from "../query/search.ts";

export interface SearchSources {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly mergeBudget: Budget;
  readonly sendBudget: Budget;
  /** Models of a directory. */
  readonly given: OntologyParts["given"];
}

export function searchPartsOf({ given, ...sources }: SearchSources): SearchParts {
  const { catalog } = sources;
  return {
    ...sources,
    loanLeastMs,
    rolesOf(tag, schema) {
      const models = modelsOfTag(catalog, given, tag);
      return findRoles(schema, { position: positionOf(schema, tag, models), vectors: vectorsOf(schema, tag, models) });
    },
  };
}
