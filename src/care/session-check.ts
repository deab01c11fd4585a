/** One session: its rows against each other, its directory against its rows, and every byte of its files. */

import type { Catalog } from "../catalog/catalog.ts";
import { readWholeChunk } from "../catalog/chunk-rows.ts";
import type { Disk } from "../host/disk.ts";
import { Fault } from "../model/fault.ts";
import { isFinalized, type Ulid } from "../model/resource.ts";
import {
  manifestDocument,
  readSessionDocument,
  readTopicDocument,
  sessionDocument,
  topicDocument,
} from "../store/documents.ts";
import { chunkFile, sessionDirectory, sessionFile, topicDirectory, topicFile } from "../store/layout.ts";
import { checkChunkFile, checkChunkRow } from "./chunk-check.ts";
import { damage, difference, type Finding, leftover, type StoreState } from "./finding.ts";
import {
  completionIn,
  extentOf,
  hasFiles,
  readSessionBooks,
  type SessionBooks,
  type TopicBooks,
} from "./session-books.ts";
import { checkTailRuns } from "./tail-check.ts";

export interface SessionCheckParts {
  readonly disk: Disk;
  readonly catalog: Catalog;
  readonly state: StoreState;
  /** Hears how many bytes of chunk files have been read. */
  onBytes(bytes: number): void;
}

/** Nothing is found about a session that is not there any more. */
export async function checkSession(parts: SessionCheckParts, ulid: Ulid): Promise<Finding[]> {
  let books: SessionBooks | undefined;
  try {
    books = readSessionBooks(parts.catalog, ulid);
  } catch (error) {
    // The row is a finding of its own already.
    if (error instanceof Fault && error.code === "corrupt") return [];
    throw error;
  }
  if (books === undefined) return [];
  const findings = checkBooks(books);
  findings.push(...(await checkDirectory(parts, books)));
  for (const topic of books.topics) findings.push(...(await checkTopic(parts, books, topic)));
  return findings;
}

/** What rows alone tell. Pure. */
export function checkBooks({ session, topics }: SessionBooks): Finding[] {
  const findings: Finding[] = [];
  for (const books of topics) {
    const { topic, chunks, tails } = books;
    const wrong = (expected: string, found: string): void => {
      const where = `catalog: topics ${topic.locator}`;
      findings.push(damage({ where, what: "row", expected, found, session: session.ulid }));
    };
    const gap = chunks.findIndex(({ number }, index) => number !== index);
    if (gap >= 0) wrong(`chunk ${gap}`, `chunk ${chunks[gap]?.number}`);
    let first = chunks.reduce((sum, { entries }) => sum + entries, 0);
    for (const run of tails) {
      if (run.first !== first) wrong(`tail batch ${first}`, `tail batch ${run.first}`);
      first = run.first + run.batches.length;
    }
    const closed = topic.completedAtNs !== undefined;
    if (closed && (tails.length > 0 || chunks.length === 0 || chunks.some(({ sealed }) => !sealed)))
      wrong("all in sealed chunks, as the topic is complete", `${chunks.length} chunks and ${tails.length} tails`);
    if (hasFiles(books) && books.schemaHeader === undefined) wrong("a schema", "none");
    const { rows, bytes, chunks: count, range } = extentOf(books);
    const summed = `${rows} rows, ${bytes} bytes, ${count} chunks, ${range?.startNs} to ${range?.endNs}`;
    const { extent } = topic;
    const said = `${extent.rows} rows, ${extent.bytes} bytes, ${extent.chunks} chunks, ${extent.range?.startNs} to ${extent.range?.endNs}`;
    if (said !== summed) wrong(summed, said);
  }
  return findings;
}

async function checkDirectory(parts: SessionCheckParts, books: SessionBooks): Promise<Finding[]> {
  const { disk, state } = parts;
  const { session, topics } = books;
  const { ulid } = session;
  const directory = sessionDirectory(ulid);
  const needed = isFinalized(session) || topics.some(hasFiles);
  const found = await disk.stateOf(directory);
  if (found === undefined && !needed) return [];
  const problem = kindProblem(directory, "directory", found?.kind, ulid);
  if (problem !== undefined) return [problem];
  const findings: Finding[] = [];
  const numbers = new Set(topics.map(({ topic }) => String(topic.number)));
  for (const name of await disk.list(directory)) {
    if (name === "session.json" || numbers.has(name)) continue;
    const extra = {
      where: `${directory}/${name}`,
      what: "extra",
      expected: "nothing",
      found: name,
      session: ulid,
    } as const;
    // A document that was about to be replaced, or a topic that was being deleted.
    const interrupted = !isFinalized(session) && (name === "session.json.new" || isInTrash(parts, extra.where));
    findings.push(...(interrupted ? leftover(state, extra) : [damage(extra)]));
  }
  findings.push(...(await checkSessionDocument(parts, books, needed)));
  return findings;
}

async function checkSessionDocument(
  { disk, state }: SessionCheckParts,
  books: SessionBooks,
  needed: boolean,
): Promise<Finding[]> {
  const { session } = books;
  const path = sessionFile(session.ulid);
  const found = await disk.stateOf(path);
  if (found === undefined && !needed) return [];
  const problem = kindProblem(path, "file", found?.kind, session.ulid);
  if (problem !== undefined) return [problem];
  const text = await disk.readText(path);
  const expected = sessionText(books);
  if (text === expected) return [];
  const finding = { where: path, what: "document", ...difference(expected, text), session: session.ulid } as const;
  // Finalize writes the manifest before the row; and what no commit has synced may be torn.
  const interrupted = !isFinalized(session) && (!needed || isManifest(text, path));
  return interrupted ? leftover(state, finding) : [damage(finding)];
}

/** What a session's document has to say now. */
export function sessionText({ session, topics }: SessionBooks): string {
  return session.completedAtNs === undefined
    ? sessionDocument(session)
    : manifestDocument(session, session.completedAtNs, topics);
}

function isManifest(text: string, path: string): boolean {
  try {
    return readSessionDocument(text, path).topics !== undefined;
  } catch {
    return false;
  }
}

async function checkTopic(parts: SessionCheckParts, { session }: SessionBooks, books: TopicBooks): Promise<Finding[]> {
  const { disk, state } = parts;
  const { topic, chunks, schemaHeader } = books;
  const directory = topicDirectory(session.ulid, topic.number);
  const needed = hasFiles(books);
  const found = await disk.stateOf(directory);
  if (found === undefined && !needed) return [];
  const problem = kindProblem(directory, "directory", found?.kind, session.ulid);
  if (problem !== undefined) return [problem];
  const findings: Finding[] = [];
  const names = new Set(["topic.json"]);
  for (const { number } of chunks) names.add(chunkFile(session.ulid, topic.number, number).slice(directory.length + 1));
  for (const name of await disk.list(directory)) {
    if (names.has(name)) continue;
    const where = `${directory}/${name}`;
    const extra = { where, what: "extra", expected: "nothing", found: name, session: session.ulid } as const;
    const interrupted = !isFinalized(session) && (name === "topic.json.new" || isNextChunk(name, chunks.length));
    findings.push(...(interrupted ? leftover(state, extra) : [damage(extra)]));
  }
  findings.push(...(await checkTopicDocument(parts, books, needed)));
  if (schemaHeader === undefined) return findings;
  for (const { number } of chunks) findings.push(...(await checkChunk(parts, books, schemaHeader, number)));
  findings.push(...(await checkTailRuns(disk, topic, books.tails)).findings);
  return findings;
}

/** Whether this is the file of a chunk that a commit would have told of next. */
function isNextChunk(name: string, chunks: number): boolean {
  const match = /^([0-9]{5,})\.arrow$/.exec(name);
  return match !== null && Number(match[1]) >= chunks;
}

async function checkTopicDocument(
  { disk, state }: SessionCheckParts,
  { topic, schemaHeader }: TopicBooks,
  needed: boolean,
): Promise<Finding[]> {
  const path = topicFile(topic.session, topic.number);
  const found = await disk.stateOf(path);
  if (found === undefined && !needed) return [];
  const problem = kindProblem(path, "file", found?.kind, topic.session);
  if (problem !== undefined) return [problem];
  const text = await disk.readText(path);
  const expected = topicDocument(topic, schemaHeader ?? schemaOf(text, path, topic.session));
  if (text === expected) return [];
  const finding = { where: path, what: "document", ...difference(expected, text), session: topic.session } as const;
  return needed ? [damage(finding)] : leftover(state, finding);
}

/** Of a topic without a commit only its document knows the schema. */
function schemaOf(text: string, path: string, session: Ulid): Uint8Array {
  try {
    return readTopicDocument(text, path, session).schemaHeader;
  } catch {
    return new Uint8Array(0);
  }
}

async function checkChunk(
  { disk, catalog, state, onBytes }: SessionCheckParts,
  books: TopicBooks,
  schemaHeader: Uint8Array,
  number: number,
): Promise<Finding[]> {
  const { topic } = books;
  const session = topic.session;
  const path = chunkFile(session, topic.number, number);
  catalog.refresh();
  let chunk: ReturnType<typeof readWholeChunk>;
  try {
    chunk = readWholeChunk(catalog, topic.uuid, number);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const where = `catalog: chunks ${path}`;
    return [damage({ where, what: "row", expected: "a chunk with all its batches", found: error.message, session })];
  }
  if (chunk === undefined) return [];
  const place = { path, session, schemaHeader, completedAtNs: completionIn(books, number) };
  const findings = checkChunkRow(place, chunk);
  const problem = kindProblem(path, "file", (await disk.stateOf(path))?.kind, session);
  if (problem !== undefined) return [...findings, problem];
  findings.push(...(await checkChunkFile(disk, place, chunk, { state, onBytes })).findings);
  return findings;
}

function isInTrash({ catalog }: SessionCheckParts, path: string): boolean {
  return [...catalog.trash.rows()].some(({ value }) => value === path);
}

/** Undefined when there is what there should be. */
export function kindProblem(
  path: string,
  expected: "file" | "directory",
  found: string | undefined,
  session?: Ulid,
): Finding | undefined {
  if (found === expected) return undefined;
  const what = found === undefined ? "missing" : "wrong_type";
  return damage({ where: path, what, expected: `a ${expected}`, found: found ?? "nothing", session });
}
