// Which generation of a tag a schema fits, and what is told where it fits none.

import { describe, expect, test } from "vitest";
import {
  bestFit,
  generationsOf,
  isSameType,
  type OntologyField,
  type OntologyModel,
  type TypesByPath,
} from "../../src/model/ontology.ts";
import { fieldsOfType } from "../../src/model/ontology-type.ts";

function model(fields: Readonly<Record<string, string>>, others: Partial<OntologyModel> = {}): OntologyModel {
  const all = Object.entries(fields).flatMap(([path, text]): OntologyField[] => fieldsOfType(path, text) ?? []);
  return { tag: "t", format: "default", fields: all, roles: { vectors: [] }, replaces: false, ...others };
}

function types(given: Readonly<Record<string, string>>): TypesByPath {
  return { typeAt: (path) => given[path] };
}

const imu = model({
  header: "struct?",
  "header.seconds": "int32 not null",
  acceleration: "struct not null",
  "acceleration.x": "double",
  orientation: "struct?",
  "orientation.w": "double",
  transforms: "list<item: struct>?",
  "transforms[].name": "string",
});
const whole = { acceleration: "struct", "acceleration.x": "double" };

describe("a schema against one model", () => {
  test.each<[string, Readonly<Record<string, string>>, readonly (readonly [string, string, string | undefined])[]]>([
    ["what is required", whole, []],
    ["fields that the model does not know", { ...whole, frame_id: "string", sequence_id: "int64", z: "map<a, b>" }, []],
    ["a struct that is missing is one thing that is missing", {}, [["acceleration", "struct", undefined]]],
    ["a field is missing", { acceleration: "struct" }, [["acceleration.x", "double", undefined]]],
    ["a wrong type", { ...whole, "acceleration.x": "float" }, [["acceleration.x", "double", "float"]]],
    ["a struct that is none", { acceleration: "double" }, [["acceleration", "struct", "double"]]],
    [
      "an optional struct has to be whole",
      { ...whole, orientation: "struct" },
      [["orientation.w", "double", undefined]],
    ],
    ["an optional field of another type", { ...whole, header: "string" }, [["header", "struct", "string"]]],
    [
      "structs in a list",
      { ...whole, transforms: "list<item: struct>", "transforms[].name": "int8" },
      [["transforms[].name", "string", "int8"]],
    ],
  ])("%s", (_title, given, found) => {
    const fit = bestFit(types(given), [imu]);
    expect(fit?.differences.map(({ field, expected, found }) => [field, expected, found])).toEqual(found);
  });
});

test.each([
  ["double", "double", true],
  ["float", "double", false],
  ["int32", "uint32", false],
  ["large_string", "string", true],
  ["string_view", "large_string", true],
  ["binary_view", "binary", true],
  ["binary", "string", false],
  ["fixed_size_binary[4]", "binary", false],
  ["list<element: float not null>", "list<item: float>", true],
  ["large_list<item: float>", "list<item: float>", true],
  ["list_view<item: list<a: large_string>>", "list<item: list<item: string>>", true],
  ["list<item: double>", "list<item: float>", false],
  ["fixed_size_list<item: double>[9]", "fixed_size_list<element: double>[9]", true],
  ["fixed_size_list<item: double>[9]", "fixed_size_list<item: double>[6]", false],
  ["fixed_size_list<item: double>[9]", "list<item: double>", false],
  ["timestamp[ns]", "timestamp[us]", false],
])("%s is what is meant by %s: %s", (found, expected, same) => expect(isSameType(found, expected)).toBe(same));

describe("several generations", () => {
  const first = model({ a: "double", b: "double" }, { description: "first" });
  const second = model({ c: "double", d: "double" }, { description: "second" });
  test.each([
    [{ a: "double", b: "double" }, "first", 0],
    [{ c: "double", d: "double" }, "second", 0],
    [{ d: "double" }, "second", 1],
    [{ a: "double" }, "first", 1],
    [{}, "first", 2],
  ])("%j fits %s best", (given, best, count) => {
    const fit = bestFit(types(given), [first, second]);
    expect([fit?.model.description, fit?.differences.length]).toEqual([best, count]);
  });

  test("of an unknown tag nothing is said", () => expect(bestFit(types({}), [])).toBeUndefined());

  test("custom ones come first, and replace the built-in ones when they say so", () => {
    const replacing = model({ e: "double" }, { replaces: true });
    expect(generationsOf([first], [second])).toEqual([first, second]);
    expect(generationsOf([], [second])).toEqual([second]);
    expect(generationsOf([first, replacing], [second])).toEqual([first, replacing]);
  });
});
