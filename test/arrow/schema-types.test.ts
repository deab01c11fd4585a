// What a schema has at a path, in the words of ontology models, and where its position and its vectors are.

import { describe, expect, test } from "vitest";
import type { Field } from "../../src/arrow/schema.ts";
import { positionOf, SchemaTypes, vectorsOf } from "../../src/arrow/schema-types.ts";
import type { ArrowType } from "../../src/arrow/type.ts";
import { builtInModels } from "../../src/model/built-in-models.ts";
import type { OntologyModel } from "../../src/model/ontology.ts";
import { fieldOf, int, schemaOf, timestampField } from "./made.ts";

const double: ArrowType = { kind: "float", bits: 64 };
const text: ArrowType = { kind: "utf8", offsetBits: 32 };
const list: ArrowType = { kind: "list", offsetBits: 32 };
const struct = (name: string, ...children: readonly Field[]): Field => fieldOf(name, { kind: "struct" }, children);
const point = (name: string): Field => struct(name, ...["x", "y", "z"].map((axis) => fieldOf(axis, double)));
const required = (field: Field): Field => ({ ...field, nullable: false });

const types = new SchemaTypes(
  schemaOf(
    timestampField,
    struct("a", struct("b", fieldOf("c", double)), fieldOf("dotted.name", double)),
    fieldOf("points", list, [required(point("item"))]),
    fieldOf("grid", list, [fieldOf("item", { kind: "listView", offsetBits: 64 }, [point("inner")])]),
    fieldOf("nine", { kind: "fixedList", size: 9 }, [fieldOf("item", double)]),
    {
      ...fieldOf("words", text),
      dictionary: { id: 1n, indexType: { kind: "int", bits: 8, signed: true }, ordered: false },
    },
    fieldOf("runs", { kind: "runEnd" }, [fieldOf("run_ends", int(32)), fieldOf("values", double)]),
    fieldOf("map", { kind: "map", offsetBits: 32, keysSorted: false }, [
      struct("entries", fieldOf("key", text), struct("value", required(fieldOf("n", int(8))))),
    ]),
    fieldOf("either", { kind: "union", mode: "dense", typeIds: [0, 1] }, [fieldOf("l", int(8)), fieldOf("r", text)]),
    fieldOf("time", { kind: "timestamp", bits: 64, unit: 3, timezone: "UTC" }),
    fieldOf("amount", { kind: "decimal", bits: 128, precision: 5, scale: 2 }),
    fieldOf("month", { kind: "interval", bits: 32, unit: 0 }),
    fieldOf("twice", double),
    fieldOf("twice", text),
    fieldOf("", double),
  ),
);

test.each<[string, string | undefined]>([
  ["timestamp_ns", "int64"],
  ["a", "struct"],
  ["a.b", "struct"],
  ["a.b.c", "double"],
  ["a.c", undefined],
  ["a.dotted.name", undefined],
  ["a[].b", undefined],
  ["a[].c", undefined],
  ["a.b.c.d", undefined],
  ["points", "list<item: struct not null>"],
  ["points[].x", "double"],
  ["points.x", undefined],
  ["grid", "list<item: large_list_view<inner: struct>>"],
  ["grid[][].z", "double"],
  ["grid[].z", undefined],
  ["nine", "fixed_size_list<item: double>[9]"],
  ["words", "string"],
  ["runs", "double"],
  ["map", "map<string, struct<n: int8 not null>>"],
  ["map.key", undefined],
  ["either", "dense_union<l: int8, r: string>"],
  ["time", "timestamp[ns, tz=UTC]"],
  ["amount", "decimal128(5, 2)"],
  ["month", "month_interval"],
  ["twice", "double"],
  ["", "double"],
  ["nothing", undefined],
  ["__proto__", undefined],
])("%j is %s", (path, type) => expect(types.typeAt(path)).toBe(type));

test("names of megabytes are not put together", () => {
  const long = "n".repeat(2 ** 20);
  const wide = Array.from({ length: 30_000 }, (_none, index) => fieldOf(`f${index}`, double));
  const startedMs = performance.now();
  const hostile = new SchemaTypes(schemaOf(struct(long, struct(long, ...wide), ...wide)));
  expect(hostile.typeAt(`${long}.${long}.f29999`)).toBe("double");
  expect(performance.now() - startedMs).toBeLessThan(2_000);
});

const all = [...builtInModels().values()].flat();
const custom: OntologyModel = {
  tag: "Fix",
  format: "default",
  fields: [],
  roles: { position: { latitude: "lat", longitude: "lon" }, vectors: [["v.x", "v.y", "v.z"]] },
  replaces: false,
};
const degrees = ["lat", "lon"].map((name) => fieldOf(name, { kind: "float", bits: 32 }));

describe("position", () => {
  test.each<[string, string, readonly Field[], readonly [string, string] | undefined]>([
    ["of SDK 0.4 and 0.5", "gps", [point("position")], ["position.x", "position.y"]],
    ["of SDK 0.6 and 0.7", "GPS", [point("position")], ["position.x", "position.y"]],
    ["a pose is in metres", "Pose", [point("position")], undefined],
    ["an unknown tag", "mine", [point("position")], undefined],
    ["fields that are missing", "GPS", [struct("position", fieldOf("x", double))], undefined],
    ["texts are none", "GPS", [struct("position", fieldOf("x", text), fieldOf("y", double))], undefined],
    ["a user's own", "Fix", degrees, ["lat", "lon"]],
  ])("%s", (_title, tag, fields, found) => {
    const position = positionOf(schemaOf(timestampField, ...fields), tag, [...all, custom]);
    expect(position && [position.latitude, position.longitude]).toEqual(found);
  });
});

describe("vectors", () => {
  test.each<[string, string, readonly Field[], readonly string[]]>([
    [
      "of an IMU",
      "IMU",
      [point("acceleration"), point("angular_velocity"), point("magnetic_field")],
      ["acceleration.x acceleration.y acceleration.z", "angular_velocity.x angular_velocity.y angular_velocity.z"],
    ],
    ["those that are there", "imu", [point("acceleration")], ["acceleration.x acceleration.y acceleration.z"]],
    ["the model itself", "Vector3d", point("").children, ["x y z"]],
    ["none", "Image", [point("acceleration")], []],
  ])("%s", (_title, tag, fields, found) => {
    const vectors = vectorsOf(schemaOf(timestampField, ...fields), tag, [...all, custom, custom]);
    expect(vectors.map((axes) => axes.join(" "))).toEqual(found);
  });
  test("each once", () => {
    const schema = schemaOf(timestampField, point("v"));
    expect(vectorsOf(schema, "Fix", [custom, custom])).toEqual([["v.x", "v.y", "v.z"]]);
  });
});
