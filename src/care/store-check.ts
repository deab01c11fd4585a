/** What lies in the data directory beside the sessions' own directories: the store's document, sequences, tail logs, trash. */

import type { Catalog } from "../catalog/catalog.ts";
import { listAllSessions, listSequences, listSessions, listTopicsOfSession } from "../catalog/resources.ts";
import { readStoreFacts } from "../catalog/store-facts.ts";
import { listAllTailRuns, type TailRun } from "../catalog/tail-rows.ts";
import type { Disk } from "../host/disk.ts";
import type { Sequence } from "../model/resource.ts";
import { sequenceDocument, storeDocument } from "../store/documents.ts";
import {
  bundlesDirectory,
  catalogDirectory,
  lockFile,
  quarantineDirectory,
  sequenceFile,
  sequencesDirectory,
  sessionsDirectory,
  storeFile,
  tailDirectory,
  tailFile,
  trashDirectory,
} from "../store/layout.ts";
import { listDirectory } from "./directory.ts";
import { damage, difference, type Finding, leftover, type StoreState } from "./finding.ts";
import { hasFiles, readSessionBooks } from "./session-books.ts";
import { kindProblem } from "./session-check.ts";
import { checkTailEnd } from "./tail-check.ts";

export interface StoreCheckParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly state: StoreState;
}

export async function checkStore(parts: StoreCheckParts): Promise<Finding[]> {
  return [
    ...(await checkRoot(parts)),
    ...(await checkStoreDocument(parts)),
    ...(await checkSequences(parts)),
    ...(await checkSessionsDirectory(parts)),
    ...(await checkTails(parts)),
    ...(await checkTrash(parts)),
  ];
}

const directories = [
  catalogDirectory,
  sequencesDirectory,
  sessionsDirectory,
  tailDirectory,
  trashDirectory,
  quarantineDirectory,
  bundlesDirectory,
];
const others = /^(LOCK|store\.json|lost\+found|(control|flight)-[0-9A-Z]{26}\.sock)$/;

async function checkRoot({ disk, state }: StoreCheckParts): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of await disk.list(".")) {
    const found = await disk.stateOf(name);
    if (directories.includes(name)) findings.push(...listed(kindProblem(name, "directory", found?.kind)));
    else if (name === lockFile) findings.push(...listed(kindProblem(name, "file", found?.kind)));
    else if (name === `${storeFile}.new`)
      findings.push(...leftover(state, { where: name, what: "extra", expected: "nothing", found: name }));
    else if (!others.test(name))
      findings.push(damage({ where: name, what: "extra", expected: "nothing", found: name }));
  }
  for (const name of [sequencesDirectory, sessionsDirectory])
    if ((await disk.stateOf(name)) === undefined) findings.push(...listed(kindProblem(name, "directory", undefined)));
  for (const name of await disk.list(catalogDirectory)) {
    if (name === "data.mdb" || name === "lock.mdb") continue;
    findings.push(damage({ where: `${catalogDirectory}/${name}`, what: "extra", expected: "nothing", found: name }));
  }
  return findings;
}

async function checkStoreDocument({ disk, catalog }: StoreCheckParts): Promise<Finding[]> {
  const problem = kindProblem(storeFile, "file", (await disk.stateOf(storeFile))?.kind);
  if (problem !== undefined) return [problem];
  const facts = readStoreFacts(catalog);
  const text = await disk.readText(storeFile);
  const expected = facts === undefined ? "" : storeDocument(facts);
  return text === expected ? [] : [damage({ where: storeFile, what: "document", ...difference(expected, text) })];
}

async function checkSequences(parts: StoreCheckParts): Promise<Finding[]> {
  const { disk, catalog, state } = parts;
  const findings: Finding[] = [];
  catalog.refresh();
  const sequences = new Map([...listSequences(catalog)].map((sequence) => [sequenceFile(sequence.ulid), sequence]));
  for (const [path, sequence] of sequences) {
    const found = await disk.stateOf(path);
    const needed = isWritten(catalog, sequence);
    if (found === undefined && !needed) continue;
    const problem = kindProblem(path, "file", found?.kind);
    if (problem !== undefined) {
      findings.push(problem);
      continue;
    }
    const text = await disk.readText(path);
    const expected = sequenceDocument(sequence);
    if (text === expected) continue;
    const finding = { where: path, what: "document", ...difference(expected, text) } as const;
    findings.push(...(needed ? [damage(finding)] : leftover(state, finding)));
  }
  for (const name of await listDirectory(disk, sequencesDirectory)) {
    const where = `${sequencesDirectory}/${name}`;
    if (sequences.has(where)) continue;
    const extra = { where, what: "extra", expected: "nothing", found: name } as const;
    const interrupted = trashPaths(catalog).has(where) || name.endsWith(".json.new");
    findings.push(...(interrupted ? leftover(state, extra) : [damage(extra)]));
  }
  return findings;
}

/** Whether something was committed below the sequence, so that its document is on the disk. */
function isWritten(catalog: Catalog, sequence: Sequence): boolean {
  for (const session of listSessions(catalog, sequence.ulid)) {
    if (
      listTopicsOfSession(catalog, session).some(
        ({ extent, completedAtNs }) => extent.rows > 0 || completedAtNs !== undefined,
      )
    )
      return true;
    if (readSessionBooks(catalog, session.ulid)?.topics.some(hasFiles) === true) return true;
  }
  return false;
}

async function checkSessionsDirectory({ disk, catalog, state }: StoreCheckParts): Promise<Finding[]> {
  const names = await listDirectory(disk, sessionsDirectory);
  catalog.refresh();
  const known = new Set<string>([...listAllSessions(catalog)].map(({ ulid }) => ulid));
  const trash = trashPaths(catalog);
  return names
    .filter((name) => !known.has(name))
    .flatMap((name) => {
      const where = `${sessionsDirectory}/${name}`;
      const extra = { where, what: "extra", expected: "nothing", found: name } as const;
      return trash.has(where) ? leftover(state, extra) : [damage(extra)];
    });
}

async function checkTails(parts: StoreCheckParts): Promise<Finding[]> {
  const { disk, catalog, state } = parts;
  const findings: Finding[] = [];
  const names = await listDirectory(disk, tailDirectory);
  catalog.refresh();
  const runs = new Map<string, { log: number; runs: TailRun[] }>();
  for (const run of listAllTailRuns(catalog)) {
    const path = tailFile(run.log);
    const known = runs.get(path);
    if (known === undefined) runs.set(path, { log: run.log, runs: [run] });
    else known.runs.push(run);
  }
  for (const [path, { log, runs: ofLog }] of runs) {
    const problem = kindProblem(path, "file", (await disk.stateOf(path))?.kind);
    if (problem !== undefined) findings.push(problem);
    else findings.push(...(await checkTailEnd(disk, log, ofLog, state)));
  }
  for (const name of names) {
    const where = `${tailDirectory}/${name}`;
    if (runs.has(where)) continue;
    const extra = { where, what: "extra", expected: "nothing", found: name } as const;
    const isLog = /^[0-9]{8,}\.log$/.test(name) && (await disk.stateOf(where))?.kind !== "directory";
    findings.push(...(isLog ? leftover(state, extra) : [damage(extra)]));
  }
  return findings;
}

async function checkTrash({ disk, catalog, state }: StoreCheckParts): Promise<Finding[]> {
  const names = await listDirectory(disk, trashDirectory);
  catalog.refresh();
  const known = new Set([...catalog.trash.rows()].map(({ key }) => String(key)));
  return names.flatMap((name) => {
    const extra = { where: `${trashDirectory}/${name}`, what: "extra", expected: "nothing", found: name } as const;
    return known.has(name) ? leftover(state === "closed" ? "killed" : state, extra) : [damage(extra)];
  });
}

function trashPaths(catalog: Catalog): ReadonlySet<string | undefined> {
  return new Set([...catalog.trash.rows()].map(({ value }) => value));
}

function listed(finding: Finding | undefined): Finding[] {
  return finding === undefined ? [] : [finding];
}
