// Lengths of vectors and positions: rows that match, and what statistics of one or several batches say of them.

import * as arrow from "apache-arrow";
import { expect, test } from "vitest";
import { readBatch } from "../../src/arrow/batch.ts";
import { derivationsOf } from "../../src/arrow/derivations.ts";
import { leavesOf } from "../../src/arrow/leaf.ts";
import { readMessage } from "../../src/arrow/message.ts";
import { readSchema } from "../../src/arrow/schema.ts";
import { batchStatistics } from "../../src/arrow/statistics.ts";
import type { OntologyModel } from "../../src/model/ontology.ts";
import type { Area, RowPredicate } from "../../src/model/predicate.ts";
import { decodeDerived, decodeLeaf, encodeStatistics } from "../../src/model/statistics-codec.ts";
import { mergeStatistics } from "../../src/model/statistics-merge.ts";
import { isWithin } from "../../src/query/area.ts";
import { bindPredicate } from "../../src/query/bind.ts";
import { Columns } from "../../src/query/columns.ts";
import { Effort } from "../../src/query/effort.ts";
import { matchRows } from "../../src/query/match-rows.ts";
import { verdictOf } from "../../src/query/prune.ts";
import { findRoles } from "../../src/query/roles.ts";
import { toMessages } from "../load/messages.ts";
import { Coverage } from "../model/coverage.ts";
import { Random } from "../model/random.ts";

const position = { latitude: "latitude", longitude: "longitude" };
const vectors = [["acceleration.x", "acceleration.y", "acceleration.z"]];
const models: readonly OntologyModel[] = [
  { tag: "load", format: "default", fields: [], roles: { position, vectors }, replaces: false },
];
const effort = new Effort(new AbortController().signal);

interface Row {
  readonly acceleration: { x: number | null; y: number | null; z: number | null } | null;
  readonly latitude: number | null;
  readonly longitude: number | null;
}

const number = new arrow.Float64();
const axes = ["x", "y", "z"].map((name) => new arrow.Field(name, number, true));
const axis = { integers: new arrow.Int32(), floats: number };

function batchesOf(parts: readonly (readonly Row[])[], type: "integers" | "floats") {
  const struct = new arrow.Struct(axes.map(({ name }) => new arrow.Field(name, axis[type], true)));
  const [schemaMessage, ...messages] = toMessages(
    parts.map((rows) => ({
      timestamp_ns: arrow.vectorFromArray(
        rows.map((_row, index) => BigInt(index)),
        new arrow.Int64(),
      ),
      acceleration: arrow.vectorFromArray(
        rows.map((row) => row.acceleration),
        struct,
      ),
      latitude: arrow.vectorFromArray(
        rows.map((row) => row.latitude),
        number,
      ),
      longitude: arrow.vectorFromArray(
        rows.map((row) => row.longitude),
        number,
      ),
    })),
  );
  if (schemaMessage === undefined) throw new RangeError("a stream begins with its schema");
  const schema = readSchema(schemaMessage.header);
  return {
    schema,
    batches: messages.map(({ header, body }) => readBatch(schema, readMessage(header, body.byteLength), body)),
  };
}

function randomRow(random: Random, type: "integers" | "floats", around: number): Row {
  const odd = (value: number): number | null =>
    random.chance(0.05)
      ? null
      : type === "floats" && random.chance(0.05)
        ? random.pick([Number.NaN, Infinity, -0, 1e200])
        : value;
  const component = () => odd(type === "integers" ? random.below(20) - 10 : 20 * random.next() - 10);
  const turned = around + 8 * random.next() - 4;
  const turns = random.pick([0, 360, -720, 360e9]);
  const longitude = random.chance(0.8) ? ((turned + 540) % 360) - 180 : turned + turns;
  return {
    acceleration: random.chance(0.1) ? null : { x: component(), y: component(), z: component() },
    latitude: random.chance(0.05) ? null : random.chance(0.03) ? 91 : 10 * random.next(),
    longitude: random.chance(0.05)
      ? null
      : random.chance(0.03)
        ? Number.NaN
        : random.chance(0.05)
          ? random.pick([180, -180, 0])
          : longitude,
  };
}

const comparisons = ["eq", "neq", "lt", "leq", "gt", "geq", "between", "outside", "exists", "missing"] as const;

/** Operands of a query are JSON: none is NaN. */
type NumberCondition =
  | { readonly kind: "eq" | "neq" | "lt" | "leq" | "gt" | "geq"; readonly operand: number }
  | { readonly kind: "between" | "outside"; readonly least: number; readonly most: number }
  | { readonly kind: "exists" | "missing" };

function randomCondition(random: Random, values: readonly number[]): NumberCondition {
  const operand = (): number => (random.chance(0.5) && values.length > 0 ? random.pick(values) : 20 * random.next());
  const kind = random.pick(comparisons);
  if (kind === "exists" || kind === "missing") return { kind };
  if (kind !== "between" && kind !== "outside") return { kind, operand: operand() };
  const [a, b] = [operand(), operand()];
  return { kind, least: Math.min(a, b), most: Math.max(a, b) };
}

/** What the language says of a length, undefined where there is none. */
function holds(condition: NumberCondition, length: number | undefined): boolean {
  if (length === undefined) return condition.kind === "missing";
  switch (condition.kind) {
    case "exists":
      return true;
    case "eq":
      return length === condition.operand;
    case "neq":
      return length !== condition.operand;
    case "lt":
      return length < condition.operand;
    case "leq":
      return length <= condition.operand;
    case "gt":
      return length > condition.operand;
    case "geq":
      return length >= condition.operand;
    case "between":
      return length >= condition.least && length <= condition.most;
    case "outside":
      return length < condition.least || length > condition.most;
    case "missing":
      return false;
  }
}

function lengthOf({ acceleration }: Row): number | undefined {
  const { x, y, z } = acceleration ?? { x: null, y: null, z: null };
  return x === null || y === null || z === null ? undefined : Math.sqrt(x * x + y * y + z * z);
}

function randomArea(random: Random, around: number): Area {
  const longitude = (degrees: number): number => ((degrees + 540) % 360) - 180;
  const middle = around + 12 * random.next() - 6;
  if (random.chance(0.3))
    return {
      kind: "circle",
      latitude: 10 * random.next(),
      longitude: longitude(middle),
      radiusM: 600_000 * random.next(),
    };
  const [west, east] = [longitude(middle), longitude(middle + random.pick([0.5, 4, 40]))];
  const [a, b] = random.chance(0.3) ? [-90, 90] : [10 * random.next(), 10 * random.next()];
  return { kind: "box", south: Math.min(a, b), north: Math.max(a, b), west, east };
}

test("lengths and positions match as one by one, never against what statistics say, also across the 180th meridian", async () => {
  const random = new Random("derived rows");
  const coverage = new Coverage("derived rows", [
    ...comparisons.flatMap((one) => [`${one} some`, `${one} none`]),
    ...["norm", "within", "within at the 180th meridian"].flatMap((one) => [`${one} no`, `${one} maybe`]),
    ...["norm all", "within all", "integers", "floats"],
  ]);
  for (let round = 0; round < 3_000; round += 1) {
    const type = random.pick(["integers", "floats"] as const);
    const isAcross = random.chance(0.4);
    const around = isAcross ? 180 : random.pick([0, 10, -90]);
    const isTame = random.chance(0.3);
    const rows = Array.from({ length: 1 + random.below(12) }, () => {
      const row = randomRow(random, type, around);
      return isTame
        ? { ...row, acceleration: { x: 1, y: 2, z: random.below(3) }, latitude: 5, longitude: around }
        : row;
    });
    const cut = random.below(rows.length);
    const parts = [rows.slice(0, cut), rows.slice(cut)].filter((part) => part.length > 0);
    const { schema, batches } = batchesOf(parts, type);
    const leaves = leavesOf(schema);
    const derivations = derivationsOf(schema, leaves, { tag: "load", models });
    expect(derivations).toHaveLength(2);
    const lengths = rows.map(lengthOf).filter((length) => length !== undefined && !Number.isNaN(length)) as number[];
    const condition = randomCondition(random, lengths);
    const area = randomArea(random, around);
    const isNorm = random.chance(0.5);
    const asked: RowPredicate = isNorm
      ? { kind: "norm", field: "acceleration", condition }
      : { kind: "within", field: "", area };
    const bound = bindPredicate(asked, { schema, leaves, roles: findRoles(schema, { position, vectors }) });
    const title = JSON.stringify({ asked, rows });
    const expected = rows.map((row) =>
      isNorm
        ? holds(condition, lengthOf(row))
        : row.latitude !== null && row.longitude !== null && isWithin(area, row.latitude, row.longitude),
    );
    const found: number[] = [];
    for (const batch of batches) {
      const columns = new Columns({ schema, batch, dictionaries: new Map(), bytesMax: 2 ** 24 }, effort);
      found.push(...(await matchRows(bound, columns, effort)));
    }
    expect(
      found.map((one) => one === 1),
      title,
    ).toEqual(expected);

    const statistics = encodeStatistics(
      batches.map((batch) => batchStatistics(leaves, batch, derivations)).reduce(mergeStatistics),
    );
    const [, norm] = derivations.map((one) => decodeDerived(statistics, one, leaves.list.length));
    const all = rows.map(lengthOf);
    const [least, most] = [Math.min(...lengths), Math.max(...lengths)];
    expect(norm, title).toMatchObject({
      values: rows.length,
      nulls: all.filter((length) => length === undefined).length,
      nans: all.filter(Number.isNaN).length,
      range: lengths.length === 0 ? undefined : { kind: "number", least, most },
    });
    const verdict = verdictOf(
      bound,
      (of) => (typeof of === "number" ? decodeLeaf(statistics, of) : decodeDerived(statistics, of, leaves.list.length)),
      effort,
    );
    if (verdict === "no") expect(expected.includes(true), `${title}: ${verdict}`).toBe(false);
    if (verdict === "all") expect(expected.includes(false), `${title}: ${verdict}`).toBe(false);
    if (isNorm) coverage.hit(`${condition.kind} ${expected.includes(true) ? "some" : "none"}`);
    coverage.hit(
      `${isNorm ? "norm" : isAcross && verdict !== "all" ? "within at the 180th meridian" : "within"} ${verdict}`,
    );
    coverage.hit(type);
  }
  coverage.check();
});
