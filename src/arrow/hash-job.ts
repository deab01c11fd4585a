/** What hashing columns is done with: how a column says the hashes of its rows, what is the same for all batches, room and a bound. */

import { Fault } from "../model/fault.ts";
import { getBit } from "./bits.ts";
import { BytesHash, type Lanes, laneCount, seedOf } from "./lanes.ts";
import type { Field } from "./schema.ts";
import type { ArrowType } from "./type.ts";

/** Rows that are hashed at once. */
export const blockRows = 1024;

export interface HashedColumn {
  readonly rows: number;
  /** Puts the hash of each of these rows, at most `blockRows`, behind the other. @throws Fault corrupt, unsupported */
  hash(start: number, end: number, lanes: Int32Array, depth: number): void;
  /** Of values of whole bytes, at most eight: gives their bytes, and says whether none of them is null. */
  readonly give?: ((start: number, end: number, sink: ByteSink) => boolean) | undefined;
}

export interface ByteSink {
  add(bytes: Uint8Array, start: number, end: number): void;
}

/** What of a field is the same for all batches. */
export interface HashPlan {
  readonly field: Field;
  readonly seed: Lanes;
  /** Of its name. */
  readonly nameSeed: Lanes;
  readonly children: readonly HashPlan[];
}

export function planOf(field: Field): HashPlan {
  return planCalled(field, field.name);
}

function planCalled(field: Field, name: string): HashPlan {
  const { type } = field;
  const children = field.children.map((child) => {
    const plan = planCalled(child, child.name);
    // Entries of a map have a key and a value, whatever these are called.
    return type.kind === "map"
      ? { ...plan, children: child.children.map((one, at) => planCalled(one, String(at))) }
      : plan;
  });
  const values = type.kind === "runEnd" ? children[1] : undefined;
  return { field, seed: values?.seed ?? seedOf(meaningOf(type)), nameSeed: seedOf(`name ${name}`), children };
}

function meaningOf(type: ArrowType): string {
  switch (type.kind) {
    case "utf8":
    case "utf8View":
      return "text";
    case "binary":
    case "binaryView":
    case "fixedBinary":
      return "bytes";
    case "list":
    case "listView":
    case "fixedList":
    case "map":
      return "list";
    case "union":
      return "union";
    default:
      return JSON.stringify(type);
  }
}

/** Values of a dictionary in force. */
export interface HashedDictionary {
  readonly count: number;
  readonly lanes: Int32Array;
  /** Where they are of whole bytes, at most eight: one value behind the other, and a byte for each that is 1 when it is null. */
  readonly given: { readonly width: number; readonly bytes: Uint8Array; readonly nulls: Uint8Array } | undefined;
}

/** What columns are hashed with. */
export class HashWork {
  readonly bytes = new BytesHash();
  /** Room for one hash. */
  readonly single: Int32Array = new Int32Array(laneCount);
  readonly #scratch: Int32Array[] = [];
  #effortLeft = 0;
  readonly dictionaryOf: (id: bigint, path: string) => HashedDictionary;

  constructor(dictionaryOf: HashWork["dictionaryOf"]) {
    this.dictionaryOf = dictionaryOf;
  }

  /** Room for the hashes of `blockRows` values, for each level of nesting. */
  scratch(depth: number): Int32Array {
    this.#scratch[depth] ??= new Int32Array(laneCount * blockRows);
    return this.#scratch[depth];
  }

  allow(effort: number): void {
    this.#effortLeft = effort;
  }

  /** Rows may share items and bytes, so that a few say that they have many. @throws Fault unsupported */
  spend(effort: number, path: string): void {
    this.#effortLeft -= effort;
    if (this.#effortLeft >= 0) return;
    const problem = "its rows share so many items or bytes that they are not compared";
    throw new Fault("unsupported", `Column ${JSON.stringify(path.slice(0, 200))} cannot be compared: ${problem}.`);
  }
}

export const nullHash: Lanes = seedOf("null");

/** Puts the hash of a null wherever one is. */
export function hashNulls(validity: Uint8Array | undefined, start: number, end: number, lanes: Int32Array): void {
  if (validity === undefined) return;
  for (let row = start; row < end; row += 1)
    if (getBit(validity, row) === 0) putLanes(lanes, laneCount * (row - start), nullHash);
}

export function putLanes(lanes: Int32Array, at: number, [s1, s2, s3, s4]: Lanes): void {
  lanes[at] = s1;
  lanes[at + 1] = s2;
  lanes[at + 2] = s3;
  lanes[at + 3] = s4;
}

export function copyLanes(source: Int32Array, from: number, target: Int32Array, at: number): void {
  target[at] = source[from] ?? 0;
  target[at + 1] = source[from + 1] ?? 0;
  target[at + 2] = source[from + 2] ?? 0;
  target[at + 3] = source[from + 3] ?? 0;
}
