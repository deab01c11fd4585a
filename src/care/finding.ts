/** What verify finds. A value: printed, compared, and the reason that stands beside whatever repair puts aside. */

import type { Ulid } from "../model/resource.ts";
import { catalogDirectory, catalogFile } from "../store/layout.ts";

/**
 * `damage` is what should not be; `leftover` what a process that was killed may leave behind and the next start of the server
 * clears away, without loss of anything that was acknowledged.
 */
export type Severity = "damage" | "leftover";

export const findingKinds = [
  /** The LMDB file itself. */
  "catalog_file",
  /** A row that is not as it was written, or says what cannot be. */
  "row",
  /** A row that refers to what is not there, or that nothing refers to. */
  "reference",
  "missing",
  "extra",
  /** A directory where a file should be, or the like. */
  "wrong_type",
  /** A JSON document that does not say what the catalog says. */
  "document",
  /** Magic or schema message of a chunk file. */
  "chunk_head",
  "batch_checksum",
  /** A batch whose dictionaries are not in its chunk. */
  "dictionary",
  "footer",
  "too_short",
  "too_long",
  /** A frame of a tail log. */
  "frame",
] as const;
export type FindingKind = (typeof findingKinds)[number];

export interface Finding {
  /** A path below the data directory, perhaps with `@offset`, or `catalog: table key`. */
  readonly where: string;
  readonly what: FindingKind;
  readonly expected: string;
  readonly found: string;
  readonly severity: Severity;
  readonly session?: Ulid | undefined;
}

/** How the store was left: what is damage in a store that was closed may be work in progress, or what a kill has left. */
export type StoreState = "closed" | "killed" | "live";

/** A finding about what an interrupted server leaves; undefined while it runs. */
export function leftover(state: StoreState, finding: Omit<Finding, "severity">): Finding[] {
  if (state === "live") return [];
  return [{ ...finding, severity: state === "closed" ? "damage" : "leftover" }];
}

export function damage(finding: Omit<Finding, "severity">): Finding {
  return { ...finding, severity: "damage" };
}

/** The path that a finding is about; undefined when it is about the catalog. */
export function pathOfFinding({ where }: Finding): string | undefined {
  return where.startsWith("catalog: ") ? undefined : where.replace(/@[0-9]+$/, "");
}

/** Whether it is about the catalog itself, which repair goes by. */
export function isOfCatalog(finding: Finding): boolean {
  const path = pathOfFinding(finding);
  return path === undefined || path === catalogDirectory || path === catalogFile;
}

/** Findings of the second list that were in the first, at the same place: what is still so after a while. */
export function persisting(before: readonly Finding[], now: readonly Finding[]): Finding[] {
  const keyOf = ({ where, what }: Finding): string => `${what} ${where}`;
  const known = new Set(before.map(keyOf));
  return now.filter((finding) => known.has(keyOf(finding)));
}

export function describeFinding({ where, what, expected, found, severity }: Finding): string {
  return `${severity} ${what} ${where}: expected ${expected}, found ${found}`;
}

/** Where two texts part, with a little around it. */
export function difference(expected: string, found: string): { expected: string; found: string } {
  let at = 0;
  while (at < expected.length && expected[at] === found[at]) at += 1;
  const around = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 10), at + 30));
  return { expected: `${around(expected)} at ${at}`, found: around(found) };
}
