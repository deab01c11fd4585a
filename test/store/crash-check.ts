// Opens what a power cut has left and compares it with what was promised before: by the wire, then on disk, then by going on
// with what was cut.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { CallError, FlightClient } from "../load/flight-client.ts";
import { type RunningServer, startServer } from "../server.ts";
import type { CrashState, RecordedDisk } from "./crash-disk.ts";
import type { KeyTrust, Ledger } from "./crash-history.ts";
import { type Recording, recordedArgs } from "./crash-recording.ts";
import { type Compared, compareSequence, type LedgerSequence, type LedgerSession, nothingCompared } from "./ledger.ts";

/** What was compared, and how many cut uploads went on. */
export interface Checked {
  readonly compared: Compared;
  readonly goneOn: number;
}

/** @throws Error that names the state and what is wrong with it */
export async function checkState(recording: Recording, disk: RecordedDisk, state: CrashState): Promise<Checked> {
  const folder = mkdtempSync(path.join(tmpdir(), "mosaico-edge-crash-"));
  const dataDir = path.join(folder, "disk/data");
  let server: RunningServer | undefined;
  try {
    disk.rebuild(state, path.join(folder, "disk"));
    server = await startServer({ dataDir, args: recordedArgs });
    const checked = await checkServer(server, recording.history.at(state.cut));
    const [strange] = /^.*(?:unhandled|INTERNAL|call_failed|poison|quarantine).*$/m.exec(server.stderr()) ?? [];
    if (strange !== undefined) throw new Error(`the server says ${strange}`);
    return checked;
  } catch (error) {
    const { kind, cut, seed } = state;
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `State ${kind} before event ${cut} with seed ${seed}: ${reason}\nAgain: MOSAICO_CRASH_STATE=${kind}:${cut}:${seed} MOSAICO_CRASH_RECORDING=${recording.folder}`,
      { cause: error },
    );
  } finally {
    await server?.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function checkServer({ port, dataDir }: RunningServer, ledger: Ledger): Promise<Checked> {
  using client = new FlightClient(port);
  const compared = nothingCompared();
  await client.action("version", {});
  for (const sequence of ledger.sequences) await compareSequence(client, sequence, compared);
  for (const key of ledger.keys) await checkKey(client, key);
  checkFiles(dataDir, ledger.sequences);
  let goneOn = 0;
  for (const sequence of ledger.sequences) {
    for (const session of sequence.sessions) goneOn += await goOn(client, session);
    await compareSequence(client, sequence, compared);
  }
  checkFiles(dataDir, ledger.sequences);
  return { compared, goneOn };
}

const absent = 5;

async function checkKey(client: FlightClient, { fingerprint, created, revoked }: KeyTrust): Promise<void> {
  const isThere = await client.action("api_key_status", { api_key_fingerprint: fingerprint }).then(
    () => true,
    (error: unknown) => {
      if (error instanceof CallError && error.code === absent) return false;
      throw error;
    },
  );
  if (isThere && revoked === "acknowledged") throw new Error(`key ${fingerprint} was revoked and is there`);
  if (!isThere && created === "acknowledged" && revoked === undefined)
    throw new Error(`key ${fingerprint} was created and is gone`);
}

/** Uploads what is missing of a session that is open and finalizes it; how many uploads went on. */
async function goOn(client: FlightClient, session: LedgerSession): Promise<number> {
  const { uuid, topics } = session;
  const isOpen = session.finalized === undefined && session.deleted === undefined;
  // Nobody has the UUIDs of what was not answered.
  if (!isOpen || uuid === undefined || topics.length === 0 || topics.some((topic) => topic.uuid === undefined))
    return 0;
  let goneOn = 0;
  for (const topic of topics) {
    if (topic.completed === "acknowledged") continue;
    const rest = [...topic.messages.slice(0, 1), ...topic.messages.slice(1 + topic.batchesShown)];
    await client.put({ locator: topic.locator, uuid: topic.uuid ?? "" }, rest);
    topic.completed = "acknowledged";
    topic.batchesShown = topic.messages.length - 1;
    goneOn += 1;
  }
  await client.action("session_finalize", { session_uuid: uuid });
  session.finalized = "acknowledged";
  return goneOn;
}

interface SessionDocument {
  readonly uuid: string;
  readonly completed_at_ns?: number;
  readonly topics?: readonly {
    readonly number: number;
    readonly locator: string;
    readonly chunks: readonly { readonly number: number; readonly bytes: number }[];
  }[];
}

/**
 * What lies on disk beside the catalog, by a ledger that was compared: documents of all that has data, whole, manifests that say
 * what the files are, and nothing of what was deleted.
 */
function checkFiles(dataDir: string, sequences: readonly LedgerSequence[]): void {
  const living = sequences.filter(({ deleted }) => deleted === undefined);
  const sessions = new Map(
    living.flatMap((sequence) =>
      sequence.sessions.flatMap((session) =>
        session.uuid === undefined || session.deleted !== undefined ? [] : [[session.uuid, { sequence, session }]],
      ),
    ),
  );
  const documented = new Set(listIn(dataDir, "sequences").map((name) => readSequence(dataDir, name, living)));
  const uploaded = new Set<string>();
  for (const name of listIn(dataDir, "sessions")) {
    const folder = path.join(dataDir, "sessions", name);
    const document = readDocument<SessionDocument>(path.join(folder, "session.json"));
    if (document === undefined) continue;
    const known = sessions.get(document.uuid);
    if (known === undefined) throw new Error(`sessions/${name} is of a session that was deleted or never created`);
    const { sequence, session } = known;
    const isFinalized = document.completed_at_ns !== undefined;
    if (isFinalized !== (session.finalized === "acknowledged"))
      throw new Error(`sessions/${name}/session.json is ${isFinalized ? "a" : "no"} manifest`);
    if (isFinalized) checkManifest(folder, document, session);
    for (const topic of session.topics) {
      if (topic.batchesShown === 0 && topic.completed !== "acknowledged") continue;
      if (!documented.has(sequence.name)) throw new Error(`${sequence.name} has data and no whole document`);
      const documents = readdirSync(folder).filter((number) => /^\d+$/.test(number));
      const found = documents.some(
        (number) => readDocument<{ uuid: string }>(path.join(folder, number, "topic.json"))?.uuid === topic.uuid,
      );
      if (!found) throw new Error(`${topic.locator} has data and no whole topic.json`);
      uploaded.add(topic.locator);
    }
  }
  for (const { session } of sessions.values()) {
    for (const { locator, batchesShown } of session.topics)
      if (batchesShown > 0 && !uploaded.has(locator)) throw new Error(`${locator} has data and no whole session.json`);
  }
  for (const folder of ["trash", "quarantine"]) {
    const left = listIn(dataDir, folder);
    if (left.length > 0) throw new Error(`${folder} has ${left.join(", ")} after the start`);
  }
}

function listIn(dataDir: string, folder: string): string[] {
  const full = path.join(dataDir, folder);
  return existsSync(full) ? readdirSync(full) : [];
}

/** The name that the document of a sequence tells. */
function readSequence(dataDir: string, name: string, living: readonly LedgerSequence[]): string | undefined {
  const document = readDocument<{ name: string }>(path.join(dataDir, "sequences", name));
  if (document === undefined || living.some((sequence) => sequence.name === document.name)) return document?.name;
  throw new Error(`sequences/${name} is of ${document.name}, which was deleted or never created`);
}

/** Undefined for a file that is not there or not whole: before the first commit of its data it may be either. */
function readDocument<T>(file: string): T | undefined {
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  try {
    return text.endsWith("\n") ? (JSON.parse(text) as T) : undefined;
  } catch {
    return undefined;
  }
}

function checkManifest(folder: string, { topics = [] }: SessionDocument, session: LedgerSession): void {
  const listed = topics.map(({ locator }) => locator).sort();
  const expected = session.topics.map(({ locator }) => locator).sort();
  if (listed.join() !== expected.join())
    throw new Error(`a manifest lists ${listed.join()}, expected ${expected.join()}`);
  for (const { number, locator, chunks } of topics) {
    const files = readdirSync(path.join(folder, String(number))).filter((file) => file.endsWith(".arrow"));
    const sizes = files.map((file) => statSync(path.join(folder, String(number), file)).size);
    const bytes = chunks.map((chunk) => chunk.bytes);
    if (sizes.join() !== bytes.join())
      throw new Error(`${locator} has chunk files of ${sizes.join()} bytes, its manifest says ${bytes.join()}`);
  }
}
