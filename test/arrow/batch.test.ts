// Headers that lie: whatever a batch says about nodes and buffers is checked against schema and body before it is believed.

import { describe, expect, test } from "vitest";
import { readBatch } from "../../src/arrow/batch.ts";
import { type BatchParts, encodeBatchHeader } from "../../src/arrow/batch-header.ts";
import { readMessage } from "../../src/arrow/message.ts";
import type { Field } from "../../src/arrow/schema.ts";
import { Fault } from "../../src/model/fault.ts";
import { Coverage } from "../model/coverage.ts";
import { fieldOf, int, messageOf, partsOf, schemaOf } from "./made.ts";

interface Layout {
  readonly field: Field;
  /** Rows and nulls, by node. */
  readonly nodes: readonly (readonly [number, number])[];
  /** The least bytes of each buffer. */
  readonly least: readonly number[];
  readonly variadicCounts?: readonly number[];
  /** By node: the rows that it needs at least; undefined when it may have any number. */
  readonly rowsLeast: readonly (number | undefined)[];
}

const item = fieldOf("item", int(8));
const text = { kind: "utf8", offsetBits: 32 } as const;

// Three rows, one of them null where the type has nulls.
const layouts: readonly Layout[] = [
  { field: fieldOf("null", { kind: "null" }), nodes: [[3, 3]], least: [], rowsLeast: [3] },
  { field: fieldOf("bool", { kind: "bool" }), nodes: [[3, 1]], least: [1, 1], rowsLeast: [3] },
  { field: fieldOf("int32", int(32)), nodes: [[3, 1]], least: [1, 12], rowsLeast: [3] },
  { field: fieldOf("double", { kind: "float", bits: 64 }), nodes: [[3, 0]], least: [0, 24], rowsLeast: [3] },
  {
    field: fieldOf("decimal256", { kind: "decimal", bits: 256, precision: 76, scale: 0 }),
    nodes: [[3, 1]],
    least: [1, 96],
    rowsLeast: [3],
  },
  { field: fieldOf("fixed", { kind: "fixedBinary", bits: 40 }), nodes: [[3, 1]], least: [1, 15], rowsLeast: [3] },
  { field: fieldOf("utf8", text), nodes: [[3, 1]], least: [1, 16, 0], rowsLeast: [3] },
  {
    field: fieldOf("large_binary", { kind: "binary", offsetBits: 64 }),
    nodes: [[3, 1]],
    least: [1, 32, 0],
    rowsLeast: [3],
  },
  {
    field: fieldOf("view", { kind: "utf8View" }),
    nodes: [[3, 1]],
    least: [1, 48, 0, 0],
    variadicCounts: [2],
    rowsLeast: [3],
  },
  {
    field: fieldOf("list", { kind: "list", offsetBits: 32 }, [item]),
    nodes: [
      [3, 1],
      [5, 1],
    ],
    least: [1, 16, 1, 5],
    rowsLeast: [3, undefined],
  },
  {
    field: fieldOf("large_list_view", { kind: "listView", offsetBits: 64 }, [item]),
    nodes: [
      [3, 1],
      [5, 1],
    ],
    least: [1, 24, 24, 1, 5],
    rowsLeast: [3, undefined],
  },
  {
    field: fieldOf("fixed_list", { kind: "fixedList", size: 2 }, [item]),
    nodes: [
      [3, 1],
      [6, 1],
    ],
    least: [1, 1, 6],
    rowsLeast: [3, 6],
  },
  {
    field: fieldOf("struct", { kind: "struct" }, [item, fieldOf("name", text)]),
    nodes: [
      [3, 1],
      [3, 1],
      [3, 1],
    ],
    least: [1, 1, 3, 1, 16, 0],
    rowsLeast: [3, 3, 3],
  },
  {
    field: fieldOf("map", { kind: "map", offsetBits: 32, keysSorted: false }, [
      fieldOf("entries", { kind: "struct" }, [fieldOf("key", text), item]),
    ]),
    nodes: [
      [3, 1],
      [4, 0],
      [4, 0],
      [4, 1],
    ],
    least: [1, 16, 0, 0, 20, 0, 1, 4],
    rowsLeast: [3, undefined, 4, 4],
  },
  {
    field: fieldOf("sparse", { kind: "union", mode: "sparse", typeIds: [0, 1] }, [item, fieldOf("name", text)]),
    nodes: [
      [3, 0],
      [3, 1],
      [3, 1],
    ],
    least: [3, 1, 3, 1, 16, 0],
    rowsLeast: [3, 3, 3],
  },
  {
    field: fieldOf("dense", { kind: "union", mode: "dense", typeIds: [5] }, [item]),
    nodes: [
      [3, 0],
      [2, 1],
    ],
    least: [3, 12, 1, 2],
    rowsLeast: [3, undefined],
  },
  {
    field: fieldOf("runs", { kind: "runEnd" }, [fieldOf("run_ends", int(16)), fieldOf("values", text)]),
    nodes: [
      [3, 0],
      [2, 0],
      [2, 1],
    ],
    least: [0, 4, 1, 12, 0],
    rowsLeast: [3, undefined, 2],
  },
  {
    field: fieldOf("nested_runs", { kind: "runEnd" }, [
      fieldOf("run_ends", int(16)),
      fieldOf("values", { kind: "list", offsetBits: 32 }, [item]),
    ]),
    nodes: [
      [3, 0],
      [2, 0],
      [2, 1],
      [5, 1],
    ],
    least: [0, 4, 1, 12, 1, 5],
    rowsLeast: [3, undefined, 2, undefined],
  },
  {
    field: {
      ...fieldOf("dictionary", text),
      dictionary: { id: 1n, indexType: { kind: "int", bits: 16, signed: true }, ordered: false },
    },
    nodes: [[3, 1]],
    least: [1, 6],
    rowsLeast: [3],
  },
];

const partsFor = ({ nodes, least, variadicCounts }: Layout): BatchParts =>
  partsOf(
    3,
    nodes.map(([length, nulls]) => ({ length, nulls })),
    least,
    variadicCounts,
  );

/** The refusal of a batch with these parts; undefined when it is taken. */
function refusalOf(field: Field, parts: BatchParts): string | undefined {
  try {
    readBatch(schemaOf(field), messageOf(parts), new Uint8Array(parts.bodyBytes));
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "invalid") throw error;
    return error.message;
  }
}

function withBuffer(parts: BatchParts, index: number, change: { offset?: number; length?: number }): BatchParts {
  return { ...parts, buffers: parts.buffers.map((buffer, at) => (at === index ? { ...buffer, ...change } : buffer)) };
}

function withNode(parts: BatchParts, index: number, change: { length?: number; nulls?: number }): BatchParts {
  return { ...parts, nodes: parts.nodes.map((node, at) => (at === index ? { ...node, ...change } : node)) };
}

const lies = [
  "buffer too short",
  "buffer behind the body",
  "buffer beyond the body's end",
  "buffer at a negative offset",
  "buffer of a negative length",
  "buffer beyond 2^53",
  "sum of offset and length beyond 2^53",
  "node with more nulls than rows",
  "node of a negative length",
  "node with negative nulls",
  "node beyond 2^53",
  "node with too few rows",
  "batch with other rows",
  "missing node",
  "missing buffer",
  "node too many",
  "buffer too many",
  "missing count of data buffers",
  "negative count of data buffers",
  "count of data buffers without end",
  "count too many",
] as const;

test("every lie about every type is refused, naming the column, node or buffer", () => {
  const coverage = new Coverage("batch: lies", lies);
  for (const layout of layouts) {
    const { field, least, rowsLeast } = layout;
    const parts = partsFor(layout);
    expect(refusalOf(field, parts), field.name).toBeUndefined();
    const refused = (lie: (typeof lies)[number], changed: BatchParts, names: string | RegExp): void => {
      const refusal = refusalOf(field, changed);
      expect(refusal, `${field.name}: ${lie}`).toMatch(names);
      coverage.hit(lie);
    };
    const column = new RegExp(`column "${field.name}[._a-z]*"`);
    least.forEach((bytes, index) => {
      if (bytes > 0) refused("buffer too short", withBuffer(parts, index, { length: bytes - 1 }), column);
      refused(
        "buffer behind the body",
        withBuffer(parts, index, { offset: parts.bodyBytes + 8, length: bytes }),
        column,
      );
      refused("buffer beyond the body's end", withBuffer(parts, index, { length: parts.bodyBytes + 1 }), column);
      refused(
        "buffer at a negative offset",
        withBuffer(parts, index, { offset: -8 }),
        `the offset of buffer ${index} is -8`,
      );
      refused(
        "buffer of a negative length",
        withBuffer(parts, index, { length: -1 }),
        `the length of buffer ${index} is -1`,
      );
      refused(
        "buffer beyond 2^53",
        withBuffer(parts, index, { offset: 2 ** 62 }),
        `the offset of buffer ${index} is 4611`,
      );
      refused(
        "sum of offset and length beyond 2^53",
        withBuffer(parts, index, { offset: 2 ** 53 - 8, length: 2 ** 53 - 8 }),
        column,
      );
    });
    parts.nodes.forEach(({ length }, index) => {
      refused("node with more nulls than rows", withNode(parts, index, { nulls: length + 1 }), column);
      refused("node of a negative length", withNode(parts, index, { length: -1 }), `the length of node ${index} is -1`);
      refused(
        "node with negative nulls",
        withNode(parts, index, { nulls: -1 }),
        `the null count of node ${index} is -1`,
      );
      refused("node beyond 2^53", withNode(parts, index, { length: 2 ** 60 }), `the length of node ${index} is 1152`);
      const rows = rowsLeast[index];
      if (rows !== undefined)
        refused("node with too few rows", withNode(parts, index, { length: rows - 1, nulls: 0 }), column);
    });
    refused("batch with other rows", { ...parts, rows: 4 }, column);
    refused("missing node", { ...parts, nodes: parts.nodes.slice(0, -1) }, column);
    refused("node too many", { ...parts, nodes: [...parts.nodes, { length: 3, nulls: 0 }] }, "nodes, expected");
    refused(
      "buffer too many",
      { ...parts, buffers: [...parts.buffers, { offset: 0, length: 0 }] },
      "buffers, expected",
    );
    if (least.length > 0) refused("missing buffer", { ...parts, buffers: parts.buffers.slice(0, -1) }, column);
    const { variadicCounts } = parts;
    refused("count too many", { ...parts, variadicCounts: [...variadicCounts, 0] }, "counts of data buffers, expected");
    if (variadicCounts.length === 0) continue;
    refused("missing count of data buffers", { ...parts, variadicCounts: [] }, column);
    refused("negative count of data buffers", { ...parts, variadicCounts: [-1] }, "view column 0 is -1");
    refused("count of data buffers without end", { ...parts, variadicCounts: [2 ** 40] }, "data buffers of one column");
  }
  coverage.check();
});

describe("what is no lie", () => {
  test("no rows need no bytes, not even of offsets", () => {
    for (const layout of layouts) {
      const parts = partsOf(
        0,
        layout.nodes.map(() => ({ length: 0, nulls: 0 })),
        layout.least.map(() => 0),
        layout.variadicCounts,
      );
      expect(refusalOf(layout.field, parts), layout.field.name).toBeUndefined();
    }
  });

  test("buffers may be longer than needed, share bytes, and lie in any order", () => {
    const { field } = layouts[2] ?? layouts[0] ?? { field: item };
    const parts = { rows: 3, nodes: [{ length: 3, nulls: 1 }], variadicCounts: [], bodyBytes: 32 };
    expect(
      refusalOf(field, {
        ...parts,
        buffers: [
          { offset: 16, length: 9 },
          { offset: 0, length: 20 },
        ],
      }),
    ).toBeUndefined();
    expect(
      refusalOf(field, {
        ...parts,
        buffers: [
          { offset: 0, length: 32 },
          { offset: 0, length: 32 },
        ],
      }),
    ).toBeUndefined();
  });

  test("a bitmap may be left out when nothing is null", () => {
    const parts = partsOf(3, [{ length: 3, nulls: 0 }], [0, 12]);
    expect(refusalOf(fieldOf("int32", int(32)), parts)).toBeUndefined();
  });
});

test("where each column begins", () => {
  const fields = layouts.map(({ field }) => field);
  const nodes = layouts.flatMap((layout) => layout.nodes).map(([length, nulls]) => ({ length, nulls }));
  const least = layouts.flatMap((layout) => layout.least);
  const parts = partsOf(3, nodes, least, [2]);
  const { columns } = readBatch(schemaOf(...fields), messageOf(parts), new Uint8Array(parts.bodyBytes));
  let node = 0;
  let buffer = 0;
  const expected = layouts.map((layout, index) => {
    const column = { node, buffer, variadic: index > 8 ? 1 : 0 };
    node += layout.nodes.length;
    buffer += layout.least.length;
    return column;
  });
  expect(columns).toEqual(expected);
});

test("a header that promises a longer body than came is refused", () => {
  const header = encodeBatchHeader(partsOf(3, [{ length: 3, nulls: 0 }], [0, 12]));
  expect(() => readMessage(header, 8)).toThrow(
    expect.objectContaining({
      code: "invalid",
      message: "The IPC message header says that the body has 16 bytes, it has 8.",
    }),
  );
  expect(readMessage(header, 16).bodyBytes).toBe(16);
});
