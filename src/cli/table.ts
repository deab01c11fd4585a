/** Tables on stdout, in columns as wide as what they hold. */

import { printOut } from "../host/log.ts";

export function printTable(rows: readonly (readonly string[])[]): void {
  printOut(tableText(rows));
}

export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (most, row) => row.map((cell, index) => Math.max(most[index] ?? 0, cell.length)),
    [],
  );
  const lines = rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return lines.map((line) => `${line}\n`).join("");
}
