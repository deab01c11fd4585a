// What a random or enumerating test has met. A cell that stayed empty fails the test: it would have proved nothing there.

import { expect } from "vitest";

export class Coverage {
  readonly #title: string;
  readonly #counts: Map<string, number>;

  constructor(title: string, cells: readonly string[]) {
    this.#title = title;
    this.#counts = new Map(cells.map((cell) => [cell, 0]));
  }

  hit(cell: string): void {
    const count = this.#counts.get(cell);
    if (count === undefined) throw new RangeError(`${this.#title} has no cell ${cell}`);
    this.#counts.set(cell, count + 1);
  }

  /** Prints the counts and fails when one is zero. */
  check(): void {
    const cells = [...this.#counts];
    console.log(`${this.#title}: ${cells.map(([cell, count]) => `${cell} ${count}`).join(", ")}`);
    expect(
      cells.filter(([, count]) => count === 0).map(([cell]) => cell),
      `${this.#title}: cells never met`,
    ).toEqual([]);
  }
}

/** All combinations of one value out of each list. */
export function combinations<const Lists extends Readonly<Record<string, readonly unknown[]>>>(
  lists: Lists,
): { [Name in keyof Lists]: Lists[Name][number] }[] {
  let combined: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(lists)) {
    combined = combined.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
  }
  return combined as { [Name in keyof Lists]: Lists[Name][number] }[];
}
