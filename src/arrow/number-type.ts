/** Types whose values are numbers in order, times among them, and the typed arrays that hold them. */

import type { ArrowType } from "./type.ts";

export type NumberType = Extract<ArrowType, { kind: "int" | "float" | "date" | "time" | "timestamp" | "duration" }>;

/** Values in their own unit; those of 64 bits as bigint. */
export type NumberArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float16Array
  | Float32Array
  | Float64Array;

export type NumberArrayConstructor = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => NumberArray;

/** The typed array that has the values of a type. */
export function arrayOf(type: NumberType): NumberArrayConstructor {
  if (type.kind === "float") return type.bits === 16 ? Float16Array : type.bits === 32 ? Float32Array : Float64Array;
  const signed = type.kind !== "int" || type.signed;
  switch (type.bits) {
    case 8:
      return signed ? Int8Array : Uint8Array;
    case 16:
      return signed ? Int16Array : Uint16Array;
    case 32:
      return signed ? Int32Array : Uint32Array;
    case 64:
      return signed ? BigInt64Array : BigUint64Array;
  }
}

/** Undefined when the values are no numbers in order. */
export function numberTypeOf(type: ArrowType): NumberType | undefined {
  switch (type.kind) {
    case "int":
    case "float":
    case "date":
    case "time":
    case "timestamp":
    case "duration":
      return type;
    default:
      return undefined;
  }
}
