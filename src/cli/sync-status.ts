/** The command `sync status`: targets, where sessions stand with them, and what is on its way; once, or again and again. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Catalog } from "../catalog/catalog.ts";
import { readOwner } from "../catalog/store-facts.ts";
import { listTargets } from "../catalog/target-rows.ts";
import { askControlSocket } from "../host/control-socket.ts";
import type { Disk } from "../host/disk.ts";
import { printOut } from "../host/log.ts";
import { statusWaitMs } from "../model/limits.ts";
import { watchEveryMs } from "../model/sync-limits.ts";
import type { ParkCause } from "../model/transfer.ts";
import type { Sending } from "../sync/agent-use.ts";
import { type Census, takeCensus } from "../sync/census.ts";
import { tableText } from "./table.ts";
import { withCatalogToRead } from "./with-catalog.ts";

/** Where all finalized sessions stand with a target, as JSON has it. */
export interface CensusView {
  readonly pendingSessions: number;
  readonly pendingBytes: number;
  /** When it was finalized, ISO 8601. */
  readonly oldestPending: string | null;
  readonly syncedSessions: number;
  readonly leftOutSessions: number;
  readonly parkedSessions: number;
  readonly parked: Census["parkedSessions"];
}

interface TargetView extends CensusView {
  readonly target: string;
  readonly url: string;
  readonly state: string;
  /** It may be another store than it was: what is synced does not count. */
  readonly isUnconfirmed: boolean;
  /** What only a server that runs knows. */
  readonly sending?: Sending | null;
  readonly closed?: string;
  readonly lastError?: string;
}

export interface StatusOutput {
  readonly format: "json" | "table";
  /** Until the signal fires, or else once. */
  readonly watch: boolean;
  readonly signal: AbortSignal;
}

export async function showSync(dataDirectory: string, { format, watch, signal }: StatusOutput): Promise<void> {
  await withCatalogToRead(dataDirectory, async (catalog, disk) => {
    for (let lines = 0; ; ) {
      catalog.refresh();
      const views = await viewsOf(catalog, disk, signal);
      // On a terminal in place of what stood there, in a pipe behind it.
      const over = lines > 0 && process.stdout.isTTY ? `\u001b[${lines}A\u001b[J` : "";
      const text = format === "json" ? `${JSON.stringify(views)}\n` : textOf(views);
      const isRead = printOut(`${over}${text}`);
      if (format === "table") lines = text.split("\n").length - 1;
      if (!watch || !isRead) return;
      await sleep(watchEveryMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
  });
}

async function viewsOf(catalog: Catalog, disk: Disk, signal: AbortSignal): Promise<TargetView[]> {
  const owner = readOwner(catalog);
  const answer = owner === undefined ? undefined : await askControlSocket(disk.root, owner.socket, statusWaitMs);
  const live = liveIn(answer);
  const views: TargetView[] = [];
  for (const target of listTargets(catalog)) {
    const census = await takeCensus(catalog, target, { signal });
    const running = live[target.name];
    const unpaused = answer === undefined ? "no server runs" : (running?.state ?? "starting");
    const state = target.paused ? "paused" : unpaused;
    const { name, url, isUnconfirmed = false } = target;
    views.push({ ...running, target: name, url, state, isUnconfirmed, ...censusView(census) });
  }
  return views;
}

/** Agents by the names of their targets; none when the server is too busy to answer. */
function liveIn(answer: string | undefined): Readonly<Record<string, TargetView>> {
  if (answer === undefined || answer === "") return {};
  return (JSON.parse(answer) as { sync?: Record<string, TargetView> }).sync ?? {};
}

export function censusView({ pending, synced, leftOut, parked, parkedSessions }: Census): CensusView {
  const { sessions, bytes, oldestNs } = pending;
  return {
    pendingSessions: sessions,
    pendingBytes: bytes,
    oldestPending: oldestNs === undefined ? null : new Date(Number(oldestNs / 1_000_000n)).toISOString(),
    syncedSessions: synced,
    leftOutSessions: leftOut,
    parkedSessions: parked,
    parked: parkedSessions,
  };
}

function textOf(views: readonly TargetView[]): string {
  if (views.length === 0) return "There is no target: mosaico-edge sync add NAME URL\n";
  const head = ["target", "state", "pending", "MB", "oldest", "synced", "left out", "parked", "why it waits"];
  const rows = views.map((view) => [
    view.target,
    view.state,
    String(view.pendingSessions),
    megabytes(view.pendingBytes),
    view.oldestPending ?? "",
    String(view.syncedSessions),
    String(view.leftOutSessions),
    String(view.parkedSessions),
    view.closed ??
      view.lastError ??
      (view.isUnconfirmed ? "it may be another store: what is synced does not count" : ""),
  ]);
  const more = views.flatMap(({ target, sending, parked }) => [
    ...(sending === undefined || sending === null ? [] : [`${target}: ${progressOf(sending)}`]),
    ...parked.map(
      ({ session, cause, reason }) => `${target}: ${session} is parked (${cause}): ${reason}${adviceOf(cause)}`,
    ),
  ]);
  return `${tableText([head, ...rows])}${more.map((line) => `${line}\n`).join("")}`;
}

/** What somebody may do about a parked session, where it is always the same. */
function adviceOf(cause: ParkCause): string {
  switch (cause) {
    case "conflict":
      return " -- what is there stays; once it is gone, sync retry tries again (to a sequence of somebody else sync set NAME --on-conflict extend adds it)";
    case "damaged":
      return " -- mosaico-edge verify says what is damaged, repair keeps what is sound, sync retry tries again";
    case "different":
      return " -- sync retry compares again; what is here goes once what is there is deleted";
    default:
      return " -- sync retry tries again";
  }
}

const barCells = 20;

function progressOf({ session, bytes, sentBytes, seconds }: Sending): string {
  const share = bytes === 0 ? 1 : Math.min(1, sentBytes / bytes);
  const bar = "#".repeat(Math.round(share * barCells)).padEnd(barCells, "-");
  const rate = seconds === 0 ? "" : `, ${megabytes(sentBytes / seconds)} MB/s`;
  return `[${bar}] ${session}: ${megabytes(sentBytes)} of ${megabytes(bytes)} MB${rate}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
