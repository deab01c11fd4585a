// The models of the SDKs: all of them, each whole, the two families of tags equal but for their headers.

import { describe, expect, test } from "vitest";
import { builtInModels } from "../../src/model/built-in-models.ts";
import { isNumber } from "../../src/model/ontology.ts";
import { fieldsOfType, textOfField } from "../../src/model/ontology-type.ts";

const models = [...builtInModels().values()].flat();
const lines = (tag: string): string[] =>
  (builtInModels().get(tag)?.[0]?.fields ?? []).map((field) => `${field.path}: ${textOfField(field)}`);

test.each([
  ["SDK 0.4 and 0.5", 50],
  ["SDK 0.5", 3],
  ["SDK 0.6 and 0.7", 60],
])("%s has %i tags of its own", (sdks, count) =>
  expect(models.filter(({ description }) => description === sdks).length).toBe(count),
);

test.each(models)("$tag: fields have types and stand behind their structs, roles are numbers", ({ fields, roles }) => {
  const seen = new Set<string>();
  for (const field of fields) {
    expect(seen).not.toContain(field.path);
    const parent = field.path.replace(/(?:\[\])*\.[^.]+$/, "");
    if (parent !== field.path) expect(seen).toContain(parent);
    expect(fieldsOfType(field.path, textOfField(field))).toEqual([field]);
    seen.add(field.path);
  }
  const { position, vectors } = roles;
  for (const path of [...vectors.flat(), ...(position === undefined ? [] : [position.latitude, position.longitude])])
    expect(isNumber(fields.find((field) => field.path === path)?.type ?? "")).toBe(true);
  for (const vector of vectors) expect(vector.length).toBeGreaterThanOrEqual(2);
});

describe("samples as the SDKs print them", () => {
  test("gps, without headers", () =>
    expect(lines("gps")).toEqual([
      "position: struct not null",
      "position.covariance: list<item: double>?",
      "position.covariance_type: int16?",
      "position.x: double",
      "position.y: double",
      "position.z: double",
      "velocity: struct?",
      "velocity.covariance: list<item: double>?",
      "velocity.covariance_type: int16?",
      "velocity.x: double",
      "velocity.y: double",
      "velocity.z: double",
      "status: struct?",
      "status.status: int8 not null",
      "status.service: uint16 not null",
      "status.satellites: int8?",
      "status.hdop: double?",
      "status.vdop: double?",
    ]));
  test("Pressure, with one", () =>
    expect(lines("Pressure")).toEqual([
      "variance: double?",
      "variance_type: int16?",
      "header: struct?",
      "header.timestamp: struct?",
      "header.timestamp.seconds: int32 not null",
      "header.timestamp.nanoseconds: uint32 not null",
      "header.frame_id: string?",
      "header.sample_counter: uint64?",
      "value: double not null",
    ]));
  test("structs in lists, lists in lists, lists of one size", () => {
    expect(lines("point_cloud2")).toContain("fields[].name: string not null");
    expect(lines("frame_transform")).toContain("transforms[].rotation.w: double");
    expect(lines("multi_echolaser_scan")).toContain("ranges: list<item: list<item: float>> not null");
    expect(lines("camera_info")).toContain("intrinsic_parameters: fixed_size_list<item: double>[9] not null");
    expect(lines("Unmodeled")).toEqual([]);
  });
});

test("only GPS models have a position", () =>
  expect(models.filter(({ roles }) => roles.position !== undefined).map(({ tag }) => tag)).toEqual(["GPS", "gps"]));

test.each([
  ["imu", ["acceleration.x acceleration.y acceleration.z", "angular_velocity.x angular_velocity.y angular_velocity.z"]],
  ["ForceTorque", ["force.x force.y force.z", "torque.x torque.y torque.z"]],
  ["vector_2_d", ["x y"]],
  ["pose", []],
])("vectors of %s", (tag, vectors) =>
  expect(
    builtInModels()
      .get(tag)?.[0]
      ?.roles.vectors.map((axes) => axes.join(" ")),
  ).toEqual(vectors),
);
