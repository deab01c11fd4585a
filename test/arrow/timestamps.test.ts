// The time column: exact beyond 2^53, against a plain reading with BigInt.

import { describe, expect, test } from "vitest";
import { type Batch, readBatch } from "../../src/arrow/batch.ts";
import { sortOrder, timeColumn, timesOf } from "../../src/arrow/timestamps.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";
import { fieldOf, int, messageOf, partsOf, schemaOf, timestampField } from "./made.ts";

// Behind another column, so that it is found by its name.
const schema = schemaOf(fieldOf("value", int(8)), timestampField);

function batchOf(times: readonly bigint[], nulls: readonly number[] = []): Batch {
  const rows = times.length;
  const bitmap = Math.ceil(rows / 8);
  const parts = partsOf(
    rows,
    [
      { length: rows, nulls: 0 },
      { length: rows, nulls: nulls.length },
    ],
    [0, rows, bitmap, 8 * rows],
  );
  const body = new Uint8Array(parts.bodyBytes);
  const view = new DataView(body.buffer);
  const [, , bits, values] = parts.buffers;
  for (let row = 0; row < rows; row += 1) {
    if (!nulls.includes(row))
      body[(bits?.offset ?? 0) + (row >>> 3)] = (body[(bits?.offset ?? 0) + (row >>> 3)] ?? 0) | (1 << (row & 7));
    view.setBigInt64((values?.offset ?? 0) + 8 * row, times[row] ?? 0n, true);
  }
  return readBatch(schema, messageOf(parts), body);
}

const least = (times: readonly bigint[]): bigint => times.reduce((a, b) => (a < b ? a : b));
const most = (times: readonly bigint[]): bigint => times.reduce((a, b) => (a > b ? a : b));

test("least, most and order of random times are those of BigInt", () => {
  const random = new Random("timestamps: columns");
  const coverage = new Coverage("timestamps: columns", [
    "sorted",
    "not sorted",
    "sorted with equal times",
    "negative",
    "differs in the low half only",
    "the low half changes its sign",
    "end of int64",
  ]);
  for (let round = 0; round < 500; round += 1) {
    // Also around 2^31, where a half of a value changes its sign.
    const base = random.chance(0.3) ? 2n ** 31n - 2n : random.int64();
    const near = (): bigint => BigInt.asIntN(64, base + BigInt(random.below(5)));
    const times = Array.from({ length: 1 + random.below(20) }, random.chance(0.5) ? near : () => random.int64());
    if (random.chance(0.5)) times.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const sorted = times.every((time, row) => row === 0 || time >= (times[row - 1] ?? 0n));
    const batch = batchOf(times);
    expect(timesOf(schema, batch)).toEqual({ minNs: least(times), maxNs: most(times), sorted });
    expect([...timeColumn(schema, batch)]).toEqual(times);
    const order = [...sortOrder(BigInt64Array.from(times))];
    const expected = times.map((time, row) => ({ time, row }));
    expected.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.row - b.row));
    expect(order).toEqual(expected.map(({ row }) => row));
    coverage.hit(sorted ? "sorted" : "not sorted");
    if (sorted && new Set(times).size < times.length) coverage.hit("sorted with equal times");
    if (least(times) < 0n) coverage.hit("negative");
    if (most(times) === 2n ** 63n - 1n) coverage.hit("end of int64");
    if (least(times) === 2n ** 31n - 1n || most(times) === 2n ** 31n) coverage.hit("the low half changes its sign");
    if (least(times) >> 32n === most(times) >> 32n && least(times) !== most(times))
      coverage.hit("differs in the low half only");
  }
  coverage.check();
});

test.each([
  [[2n ** 63n - 1n]],
  [[-(2n ** 63n)]],
  [[-(2n ** 63n), 2n ** 63n - 1n]],
  [[-1n, 0n]],
  [[0xffffffffn, 0x1_0000_0000n]],
  [[0x7fffffffn, 0x80000000n]],
  [[-0x80000001n, -0x80000000n]],
  [[-0x1_0000_0001n, -0x1_0000_0000n]],
  [[5n, 5n, 5n]],
])("ends and edges: %s", (times) => {
  expect(timesOf(schema, batchOf(times))).toEqual({ minNs: least(times), maxNs: most(times), sorted: true });
});

test("a copy of the times does not change with the body", () => {
  const batch = batchOf([1n, 2n]);
  const times = timeColumn(schema, batch);
  batch.body.fill(0xff);
  expect([...times]).toEqual([1n, 2n]);
});

test("a body that does not begin at a multiple of 8 is read all the same", () => {
  const batch = batchOf([7n, -7n, 2n ** 60n]);
  const shifted = new Uint8Array(batch.body.byteLength + 3);
  shifted.set(batch.body, 3);
  expect([...timeColumn(schema, { ...batch, body: shifted.subarray(3) })]).toEqual([7n, -7n, 2n ** 60n]);
});

describe("a null has no place in a stream", () => {
  test.each([
    [[0], 0],
    [[9], 9],
    [[3, 11], 3],
  ])("nulls in %j", (nulls, first) => {
    const batch = batchOf(
      Array.from({ length: 12 }, () => 1n),
      nulls,
    );
    const refused = expect.objectContaining({
      code: "invalid",
      message: `timestamp_ns is null in ${nulls.length} of 12 rows (the first is row ${first}), expected a time in each.`,
    });
    expect(() => timesOf(schema, batch)).toThrow(refused);
    expect(() => timeColumn(schema, batch)).toThrow(refused);
  });
});

describe("a schema without a time", () => {
  const anything = batchOf([1n]);
  test.each([
    ["has no field of the name", [fieldOf("value", int(64))], "missing timestamp field in schema"],
    ["has a smaller integer", [fieldOf("timestamp_ns", int(32))], "wrong timestamp field type, expected int64"],
    [
      "has an unsigned one",
      [fieldOf("timestamp_ns", { kind: "int", bits: 64, signed: false })],
      "wrong timestamp field type, expected int64",
    ],
    [
      "has an Arrow timestamp",
      [fieldOf("timestamp_ns", { kind: "timestamp", bits: 64, unit: 3, timezone: "" })],
      "wrong timestamp field type, expected int64",
    ],
    [
      "has a dictionary",
      [
        {
          ...timestampField,
          dictionary: { id: 1n, indexType: { kind: "int", bits: 8, signed: true }, ordered: false },
        },
      ],
      "wrong timestamp field type, expected int64",
    ],
    ["has two", [timestampField, timestampField], "there are two fields timestamp_ns"],
  ] as const)("%s", (_title, fields, reason) => {
    expect(() => timesOf(schemaOf(...fields), anything)).toThrow(
      expect.objectContaining({ code: "invalid", message: `Unsupported schema: ${reason}.` }),
    );
  });
});
