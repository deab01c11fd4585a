/**
 * The leaves of a schema: what statistics are kept of, and how a path in a condition finds its column. A chain leads from the
 * schema to a field: the index of the top-level field, then of a child for each level; the items of a list are its child 0.
 */

import { statisticLeavesMax } from "../model/limits.ts";
import type { FieldPath } from "../model/predicate.ts";
import { numberTypeOf } from "./number-type.ts";
import type { Field, Schema } from "./schema.ts";
import { isListType } from "./type.ts";

/** What the values of a leaf are to a condition; of unordered ones only nulls are counted. */
export type LeafKind = "number" | "text" | "boolean" | "unordered";

export interface Leaf {
  /** For people: names with dots between them, `[]` for the items of a list. Two leaves may have the same. */
  readonly path: string;
  readonly kind: LeafKind;
  readonly field: Field;
  readonly chain: readonly number[];
}

/** A field on the way to leaves, whose children are in `below` where structs and lists are opened, all of them. */
export interface Branch {
  readonly field: Field;
  readonly path: string;
  /** Index among the leaves; undefined for a struct, and for what is behind the last leaf that is kept. */
  readonly leaf: number | undefined;
  readonly below: readonly Branch[];
}

export interface Leaves {
  /** In schema order, a list before its items. */
  readonly list: readonly Leaf[];
  /** Of each top-level field. */
  readonly branches: readonly Branch[];
}

/** Leaves of a schema, `leavesMax` at most: fields behind the last one have no statistics. */
export function leavesOf({ fields }: Pick<Schema, "fields">, leavesMax: number = statisticLeavesMax): Leaves {
  const list: Leaf[] = [];
  const branchOf = (field: Field, path: string, chain: readonly number[]): Branch => {
    let leaf: number | undefined;
    if (!isStruct(field) && list.length < leavesMax) {
      leaf = list.length;
      list.push({ path, kind: kindOf(field), field, chain });
    }
    // Children of what is behind the last leaf are never looked for.
    if (list.length >= leavesMax) return { field, path, leaf, below: [] };
    const itemPath = isList(field) ? `${path}[]` : undefined;
    const opened = isStruct(field) || isList(field) ? field.children : [];
    const below = opened.map((child, index) => branchOf(child, itemPath ?? `${path}.${child.name}`, [...chain, index]));
    return { field, path, leaf, below };
  };
  const branches = fields.map((field, index) => branchOf(field, field.name, [index]));
  return { list, branches };
}

/** The index of the leaf at the end of a chain; undefined where there is none. */
export function leafAt({ branches }: Leaves, chain: readonly number[]): number | undefined {
  let level = branches;
  let found: Branch | undefined;
  for (const index of chain) {
    found = level[index];
    level = found?.below ?? [];
  }
  return found?.leaf;
}

/** Whether children are values of the same rows. Those of a dictionary's values are not. */
export function isStruct({ type, dictionary }: Field): boolean {
  return type.kind === "struct" && dictionary === undefined;
}

export function isList({ type, dictionary }: Field): boolean {
  return isListType(type) && dictionary === undefined;
}

function kindOf({ type }: Field): LeafKind {
  if (numberTypeOf(type) !== undefined) return "number";
  switch (type.kind) {
    case "utf8":
    case "utf8View":
      return "text";
    case "bool":
      return "boolean";
    default:
      return "unordered";
  }
}

/** The columns that a path means. */
export interface ResolvedPath {
  /** Leads to what the text in front of the specifier means. */
  readonly chain: readonly number[];
  readonly field: Field;
  /** Leads on from `chain` to what is meant of each item, the items themselves first; undefined without a specifier. */
  readonly items?: { readonly chain: readonly number[]; readonly field: Field } | undefined;
}

/**
 * What a path means in a schema; undefined when it means nothing. Names may have dots themselves, so all ways to split the text are
 * tried, and the first field in schema order is taken: a list, where the path has a specifier.
 */
export function resolvePath({ fields }: Pick<Schema, "fields">, path: FieldPath): ResolvedPath | undefined {
  return find(fields, path.field, (field, chain) => {
    if (path.items === undefined) return { chain, field };
    const [item] = isListType(field.type) ? field.children : [];
    if (item === undefined) return undefined;
    if (path.itemField === undefined) return { chain, field, items: { chain: [0], field: item } };
    if (item.type.kind !== "struct") return undefined;
    return find(item.children, path.itemField, (inner, innerChain) => ({
      chain,
      field,
      items: { chain: [0, ...innerChain], field: inner },
    }));
  });
}

/** The first field whose names make up the text and that is accepted. A field is visited once at most, whatever its name. */
function find<Found>(
  fields: readonly Field[],
  text: string,
  accept: (field: Field, chain: readonly number[]) => Found | undefined,
): Found | undefined {
  for (const [index, field] of fields.entries()) {
    if (!text.startsWith(field.name)) continue;
    const rest = text.slice(field.name.length);
    const found =
      rest === ""
        ? accept(field, [index])
        : rest.startsWith(".") && field.type.kind === "struct"
          ? find(field.children, rest.slice(1), (inner, chain) => accept(inner, [index, ...chain]))
          : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}
