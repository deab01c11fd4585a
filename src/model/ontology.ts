/**
 * Ontology models: what the topics of a tag hold. A tag may stand for several schemas, its generations, and a schema that fits one
 * of them is right. Roles say what fields mean: only where a model says so is a number a latitude.
 */

import type { SerializationFormat } from "./resource.ts";

/**
 * One field, structs opened: `acceleration`, then `acceleration.x`; the fields of structs in a list are those of `transforms[]`.
 * What is inside of a struct counts only where the struct is there.
 */
export interface OntologyField {
  readonly path: string;
  /** As pyarrow prints it: `double`, `list<item: double>`; an opened struct is `struct`. */
  readonly type: string;
  /** Whether a schema without it fits too. */
  readonly optional: boolean;
  /**
   * Whether the model's own schema lets it be null. It is told, and not compared: tables made with pyarrow declare every field
   * nullable, whatever is in them.
   */
  readonly nullable: boolean;
}

/** Fields with degrees: latitude north, longitude east. */
export interface PositionRole {
  readonly latitude: string;
  readonly longitude: string;
}

export interface OntologyRoles {
  readonly position?: PositionRole | undefined;
  /** Fields that are the components of a vector whose norm is worth knowing. */
  readonly vectors: readonly (readonly string[])[];
}

/** One generation of a tag. */
export interface OntologyModel {
  readonly tag: string;
  readonly format: SerializationFormat;
  readonly description?: string | undefined;
  /** Each behind the struct that it is in. */
  readonly fields: readonly OntologyField[];
  readonly roles: OntologyRoles;
  /** Whether the built-in models of the tag do not count any more; else this is a further generation. */
  readonly replaces: boolean;
}

/** The types of a schema by the path of a field, whatever way that is kept. */
export interface TypesByPath {
  /** In the words of `OntologyField`; undefined when there is no such field. */
  typeAt(path: string): string | undefined;
}

/** Where a schema does not fit a model. */
export interface OntologyDifference {
  readonly field: string;
  readonly expected: string;
  /** Undefined when the field is missing. */
  readonly found: string | undefined;
}

export interface OntologyFit {
  readonly model: OntologyModel;
  readonly differences: readonly OntologyDifference[];
}

/** The models of one tag that count: custom ones first, the built-in ones unless they are replaced. */
export function generationsOf(custom: readonly OntologyModel[], builtIn: readonly OntologyModel[]): OntologyModel[] {
  return custom.some(({ replaces }) => replaces) ? [...custom] : [...custom, ...builtIn];
}

/**
 * The generation that fits best, with what does not fit; of equal ones the first. Undefined when there is none: an unknown tag is
 * nothing to complain about. Fields that the model does not know are welcome.
 */
export function bestFit(types: TypesByPath, generations: readonly OntologyModel[]): OntologyFit | undefined {
  let best: OntologyFit | undefined;
  for (const model of generations) {
    const differences = differencesOf(types, model);
    if (best === undefined || differences.length < best.differences.length) best = { model, differences };
  }
  return best;
}

function differencesOf(types: TypesByPath, { fields }: OntologyModel): OntologyDifference[] {
  const differences: OntologyDifference[] = [];
  /** Structs whose fields cannot be looked for. */
  const closed: string[] = [];
  for (const { path, type, optional } of fields) {
    if (closed.some((struct) => isInside(path, struct))) continue;
    const found = types.typeAt(path);
    if (found !== undefined && isSameType(found, type)) continue;
    closed.push(path);
    if (found !== undefined || !optional) differences.push({ field: path, expected: type, found });
  }
  return differences;
}

function isInside(path: string, struct: string): boolean {
  return path.startsWith(struct) && /^(?:\[\])*\./.test(path.slice(struct.length));
}

/** Whether values are the same: how wide offsets are, what items are called and what may be null says nothing of them. */
export function isSameType(found: string, expected: string): boolean {
  return found === expected || valueType(found) === valueType(expected);
}

function valueType(type: string): string {
  return type
    .replaceAll(" not null", "")
    .replace(/\b(?:large_)?(string|binary)(?:_view)?\b/g, "$1")
    .replace(/\b(?:large_)?list(?:_view)?<[^:<>]*: /g, "list<item: ")
    .replace(/\bfixed_size_list<[^:<>]*: /g, "fixed_size_list<item: ");
}

const numbers = /^(?:u?int(?:8|16|32|64)|halffloat|float|double)$/;

/** Whether a position or a vector may be made of values of this type. */
export function isNumber(type: string): boolean {
  return numbers.test(type);
}
