/** The commands `bundle keygen`, `export` and `verify`: sessions as a file that is carried to where no link goes. */

import path from "node:path";
import { bundleDisk } from "../bundle/bundle-disk.ts";
import { type Bundle, checkMembers, openBundle } from "../bundle/bundle-file.ts";
import { firstName } from "../bundle/bundle-writer.ts";
import { exportBundle } from "../bundle/export.ts";
import { Once } from "../bundle/once.ts";
import { readSessionContent, type SessionContent } from "../bundle/session-content.ts";
import { demandTrust, isTrusted, type Trust } from "../bundle/trust.ts";
import { readStoreFacts } from "../catalog/store-facts.ts";
import { Budget } from "../flow/budget.ts";
import { machineClock } from "../host/clock.ts";
import { readOutsideText } from "../host/disk.ts";
import { newUlid } from "../host/entropy.ts";
import { printOut } from "../host/log.ts";
import { freeBytesBeside, writeNewSecret } from "../host/outside-file.ts";
import { newSigningKeyPem, readSigningKey } from "../host/signing-key.ts";
import type { BundleSession } from "../model/bundle.ts";
import { bundlePartBytesLeast } from "../model/bundle-limits.ts";
import { Fault } from "../model/fault.ts";
import { commandQueryBytes } from "../model/limits.ts";
import { type BundleChoice, chooseSessions } from "./bundle-choice.ts";
import { readOntologyDirectory } from "./ontology-directory.ts";
import { openProgress } from "./progress.ts";
import { searchPartsOf } from "./search-parts.ts";
import { edgeVersion } from "./version.ts";
import { withCatalogToRead } from "./with-catalog.ts";

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}

/** Prints the public key, and nothing else. @throws Fault exists, absent, unavailable */
export function makeBundleKey(file: string): void {
  const pem = newSigningKeyPem();
  writeNewSecret(file, pem);
  printOut(`${readSigningKey(pem, file).publicKey}\n`);
}

export interface ExportOptions extends BundleChoice {
  readonly file: string;
  readonly keyFile: string | undefined;
  readonly partBytes: number | undefined;
  readonly ontologyDir: string | undefined;
  /** Free bytes that are kept on the disk of the data directory. */
  readonly floorBytes: number;
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** The exit code: 0 when all that was chosen is in it. @throws Fault as `exportBundle`, `chooseSessions` */
export async function exportSessions(dataDirectory: string, options: ExportOptions): Promise<number> {
  const { file, keyFile, partBytes, signal } = options;
  if (keyFile === undefined)
    throw new Fault(
      "invalid",
      "--key: expected the file of a private key, found nothing; mosaico-edge bundle keygen FILE makes one. There are no bundles without a signature.",
    );
  if (partBytes !== undefined && partBytes < bundlePartBytesLeast)
    throw new Fault("invalid", `--split: expected at least ${bundlePartBytesLeast} bytes, found ${partBytes}`);
  const key = readSigningKey(readOutsideText(keyFile), keyFile);
  return await withCatalogToRead(dataDirectory, async (catalog, disk) => {
    const budget = new Budget(commandQueryBytes);
    const given = readOntologyDirectory(options.ontologyDir);
    const search = searchPartsOf({ disk, catalog, mergeBudget: budget, sendBudget: budget, given });
    const sessions = await chooseSessions(search, options, signal);
    const createdAtNs = machineClock().wallNs();
    const progress = openProgress("bundle export");
    const { manifest, bytes, writtenBytes, damaged, later } = await exportBundle(
      { disk, catalog },
      {
        file,
        sessions,
        key,
        partBytes,
        id: newUlid(Number(createdAtNs / 1_000_000n)),
        createdAtNs,
        version: edgeVersion,
        store: readStoreFacts(catalog)?.id ?? "",
        admit: (needed) => checkRoom(options, disk.root, needed),
        onBytes: (done, total) => {
          if (signal.aborted) throw new Fault("cancelled", "Stopped; the same command goes on where this one ends.");
          progress.show(done, total);
        },
      },
    ).finally(progress.end);
    const parts = partBytes === undefined ? 1 : Math.ceil(bytes / partBytes);
    const first = firstName(file, partBytes);
    const view = { file, bundle: manifest.id, sessions: manifest.sessions.length, bytes, writtenBytes, parts };
    const code = damaged.length === 0 ? 0 : 1;
    if (options.json) {
      printOut(`${JSON.stringify({ ...view, damaged, later, signer: key.publicKey })}\n`);
      return code;
    }
    for (const { session, reason } of damaged) printOut(`${session}: damaged, not in it: ${reason}\n`);
    if (later > 0) printOut(`${later} more are not in it: it was begun without them\n`);
    const cut = partBytes === undefined ? "" : ` in ${counted(parts, "part")}`;
    const known = writtenBytes === bytes ? "" : `, of which ${bytes - writtenBytes} bytes were there already`;
    printOut(
      `${first}: ${counted(view.sessions, "session")}, ${bytes} bytes${cut}${known}, signed by ${key.publicKey}\n`,
    );
    return code;
  });
}

/** A bundle beside the data must not take the room that recording needs. @throws Fault overloaded */
async function checkRoom({ file, floorBytes }: ExportOptions, root: string, needed: number): Promise<void> {
  const freeBytes = await freeBytesBeside(file, root);
  if (freeBytes === undefined || freeBytes - needed >= floorBytes) return;
  throw new Fault(
    "overloaded",
    `${file} would be on the disk of the data directory, of which ${freeBytes} bytes are free: it needs ${needed}, and ${floorBytes} are kept (free_space_floor). Take another disk.`,
  );
}

export interface VerifyOptions {
  readonly trust: Trust;
  readonly json: boolean;
}

/** @throws Fault corrupt naming the member, denied when keys are trusted and that of the bundle is none of them */
export async function verifyBundle(files: readonly string[], { trust, json }: VerifyOptions): Promise<void> {
  await using bundle = await openBundle(files);
  const { manifest, signer, parts } = bundle;
  if (trust.keys.size > 0) demandTrust(trust, signer);
  const problems = await checkBundle(bundle, async () => undefined);
  const trusted = isTrusted(trust, signer);
  if (json) {
    const sessions = manifest.sessions.map((session) => ({
      session: session.locator,
      topics: session.topics,
      rows: session.rows,
      bytes: session.bytes,
      problem: problems.get(session) ?? null,
    }));
    const { id, version, store } = manifest;
    const created = new Date(Number(manifest.createdAtNs / 1_000_000n)).toISOString();
    const view = { bundle: id, created, version, store, signer, trusted, bytes: parts.bytes, sessions };
    printOut(`${JSON.stringify({ ...view, sound: problems.size === 0 })}\n`);
  } else {
    for (const { locator, topics, rows, bytes } of manifest.sessions)
      printOut(`${locator}: ${counted(topics, "topic")}, ${counted(rows, "row")}, ${bytes} bytes\n`);
    const known = trusted ? "which is trusted" : "of whom nothing is known here: --trust says whom to trust";
    printOut(`signed by ${signer}, ${known}\n`);
  }
  const [first] = problems.values();
  if (first !== undefined)
    throw new Fault("corrupt", `${first}${problems.size > 1 ? `, and ${problems.size - 1} more sessions` : ""}`);
  if (!json) printOut(`sound: ${counted(manifest.sessions.length, "session")}, ${parts.bytes} bytes\n`);
}

/**
 * Reads everything; which sessions are not what they say, and why.
 * @param take is given each session that is
 * @throws Fault corrupt when the bundle is not as it was signed
 */
export async function checkBundle(
  bundle: Bundle,
  take: (content: SessionContent) => Promise<void>,
): Promise<Map<BundleSession, string>> {
  const { parts, manifest } = bundle;
  const progress = openProgress(`bundle ${path.basename(parts.path)}`);
  const problems = new Map<BundleSession, string>();
  try {
    // Chunks are read twice: against what was signed, then against what they say.
    await checkMembers(bundle, (done) => progress.show(done, 2 * parts.bytes));
    let done = parts.bytes;
    const onBytes = (bytes: number): void => {
      done += bytes;
      progress.show(done, 2 * parts.bytes);
    };
    const disk = bundleDisk(bundle);
    const once = new Once();
    for (const session of manifest.sessions) {
      try {
        const content = await readSessionContent(disk, session, onBytes);
        once.add(content);
        await take(content);
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== "corrupt") throw error;
        problems.set(session, error.message);
      }
    }
  } finally {
    progress.end();
  }
  return problems;
}
