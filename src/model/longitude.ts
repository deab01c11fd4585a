/** Longitudes in degrees: whole turns make no difference. */

/** From -180 to 180, both of which are the 180th meridian. */
export function normalLongitude(longitude: number): number {
  if (Math.abs(longitude) <= 180) return longitude;
  const turned = longitude % 360;
  return turned > 180 ? turned - 360 : turned < -180 ? turned + 360 : turned;
}

/** From 0 to 360 and in the order of the way east, as exactly as numbers allow: two longitudes may become one. NaN for none. */
export function eastOf(longitude: number): number {
  if (!Number.isFinite(longitude)) return Number.NaN;
  const normal = normalLongitude(longitude);
  return normal < 0 ? normal + 360 : normal;
}
