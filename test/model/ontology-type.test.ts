// Types as definitions write them: structs are opened, and what is no type is none.

import { expect, test } from "vitest";
import { ontologyTypeMax } from "../../src/model/limits.ts";
import { fieldsOfType, textOfField } from "../../src/model/ontology-type.ts";

const nested = (depth: number): string => `${"list<item: ".repeat(depth)}int8${">".repeat(depth)}`;

test.each<[string, readonly string[]]>([
  ["double", ["p double"]],
  ["double?", ["p double?"]],
  ["double not null", ["p double not null"]],
  ["string_view", ["p string_view"]],
  ["timestamp[ns, tz=Europe/Berlin]", ["p timestamp[ns, tz=Europe/Berlin]"]],
  ["decimal128(5, -2)", ["p decimal128(5, -2)"]],
  ["list<item: double>", ["p list<item: double>"]],
  ["list<element: double not null>?", ["p list<element: double not null>?"]],
  ["fixed_size_list<item: double>[9]", ["p fixed_size_list<item: double>[9]"]],
  ["map<string, list<item: struct<a: int8>>>", ["p map<string, list<item: struct<a: int8>>>"]],
  ["struct", ["p struct"]],
  ["struct?", ["p struct?"]],
  ["list<item: list<item: struct>>", ["p list<item: list<item: struct>>"]],
  ["struct<x: double, y: float not null>?", ["p struct?", "p.x double", "p.y float not null"]],
  [
    "list<item: struct<name: string, at: struct<x: double>>>",
    ["p list<item: struct>", "p[].name string", "p[].at struct", "p[].at.x double"],
  ],
  ["fixed_size_list<item: struct<x: int8>>[3]", ["p fixed_size_list<item: struct>[3]", "p[].x int8"]],
  [nested(ontologyTypeMax.depth), [`p ${nested(ontologyTypeMax.depth)}`]],
])("%s", (text, expected) => {
  const fields = fieldsOfType("p", text);
  expect(fields?.map((field) => `${field.path} ${textOfField(field)}`)).toEqual(expected);
  // Each field alone is read back.
  for (const field of fields ?? []) expect(fieldsOfType(field.path, textOfField(field))).toEqual([field]);
});

test.each([
  "",
  "dubble",
  "Double",
  "double ",
  "int7",
  "list<double>",
  "list<item: double",
  "list<item: double>>",
  "fixed_size_list<item: double>",
  "fixed_size_list<item: double>[-1]",
  "struct<>",
  "struct<x>",
  "struct<x: double,y: double>",
  "structure",
  "map<string>",
  "map<string, struct>",
  "timestamp[ps]",
  "timestamp",
  "double??",
  "double? not null",
  nested(ontologyTypeMax.depth + 1),
  "list<item: ".repeat(100_000),
  `struct<${"x".repeat(ontologyTypeMax.characters)}: double>`,
])("%.40s is no type", (text) => expect(fieldsOfType("p", text)).toBeUndefined());
