/** A false assertion is a bug of ours: the call ends with INTERNAL and a log line, store and commit are poisoned. */

export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(`Assertion failed: ${invariant}`);
}
