/** Longitudes on the way east. */

import { eastOf } from "../model/longitude.ts";

export function deriveEast([longitudes]: readonly Float64Array[], count: number, into: Float64Array): void {
  for (let index = 0; index < count; index += 1) into[index] = eastOf(longitudes?.[index] ?? Number.NaN);
}
