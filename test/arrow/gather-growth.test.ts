// What is gathered is not larger than its sources without bound: rows that share an item get one each, and a small hostile upload
// must not take all memory when it is merged. A refusal will do.

import { expect, test } from "vitest";
import { type Batch, readBatch } from "../../src/arrow/batch.ts";
import type { BatchParts } from "../../src/arrow/batch-header.ts";
import { gather } from "../../src/arrow/gather.ts";
import type { Schema } from "../../src/arrow/schema.ts";
import { Fault } from "../../src/model/fault.ts";
import { fieldOf, messageOf, partsOf, schemaOf } from "../arrow/made.ts";

/** A batch; `fill` writes its values at the places of the buffers. */
function batchOf(schema: Schema, parts: BatchParts, fill: (view: DataView, offsets: number[]) => void): Batch {
  const body = new Uint8Array(parts.bodyBytes);
  fill(
    new DataView(body.buffer),
    parts.buffers.map(({ offset }) => offset),
  );
  return readBatch(schema, messageOf(parts), body);
}

/** Fails when so many times the bytes of the sources come out; a refusal will do. */
function expectNoGrowth(schema: Schema, batches: readonly Batch[]): void {
  const given = batches.reduce((sum, { body }) => sum + body.byteLength, 0);
  try {
    const runs = batches.map(({ rows }, source) => ({ source, start: 0, length: rows }));
    const { body } = gather(schema, batches, runs);
    expect(body.byteLength, `out of ${given} bytes`).toBeLessThan(10 * given + 1_000);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
  }
}

const text = { kind: "utf8", offsetBits: 32 } as const;
const big = 100_000;

test("a list of millions of items that have no width", () => {
  const schema = schemaOf(
    fieldOf("list", { kind: "list", offsetBits: 32 }, [fieldOf("item", { kind: "fixedBinary", bits: 0 })]),
  );
  const listOf = (items: number, nulls: number): Batch =>
    batchOf(
      schema,
      partsOf(
        1,
        [
          { length: 1, nulls: 0 },
          { length: items, nulls },
        ],
        [0, 8, nulls === 0 ? 0 : 1, 0],
      ),
      (view, [, offsets = 0]) => view.setInt32(offsets + 4, items, true),
    );
  // 2^31 - 1 items take 256 MiB and several seconds.
  expectNoGrowth(schema, [listOf(2 ** 24, 0), listOf(1, 1)]);
});

test("many rows of a dense union that name one row of a child", () => {
  const schema = schemaOf(fieldOf("union", { kind: "union", mode: "dense", typeIds: [0] }, [fieldOf("text", text)]));
  const rows = 500;
  const nodes = [
    { length: rows, nulls: 0 },
    { length: 1, nulls: 0 },
  ];
  const batch = batchOf(schema, partsOf(rows, nodes, [rows, 4 * rows, 0, 8, big]), (view, places) => {
    view.setInt32((places[3] ?? 0) + 4, big, true);
  });
  expectNoGrowth(schema, [batch]);
});

test("many list views that share one large item, beside as many small ones", () => {
  const schema = schemaOf(fieldOf("views", { kind: "listView", offsetBits: 32 }, [fieldOf("text", text)]));
  const rows = 500;
  const nodes = [
    { length: rows, nulls: 0 },
    { length: rows + 1, nulls: 0 },
  ];
  const batch = batchOf(
    schema,
    partsOf(rows, nodes, [0, 4 * rows, 4 * rows, 0, 4 * (rows + 2), big]),
    (view, places) => {
      for (let row = 0; row < rows; row += 1) view.setInt32((places[2] ?? 0) + 4 * row, 1, true);
      // The first item is large, all others are empty.
      for (let item = 1; item < rows + 2; item += 1) view.setInt32((places[4] ?? 0) + 4 * item, big, true);
    },
  );
  expectNoGrowth(schema, [batch]);
});
