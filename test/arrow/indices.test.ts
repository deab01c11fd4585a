// Dictionary indices follow their values to another dictionary, whatever their type.

import { describe, expect, test } from "vitest";
import { moveIndices, valuesMax } from "../../src/arrow/indices.ts";
import type { DictionaryEncoding } from "../../src/arrow/schema.ts";
import { Coverage, combinations } from "../model/coverage.ts";

const encodings = combinations({ bits: [8, 16, 32, 64], signed: [true, false] } as const);
const encodingOf = (bits: 8 | 16 | 32 | 64, signed: boolean): DictionaryEncoding => ({
  id: 1n,
  indexType: { kind: "int", bits, signed },
  ordered: false,
});

test.each([
  [8, true, 128],
  [8, false, 256],
  [16, true, 32_768],
  [16, false, 65_536],
  [32, true, 2 ** 31],
  [32, false, 2 ** 32],
  [64, true, 2 ** 32],
] as const)("%i bits, signed %s, tell %i values apart", (bits, signed, values) => {
  expect(valuesMax(encodingOf(bits, signed))).toBe(values);
});

/** Indices as bytes of a type. */
function packed(values: readonly number[], bits: number): Uint8Array {
  const bytes = new Uint8Array((values.length * bits) / 8);
  values.forEach((value, row) => {
    const whole = BigInt.asUintN(64, BigInt(value));
    for (let byte = 0; byte < bits / 8; byte += 1) {
      bytes[(row * bits) / 8 + byte] = Number((whole >> BigInt(8 * byte)) & 255n);
    }
  });
  return bytes;
}

test("every index type follows", () => {
  const coverage = new Coverage(
    "indices: types",
    encodings.map(({ bits, signed }) => `${signed ? "" : "u"}int${bits}`),
  );
  for (const { bits, signed } of encodings) {
    const indices = packed([0, 2, 1, 2], bits);
    moveIndices(indices, encodingOf(bits, signed), {
      places: Uint32Array.of(5, 0, 7),
      validity: new Uint8Array(0),
      path: "a",
    });
    expect(indices).toEqual(packed([5, 7, 0, 7], bits));
    coverage.hit(`${signed ? "" : "u"}int${bits}`);
  }
  coverage.check();
});

describe.each(encodings)("$bits bits, signed $signed", ({ bits, signed }) => {
  const move = (values: readonly number[], validity: number): Uint8Array => {
    const indices = packed(values, bits);
    moveIndices(indices, encodingOf(bits, signed), {
      places: Uint32Array.of(1, 0),
      validity: Uint8Array.of(validity),
      path: "a.b",
    });
    return indices;
  };

  test("an index behind the last value is refused where the row is not null", () => {
    expect(() => move([0, 2, 1], 0b111)).toThrow(
      expect.objectContaining({
        code: "invalid",
        message:
          'The batch does not fit its dictionary: column "a.b" has the index 2 in row 1, its dictionary has 2 values.',
      }),
    );
  });

  test("a negative index is refused", () => {
    expect(() => move([-1], 0b1)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("what an index says where the row is null means nothing", () => {
    expect(move([0, -1, 1], 0b101)).toEqual(packed([1, 0, 0], bits));
  });
});
