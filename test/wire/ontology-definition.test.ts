// Definitions of models: what is read, what is written back, and every mistake with its place.

import { describe, expect, test } from "vitest";
import { builtInModels } from "../../src/model/built-in-models.ts";
import { Fault } from "../../src/model/fault.ts";
import { ontologyFilesMax, ontologyModelMax } from "../../src/model/limits.ts";
import { textOfField } from "../../src/model/ontology-type.ts";
import { definitionOf, parseDefinitions } from "../../src/wire/ontology-definition.ts";

const parse = (value: unknown) => parseDefinitions(JSON.stringify(value), "wheel.json");
const fieldsOf = (fields: Readonly<Record<string, string>>): string[] =>
  parse({ tag: "t", fields }).flatMap((model) => model.fields.map((field) => `${field.path}: ${textOfField(field)}`));

test("a definition is a model, an array several", () => {
  const wheel = {
    tag: "wheel",
    description: "four wheels",
    fields: { left: "struct<speed: double>", "fix.lat": "double", "fix.lon": "double", note: "string?" },
    roles: { position: { latitude: "fix.lat", longitude: "fix.lon" }, vectors: [["fix.lat", "fix.lon"]] },
    replaces: true,
  };
  const [model, other] = parse([wheel, { tag: "wheel", format: "ragged", fields: {} }]);
  expect(model).toMatchObject({ tag: "wheel", format: "default", description: "four wheels", replaces: true });
  expect(model?.fields.map(({ path }) => path)).toEqual(["left", "left.speed", "fix", "fix.lat", "fix.lon", "note"]);
  expect(model?.roles).toEqual(wheel.roles);
  expect(other).toMatchObject({ format: "ragged", fields: [], roles: { vectors: [] }, replaces: false });
});

describe("structs that are only named", () => {
  test.each([
    [{ "a.b": "double" }, ["a: struct", "a.b: double"]],
    [{ "a.b": "double?", "a.c": "double?" }, ["a: struct?", "a.b: double?", "a.c: double?"]],
    [{ "a.b": "double?", "a.c": "double" }, ["a: struct", "a.b: double?", "a.c: double"]],
    [{ "a[].b.c": "int8" }, ["a: list<item: struct>", "a[].b: struct", "a[].b.c: int8"]],
    [{ "a.b": "double", a: "struct?" }, ["a: struct?", "a.b: double"]],
    [
      { a: "fixed_size_list<item: struct>[3]", "a[].b": "int8" },
      ["a: fixed_size_list<item: struct>[3]", "a[].b: int8"],
    ],
  ])("%j", (written, read) => expect(fieldsOf(written)).toEqual(read));
});

test("what is exported is read back, all built-in models too", () => {
  const models = [...builtInModels().values()].flat().slice(0, ontologyFilesMax.models);
  expect(parse(models.map(definitionOf))).toEqual(models);
});

const good = { tag: "wheel", fields: { speed: "double" } };
describe("mistakes", () => {
  const mistakes: readonly (readonly [unknown, string])[] = [
    [7, "wheel.json: expected an object, found the number 7"],
    [null, "wheel.json: expected an object, found null"],
    [{ fields: {} }, "wheel.json: tag: expected string, found nothing"],
    [{ tag: "", fields: {} }, "wheel.json: tag: expected a tag of 1 to 1024 bytes without control characters"],
    [{ tag: "a\nb", fields: {} }, "wheel.json: tag: expected a tag of 1 to 1024 bytes without control characters"],
    [{ tag: "\u00e4".repeat(513), fields: {} }, "wheel.json: tag: expected a tag of 1 to 1024 bytes"],
    [{ tag: "t" }, "wheel.json: fields: expected an object, found nothing"],
    [{ tag: "t", fields: 5 }, "wheel.json: fields: expected an object, found the number 5"],
    [{ tag: "t", fields: [] }, "wheel.json: fields: expected an object, found an array of 0"],
    [
      { ...good, format: "raged" },
      'wheel.json: format: expected one of default, ragged, image, found the string "raged"',
    ],
    [{ ...good, replaces: "yes" }, 'wheel.json: replaces: expected boolean, found the string "yes"'],
    [{ ...good, replace: true }, 'wheel.json: expected no other keys, found "replace"'],
    [
      [good, { tag: "t", fields: { speed: "dubble" } }],
      'wheel.json: [1].fields.speed: expected an Arrow type like double, double?, string not null, list<item: float> or struct<x: double>, found the string "dubble"',
    ],
    [{ tag: "t", fields: { speed: 1.5 } }, "wheel.json: fields.speed: expected an Arrow type"],
    [{ tag: "t", fields: { "a..b": "double" } }, "wheel.json: fields: expected names with dots between them"],
    [{ tag: "t", fields: { "a[0].b": "double" } }, 'found "a[0].b"'],
    [{ tag: "t", fields: { ["n".repeat(1_025)]: "double" } }, "of at most 1024 characters, found"],
    [
      { tag: "t", fields: { a: "struct<b: int8>", "a.b": "double" } },
      "wheel.json: fields.a.b: expected a.b once, found it twice",
    ],
    [
      { tag: "t", fields: { a: "double", "a.b": "double" } },
      "wheel.json: fields.a.b: expected a to be struct, found double",
    ],
    [
      { tag: "t", fields: { a: "list<item: struct>", "a.b": "double" } },
      "wheel.json: fields.a.b: expected a to be struct, found list<item: struct>",
    ],
    [{ ...good, roles: { positions: {} } }, 'wheel.json: roles: expected no other keys, found "positions"'],
    [
      { ...good, roles: { position: { latitude: "speed" } } },
      "wheel.json: roles.position.longitude: expected string, found nothing",
    ],
    [
      { ...good, roles: { position: { latitude: "speed", longitude: "lon" } } },
      'wheel.json: roles.position.longitude: expected a field of numbers, one per row, found "lon": no such field',
    ],
    [
      { tag: "t", fields: { a: "double", b: "string" }, roles: { vectors: [["a", "b"]] } },
      'wheel.json: roles.vectors.0.1: expected a field of numbers, one per row, found "b": string',
    ],
    [
      { tag: "t", fields: { "a[].x": "double", "a[].y": "double" }, roles: { vectors: [["a[].x", "a[].y"]] } },
      'wheel.json: roles.vectors.0.0: expected a field of numbers, one per row, found "a[].x": double',
    ],
    [{ ...good, roles: { vectors: [["speed"]] } }, "wheel.json: roles.vectors.0: expected two or three fields"],
    [
      {
        tag: "t",
        fields: Object.fromEntries(
          Array.from({ length: ontologyModelMax.fields + 1 }, (_none, n) => [`f${n}`, "int8"]),
        ),
      },
      "wheel.json: fields: expected at most 4096 fields, found more",
    ],
    [
      { tag: "t", fields: Object.fromEntries(Array.from({ length: 2_100 }, (_none, n) => [`s${n}.f`, "int8"])) },
      "wheel.json: fields: expected at most 4096 fields, found more",
    ],
    [Array(ontologyFilesMax.models + 1).fill(good), "wheel.json: expected at most 256 models, found 257"],
  ];
  test.each(mistakes.map(([value, sentence]) => ({ value, sentence })))("$sentence", ({ value, sentence }) => {
    expect(() => parse(value)).toThrow(sentence);
    expect(() => parse(value)).toThrow(Fault);
  });

  test("no JSON, too deep, too large", () => {
    expect(() => parseDefinitions("{tag}", "a.json")).toThrow("a.json: expected JSON, found what is none: ");
    expect(() => parseDefinitions("[".repeat(100_000), "a.json")).toThrow("a.json");
    expect(() => parseDefinitions(" ".repeat(ontologyFilesMax.fileBytes + 1), "a.json")).toThrow(
      `a.json: expected at most ${ontologyFilesMax.fileBytes} bytes, found ${ontologyFilesMax.fileBytes + 1}`,
    );
  });
});
