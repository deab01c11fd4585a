/** The types of a schema as ontology models name them, and which of its fields have the roles that a model gives. */

import { isNumber, type OntologyModel, type PositionRole, type TypesByPath } from "../model/ontology.ts";
import { equalSchema, type Field, type Schema } from "./schema.ts";
import { isListType } from "./type.ts";

/** Looks fields up by name, level by level: paths are never made of names, of which a client may send megabytes. */
export class SchemaTypes implements TypesByPath {
  readonly #schema: Schema;
  readonly #byName = new Map<readonly Field[], ReadonlyMap<string, Field>>();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  typeAt(path: string): string | undefined {
    let fields = this.#schema.fields;
    let found: Field | undefined;
    for (const step of path.split(".")) {
      const name = step.replace(/(?:\[\])+$/, "");
      found = this.#named(fields, name);
      if (found === undefined) return undefined;
      let inner = found;
      for (let lists = (step.length - name.length) / 2; lists > 0; lists -= 1) {
        const [item] = inner.children;
        if (!isListType(inner.type) || item === undefined) return undefined;
        inner = item;
      }
      fields = inner.type.kind === "struct" ? inner.children : [];
    }
    return found === undefined ? undefined : typeText(found, "opened");
  }

  #named(fields: readonly Field[], name: string): Field | undefined {
    let byName = this.#byName.get(fields);
    if (byName === undefined) {
      // Of fields with one name the first counts.
      byName = new Map(fields.toReversed().map((field) => [field.name, field]));
      this.#byName.set(fields, byName);
    }
    return byName.get(name);
  }
}

const units = ["s", "ms", "us", "ns"] as const;
const intervals = ["month_interval", "day_time_interval", "month_day_nano_interval"] as const;

/**
 * As pyarrow prints it, but that values count and not how they are encoded: a dictionary or runs of values are the values.
 * @param structs `opened`: their members are fields of their own, those of structs in lists too; `whole`: they are part of the text
 */
export function typeText({ type, children }: Field, structs: "opened" | "whole"): string {
  const [first, second] = children;
  const member = (child: Field): string => `${child.name}: ${typeText(child, structs)}${nullText(child)}`;
  const item = (): string => (first === undefined ? "" : member(first));
  switch (type.kind) {
    case "int":
      return `${type.signed ? "" : "u"}int${type.bits}`;
    case "float":
      return { 16: "halffloat", 32: "float", 64: "double" }[type.bits];
    case "decimal":
      return `decimal${type.bits}(${type.precision}, ${type.scale})`;
    case "date":
      return type.bits === 32 ? "date32[day]" : "date64[ms]";
    case "time":
      return `time${type.bits}[${units[type.unit]}]`;
    case "timestamp":
      return `timestamp[${units[type.unit]}${type.timezone === "" ? "" : `, tz=${type.timezone}`}]`;
    case "duration":
      return `duration[${units[type.unit]}]`;
    case "interval":
      return intervals[type.unit] ?? "interval";
    case "fixedBinary":
      return `fixed_size_binary[${type.bits / 8}]`;
    case "utf8":
      return type.offsetBits === 32 ? "string" : "large_string";
    case "binary":
      return type.offsetBits === 32 ? "binary" : "large_binary";
    case "utf8View":
      return "string_view";
    case "binaryView":
      return "binary_view";
    case "list":
      return `${type.offsetBits === 32 ? "" : "large_"}list<${item()}>`;
    case "listView":
      return `${type.offsetBits === 32 ? "" : "large_"}list_view<${item()}>`;
    case "fixedList":
      return `fixed_size_list<${item()}>[${type.size}]`;
    case "struct":
      return structs === "opened" ? "struct" : `struct<${children.map(member).join(", ")}>`;
    case "map": {
      const [key, value] = first?.children ?? [];
      return `map<${key === undefined ? "" : typeText(key, "whole")}, ${value === undefined ? "" : typeText(value, "whole")}>`;
    }
    case "union":
      return `${type.mode}_union<${children.map((child) => `${child.name}: ${typeText(child, "whole")}`).join(", ")}>`;
    case "runEnd":
      return second === undefined ? "" : typeText(second, structs);
    case "null":
    case "bool":
      return type.kind;
  }
}

function nullText({ nullable }: Field): string {
  return nullable ? "" : " not null";
}

/** Where a topic keeps its position, by the first model of its tag that the schema has the fields of; undefined where it has none. */
export function positionOf(schema: Schema, tag: string, models: readonly OntologyModel[]): PositionRole | undefined {
  const types = new SchemaTypes(schema);
  return models
    .flatMap((model) => (model.tag === tag ? (model.roles.position ?? []) : []))
    .find(({ latitude, longitude }) => areNumbers(types, [latitude, longitude]));
}

/** The vectors of a topic as the paths of their components, each once: those of its tag's models that the schema has. */
export function vectorsOf(schema: Schema, tag: string, models: readonly OntologyModel[]): (readonly string[])[] {
  const types = new SchemaTypes(schema);
  const vectors = models
    .flatMap((model) => (model.tag === tag ? model.roles.vectors : []))
    .filter((vector) => areNumbers(types, vector));
  return [...new Map(vectors.map((vector) => [vector.join(" "), vector])).values()];
}

function areNumbers(types: TypesByPath, paths: readonly string[]): boolean {
  return paths.every((path) => isNumber(types.typeAt(path) ?? ""));
}

/** The first field in which two schemas differ, for people. */
export function schemaDifference(expected: Schema, found: Schema): string {
  const count = Math.max(expected.fields.length, found.fields.length);
  for (let index = 0; index < count; index += 1) {
    const [one, other] = [expected.fields[index], found.fields[index]];
    if (
      one !== undefined &&
      other !== undefined &&
      equalSchema({ ...expected, fields: [one] }, { ...found, fields: [other] })
    )
      continue;
    return `field ${index} is ${fieldText(other)}, expected ${fieldText(one)}`;
  }
  return "they differ in no field";
}

function fieldText(field: Field | undefined): string {
  if (field === undefined) return "missing";
  const encoded = field.dictionary === undefined ? "" : `, dictionary of ${JSON.stringify(field.dictionary.indexType)}`;
  return `${JSON.stringify(`${field.name}: ${typeText(field, "whole")}${nullText(field)}`.slice(0, 200))}${encoded}`;
}
