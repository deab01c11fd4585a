/** The lengths of vectors as float64: of components beyond 1e154 they are infinite. */

/** Square roots of the sums of squares, in the order of the components: the same wherever they are made. */
export function deriveNorm(components: readonly Float64Array[], count: number, into: Float64Array): void {
  const [x, y, z] = components;
  for (let index = 0; index < count; index += 1) {
    const [a, b, c] = [x?.[index] ?? 0, y?.[index] ?? 0, z?.[index] ?? 0];
    into[index] = Math.sqrt(a * a + b * b + c * c);
  }
}
