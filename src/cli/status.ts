/** The command `status`: what the running server says of itself, over its control socket. */

import type { Abandoned } from "../care/abandoned.ts";
import type { Retention } from "../care/retention.ts";
import type { Space } from "../care/space.ts";
import { readOwner } from "../catalog/store-facts.ts";
import type { Budget } from "../flow/budget.ts";
import { askControlSocket } from "../host/control-socket.ts";
import { printOut } from "../host/log.ts";
import type { GroupCommit } from "../ingest/group-commit.ts";
import type { Uploads } from "../ingest/uploads.ts";
import { Fault } from "../model/fault.ts";
import { statusWaitMs, streamsShownMax } from "../model/limits.ts";
import type { Poison } from "../store/poison.ts";
import type { TailLog } from "../store/tail-log.ts";
import type { AgentUse } from "../sync/agent-use.ts";
import type { Sync } from "../sync/sync.ts";
import { censusView } from "./sync-status.ts";
import { withCatalogToRead } from "./with-catalog.ts";

export interface StatusParts {
  readonly version: string;
  readonly port: number;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
  readonly poison: Poison;
  readonly space: Space;
  readonly retention: Retention;
  readonly abandoned: Abandoned;
  readonly commit: GroupCommit;
  readonly tail: TailLog;
  readonly uploads: Uploads;
  readonly sync: Sync;
  readonly budgets: Readonly<Record<"upload" | "smallUpload" | "merge" | "send", Budget>>;
}

/** One JSON with everything that is counted. */
export async function statusText(parts: StatusParts): Promise<string> {
  const { budgets, retention } = parts;
  const { last, ...retained } = retention.use();
  return JSON.stringify({
    pid: process.pid,
    version: parts.version,
    port: parts.port,
    uptimeMs: Math.round(parts.nowMs() - parts.startedAtMs),
    poisoned: parts.poison.poisoned,
    memory: Object.fromEntries(Object.entries(budgets).map(([name, budget]) => [name, budget.use()])),
    commit: rounded(parts.commit.use()),
    tail: parts.tail.use(),
    space: parts.space.use(),
    retention: { ...retained, last: last.map((one) => ({ ...one, atNs: String(one.atNs) })) },
    abandoned: parts.abandoned.use(),
    uploads: await parts.uploads.use(streamsShownMax),
    sync: Object.fromEntries([...parts.sync.use()].map(([name, use]) => [name, agentView(use)])),
  });
}

function agentView({ census, sending, ...use }: AgentUse): object {
  return { ...use, ...(census === undefined ? {} : censusView(census)), sending: sending ?? null };
}

function rounded<Counters extends object>(counters: Counters): object {
  return Object.fromEntries(
    Object.entries(counters).map(([name, value]) => [
      name,
      typeof value === "number" ? Math.round(value * 1000) / 1000 : value,
    ]),
  );
}

/** Prints it: as it is for programs, line by line for people. @throws Fault absent, corrupt, unavailable when no server runs there */
export async function showStatus(dataDirectory: string, format: "json" | "text"): Promise<void> {
  await withCatalogToRead(dataDirectory, async (catalog, disk) => {
    const owner = readOwner(catalog);
    const answer = owner === undefined ? undefined : await askControlSocket(disk.root, owner.socket, statusWaitMs);
    if (answer === undefined) throw new Fault("unavailable", `No server runs on ${disk.root}`);
    if (answer === "")
      throw new Fault("unavailable", `The server on ${disk.root} is too busy to answer, or is starting`);
    printOut(format === "json" ? `${answer}\n` : lines(JSON.parse(answer) as object, ""));
  });
}

function lines(value: object, prefix: string): string {
  return Object.entries(value)
    .map(([name, item]: [string, unknown]) => {
      const path = `${prefix}${name}`;
      return typeof item === "object" && item !== null ? lines(item, `${path}.`) : `${path}: ${item}\n`;
    })
    .join("");
}
