/**
 * Verify: everything that is stored, read and compared, and nothing changed. Beside a server that goes on writing, what looks
 * wrong is looked at again: only what stays wrong is a finding.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type Catalog, openCatalogToRead } from "../catalog/catalog.ts";
import { auditLmdbFile } from "../catalog/lmdb-audit.ts";
import { checkLmdbFile } from "../catalog/lmdb-file.ts";
import { lmdbDamageIn } from "../catalog/lmdb-page.ts";
import { findSession, listAllSessions, listAllTopics } from "../catalog/resources.ts";
import { readOwner } from "../catalog/store-facts.ts";
import type { Disk } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import { verifyAgain } from "../model/limits.ts";
import type { Ulid } from "../model/resource.ts";
import { catalogDirectory, catalogFile } from "../store/layout.ts";
import { checkCatalogRows } from "./catalog-check.ts";
import { damage, type Finding, persisting, type StoreState } from "./finding.ts";
import { checkCatalogFormat, checkIsStore } from "./identity.ts";
import { isServed } from "./ownership.ts";
import { checkSession, kindProblem } from "./session-check.ts";
import { checkStore } from "./store-check.ts";

export interface VerifyOptions {
  /** Locator, UUID or ULID; everything when it is not given. */
  readonly session?: string | undefined;
  /** Bytes of chunk files that have been read, of how many. */
  onProgress(bytes: number, bytesTotal: number): void;
}

export interface Verified {
  readonly findings: readonly Finding[];
  /** What could be looked at: nothing below a catalog that cannot be read. */
  readonly sessions: number;
  readonly bytes: number;
  readonly state: StoreState;
}

/** @throws Fault absent when the directory is no store, or has no such session; wrong_state when it is of a newer format */
export async function verify(disk: Disk, options: VerifyOptions): Promise<Verified> {
  await checkIsStore(disk);
  const live = await isServed(disk);
  const problem = await findCatalogProblem(disk, live);
  const unread = { sessions: 0, bytes: 0, state: live ? "live" : "closed" } as const;
  if (problem !== undefined) return { findings: [problem], ...unread };
  let catalog: Catalog;
  try {
    catalog = await openCatalogToRead(disk, catalogDirectory);
  } catch (error) {
    return { findings: [catalogFinding(error)], ...unread };
  }
  await using _catalog = catalog;
  checkCatalogFormat(catalog);
  const state = live ? "live" : readState(catalog);
  return { ...(await lookAtEverything({ disk, catalog, state, options })), state };
}

/** All that can be found below a catalog that is open. @throws Fault absent (the session) */
export function lookAtEverything(parts: LookParts): Promise<Omit<Verified, "state">> {
  return new Look(parts).run();
}

/** What has to be known before LMDB maps the file. Beside a server its pages change, so only the roots are looked at, on opening. */
export async function findCatalogProblem(disk: Disk, live: boolean): Promise<Finding | undefined> {
  const problem =
    kindProblem(catalogDirectory, "directory", (await disk.stateOf(catalogDirectory))?.kind) ??
    kindProblem(catalogFile, "file", (await disk.stateOf(catalogFile))?.kind);
  if (problem !== undefined || live) return problem;
  try {
    await checkLmdbFile(disk, catalogDirectory, Number.MAX_SAFE_INTEGER);
    await auditLmdbFile(disk, catalogDirectory);
    return undefined;
  } catch (error) {
    return catalogFinding(error);
  }
}

function catalogFinding(error: unknown): Finding {
  if (!(error instanceof Fault)) throw error;
  return damage({
    where: catalogFile,
    what: "catalog_file",
    expected: "a sound LMDB file",
    found: lmdbDamageIn(error),
  });
}

/** A server that stops gives its ownership up. */
export function readState(catalog: Catalog): StoreState {
  try {
    return readOwner(catalog) === undefined ? "closed" : "killed";
  } catch {
    return "closed";
  }
}

export interface LookParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly state: StoreState;
  readonly options: VerifyOptions;
}

class Look {
  readonly #parts: LookParts;
  #bytes = 0;

  constructor(parts: LookParts) {
    this.#parts = parts;
  }

  async run(): Promise<Omit<Verified, "state">> {
    const { disk, catalog, state, options } = this.#parts;
    const findings: Finding[] = [];
    findings.push(...(await this.#again(async () => checkCatalogRows(catalog))));
    // Rows that cannot be read would only be found again, by whoever needs them.
    if (findings.length > 0) return { findings, sessions: 0, bytes: 0 };
    const sessions = this.#sessions();
    const bytesTotal = this.#bytesOf(new Set(sessions));
    if (options.session === undefined)
      findings.push(...(await this.#again(() => checkStore({ disk, catalog, state }))));
    const onBytes = (bytes: number): void => {
      this.#bytes += bytes;
      options.onProgress(this.#bytes, bytesTotal);
    };
    for (const ulid of sessions)
      findings.push(...(await this.#again(() => checkSession({ disk, catalog, state, onBytes }, ulid))));
    return { findings, sessions: sessions.length, bytes: this.#bytes };
  }

  async #again(check: () => Promise<Finding[]>): Promise<Finding[]> {
    let findings = await this.#once(check);
    if (this.#parts.state !== "live") return findings;
    for (let time = 0; time < verifyAgain.times && findings.length > 0; time += 1) {
      await sleep(verifyAgain.pauseMs);
      findings = persisting(findings, await this.#once(check));
    }
    return findings;
  }

  /** What goes away while it is looked at is beside a server no wonder; it is asked for again. */
  async #once(check: () => Promise<Finding[]>): Promise<Finding[]> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await check();
      } catch (error) {
        const gone = error instanceof Fault && (error.code === "absent" || error.code === "corrupt");
        if (!gone || this.#parts.state !== "live" || tries > verifyAgain.times) throw error;
      }
    }
  }

  #sessions(): Ulid[] {
    const { catalog, options } = this.#parts;
    if (options.session === undefined) return [...listAllSessions(catalog)].map(({ ulid }) => ulid);
    const session = findSession(catalog, options.session);
    if (session === undefined) throw new Fault("absent", `There is no session ${options.session}`);
    return [session.ulid];
  }

  #bytesOf(sessions: ReadonlySet<Ulid>): number {
    let bytes = 0;
    for (const { session, extent } of listAllTopics(this.#parts.catalog))
      if (sessions.has(session)) bytes += extent.bytes;
    return bytes;
  }
}
