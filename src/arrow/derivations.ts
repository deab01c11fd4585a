/** What is derived of a topic's leaves: as the models of its tag say what they mean. */

import { derivationsMax } from "../model/limits.ts";
import type { OntologyModel } from "../model/ontology.ts";
import type { Derivation } from "../model/statistics.ts";
import { type Leaves, leafAt, resolvePath } from "./leaf.ts";
import type { Schema } from "./schema.ts";
import { positionOf, vectorsOf } from "./schema-types.ts";

export function derivationsOf(
  schema: Schema,
  leaves: Leaves,
  { tag, models }: { tag: string; models: readonly OntologyModel[] },
): Derivation[] {
  const position = positionOf(schema, tag, models);
  const wanted = [
    ...(position === undefined ? [] : [{ kind: "east", paths: [position.longitude] } as const]),
    ...vectorsOf(schema, tag, models).map((paths) => ({ kind: "norm", paths }) as const),
  ];
  return wanted
    .flatMap(({ kind, paths }) => {
      const found = paths.map((field) => leafAt(leaves, resolvePath(schema, { field })?.chain ?? []));
      const known = found.filter((leaf) => leaf !== undefined);
      return known.length === paths.length ? [{ kind, leaves: known }] : [];
    })
    .slice(0, derivationsMax);
}
