/** Where a topic has a position: as the models of its tag say, or, where none does, by the names of its fields. */

import { resolvePath } from "../arrow/leaf.ts";
import type { Schema } from "../arrow/schema.ts";
import type { PositionRole } from "../model/ontology.ts";
import type { FindPosition } from "./bind.ts";

/** @param role of the topic's tag; a condition may name the tag, or a struct that the position lies in */
export function findPosition(schema: Schema, role: PositionRole | undefined): FindPosition {
  return (field) => {
    const prefix = field === "" ? "" : `${field}.`;
    if (role?.latitude.startsWith(prefix) === true && role.longitude.startsWith(prefix)) return role;
    const named = { latitude: `${prefix}latitude`, longitude: `${prefix}longitude` };
    return isThere(schema, named) ? named : undefined;
  };
}

function isThere(schema: Schema, { latitude, longitude }: PositionRole): boolean {
  return [latitude, longitude].every((path) => resolvePath(schema, { field: path }) !== undefined);
}
