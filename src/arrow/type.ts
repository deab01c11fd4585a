/** The types of Arrow, all of them, as far as they decide how bytes lie. */

import { Fault } from "../model/fault.ts";
import type { FlatTable } from "./flatbuffer.ts";

export type ArrowType =
  | { readonly kind: "null" }
  | { readonly kind: "bool" }
  | { readonly kind: "int"; readonly bits: 8 | 16 | 32 | 64; readonly signed: boolean }
  | { readonly kind: "float"; readonly bits: 16 | 32 | 64 }
  | { readonly kind: "decimal"; readonly bits: 32 | 64 | 128 | 256; readonly precision: number; readonly scale: number }
  | { readonly kind: "date"; readonly bits: 32 | 64 }
  | { readonly kind: "time"; readonly bits: 32 | 64; readonly unit: number }
  | { readonly kind: "timestamp"; readonly bits: 64; readonly unit: number; readonly timezone: string }
  | { readonly kind: "duration"; readonly bits: 64; readonly unit: number }
  | { readonly kind: "interval"; readonly bits: 32 | 64 | 128; readonly unit: number }
  | { readonly kind: "fixedBinary"; readonly bits: number }
  | { readonly kind: "utf8" | "binary"; readonly offsetBits: 32 | 64 }
  | { readonly kind: "utf8View" | "binaryView" }
  | { readonly kind: "list"; readonly offsetBits: 32 | 64 }
  | { readonly kind: "listView"; readonly offsetBits: 32 | 64 }
  | { readonly kind: "fixedList"; readonly size: number }
  | { readonly kind: "struct" }
  | { readonly kind: "map"; readonly offsetBits: 32; readonly keysSorted: boolean }
  | { readonly kind: "union"; readonly mode: "sparse" | "dense"; readonly typeIds: readonly number[] }
  | { readonly kind: "runEnd" };

/** Children that a type must have; undefined for any number. */
const childrenOf: Readonly<Record<ArrowType["kind"], number | undefined>> = {
  null: 0,
  bool: 0,
  int: 0,
  float: 0,
  decimal: 0,
  date: 0,
  time: 0,
  timestamp: 0,
  duration: 0,
  interval: 0,
  fixedBinary: 0,
  utf8: 0,
  binary: 0,
  utf8View: 0,
  binaryView: 0,
  list: 1,
  listView: 1,
  fixedList: 1,
  struct: undefined,
  map: 1,
  union: undefined,
  runEnd: 2,
};

/** Whether values are rows of items; those of a map are entries. */
export function isListType({ kind }: ArrowType): boolean {
  return kind === "list" || kind === "listView" || kind === "fixedList";
}

/** Reads a type from its number in the union `Type` and its table. @throws Fault invalid, unsupported */
export function readType(code: number, table: FlatTable | undefined, children: number, path: string): ArrowType {
  if (table === undefined) throw new Fault("invalid", `Unsupported schema: field ${name(path)} has no type.`);
  const type = typeOf(code, table, children, path);
  const expected = childrenOf[type.kind];
  if (expected !== undefined && children !== expected) {
    throw new Fault(
      "invalid",
      `Unsupported schema: field ${name(path)} (${type.kind}) has ${children} children, expected ${expected}.`,
    );
  }
  return type;
}

function typeOf(code: number, table: FlatTable, children: number, path: string): ArrowType {
  switch (code) {
    case 1:
      return { kind: "null" };
    case 2:
      return { kind: "int", bits: oneOf([8, 16, 32, 64], table.int32(0, 0), path), signed: table.uint8(1, 0) !== 0 };
    case 3:
      return { kind: "float", bits: oneOf([16, 32, 64], 16 * 2 ** table.int16(0, 0), path) };
    case 4:
      return { kind: "binary", offsetBits: 32 };
    case 5:
      return { kind: "utf8", offsetBits: 32 };
    case 6:
      return { kind: "bool" };
    case 7: {
      const bits = oneOf([32, 64, 128, 256], table.int32(2, 128), path);
      return { kind: "decimal", bits, precision: table.int32(0, 0), scale: table.int32(1, 0) };
    }
    case 8:
      return { kind: "date", bits: table.int16(0, 1) === 0 ? 32 : 64 };
    case 9:
      return { kind: "time", unit: table.int16(0, 1), bits: oneOf([32, 64], table.int32(1, 32), path) };
    case 10:
      return {
        kind: "timestamp",
        bits: 64,
        unit: table.int16(0, 0),
        timezone: new TextDecoder().decode(table.blob(1)),
      };
    case 11: {
      const unit = oneOf([0, 1, 2], table.int16(0, 0), path);
      return { kind: "interval", unit, bits: unit === 0 ? 32 : unit === 1 ? 64 : 128 };
    }
    case 12:
      return { kind: "list", offsetBits: 32 };
    case 13:
      return { kind: "struct" };
    case 14:
      return unionOf(table, children, path);
    case 15:
      return { kind: "fixedBinary", bits: 8 * atLeastZero(table.int32(0, 0), path) };
    case 16:
      return { kind: "fixedList", size: atLeastZero(table.int32(0, 0), path) };
    case 17:
      return { kind: "map", offsetBits: 32, keysSorted: table.uint8(0, 0) !== 0 };
    case 18:
      return { kind: "duration", bits: 64, unit: table.int16(0, 1) };
    case 19:
      return { kind: "binary", offsetBits: 64 };
    case 20:
      return { kind: "utf8", offsetBits: 64 };
    case 21:
      return { kind: "list", offsetBits: 64 };
    case 22:
      return { kind: "runEnd" };
    case 23:
      return { kind: "binaryView" };
    case 24:
      return { kind: "utf8View" };
    case 25:
      return { kind: "listView", offsetBits: 32 };
    case 26:
      return { kind: "listView", offsetBits: 64 };
    default:
      throw new Fault("unsupported", `Unsupported schema: field ${name(path)} has the unknown type ${code}.`);
  }
}

function unionOf(table: FlatTable, children: number, path: string): ArrowType {
  const mode = table.int16(0, 0) === 0 ? "sparse" : "dense";
  const vector = table.vector(1, 4);
  const typeIds =
    vector.length === 0
      ? Array.from({ length: children }, (_none, index) => index)
      : Array.from({ length: vector.length }, (_none, index) => table.view.getInt32(vector.start + 4 * index, true));
  if (typeIds.length !== children || new Set(typeIds).size !== children || typeIds.some((id) => id < 0 || id > 127)) {
    throw new Fault(
      "invalid",
      `Unsupported schema: union ${name(path)} has ${typeIds.length} type ids for ${children} children, expected distinct ones from 0 to 127.`,
    );
  }
  return { kind: "union", mode, typeIds };
}

function oneOf<const Values extends readonly number[]>(values: Values, found: number, path: string): Values[number] {
  const value = values.find((known) => known === found);
  if (value !== undefined) return value;
  throw new Fault(
    "invalid",
    `Unsupported schema: field ${name(path)} has the width or unit ${found}, expected one of ${values.join(", ")}.`,
  );
}

function atLeastZero(value: number, path: string): number {
  if (value >= 0) return value;
  throw new Fault("invalid", `Unsupported schema: field ${name(path)} has the size ${value}.`);
}

function name(path: string): string {
  return JSON.stringify(path.slice(0, 200));
}
