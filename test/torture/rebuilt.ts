// The catalog of a store in which anything may have happened, against one that is made of the directories alone.

import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { catalogRows, type Rows } from "../care/catalog-rows.ts";
import { runToEnd } from "../server.ts";

export interface Rebuilt {
  /** Rows that are equal, by table. */
  readonly equal: Readonly<Record<string, number>>;
  /** Of which topics are open. */
  readonly openTopics: number;
  /** Resources that never got data, which only a catalog knows. */
  readonly unknown: number;
}

/** For a store that half an hour has filled, on a busy machine. */
const readAllMs = 10 * 60_000;

/**
 * Verifies a store that no server runs on and compares its catalog with a rebuilt one; the store stays as it is.
 * @throws Error with what is damaged, missing, or not equal
 */
export async function expectRebuiltEqual(dataDir: string): Promise<Rebuilt> {
  await expectSound(dataDir);
  const copy = `${dataDir}-rebuilt`;
  try {
    cpSync(dataDir, copy, { recursive: true });
    rmSync(path.join(copy, "catalog"), { recursive: true });
    const { code, stdout, stderr } = await runToEnd(["rebuild", "--data-dir", copy], {}, readAllMs);
    // Without a catalog nobody knows that what was begun and never committed is no loss: it is put aside and told.
    const told = `${stdout}${stderr}`.split("\n").filter((line) => line !== "" && !line.startsWith("a catalog of"));
    const strange = told.filter((line) => !line.includes("goes to quarantine"));
    if (code !== (told.length > 0 ? 1 : 0) || strange.length > 0)
      throw new Error(`rebuild ended with ${code}: ${stdout}${stderr}`);
    await expectSound(copy);
    return compare(await catalogRows(dataDir, "data"), await catalogRows(copy, "data"));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

async function expectSound(dataDir: string): Promise<void> {
  const { code, stdout, stderr } = await runToEnd(["verify", "--data-dir", dataDir], {}, readAllMs);
  if (code !== 0) throw new Error(`verify of ${dataDir} ended with ${code}: ${stdout}${stderr}`);
}

interface TopicRow {
  readonly uuid: string;
  readonly session: string;
  readonly number: number;
  readonly completedAtNs?: unknown;
}

interface SessionRow {
  readonly ulid: string;
  readonly sequence: string;
  readonly topicNumberNext: number;
  readonly completedAtNs?: unknown;
}

/** Rows of resources may be missing of those without data; everything else is equal. */
function compare(lost: Rows, rebuilt: Rows): Rebuilt {
  const topics = valuesOf<TopicRow>(lost, "topics");
  const withData = new Set(
    [...keysOf(lost, "chunks"), ...keysOf(lost, "tails")].map((key) => String(Array.isArray(key) ? key[0] : key)),
  );
  const dataTopics = topics.filter(({ uuid, completedAtNs }) => withData.has(uuid) || completedAtNs !== undefined);
  const dataSessions = new Set(dataTopics.map(({ session }) => session));
  const sessions = valuesOf<SessionRow>(lost, "sessions");
  const dataSequences = new Set(sessions.flatMap(({ ulid, sequence }) => (dataSessions.has(ulid) ? [sequence] : [])));
  const needed: Readonly<Record<string, (value: never) => boolean>> = {
    sequences: ({ name }: { name: string }) => dataSequences.has(name),
    sessions: ({ ulid }: SessionRow) => dataSessions.has(ulid),
    topics: ({ uuid }: TopicRow) => dataTopics.some((topic) => topic.uuid === uuid),
  };
  const equal: Record<string, number> = {};
  let unknown = 0;
  for (const [table, rows] of Object.entries(lost)) {
    const isNeeded = needed[table];
    // Keys of sequences, sessions and topics are made of their rows, which verify has looked at.
    if (["sessionKeys", "topicLocators", "searchKeys"].includes(table)) continue;
    const found = new Map((rebuilt[table] ?? []).map(([key, value]) => [JSON.stringify(key), value]));
    for (const [key, value] of rows) {
      const other = found.get(JSON.stringify(key));
      found.delete(JSON.stringify(key));
      if (other === undefined && isNeeded !== undefined && !isNeeded(value as never)) unknown += 1;
      else if (isDeepStrictEqual(comparable(table, value), comparable(table, other)))
        equal[table] = (equal[table] ?? 0) + 1;
      else throw new Error(`${table} ${JSON.stringify(key)}: lost ${shown(value)}, rebuilt ${shown(other)}`);
    }
    for (const [key, value] of found) throw new Error(`${table} ${key}: nothing was lost, rebuilt ${shown(value)}`);
  }
  const openTopics = dataTopics.filter(({ completedAtNs }) => completedAtNs === undefined).length;
  return { equal, openTopics, unknown };
}

/** Which number comes next in an open session stands in no document. */
function comparable(table: string, value: unknown): unknown {
  if (table !== "sessions" || value === undefined) return value;
  const { topicNumberNext, ...rest } = value as SessionRow;
  return rest.completedAtNs === undefined ? rest : { ...rest, topicNumberNext };
}

function valuesOf<Value>(rows: Rows, table: string): Value[] {
  return (rows[table] ?? []).map(([, value]) => value as Value);
}

function keysOf(rows: Rows, table: string): unknown[] {
  return (rows[table] ?? []).map(([key]) => key);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value, (_name, part: unknown) => (typeof part === "bigint" ? String(part) : part));
  return (text ?? "nothing").slice(0, 500);
}
