/** Areas of `$within`: `{"box": [south, west, north, east]}` and `{"circle": [latitude, longitude, radius in metres]}`. */

import { isJsonNumber, isJsonObject, type JsonValue } from "../model/json.ts";
import type { Area } from "../model/predicate.ts";
import { emptyRange, malformed, refusal } from "./refusal.ts";

interface Bound {
  readonly what: string;
  readonly least: number;
  readonly most: number;
}

const latitude: Bound = { what: "a latitude from -90 to 90", least: -90, most: 90 };
const longitude: Bound = { what: "a longitude from -180 to 180", least: -180, most: 180 };
const radius: Bound = { what: "a radius of 0 metres or more", least: 0, most: Number.MAX_VALUE };

/** A box may have its west above its east: it crosses the 180th meridian. @throws Fault invalid */
export function parseArea(operand: JsonValue, at: string): Area {
  if (!isJsonObject(operand)) throw malformed(at, "expected an object with box or circle", operand);
  const entries = Object.entries(operand);
  const [entry] = entries;
  if (entry === undefined || entries.length > 1)
    throw refusal(at, `expected exactly one area, found ${entries.length}`);
  const [kind, numbers] = entry;
  if (kind === "box") return parseBox(numbers, `${at}.box`);
  if (kind === "circle") return parseCircle(numbers, `${at}.circle`);
  throw refusal(at, `expected box or circle, found ${JSON.stringify(kind.slice(0, 40))}`);
}

function parseBox(numbers: JsonValue, at: string): Area {
  const [a, b, c, d] = itemsOf(numbers, 4, `${at}`);
  const south = numberOf(a, latitude, `${at}.0`);
  const west = numberOf(b, longitude, `${at}.1`);
  const north = numberOf(c, latitude, `${at}.2`);
  const east = numberOf(d, longitude, `${at}.3`);
  if (south > north) throw emptyRange(at, { least: south, most: north });
  return { kind: "box", south, west, north, east };
}

function parseCircle(numbers: JsonValue, at: string): Area {
  const [a, b, c] = itemsOf(numbers, 3, at);
  return {
    kind: "circle",
    latitude: numberOf(a, latitude, `${at}.0`),
    longitude: numberOf(b, longitude, `${at}.1`),
    radiusM: numberOf(c, radius, `${at}.2`),
  };
}

function itemsOf(value: JsonValue, count: number, at: string): readonly JsonValue[] {
  const items = Array.isArray(value) ? (value as readonly JsonValue[]) : [];
  if (items.length !== count) throw malformed(at, `expected an array of ${count} numbers`, value);
  return items;
}

function numberOf(value: JsonValue | undefined, { what, least, most }: Bound, at: string): number {
  const number = isJsonNumber(value) ? Number(value.rawJSON) : Number.NaN;
  if (!(number >= least && number <= most)) throw malformed(at, `expected ${what}`, value ?? null);
  return number;
}
