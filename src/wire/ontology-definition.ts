/** Definitions of ontology models as JSON, one or an array of them per text: what users write, and what is exported. */

import { z } from "zod";
import { Fault } from "../model/fault.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "../model/json.ts";
import { ontologyFilesMax, ontologyModelMax } from "../model/limits.ts";
import { isNumber, type OntologyField, type OntologyModel } from "../model/ontology.ts";
import { fieldsOfType, textOfField } from "../model/ontology-type.ts";
import { kindOf, problemOf, serializationFormat } from "./shape.ts";

const path = z.string();

const definition = z.strictObject({
  tag: z
    .string()
    .refine((tag) => tag !== "" && Buffer.byteLength(tag) <= ontologyModelMax.tagBytes && !hasControl(tag), {
      error: `expected a tag of 1 to ${ontologyModelMax.tagBytes} bytes without control characters`,
    }),
  format: serializationFormat.default("default"),
  description: z.string().max(1_000, { error: "expected at most 1000 characters" }).optional(),
  fields: z.custom<JsonObject>((value) => isJsonObject(value as JsonValue), { error: "expected an object" }),
  roles: z
    .strictObject({
      position: z.strictObject({ latitude: path, longitude: path }).optional(),
      vectors: z
        .array(
          z.array(path).refine((axes) => axes.length === 2 || axes.length === 3, {
            error: "expected two or three fields",
          }),
        )
        .max(ontologyModelMax.vectors, { error: `expected at most ${ontologyModelMax.vectors} vectors` })
        .default([]),
    })
    .default({ vectors: [] }),
  replaces: z.boolean().default(false),
});

function hasControl(text: string): boolean {
  return [...text].some((character) => character < " " || character === "\u007f");
}

/** @param where file name, for errors. @throws Fault invalid naming file, path, expected and found */
export function parseDefinitions(text: string, where: string): OntologyModel[] {
  if (Buffer.byteLength(text) > ontologyFilesMax.fileBytes)
    throw wrong(where, "", `expected at most ${ontologyFilesMax.fileBytes} bytes, found ${Buffer.byteLength(text)}`);
  let value: JsonValue;
  try {
    value = parseJson(text, where);
  } catch (error) {
    const reason = error instanceof Fault && error.cause instanceof Error ? error.cause.message : String(error);
    throw new Fault("invalid", `${where}: expected JSON, found what is none: ${reason}`, error);
  }
  if (!Array.isArray(value)) return [parseDefinition(value, { where, at: "" })];
  if (value.length > ontologyFilesMax.models)
    throw wrong(where, "", `expected at most ${ontologyFilesMax.models} models, found ${value.length}`);
  return value.map((one: JsonValue, index) => parseDefinition(one, { where, at: `[${index}]` }));
}

/** Where a definition stands: its file, and its place in there. */
interface Place {
  readonly where: string;
  readonly at: string;
}

function parseDefinition(value: JsonValue, place: Place): OntologyModel {
  // A number is an object too.
  if (!isJsonObject(value)) throw wrongAt(place, [], `expected an object, found ${kindOf(value)}`);
  const result = definition.safeParse(value, { reportInput: true });
  if (!result.success) {
    const [issue] = result.error.issues;
    throw wrongAt(place, issue?.path ?? [], issue === undefined ? "expected a model" : problemIn(issue));
  }
  const { tag, format, description, roles, replaces } = result.data;
  const fields = parseFields(result.data.fields, place);
  const { position, vectors } = roles;
  if (position !== undefined) {
    checkNumber(fields, position.latitude, { place, steps: ["roles", "position", "latitude"] });
    checkNumber(fields, position.longitude, { place, steps: ["roles", "position", "longitude"] });
  }
  vectors.forEach((axes, index) => {
    axes.forEach((axis, number) => {
      checkNumber(fields, axis, { place, steps: ["roles", "vectors", index, number] });
    });
  });
  return { tag, format, description, fields, roles: { position, vectors }, replaces };
}

function problemIn(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return problemOf(issue);
  return `expected no other keys, found ${issue.keys.map((key) => JSON.stringify(key.slice(0, 40))).join(", ")}`;
}

/** Structs that are only named by what is in them come in front of that. */
function parseFields(written: JsonObject, place: Place): OntologyField[] {
  const fields = new Map<string, OntologyField>();
  for (const [name, type] of Object.entries(written)) {
    if (!isPath(name))
      throw wrongAt(
        place,
        ["fields"],
        `expected names with dots between them, like position.x or points[].x, of at most ${ontologyModelMax.pathCharacters} characters, found ${JSON.stringify(name.slice(0, 100))}`,
      );
    const below = typeof type === "string" ? fieldsOfType(name, type) : undefined;
    if (below === undefined)
      throw wrongAt(
        place,
        ["fields", name],
        `expected an Arrow type like double, double?, string not null, list<item: float> or struct<x: double>, found ${kindOf(type)}`,
      );
    for (const field of below) {
      if (fields.has(field.path)) throw wrongAt(place, ["fields", name], `expected ${field.path} once, found it twice`);
      fields.set(field.path, field);
      if (fields.size > ontologyModelMax.fields)
        throw wrongAt(place, ["fields"], `expected at most ${ontologyModelMax.fields} fields, found more`);
    }
  }
  return inOrder(fields, place);
}

function isPath(name: string): boolean {
  return name.length <= ontologyModelMax.pathCharacters && /^[^.[\]]+(?:(?:\[\])*\.[^.[\]]+)*$/.test(name);
}

function inOrder(fields: ReadonlyMap<string, OntologyField>, place: Place): OntologyField[] {
  const implied = impliedStructs(fields);
  const ordered = new Map<string, OntologyField>();
  const add = (field: OntologyField): void => {
    const { path } = field;
    if (ordered.has(path)) return;
    const above = aboveOf(path);
    const parent = above === undefined ? undefined : (fields.get(above.path) ?? implied.get(above.path));
    if (above !== undefined && parent !== undefined) {
      add(parent);
      if (itemType(parent.type) !== above.type)
        throw wrongAt(place, ["fields", path], `expected ${above.path} to be ${above.type}, found ${parent.type}`);
    }
    ordered.set(path, field);
    if (ordered.size > ontologyModelMax.fields)
      throw wrongAt(place, ["fields"], `expected at most ${ontologyModelMax.fields} fields, found more`);
  };
  for (const field of fields.values()) add(field);
  return [...ordered.values()];
}

/** What only paths of others name. Such a struct may be missing when all that is in it may. */
function impliedStructs(fields: ReadonlyMap<string, OntologyField>): ReadonlyMap<string, OntologyField> {
  const implied = new Map<string, OntologyField>();
  for (const { path, optional } of fields.values()) {
    for (let above = aboveOf(path); above !== undefined; above = aboveOf(above.path)) {
      const before = implied.get(above.path);
      const isOptional = optional && before?.optional !== false;
      implied.set(above.path, {
        path: above.path,
        type: before?.type ?? above.type,
        optional: isOptional,
        nullable: true,
      });
    }
  }
  return implied;
}

/** What a path stands in, and what that has to be. */
function aboveOf(path: string): { path: string; type: string } | undefined {
  const dot = path.lastIndexOf(".");
  if (dot < 0) return undefined;
  const above = path.slice(0, dot);
  const struct = above.replace(/(?:\[\])+$/, "");
  return { path: struct, type: listsOfStruct((above.length - struct.length) / 2) };
}

function listsOfStruct(lists: number): string {
  return `${"list<item: ".repeat(lists)}struct${">".repeat(lists)}`;
}

/** Of any kind of list the same: `list<item: struct>`. */
function itemType(type: string): string {
  const lists = type.split("<").length - 1;
  return /^(?:[a-z_]*list[a-z_]*<[^:<>]*: )*struct[>\][0-9]*$/.test(type) ? listsOfStruct(lists) : type;
}

function checkNumber(
  fields: readonly OntologyField[],
  path: string,
  { place, steps }: { place: Place; steps: readonly PropertyKey[] },
): void {
  const field = fields.find((one) => one.path === path);
  const found = field === undefined ? "no such field" : field.type;
  if (field === undefined || !isNumber(field.type) || path.includes("[]"))
    throw wrongAt(place, steps, `expected a field of numbers, one per row, found ${JSON.stringify(path)}: ${found}`);
}

function wrongAt({ where, at }: Place, steps: readonly PropertyKey[], problem: string): Fault {
  return wrong(where, [at, ...steps.map(String)].filter((step) => step !== "").join("."), problem);
}

function wrong(where: string, at: string, problem: string): Fault {
  return new Fault("invalid", `${where}: ${at === "" ? "" : `${at}: `}${problem}`);
}

/** As a definition that `parseDefinitions` reads back. */
export function definitionOf(model: OntologyModel): object {
  const { tag, format, description, fields, roles, replaces } = model;
  const { position, vectors } = roles;
  return {
    tag,
    format,
    ...(description === undefined ? {} : { description }),
    fields: Object.fromEntries(fields.map((field) => [field.path, textOfField(field)])),
    ...(position === undefined && vectors.length === 0
      ? {}
      : { roles: { ...(position === undefined ? {} : { position }), ...(vectors.length === 0 ? {} : { vectors }) } }),
    ...(replaces ? { replaces } : {}),
  };
}
