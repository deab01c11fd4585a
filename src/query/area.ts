/** Positions on the earth, a sphere: degrees, latitude north, longitude east. */

import { eastOf, normalLongitude as normal } from "../model/longitude.ts";
import type { Area } from "../model/predicate.ts";

/** Mean radius in metres, of the IUGG. */
const earthRadiusM = 6_371_008.8;

export function isWithin(area: Area, latitude: number, longitude: number): boolean {
  if (!(Math.abs(latitude) <= 90) || !Number.isFinite(longitude)) return false;
  if (area.kind === "circle") return distanceM(area, { latitude, longitude: normal(longitude) }) <= area.radiusM;
  const { south, west, north, east } = area;
  return latitude >= south && latitude <= north && isBetween(west, east, longitude);
}

/** Whether the way east from `west` to `east` meets the longitude. */
function isBetween(west: number, east: number, longitude: number): boolean {
  const turned = normal(longitude);
  return spans(west, east).some(([from, to]) => turned >= from && turned <= to);
}

/** The same as longitudes from -180 to 180, of which these two are one. */
function spans(west: number, east: number): (readonly [from: number, to: number])[] {
  const parts: (readonly [number, number])[] =
    west <= east
      ? [[west, east]]
      : [
          [west, 180],
          [-180, east],
        ];
  const meets = parts.some(([from, to]) => from === -180 || to === 180);
  return meets ? [...parts, [-180, -180], [180, 180]] : parts;
}

/** The same longitudes as `eastOf` has them. */
export function spansEast([from, to]: readonly [from: number, to: number]): (readonly [from: number, to: number])[] {
  if (from >= 0 || to < 0) return [[eastOf(from), eastOf(to)]];
  return [
    [0, eastOf(to)],
    [eastOf(from), 360],
  ];
}

export interface Position {
  readonly latitude: number;
  readonly longitude: number;
}

/** Along the great circle, by the haversine formula, which is exact for small distances too. */
export function distanceM(a: Position, b: Position): number {
  const toRadians = Math.PI / 180;
  const half = (from: number, to: number): number => Math.sin(((to - from) * toRadians) / 2) ** 2;
  const cosines = Math.cos(a.latitude * toRadians) * Math.cos(b.latitude * toRadians);
  const chord = half(a.latitude, b.latitude) + cosines * half(a.longitude, b.longitude);
  return 2 * earthRadiusM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

/** Degrees in which every position of an area lies, and perhaps others. */
export interface Bounds {
  readonly latitudes: readonly [from: number, to: number];
  readonly longitudes: readonly (readonly [from: number, to: number])[];
  /** Whether all positions inside of the bounds are in the area. */
  readonly exact: boolean;
}

export function boundsOf(area: Area): Bounds {
  if (area.kind === "box") {
    return { latitudes: [area.south, area.north], longitudes: spans(area.west, area.east), exact: true };
  }
  const { latitude, longitude, radiusM } = area;
  // What rounding may take away is given back.
  const angle = (radiusM / earthRadiusM) * (1 + 1e-9) + 1e-12;
  const degrees = (angle * 180) / Math.PI;
  const latitudes = [latitude - degrees, latitude + degrees] as const;
  const ratio = Math.sin(Math.min(angle, Math.PI / 2)) / Math.cos((latitude * Math.PI) / 180);
  // A circle around a pole has all longitudes.
  if (!(latitudes[0] > -90 && latitudes[1] < 90 && ratio < 1))
    return { latitudes, longitudes: [[-180, 180]], exact: false };
  const half = (Math.asin(ratio) * 180) / Math.PI + 1e-9;
  return { latitudes, longitudes: spans(normal(longitude - half), normal(longitude + half)), exact: false };
}
