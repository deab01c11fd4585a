// Two servers, one of which syncs to the other: what their operators do and see, and what clients read of both.

import { setTimeout as sleep } from "node:timers/promises";
import { tableFromIPC } from "apache-arrow";
import { frameHeader } from "../../src/arrow/frame.ts";
import { FlightClient } from "../load/flight-client.ts";
import type { TopicLoad } from "../load/robot.ts";
import { runToEnd } from "../server.ts";

export interface TargetView {
  readonly target: string;
  readonly state: string;
  readonly pendingSessions: number;
  readonly syncedSessions: number;
  readonly leftOutSessions: number;
  readonly parkedSessions: number;
  readonly parked: readonly { readonly session: string; readonly cause: string; readonly reason: string }[];
  readonly lastError?: string;
  /** Of a server that runs. */
  readonly sentRows?: number;
  readonly brokenOff?: number;
  readonly sending?: { readonly session: string } | null;
}

export async function command(dataDir: string, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(["sync", ...words, "--data-dir", dataDir]);
  if (code !== 0) throw new Error(`sync ${words.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

export async function targetOf(dataDir: string): Promise<TargetView> {
  const [view] = JSON.parse(await command(dataDir, "status", "--json")) as TargetView[];
  if (view === undefined) throw new RangeError("there is a target");
  return view;
}

export async function until(
  dataDir: string,
  what: string,
  holds: (view: TargetView) => boolean,
  triesMax = 300,
): Promise<TargetView> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const view = await targetOf(dataDir);
    if (holds(view)) return view;
    await sleep(100);
  }
  throw new Error(`not in time: ${what}; ${JSON.stringify(await targetOf(dataDir))}`);
}

/** What a transfer logs. */
interface LogLine {
  readonly session: string;
  /** Of `sync_broken_off`. */
  readonly during: string;
  /** Of `session_goes_on`. */
  readonly at: string;
}

/** Whole lines of one event. @param text of one log or of several, in the order of time; what a kill cut off is left out */
export function logged(text: string, event: string): LogLine[] {
  return text
    .split("\n")
    .filter((line) => line.includes(`"${event}"`) && line.endsWith("}"))
    .map((line) => JSON.parse(line) as LogLine);
}

export async function record(
  port: number,
  sequence: string,
  topics: readonly TopicLoad[],
  isNew = true,
): Promise<void> {
  using client = new FlightClient(port);
  if (isNew) await client.action("sequence_create", { locator: sequence, user_metadata: { robot: "milo", km: 12.5 } });
  const { uuid: session } = (await client.action("session_create", { locator: sequence })) as { uuid: string };
  for (const { path: below, ontologyTag, userMetadata, messages } of topics) {
    const locator = `${sequence}/${below}`;
    const { uuid } = (await client.action("topic_create", {
      session_uuid: session,
      locator,
      serialization_format: "default",
      ontology_tag: ontologyTag,
      user_metadata: userMetadata,
    })) as { uuid: string };
    await client.put({ locator, uuid }, messages);
  }
  await client.action("session_finalize", { session_uuid: session });
}

/** Whether there is a sequence, session or topic. */
export async function isThere(port: number, locator: string): Promise<boolean> {
  using client = new FlightClient(port);
  return await client.info({ resource_locator: locator }).then(
    () => true,
    () => false,
  );
}

/** Schema and rows as do_get gives them, in the order of time, wherever its batches begin. */
export async function contents(port: number, locator: string): Promise<{ schema: string; rows: string[] }> {
  using client = new FlightClient(port);
  const info = await client.info({ resource_locator: locator });
  const stream: Uint8Array[] = [];
  for await (const { header, body } of client.get(info.endpoint[0]?.ticket?.ticket ?? new Uint8Array(0)))
    stream.push(frameHeader(header), body);
  const table = tableFromIPC(Buffer.concat(stream));
  const plain = (_key: string, value: unknown): unknown =>
    typeof value === "bigint"
      ? `${value}n`
      : value instanceof Uint8Array
        ? Buffer.from(value).toString("base64")
        : value;
  return {
    schema: table.schema.fields.map(String).join(", "),
    rows: table.toArray().map((row) => JSON.stringify(row, plain)),
  };
}

export interface TopicMetadata {
  readonly ontology_tag: string;
  readonly user_metadata: unknown;
  readonly locked: boolean;
  readonly data_info: { readonly total_row_count: number; readonly interval: unknown };
}

export async function metadataOf(port: number, locator: string): Promise<TopicMetadata> {
  using client = new FlightClient(port);
  const info = await client.info({ resource_locator: locator });
  return JSON.parse(Buffer.from(info.endpoint[0]?.appMetadata ?? []).toString()) as TopicMetadata;
}
