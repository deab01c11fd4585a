/** Where a topic has a position and vectors: as the models of its tag say, or, where none does, by the names of its fields. */

import { resolvePath } from "../arrow/leaf.ts";
import type { Schema } from "../arrow/schema.ts";
import { SchemaTypes } from "../arrow/schema-types.ts";
import { isNumber, type OntologyRoles, type PositionRole } from "../model/ontology.ts";

/** A condition may name the tag (empty), or a struct below it. Undefined where there is no such thing. */
export interface FindRoles {
  position(field: string): PositionRole | undefined;
  /** Paths of the components. */
  vector(field: string): readonly string[] | undefined;
}

/** @param roles of the topic's tag */
export function findRoles(schema: Schema, { position, vectors }: OntologyRoles): FindRoles {
  const types = new SchemaTypes(schema);
  const isNumberAt = (path: string): boolean => isNumber(types.typeAt(path) ?? "");
  return {
    position(field) {
      const prefix = prefixOf(field);
      if (position?.latitude.startsWith(prefix) === true && position.longitude.startsWith(prefix)) return position;
      const named = { latitude: `${prefix}latitude`, longitude: `${prefix}longitude` };
      return [named.latitude, named.longitude].every((path) => resolvePath(schema, { field: path }) !== undefined)
        ? named
        : undefined;
    },
    vector(field) {
      const prefix = prefixOf(field);
      const given = vectors.find((axes) => axes.every((path) => isDirectlyBelow(path, prefix)));
      if (given !== undefined) return given;
      const [x, y, z] = ["x", "y", "z"].map((axis) => `${prefix}${axis}`);
      if (x === undefined || y === undefined || z === undefined || !isNumberAt(x) || !isNumberAt(y)) return undefined;
      return isNumberAt(z) ? [x, y, z] : [x, y];
    },
  };
}

function prefixOf(field: string): string {
  return field === "" ? "" : `${field}.`;
}

function isDirectlyBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && !path.slice(prefix.length).includes(".");
}
