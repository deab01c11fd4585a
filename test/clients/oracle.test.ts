// Random queries on contents against an oracle written in Python, which reads everything back and compares value by value; each is
// asked with the skip index and without. See drivers/oracle*.py. MOSAICO_ORACLE_QUERIES=20000 for the long run.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { startServer } from "../server.ts";
import { expectAllOk, python, skipsPython, startDriver } from "./driver.ts";

/** Fields of drivers/oracle.py by the columns of the table in README.md. */
const fieldsOf: Readonly<Record<string, RegExp>> = {
  "numbers, times": /^([iuf][0-9]+|at|sub\.[nx])$/,
  texts: /^(text|large|word|sub\.t)$/,
  booleans: /^flag$/,
  "items `[i]` `[?]` `[!]`": /\[.\]/,
  "whole list": /^(ints|reals|words)$/,
};

/** Operator and column of each cell of that table, and whether it says yes. */
function readTable(): { operator: string; column: string; says: string }[] {
  const [, table = ""] = /^(\| operator .*?)\n\n/ms.exec(readFileSync("README.md", "utf8")) ?? [];
  const cellsOf = (line: string) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  const [head = [], , ...lines] = table.split("\n").map(cellsOf);
  return lines.flatMap(([operators = "", ...says]) =>
    [...operators.matchAll(/\$[a-z]+/g)].flatMap(([operator]) =>
      says.map((one, index) => ({ operator, column: head[index + 1] ?? "", says: one })),
    ),
  );
}

const queries = Number(process.env["MOSAICO_ORACLE_QUERIES"] ?? 2_000);
/** A query takes 30 ms on two cores; other tests run beside it. */
const waitMs = 60_000 + 300 * queries;

describe.skipIf(skipsPython)("queries on contents", () => {
  it(
    "find what an oracle finds, whatever is skipped",
    async () => {
      await python.ensureEnvironments();
      // Some chunks per topic, some parts per chunk.
      await using server = await startServer({ args: ["--max-chunk-size-in-bytes", "700000"] });
      const args = ["127.0.0.1", String(server.port), String(queries)];
      const result = await startDriver("pyarrow", "oracle.py", args, waitMs).result;
      for (const { check, detail } of result.checks) console.log(`${check}: ${JSON.stringify(detail)}`);
      expectAllOk("the oracle", result, ["oracle: no difference", "oracle: coverage"]);
      const hits = result.checks.find(({ check }) => check === "oracle: coverage")?.detail as Record<string, number>;
      const table = readTable();
      expect(table.length).toBe(12 * Object.keys(fieldsOf).length);
      for (const { operator, column, says } of table) {
        const met = Object.keys(hits).filter((cell) => {
          const [one = "", field = ""] = cell.split(" ");
          return one === operator && fieldsOf[column]?.test(field);
        });
        expect([operator, column, met.length > 0 ? "yes" : ""]).toEqual([operator, column, says]);
      }
    },
    waitMs + 60_000,
  );
});
